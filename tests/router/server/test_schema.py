"""Whatever is asked, a real Router answers as docs/schema/router-openapi.json says, and never with a 5xx.

Calls are made up from the document by schemathesis: such as keep to it, and such as break it in one place; upon ids that
nobody has, and upon the session, lease, job and result of an agent that is at work.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode
from schemathesis.transport.serialization import Binary

from router.ca.authority import new_key
from router.server import openapi, reference
from router.server.messages import JOSE, MRES
from tests.router.server import published
from tests.router.server.site import Site, csr_of, envelope, result_of, submitted, ulid

schemathesis.serializer.alias([JOSE, MRES], "application/octet-stream")
load_all_checks()
KEPT = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)
CONFIG = schemathesis.Config()
CONFIG.projects.default.generation.with_security_parameters = False  # who calls is said by the connection below
REJECTING = [*KEPT, *CHECKS.get_by_names(["negative_data_rejection"])]
DOCUMENT = reference.document()
CODES = {name: openapi.codes(one) for name, one in openapi.operations(DOCUMENT).items()}
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)
CALLS = {f"{one.ok().method.upper()} {one.ok().path}": one.ok() for one in SCHEMA.get_all_operations()}
MODES = {"kept to": GenerationMode.POSITIVE, "broken": GenerationMode.NEGATIVE}
BARE = {"GET /v1/health", "GET /v1/agents", "GET /v1/pools"}
"""They take nothing: there is nothing to break."""


@dataclass
class Live:
    """What there is: an agent that runs a job, and all that could be said of it."""

    site: Site
    ids: dict[str, Any]
    bodies: dict[str, list[bytes]]
    callers: dict[str, dict[str, Any]]

    def upon(self, case: Any, choose: Any) -> bool:
        """Put what there is in the place of some made-up ids and bodies; whether anything was put."""
        put = False
        if isinstance(case.query, dict) and str(case.query.get("wait", "")).isdecimal():
            case.query["wait"] = 0
        for place in (case.path_parameters, case.query, case.body):
            if isinstance(place, dict):
                for name in sorted(self.ids.keys() & place.keys()):
                    if choose(st.booleans()):
                        place[name], put = self.ids[name], True
        if case.media_type in self.bodies and choose(st.booleans()):
            whole = choose(st.sampled_from(self.bodies[case.media_type]))
            at = choose(st.integers(0, len(whole) - 1))
            bodies = [whole, whole[:at], whole[:at] + b"\x00" + whole[at + 1 :]]
            case.body, put = Binary(choose(st.sampled_from(bodies))), True
        return put


@pytest.fixture(scope="module")
def live(site: Site) -> Iterator[Live]:
    caller, agent = site.submitter("schema"), site.agent(tenant="schema")
    submitted(caller, "schema")
    job = agent.offered()
    agent.accept(job)
    result = result_of(job)
    ids = {"session": agent.session, "job": job["job"], "job_id": job["job"], "result": result.id, "index": 0}
    ids |= {"lease": job["lease"], "fence": job["fence"], "leases": [job["lease"]], "previous": ulid()}
    ids |= {"csr": csr_of(new_key()), "token": site.token("enroll", "schema", ("default",)), "free": {"sql": 1}}
    bodies = {JOSE: [envelope("schema")[1], result.manifest], MRES: [result.mres]}
    tls = {"verify": str(site.files.bundle)}
    callers: dict[str, dict[str, Any]] = {
        "agent": {**tls, "cert": str(agent.pair)},
        "HTTPBearer": {**tls, "headers": {"authorization": caller.headers["authorization"]}},
        "": tls,
    }
    for one in callers.values():
        one["session"] = requests.Session()
    yield Live(site, ids, bodies, callers)
    for one in callers.values():
        one["session"].close()


def asked(live: Live, call: str, mode: str, data: st.DataObject) -> None:
    """One made-up call and what is promised of its answer."""
    case = data.draw(CALLS[call].as_strategy(MODES[mode]))
    put = live.upon(case, data.draw)
    scheme = "".join(name for one in CALLS[call].definition.raw.get("security", ()) for name in one)
    answer = case.call(f"https://localhost:{live.site.port}", **live.callers[scheme])
    case.validate_response(answer, checks=KEPT if put or mode == "kept to" else REJECTING)
    if answer.status_code >= 400:
        assert answer.json()["code"] in CODES[call] | {"not_found", "request.method"}


def rounds(count: int) -> Any:
    """So many calls of each sort, the same ones each time."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


ROWS = [(call, mode) for call in CALLS for mode in MODES if mode == "kept to" or call not in BARE]


@pytest.mark.parametrize(("call", "mode"), ROWS, ids=[f"{call}, {mode}" for call, mode in ROWS])
@given(data=st.data())
@rounds(4)
def test_every_call_answers_as_it_is_described(live: Live, call: str, mode: str, data: st.DataObject) -> None:
    asked(live, call, mode, data)


@pytest.mark.full
@pytest.mark.parametrize(("call", "mode"), ROWS, ids=[f"{call}, {mode}" for call, mode in ROWS])
@given(data=st.data())
@rounds(60)
def test_every_call_answers_so_many_times(live: Live, call: str, mode: str, data: st.DataObject) -> None:
    asked(live, call, mode, data)


def test_schemathesis_has_every_call(site: Site) -> None:
    assert set(CALLS) == published.calls_of(site)
