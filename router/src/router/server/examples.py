"""One worked example of each call, in an order in which they can be run: a test does so, against a real Router.

Ids stand for whatever ids a run has: the same one is the same thing throughout. A text that ends with `…` is a longer
one of that beginning; a number beyond 10⁹ is a moment in Unix seconds; `<…>` is a body of bytes.
"""

from dataclasses import dataclass
from typing import Any, Final

FIRST: Final = "01K9ZV0A000000000000000J01"
SECOND: Final = "01K9ZV0A000000000000000J02"
THIRD: Final = "01K9ZV0A000000000000000J03"
FOURTH: Final = "01K9ZV0A000000000000000J04"
INSTANCE: Final = "01K9ZV0A0000000000000000A1"
RESULT: Final = "01K9ZV0A0000000000000000R1"
_SESSION: Final = "01K9ZV0A0000000000000000S1"
_LEASES: Final = [f"01K9ZV0A000000000000000E0{number}" for number in range(5)]
_NOW: Final = 1_790_000_000.0
_ENVELOPE: Final = "eyJhbGciOiJFZDI1NTE5Iiwi…"
_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----\n…"
_REQUEST: Final = "-----BEGIN CERTIFICATE REQUEST-----\n…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One call. `operation` is its method and path; `target` what is asked for. `shown`: it stands in the reference.

    `body` is JSON, or the name of bytes as `<…>`; so is `answer`, None for an empty one.
    """

    operation: str
    target: str
    body: Any = None
    media: str | None = None
    status: int = 200
    answer: Any = None
    shown: bool = True


def _job(job: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": job,
        "audience": "pool:plant",
        "kind": "sql",
        "state": "queued",
        "ended": False,
        "code": None,
        "attempt": 0,
        "max_attempts": 1,
        "priority": 5,
        "created": _NOW,
        "changed": _NOW,
        "expires": _NOW + 600,
        "result_until": _NOW + 6000,
        "agent": None,
        "phase": None,
        "rows": None,
        "cancelling": False,
        "result": False,
        **changes,
    }


def _submit(job: str, *, shown: bool = False) -> Example:
    return Example(
        operation="POST /v1/jobs",
        target="/v1/jobs",
        body=f"<signed job {job}>",
        media="application/jose",
        status=202,
        answer=_job(job),
        shown=shown,
    )


def _lease(job: str, number: int, *, shown: bool = False) -> Example:
    offered = {
        "job": job,
        "envelope": _ENVELOPE,
        "lease": _LEASES[number],
        "attempt": 1,
        "fence": 1,
        "offer_expires": _NOW + 10,
    }
    return Example(
        operation="POST /v1/lease",
        target="/v1/lease?wait=25",
        body={"session": _SESSION, "free": {"sql": 4, "python": 2}},
        answer={"jobs": [offered]},
        shown=shown,
    )


def _accept(job: str, number: int, *, shown: bool = False) -> Example:
    return Example(
        operation="POST /v1/jobs/{job}/accept",
        target=f"/v1/jobs/{job}/accept",
        body={"session": _SESSION, "lease": _LEASES[number], "fence": 1},
        answer={"attempt": 1},
        shown=shown,
    )


_DELIVERY: Final = f"/v1/jobs/{FIRST}/results/{RESULT}"
_UNDER: Final = f"?lease={_LEASES[1]}&fence=1"
_ISSUED: Final = {
    "certificate": _CERTIFICATE,
    "ca": _CERTIFICATE,
    "not_after": _NOW + 86_400,
    "tenant": "acme",
    "agent": "plant-7",
    "pool": "plant",
}

_COMING: Final = (
    Example(operation="GET /v1/health", target="/v1/health", answer={"status": "ok", "version": "0.1.0"}),
    Example(
        operation="POST /v1/enroll",
        target="/v1/enroll",
        body={"token": "mre_…", "name": "plant-7", "csr": _REQUEST, "labels": {"site": "north"}},
        status=201,
        answer=_ISSUED,
    ),
    Example(operation="POST /v1/renew", target="/v1/renew", body={"csr": _REQUEST}, status=201, answer=_ISSUED),
    Example(
        operation="POST /v1/sessions",
        target="/v1/sessions",
        body={"instance": INSTANCE, "slots": {"sql": 4, "python": 2}, "version": "0.1.0"},
        status=201,
        answer={
            "session": _SESSION,
            "tenant": "acme",
            "agent": "plant-7",
            "pool": "plant",
            "heartbeat_seconds": 15.0,
            "lease_seconds": 60.0,
        },
    ),
)
_WORKING: Final = (
    _submit(FIRST, shown=True),
    Example(
        operation="GET /v1/agents",
        target="/v1/agents",
        answer=[
            {
                "name": "plant-7",
                "pool": "plant",
                "labels": {"site": "north"},
                "online": True,
                "draining": False,
                "seen": _NOW,
                "slots": {"sql": 4, "python": 2},
                "version": "0.1.0",
                "certificate_until": _NOW + 86_400,
                "revoked": False,
            }
        ],
    ),
    Example(
        operation="GET /v1/pools",
        target="/v1/pools",
        answer=[{"audience": "pool:plant", "queued": 1, "oldest": _NOW, "held": 0, "agents": 1}],
    ),
    _lease(FIRST, 1, shown=True),
    _accept(FIRST, 1, shown=True),
    Example(
        operation="POST /v1/heartbeat",
        target="/v1/heartbeat",
        body={"session": _SESSION, "leases": [_LEASES[1]]},
        answer={"leases": {_LEASES[1]: "ok"}},
    ),
    Example(
        operation="POST /v1/jobs/{job}/events",
        target=f"/v1/jobs/{FIRST}/events",
        body={"lease": _LEASES[1], "fence": 1, "phase": "masking", "rows": "1000"},
        status=204,
    ),
    Example(
        operation="GET /v1/jobs/{job_id}",
        target=f"/v1/jobs/{FIRST}?wait=25&since=1790000000.0",
        answer=_job(FIRST, state="running", attempt=1, agent="plant-7", phase="masking", rows="1000"),
    ),
)
_DELIVERING: Final = (
    Example(
        operation="PUT /v1/jobs/{job}/results/{result}/parts/{index}",
        target=f"{_DELIVERY}/parts/0{_UNDER}",
        body="<sealed part 0>",
        media="application/octet-stream",
        status=204,
    ),
    Example(
        operation="GET /v1/jobs/{job}/results/{result}/parts",
        target=f"{_DELIVERY}/parts{_UNDER}",
        answer={"parts": {"0": "…"}},
    ),
    Example(
        operation="POST /v1/jobs/{job}/results/{result}",
        target=f"{_DELIVERY}{_UNDER}",
        body="<signed manifest>",
        media="application/jose",
        answer={"state": "failed", "result": RESULT},
    ),
    Example(
        operation="GET /v1/jobs",
        target="/v1/jobs?state=failed&limit=2",
        answer={
            "jobs": [
                _job(FIRST, state="failed", ended=True, code="source.error", attempt=1, agent="plant-7", result=True)
            ],
            "next": None,
        },
    ),
    Example(operation="GET /v1/jobs/{job_id}/result", target=f"/v1/jobs/{FIRST}/result", answer="<a .mres file>"),
    Example(operation="DELETE /v1/jobs/{job_id}/result", target=f"/v1/jobs/{FIRST}/result", status=204),
)
_ENDING: Final = (
    _submit(SECOND),
    _lease(SECOND, 2),
    Example(operation="POST /v1/hand-back", target="/v1/hand-back", body={"leases": [_LEASES[2]]}, status=204),
    Example(
        operation="POST /v1/jobs/{job_id}/cancel",
        target=f"/v1/jobs/{SECOND}/cancel",
        answer=_job(SECOND, state="cancelled", ended=True, code="job.cancelled", agent="plant-7"),
    ),
    _submit(THIRD),
    _lease(THIRD, 3),
    Example(
        operation="POST /v1/jobs/{job}/reject",
        target=f"/v1/jobs/{THIRD}/reject",
        body={"lease": _LEASES[3], "fence": 1, "code": "envelope.untrusted"},
        answer={"state": "refused", "result": ""},
    ),
    _submit(FOURTH),
    _lease(FOURTH, 4),
    _accept(FOURTH, 4),
    Example(
        operation="POST /v1/jobs/{job_id}/cancel",
        target=f"/v1/jobs/{FOURTH}/cancel",
        answer=_job(FOURTH, state="running", attempt=1, agent="plant-7", cancelling=True),
        shown=False,
    ),
    Example(
        operation="GET /v1/sessions/{session}/orders",
        target=f"/v1/sessions/{_SESSION}/orders?wait=25",
        answer={"orders": [{"order": "cancel", "lease": _LEASES[4]}]},
    ),
    Example(operation="POST /v1/sessions/{session}/drain", target=f"/v1/sessions/{_SESSION}/drain", status=204),
    Example(operation="DELETE /v1/sessions/{session}", target=f"/v1/sessions/{_SESSION}", status=204),
)

EXAMPLES: Final = (*_COMING, *_WORKING, *_DELIVERING, *_ENDING)
