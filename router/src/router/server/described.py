"""The calls of agents as OpenAPI describes them: what each takes, answers, and how it can fail.

The submitters' calls are described where FastAPI serves them, in `router.server.api`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.wire.ids import PATTERN
from router.core.problem import KINDS, Kind
from router.server import messages
from router.server.messages import JOSE, JSON, MRES, In, Out

PART: Final = "application/octet-stream"
MAX_WAIT_SECONDS: Final = 60

EVERYWHERE: Final = ("quota.connections", "quota.rate", "shutting_down", "store.unavailable", "internal")
"""What any call can meet."""
CALLER: Final = ("auth.missing", "auth.invalid", "auth.scope")
BODY: Final = ("request.malformed", "request.too_large", "request.media", "request.timeout")

_ID: Final = {"type": "string", "pattern": PATTERN}
_PATHS: Final[Mapping[str, tuple[dict[str, Any], str]]] = {
    "job": (_ID, "The job's id."),
    "session": (_ID, "The session's id, as POST /v1/sessions gave it."),
    "result": (_ID, "The result's id: the agent chose it when it sealed the result."),
    "index": ({"type": "integer", "minimum": 0, "maximum": 999_999}, "Which part, from 0."),
}
_WAIT: Final = (
    "wait",
    {"type": "integer", "minimum": 0, "default": 0},
    f"Seconds to wait for something to say; more than {MAX_WAIT_SECONDS} count as that.",
)
_LEASE: Final = (
    ("lease", _ID, "The lease under which the job ran."),
    (
        "fence",
        {"type": "integer", "minimum": 0, "maximum": 2**31},
        "The lease's fence: a later lease has a higher one.",
    ),
)

Query = tuple[str, dict[str, Any], str]
Body = type[In] | tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One call. `body`: a message, or media types of plain bytes. `answers`: a message by status, None for none."""

    method: str
    path: str
    meaning: str
    body: Body = None
    answers: Mapping[int, type[Out] | None]
    problems: tuple[str, ...] = ()
    query: tuple[Query, ...] = ()
    certificate: bool = True

    @property
    def codes(self) -> tuple[str, ...]:
        """Every problem that it can answer with."""
        own = (*(CALLER if self.certificate else ()), *(BODY if self.body is not None else ()), *self.problems)
        return (*own, *EVERYWHERE)

    def openapi(self) -> dict[str, Any]:
        """The operation, as OpenAPI has it; messages are references into its components."""
        found: dict[str, Any] = {
            "tags": ["agents"],
            "summary": self.meaning.partition(".")[0],
            "description": self.meaning,
            "operationId": f"{self.method.lower()}{self.path.replace('/', '_').replace('{', '').replace('}', '')}",
            "parameters": [*self._in_path(), *(_parameter("query", one) for one in self.query)],
            "responses": {str(status): _answer(message) for status, message in self.answers.items()}
            | {str(status): refusal(kinds) for status, kinds in by_status(self.codes).items()},
        }
        if self.certificate:
            found["security"] = [{"agent": []}]
        if self.body is not None:
            named = _media(self.body)
            found["requestBody"] = {"required": True, "content": named}
        return found

    def _in_path(self) -> list[dict[str, Any]]:
        names = [piece[1:-1] for piece in self.path.split("/") if piece.startswith("{")]
        return [_parameter("path", (name, *_PATHS[name])) for name in names]


def by_status(codes: Iterable[str]) -> dict[int, list[Kind]]:
    """Kinds of problems by their HTTP status, in its order."""
    found: dict[int, list[Kind]] = {}
    for kind in sorted({KINDS[code] for code in codes}, key=lambda kind: (kind.status, kind.code)):
        found.setdefault(kind.status, []).append(kind)
    return found


def refusal(kinds: Iterable[Kind]) -> dict[str, Any]:
    """An answer that is one of these problems. `x-codes` says which, for programs."""
    named = list(kinds)
    return {
        "description": " ".join(f"`{kind.code}`: {kind.meaning}" for kind in named),
        "content": {JSON: {"schema": reference("Problem")}},
        "x-codes": [kind.code for kind in named],
    }


def reference(name: str) -> dict[str, Any]:
    """A schema among the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def _parameter(place: str, query: Query) -> dict[str, Any]:
    name, schema, meaning = query
    optional = "default" in schema
    return {"name": name, "in": place, "required": not optional, "schema": schema, "description": meaning}


def _answer(message: type[Out] | None) -> dict[str, Any]:
    if message is None:
        return {"description": "Nothing is to be said."}
    meaning = (message.__doc__ or "").strip()
    return {"description": meaning, "content": {JSON: {"schema": reference(message.__name__)}}}


def _media(body: type[In] | tuple[str, ...]) -> dict[str, Any]:
    if isinstance(body, tuple):
        return {media: {"schema": {"type": "string", "format": "binary"}} for media in body}
    return {JSON: {"schema": reference(body.__name__)}}


_RESULT: Final = "/v1/jobs/{job}/results/{result}"

CALLS: Final = (
    Described(
        method="POST",
        path="/v1/enroll",
        meaning="Be admitted by a one-time token. The private key stays where it is: only a request goes out.",
        body=messages.EnrollIn,
        answers={201: messages.CertificateOut},
        problems=("enroll.token", "enroll.request"),
        certificate=False,
    ),
    Described(
        method="POST",
        path="/v1/renew",
        meaning="Have a new key certified, over the certificate in use. Both count until each ends.",
        body=messages.RenewIn,
        answers={201: messages.CertificateOut},
        problems=("enroll.request",),
    ),
    Described(
        method="POST",
        path="/v1/sessions",
        meaning="Open the agent's one session. With the instance before in `previous`, its session is taken over.",
        body=messages.SessionIn,
        answers={201: messages.SessionOut},
        problems=("session.held",),
    ),
    Described(
        method="POST",
        path="/v1/lease",
        meaning="Ask for work, and wait for it. What is offered has to be accepted within ten seconds.",
        body=messages.LeaseIn,
        answers={200: messages.LeaseOut, 204: None},
        problems=("session.unknown",),
        query=(_WAIT,),
    ),
    Described(
        method="POST",
        path="/v1/jobs/{job}/accept",
        meaning="Start an offered job: its attempt is counted. Again under the same lease, the same answer.",
        body=messages.AcceptIn,
        answers={200: messages.AcceptOut},
        problems=("not_found", "session.unknown", "lease.lost", "offer.lapsed"),
    ),
    Described(
        method="POST",
        path="/v1/hand-back",
        meaning="Give offers back that will not be accepted; no attempt is counted. Those of others stay as they are.",
        body=messages.HandBackIn,
        answers={204: None},
    ),
    Described(
        method="POST",
        path="/v1/jobs/{job}/reject",
        meaning="Refuse an envelope that is not trusted here: the job ends, with this code and no result.",
        body=messages.RejectIn,
        answers={200: messages.LandedOut},
        problems=("not_found", "lease.lost"),
    ),
    Described(
        method="POST",
        path="/v1/heartbeat",
        meaning="Keep all leases of a session alive, and hear what becomes of each. Every 15 s, while there are any.",
        body=messages.HeartbeatIn,
        answers={200: messages.HeartbeatOut},
        problems=("session.unknown",),
    ),
    Described(
        method="GET",
        path="/v1/sessions/{session}/orders",
        meaning="Hear orders at once while no poll for work is open. Each order is said here once.",
        answers={200: messages.LeaseOut, 204: None},
        problems=("request.malformed", "not_found", "session.unknown"),
        query=(_WAIT,),
    ),
    Described(
        method="POST",
        path="/v1/jobs/{job}/events",
        meaning="Say how far a running job is: a phase and about how many rows, nothing else.",
        body=messages.EventIn,
        answers={204: None},
        problems=("not_found", "lease.lost"),
    ),
    Described(
        method="PUT",
        path=f"{_RESULT}/parts/{{index}}",
        meaning="Send one sealed part, at most 4 MiB and 16 bytes. The same part again is no error.",
        body=(PART,),
        answers={204: None},
        problems=("not_found", "lease.lost", "result.conflict"),
        query=_LEASE,
    ),
    Described(
        method="GET",
        path=f"{_RESULT}/parts",
        meaning="Which parts are here, by the SHA-256 of each: an upload that was cut goes on where it was.",
        answers={200: messages.PartsOut},
        problems=("request.malformed", "not_found", "lease.lost", "result.conflict"),
        query=_LEASE,
    ),
    Described(
        method="POST",
        path=_RESULT,
        meaning="Deliver: the signed manifest after its parts, or a small result whole, up to 512 KiB. Safe to repeat.",
        body=(JOSE, MRES),
        answers={200: messages.LandedOut},
        problems=("not_found", "lease.lost", "result.late", "result.conflict", "result.part"),
        query=_LEASE,
    ),
    Described(
        method="POST",
        path="/v1/sessions/{session}/drain",
        meaning="Take nothing more; what is held is still delivered.",
        answers={204: None},
        problems=("not_found", "session.unknown"),
    ),
    Described(
        method="DELETE",
        path="/v1/sessions/{session}",
        meaning="End the session: offers that were not accepted go back at once. Safe to repeat.",
        answers={204: None},
        problems=("not_found",),
    ),
    Described(
        method="GET",
        path="/v1/health",
        meaning="Whether the Router serves and its store takes writes. For whoever asks.",
        answers={200: messages.HealthOut},
        certificate=False,
    ),
)
