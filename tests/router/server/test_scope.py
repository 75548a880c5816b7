"""Who may do what: every call with another's certificate, token, lease, fence, job or result; and no call without."""

import datetime as dt
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from router.ca.authority import Authority, _builder, new_key
from router.ca.names import SubmitterId
from router.core import ops
from router.core.agents import AgentId
from router.core.jobs import JobView
from router.store.port import JobFilter
from tests.router.server import published
from tests.router.server import site as sites
from tests.router.server.site import MRES, Agent, Site, addressed, csr_of, envelope, result_of, submitted, ulid

HOUR = dt.timedelta(hours=1)
Call = Callable[[httpx.Client, "Theirs"], httpx.Response]


@dataclass(frozen=True)
class Theirs:
    """What tenant `owner` has: an agent that runs a job, another job that ended with a result, and a submitter."""

    caller: httpx.Client
    agent: Agent
    running: dict[str, Any]
    waiting: str
    ended: dict[str, Any]


@pytest.fixture(scope="module")
def theirs(site: Site) -> Theirs:
    caller, agent = site.submitter("owner"), site.agent("runner", "owner")
    submitted(caller, "owner")
    ended = agent.offered()
    agent.accept(ended)
    result = result_of(ended)
    assert agent.http.post(addressed(ended, result.id), content=result.mres, headers=MRES).status_code == 200
    submitted(caller, "owner")
    running = agent.offered()
    agent.accept(running)
    waiting = submitted(caller, "owner")
    return Theirs(caller, agent, running, waiting, ended)


def of_job(theirs: Theirs, **more: Any) -> dict[str, Any]:
    return {"lease": theirs.running["lease"], "fence": theirs.running["fence"], **more}


def complete(http: httpx.Client, theirs: Theirs) -> httpx.Response:
    result = result_of(theirs.running)
    return http.post(addressed(theirs.running, result.id), content=result.mres, headers=MRES)


AGENTS: dict[str, Call] = {
    "close": lambda http, theirs: http.delete(f"/sessions/{theirs.agent.session}"),
    "drain": lambda http, theirs: http.post(f"/sessions/{theirs.agent.session}/drain"),
    "orders": lambda http, theirs: http.get(f"/sessions/{theirs.agent.session}/orders"),
    "lease": lambda http, theirs: http.post("/lease", json={"session": theirs.agent.session, "free": {"sql": 1}}),
    "hand-back": lambda http, theirs: http.post("/hand-back", json={"leases": [theirs.running["lease"]]}),
    "heartbeat": lambda http, theirs: http.post(
        "/heartbeat", json={"session": theirs.agent.session, "leases": [theirs.running["lease"]]}
    ),
    "accept": lambda http, theirs: http.post(
        f"/jobs/{theirs.running['job']}/accept", json=of_job(theirs, session=theirs.agent.session)
    ),
    "event": lambda http, theirs: http.post(
        f"/jobs/{theirs.running['job']}/events", json=of_job(theirs, phase="running")
    ),
    "reject": lambda http, theirs: http.post(
        f"/jobs/{theirs.running['job']}/reject", json=of_job(theirs, code="envelope.field")
    ),
    "part": lambda http, theirs: http.put(addressed(theirs.running, ulid(), "/parts/0"), content=b"x"),
    "later part": lambda http, theirs: http.put(addressed(theirs.running, ulid(), "/parts/7"), content=b"x"),
    "parts": lambda http, theirs: http.get(addressed(theirs.running, ulid(), "/parts")),
    "result": complete,
    "session": lambda http, _: http.post("/sessions", json={"instance": ulid(), "slots": {"sql": 1}, "version": "1"}),
    "renew": lambda http, _: http.post("/renew", json={"csr": csr_of(new_key())}),
}
"""What an agent calls, upon what another has. The last two name nobody: a certificate alone says whose they are."""

OWN = ("session", "renew")
SUBMITTERS: dict[str, Call] = {
    "submit": lambda http, _: http.post("/jobs", content=envelope("owner")[1]),
    "job": lambda http, theirs: http.get(f"/jobs/{theirs.running['job']}"),
    "wait": lambda http, theirs: http.get(f"/jobs/{theirs.running['job']}?wait=1"),
    "result": lambda http, theirs: http.get(f"/jobs/{theirs.ended['job']}/result"),
    "forget": lambda http, theirs: http.delete(f"/jobs/{theirs.ended['job']}/result"),
    "cancel": lambda http, theirs: http.post(f"/jobs/{theirs.waiting}/cancel"),
    "jobs": lambda http, _: http.get("/jobs"),
    "agents": lambda http, _: http.get("/agents"),
    "pools": lambda http, _: http.get("/pools"),
}
LISTS = ("jobs", "agents", "pools")
OPEN = {"POST /v1/enroll", "GET /v1/health"}
"""Calls without a caller: a token's scope is tested below, and health says nothing of anybody."""


def everything(site: Site) -> list[JobView]:
    return list(site.hub.store.jobs(JobFilter(tenant="owner", limit=1000)))


def test_the_tables_have_a_row_for_every_call_of_the_application(site: Site, theirs: Theirs) -> None:
    """Each row is called, as nobody, and counts as the call that it really makes; a route without a row fails."""
    with site.http() as nobody:
        made = {published.name_of(call(nobody, theirs).request) for call in (*AGENTS.values(), *SUBMITTERS.values())}
    assert made == published.calls_of(site) - OPEN


@pytest.mark.parametrize("call", [name for name in AGENTS if name not in OWN])
@pytest.mark.parametrize("who", ["another tenant", "same name in another tenant", "another agent", "another pool"])
def test_an_agent_does_nothing_with_what_another_has(site: Site, theirs: Theirs, call: str, who: str) -> None:
    tenant, name, pool = {
        "another tenant": ("thief", f"t-{ulid()}", "default"),
        "same name in another tenant": ("thief2", "runner", "default"),
        "another agent": ("owner", f"a-{ulid()}", "default"),
        "another pool": ("owner", f"p-{ulid()}", "other"),
    }[who]
    answer, key = site.enroll(site.token("enroll", tenant, (pool,)), name)
    assert answer.status_code == 201, answer.text
    before, parts = everything(site), sorted(site.files.parts.iterdir())
    held = site.hub.store.session(theirs.agent.session)
    with site.http(site.pair(key, answer.json()["certificate"])) as http:
        found = AGENTS[call](http, theirs)
    # What names only leases or sessions does nothing with those of others, and says so or is silent.
    assert found.status_code == 204 if call in {"close", "hand-back"} else 400 < found.status_code < 500, found.text
    expected = {"not_found", "lease.lost", "session.unknown"}
    if call == "result" and tenant == "owner":
        expected = {"result.late"}  # it has the envelope: what it says is kept aside, and is nobody's answer
    assert found.status_code == 204 or found.json()["code"] in expected
    assert everything(site) == before
    assert site.hub.store.session(theirs.agent.session) == held
    assert sorted(site.files.parts.iterdir()) == parts


@pytest.mark.parametrize("wrong", ["lease", "fence", "job", "older fence"])
@pytest.mark.parametrize("call", ["event", "reject", "part", "later part", "parts", "result", "accept"])
def test_an_agent_does_nothing_with_a_lease_that_is_not_the_jobs(
    site: Site, theirs: Theirs, call: str, wrong: str
) -> None:
    changed = dict(theirs.running)
    changed |= {
        "lease": {"lease": ulid()},
        "fence": {"fence": theirs.running["fence"] + 1},
        "older fence": {"fence": 0},
        "job": {"job": theirs.waiting},
    }[wrong]
    before = everything(site)
    other = Theirs(theirs.caller, theirs.agent, changed, theirs.waiting, theirs.ended)
    found = AGENTS[call](theirs.agent.http, other)
    assert found.status_code in {400, 404, 409}, found.text
    assert found.json()["code"] in {"lease.lost", "not_found", "result.late", "request.malformed"}
    assert everything(site) == before


@pytest.mark.parametrize("call", SUBMITTERS)
@pytest.mark.parametrize("how", ["token", "certificate"])
@pytest.mark.parametrize("who", ["another tenant", "another pool"])
def test_a_submitter_sees_and_changes_nothing_of_others(
    site: Site, theirs: Theirs, call: str, who: str, how: str
) -> None:
    scope: dict[str, Any] = (
        {"tenant": "onlooker"} if who == "another tenant" else {"tenant": "owner", "pools": ("away",)}
    )
    made = site.submitter(**scope) if how == "token" else site.certified(name=f"n-{ulid()}", **scope)
    before = everything(site)
    with made as http:
        found = SUBMITTERS[call](http, theirs)
    if call in LISTS:
        empty = {"jobs": [], "next": None} if call == "jobs" else []
        assert (found.status_code, found.json()) == (200, empty)
    else:
        expected = (403, "auth.scope") if call == "submit" else (404, "not_found")
        assert (found.status_code, found.json()["code"]) == expected
    assert everything(site) == before


@pytest.mark.parametrize("call", SUBMITTERS)
def test_a_submitter_with_a_certificate_does_what_one_with_a_token_does(site: Site, theirs: Theirs, call: str) -> None:
    if call in {"cancel", "forget"}:
        return  # they change what the other tests look at: test_calls does them
    with site.certified("owner", f"n-{ulid()}") as http:
        found = SUBMITTERS[call](http, theirs)
    assert found.status_code in {200, 202}, found.text


def _revoked(site: Site) -> httpx.Client:
    token_id = ulid()
    made = site.submitter("owner", id=token_id)
    assert site.do(ops.RevokeToken(token_id))
    return made


STRANGERS: dict[str, Callable[[Site], httpx.Client]] = {
    "nobody": lambda site: site.http(),
    "unknown token": lambda site: site.http(authorization="Bearer " + "x" * 43),
    "empty token": lambda site: site.http(authorization="Bearer"),
    "basic": lambda site: site.http(authorization="Basic YTpi"),
    "enrolment token": lambda site: site.http(authorization=f"Bearer {site.token('enroll', 'owner', ('default',))}"),
    "revoked token": _revoked,
    "token after the scheme's case and a space more": lambda site: site.http(authorization="bearer  x"),
    "expired token": lambda site: site.submitter("owner", expires=time.time() - 1),
    "name of a certificate's record": lambda site: site.http(
        authorization="Bearer spiffe://example.org/tenant/owner/submitter/planner"
    ),
    "certificate without a record": lambda site: site.forged(
        site.authority, SubmitterId(tenant="owner", name="nobody")
    ),
    "certificate of another trust domain": lambda site: site.forged(
        Authority(site.authority.certificate, site.authority.key, "example.com"), AgentId(tenant="owner", name="runner")
    ),
    "expired certificate": lambda site: site.forged(
        site.authority, AgentId(tenant="owner", name="runner"), now=time.time() - 100, hours=99.95 / 3600
    ),
    "headers that speak of a certificate": lambda site: site.http(
        **{"x-forwarded-client-cert": site.authority.certificate_pem().decode().replace("\n", "%0A")}
    ),
}


@pytest.fixture(scope="module")
def strangers(site: Site) -> Callable[[str], httpx.Client]:
    """Each stranger gets its papers once: there are many calls."""
    return cache(lambda who: STRANGERS[who](site))


@pytest.mark.parametrize("call", [*AGENTS, *(f"submitter {name}" for name in SUBMITTERS)])
@pytest.mark.parametrize("who", STRANGERS)
def test_a_stranger_does_nothing(
    site: Site, theirs: Theirs, strangers: Callable[[str], httpx.Client], call: str, who: str
) -> None:
    before = everything(site)
    made = SUBMITTERS[call.removeprefix("submitter ")] if call.startswith("submitter ") else AGENTS[call]
    try:
        found = made(strangers(who), theirs)
    except httpx.TransportError:
        assert who == "expired certificate"  # TLS itself refuses it
        return
    assert found.status_code in {401, 403}, found.text
    assert found.json()["code"] in {"auth.missing", "auth.invalid", "auth.scope"}
    assert everything(site) == before


NAMES: dict[str, list[x509.GeneralName]] = {
    "none": [],
    "of a host": [x509.DNSName("runner")],
    "two": [
        x509.UniformResourceIdentifier(f"spiffe://example.org/tenant/{one}/agent/runner") for one in ("a", "owner")
    ],
    "too long": [x509.UniformResourceIdentifier("spiffe://example.org/tenant/owner/agent/runner/x")],
    "too short": [x509.UniformResourceIdentifier("spiffe://example.org/tenant/owner/agent")],
    "of another kind": [x509.UniformResourceIdentifier("spiffe://example.org/tenant/owner/router/runner")],
    "with a query": [x509.UniformResourceIdentifier("spiffe://example.org/tenant/owner/agent/runner?x=1")],
    "escaped": [x509.UniformResourceIdentifier("spiffe://example.org/tenant/owner/agent/run%6eer")],
    "of another scheme": [x509.UniformResourceIdentifier("https://example.org/tenant/owner/agent/runner")],
    "of a domain above": [x509.UniformResourceIdentifier("spiffe://org/tenant/owner/agent/runner")],
}


@pytest.mark.parametrize("name", NAMES)
def test_a_certificate_with_another_name_than_an_identitys_is_nobodys(site: Site, theirs: Theirs, name: str) -> None:
    """The Router's own CA issued it, for clients, and TLS takes it: the name alone refuses it, at every call."""
    key = new_key()
    builder = _builder(x509.Name([]), site.authority.certificate.subject, key.public_key(), time.time(), HOUR)
    if NAMES[name]:
        builder = builder.add_extension(x509.SubjectAlternativeName(NAMES[name]), critical=True)
    before = everything(site)
    with site.http(site.pair(key, site.authority._sign(builder, ExtendedKeyUsageOID.CLIENT_AUTH).pem)) as http:
        for call in (*AGENTS.values(), *SUBMITTERS.values()):
            found = call(http, theirs)
            assert (found.status_code, found.json()["code"]) == (401, "auth.invalid")
    assert everything(site) == before


@pytest.mark.parametrize("call", SUBMITTERS)
def test_an_agent_is_no_submitter(site: Site, theirs: Theirs, call: str) -> None:
    found = SUBMITTERS[call](theirs.agent.http, theirs)
    assert (found.status_code, found.json()["code"]) == (403, "auth.scope")


@pytest.mark.parametrize("call", AGENTS)
def test_a_submitter_is_no_agent(site: Site, theirs: Theirs, call: str) -> None:
    with site.certified("owner", f"n-{ulid()}") as http:
        found = AGENTS[call](http, theirs)
    assert (found.status_code, found.json()["code"]) == (403, "auth.scope")


def test_another_authority_is_refused_by_tls_itself(site: Site) -> None:
    other = Authority.make(sites.DOMAIN, time.time())
    with site.forged(other, AgentId(tenant="owner", name="runner")) as http, pytest.raises(httpx.TransportError):
        http.post("/heartbeat", json={"session": ulid(), "leases": []})


def test_the_routers_own_certificate_is_no_clients(site: Site) -> None:
    pair = site.files.folder / "own.pem"
    pair.write_bytes(site.files.key.read_bytes() + site.files.certificate.read_bytes())
    with site.http(pair) as http, pytest.raises(httpx.TransportError):
        http.post("/heartbeat", json={"session": ulid(), "leases": []})


def test_a_result_id_of_another_job_takes_no_parts(site: Site) -> None:
    """An agent with a lease of its own cannot write over parts that another tenant is sending."""
    victim, thief = site.agent(tenant="victim"), site.agent(tenant="thief3")
    submitted(site.submitter("victim"), "victim")
    submitted(site.submitter("thief3"), "thief3")
    mine, own = victim.offered(), thief.offered()
    victim.accept(mine)
    thief.accept(own)
    result = result_of(mine)
    assert victim.http.put(addressed(mine, result.id, "/parts/0"), content=result.parts[0]).status_code == 204
    for index in (0, 1):
        stolen = thief.http.put(addressed(own, result.id, f"/parts/{index}"), content=b"x" * 100)
        assert (stolen.status_code, stolen.json()["code"]) == (409, "result.conflict")
    assert thief.http.get(addressed(own, result.id, "/parts")).status_code == 409
    assert victim.http.post(addressed(mine, result.id), content=result.manifest).status_code == 200


TOKENS = {
    "used up": {},
    "expired": {"expires": 1.0},
    "revoked": {},
    "for submitters": {},
    "unknown": {},
}


@pytest.mark.parametrize("state", TOKENS)
def test_an_enrolment_token_that_does_not_count(site: Site, state: str) -> None:
    kind = "submit" if state == "for submitters" else "enroll"
    token_id = ulid()
    token = site.token(kind, "tokens", ("default",), id=token_id, **TOKENS[state])
    if state == "used up":
        assert site.enroll(token, f"first-{ulid()}")[0].status_code == 201
    if state == "revoked":
        assert site.do(ops.RevokeToken(token_id))
    if state == "unknown":
        token = "x" * 43
    name = f"second-{ulid()}"
    answer, _ = site.enroll(token, name)
    assert (answer.status_code, answer.json()["code"]) == (403, "enroll.token")
    assert site.hub.store.agent("tokens", name) is None


def test_a_label_of_the_token_cannot_be_widened(site: Site) -> None:
    token = site.token("enroll", "labels", ("default",), labels={"site": "north"})
    name = f"a-{ulid()}"
    answer, _ = site.enroll(token, name, labels={"site": "south", "rack": "7"})
    assert answer.status_code == 201
    known = site.hub.store.agent("labels", name)
    assert known is not None
    assert known.labels == {"site": "north", "rack": "7"}


def test_a_revoked_agent_is_out_within_a_second_on_open_connections_too(site: Site) -> None:
    caller, agent = site.submitter("revoke"), site.agent(tenant="revoke")
    submitted(caller, "revoke", idempotent=True, max_attempts=2)
    job = agent.offered()
    agent.accept(job)
    with ThreadPoolExecutor() as pool, site.http(agent.pair) as second:
        poll = pool.submit(second.post, "/lease?wait=60", json={"session": agent.session, "free": {"sql": 1}})
        time.sleep(0.3)
        begun = time.monotonic()
        site.do(ops.RevokeAgent("revoke", agent.name))
        ended = poll.result(30)
        assert time.monotonic() - begun < 20  # of the minute that it would have waited
    assert (ended.status_code, ended.json()["code"]) in {(401, "auth.invalid"), (409, "session.unknown")}
    for name, call in AGENTS.items():
        there = Theirs(caller, agent, job, "", job)
        found = call(agent.http, there)
        assert (name, found.status_code, found.json()["code"]) == (name, 401, "auth.invalid")
    assert caller.get(f"/jobs/{job['job']}").json()["state"] == "queued"
    token = site.token("enroll", "revoke", ("default",))
    assert site.enroll(token, agent.name)[0].json()["code"] == "enroll.token"


def test_a_revoked_submitter_is_out_at_once(site: Site) -> None:
    token_id = ulid()
    caller = site.submitter("gone", id=token_id)
    assert caller.get("/jobs").status_code == 200
    site.do(ops.RevokeToken(token_id))
    assert caller.get("/jobs").json()["code"] == "auth.invalid"
