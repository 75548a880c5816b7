"""Bodies, paths and headers that nobody means: 4xx, never 5xx, and the Router goes on."""

import json
import socket
import ssl
from typing import Any

import httpx
import pytest

from tests.router.server.site import MRES, Agent, Site, addressed, envelope, submitted, ulid

DEEP = b"[" * 100_000
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"hello",
    "a number": b"7",
    "an array": b"[]",
    "no fields": b"{}",
    "unknown field": b'{"surprise":1}',
    "deep": DEEP,
    "deep objects": b'{"a":' * 50_000,
    "invalid UTF-8": b'{"session":"\xff\xfe"}',
    "NUL": b'{"session":"\x00"}',
    "escaped NUL": b'{"session":"\\u0000","instance":"\\u0000","token":"\\u0000","csr":"\\u0000"}',
    "lone surrogate": b'{"session":"\\ud800","token":"\\ud800\\ud800\\ud800\\ud800\\ud800\\ud800","name":"a","csr":""}',
    "huge number": b'{"fence":' + b"9" * 5000 + b"}",
    "huge": b'"' + b"x" * 300_000 + b'"',
    "BOM": b"\xef\xbb\xbf{}",
    "duplicate": b'{"session":1,"session":2}',
}
CALLS = (
    "/enroll", "/renew", "/sessions", "/lease", "/hand-back", "/heartbeat",
    "/jobs/JOB/accept", "/jobs/JOB/events", "/jobs/JOB/reject", "/jobs/JOB/results/JOB?lease=JOB&fence=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def agent(site: Site) -> Agent:
    return site.agent(tenant="bad")


@pytest.fixture(scope="module")
def caller(site: Site) -> httpx.Client:
    return site.submitter("bad")


def refused(answer: httpx.Response) -> str:
    """It is a published problem of the caller's."""
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text)
    said = answer.json()
    assert set(said) <= {"code", "message", "hint"}
    assert said["message"]
    return str(said["code"])


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("call", CALLS)
def test_an_agents_body(agent: Agent, call: str, body: str) -> None:
    code = refused(agent.http.post(call.replace("JOB", ulid()), content=BODIES[body]))
    assert code in {"request.malformed", "request.too_large"}


@pytest.mark.parametrize("body", BODIES)
def test_a_submitters_body(caller: httpx.Client, body: str) -> None:
    assert refused(caller.post("/jobs", content=BODIES[body])) == "request.malformed"


FIELDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/sessions", {"instance": "x", "slots": {}, "version": "1"}),
    ("/sessions", {"instance": ulid() + "\n", "slots": {}, "version": "1"}),
    ("/sessions", {"instance": ulid(), "slots": {"gpu": 1}, "version": "1"}),
    ("/sessions", {"instance": ulid(), "slots": {"sql": -1}, "version": "1"}),
    ("/sessions", {"instance": ulid(), "slots": {"sql": 1e3}, "version": "1\x00"}),
    ("/sessions", {"instance": ulid(), "slots": {}, "version": "1", "labels": {"a": "\x00"}}),
    ("/sessions", {"instance": ulid(), "slots": {}, "version": "1", "labels": {"a\n": "x"}}),
    ("/sessions", {"instance": ulid(), "slots": {}, "version": "1", "labels": {f"n{i}": "x" for i in range(65)}}),
    ("/sessions", {"instance": ulid(), "slots": {}, "version": "1", "agent": "someone-else"}),
    ("/lease", {"session": ulid(), "free": {"sql": True}}),
    ("/lease", {"session": "8" * 26, "free": {"sql": 1}}),
    ("/heartbeat", {"session": ulid(), "leases": [ulid()] * 5000}),
    ("/hand-back", {"leases": ["x"]}),
    ("/jobs/JOB/accept", {"session": ulid(), "lease": ulid(), "fence": -1}),
    ("/jobs/JOB/accept", {"session": ulid(), "lease": ulid(), "fence": 2**60}),
    ("/jobs/JOB/accept", {"session": ulid(), "lease": ulid(), "fence": "1"}),
    ("/jobs/JOB/events", {"lease": ulid(), "fence": 1, "phase": "thinking"}),
    ("/jobs/JOB/events", {"lease": ulid(), "fence": 1, "phase": "running", "rows": "42"}),
    ("/jobs/JOB/events", {"lease": ulid(), "fence": 1, "phase": "running", "rows": "10\n"}),
    ("/jobs/JOB/reject", {"lease": ulid(), "fence": 1, "code": "ok"}),
    ("/jobs/JOB/reject", {"lease": ulid(), "fence": 1, "code": "envelope.x\n"}),
    ("/enroll", {"token": "x" * 20, "name": "a/b", "csr": ""}),
    ("/enroll", {"token": "x" * 20, "name": "../x", "csr": ""}),
    ("/enroll", {"token": "x" * 20, "name": "a\n", "csr": ""}),
    ("/enroll", {"token": "short", "name": "a", "csr": ""}),
)


@pytest.mark.parametrize("number", range(len(FIELDS)))
def test_a_field_out_of_its_bounds(agent: Agent, number: int) -> None:
    call, said = FIELDS[number]
    assert refused(agent.http.post(call.replace("JOB", ulid()), json=said)) == "request.malformed"


@pytest.mark.parametrize(
    "csr", ["", "x", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"], ids=range(3)
)
def test_a_request_for_a_certificate_that_is_none(site: Site, agent: Agent, csr: str) -> None:
    assert refused(agent.http.post("/renew", json={"csr": csr})) == "enroll.request"
    token = site.token("enroll", "bad", ("default",))
    with site.http() as http:
        assert refused(http.post("/enroll", json={"token": token, "name": "n1", "csr": csr})) == "enroll.request"
    assert site.enroll(token, f"n-{ulid()}")[0].status_code == 201  # the token was not used up


QUERIES = (
    "fence=-1",
    "fence=x",
    "fence=",
    "",
    "fence=" + "9" * 400,
    "fence=1&lease=x",
    "fence=%00",
    "lease=%ff&fence=1",
)


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
@pytest.mark.parametrize("rest", ["", "/parts", "/parts/0"])
def test_a_results_address(agent: Agent, query: str, rest: str) -> None:
    lease = "" if "lease" in query or not query else f"lease={ulid()}&"
    path = f"/jobs/{ulid()}/results/{ulid()}{rest}?{lease}{query}"
    method = {"": "POST", "/parts": "GET", "/parts/0": "PUT"}[rest]
    assert refused(agent.http.request(method, path, content=b"x", headers=MRES)) in {"request.malformed", "not_found"}


@pytest.mark.parametrize("index", ["-1", "x", "9" * 5000, "%D9%A3", "1e3", "999999", "0x1", "%00"], ids=range(8))
def test_a_parts_number(agent: Agent, index: str) -> None:
    path = f"/jobs/{ulid()}/results/{ulid()}/parts/{index}?lease={ulid()}&fence=1"
    assert refused(agent.http.put(path, content=b"x")) in {"request.malformed", "request.too_large"}


@pytest.mark.parametrize("wait", ["-1", "x", "1.5", "9" * 5000, "%D9%A3x", "nan"], ids=range(6))
def test_a_wait_that_is_no_number(site: Site, agent: Agent, caller: httpx.Client, wait: str) -> None:
    lease = {"session": agent.session, "free": {"sql": 1}}
    assert refused(agent.http.post(f"/lease?wait={wait}", json=lease)) == "request.malformed"
    assert refused(agent.http.get(f"/sessions/{agent.session}/orders?wait={wait}")) == "request.malformed"
    assert refused(caller.get(f"/jobs/{ulid()}?wait={wait}")) == "request.malformed"


def test_a_poll_without_a_free_slot(agent: Agent) -> None:
    for free in ({}, {"sql": 0}):
        assert refused(agent.http.post("/lease", json={"session": agent.session, "free": free})) == "request.malformed"


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "before=x", "state=sleeping", "before=%00"])
def test_a_list_that_cannot_be_meant(caller: httpx.Client, query: str) -> None:
    assert refused(caller.get(f"/jobs?{query}")) == "request.malformed"


@pytest.mark.parametrize("job", ["x", "%00", "0" * 27, "..", "8" + "0" * 25, "%2e%2e%2fx"])
def test_a_job_that_is_no_id(caller: httpx.Client, agent: Agent, job: str) -> None:
    for path in (f"/jobs/{job}", f"/jobs/{job}/result"):
        assert refused(caller.get(path)) in {"request.malformed", "not_found"}
    said = {"session": agent.session, "lease": ulid(), "fence": 1}
    assert refused(agent.http.post(f"/jobs/{job}/accept", json=said)) == "not_found"


def test_bodies_beyond_their_limits(agent: Agent, caller: httpx.Client) -> None:
    assert refused(caller.post("/jobs", content=b"x" * 2_000_000)) == "request.too_large"
    place = f"/jobs/{ulid()}/results/{ulid()}"
    query = f"?lease={ulid()}&fence=1"
    whole = agent.http.post(place + query, content=b"x" * 600_000, headers=MRES)
    assert refused(whole) == "request.too_large"
    assert refused(agent.http.post("/heartbeat", content=iter([b"x" * 300_000]))) == "request.too_large"


def test_a_part_beyond_its_limit(site: Site) -> None:
    agent = site.agent(tenant="big")
    submitted(site.submitter("big"), "big")
    job = agent.offered()
    agent.accept(job)
    path = addressed(job, ulid(), "/parts/0")
    assert refused(agent.http.put(path, content=b"x" * (4 * 1024 * 1024 + 17))) == "request.too_large"
    assert agent.http.put(path, content=b"x" * (4 * 1024 * 1024 + 16)).status_code == 204


def test_an_envelope_that_was_changed_anywhere_is_refused_or_goes_nowhere(site: Site, caller: httpx.Client) -> None:
    """The Router reads without verifying; what it cannot read, it does not take."""
    signed = envelope("bad")[1]
    for at in range(0, len(signed), max(1, len(signed) // 60)):
        broken = signed[:at] + b"!" + signed[at + 1 :]
        assert refused(caller.post("/jobs", content=broken)) == "request.malformed"
    assert refused(caller.post("/jobs", content=signed[:-100] + b"." + signed[-99:])) == "request.malformed"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH", "PUT", "DELETE", "TRACE"])
@pytest.mark.parametrize(
    "path", ["/lease", "/sessions", "/jobs", "/pools", "/enroll", "/health", "/openapi.json", "/x"]
)
def test_methods_that_nobody_takes(agent: Agent, method: str, path: str) -> None:
    answer = agent.http.request(method, path)
    if method == "HEAD" and path in {"/health", "/openapi.json"}:
        assert answer.status_code in {200, 405}
    elif method == "HEAD":
        assert answer.status_code in {404, 405}
    else:
        assert refused(answer) in {"request.method", "not_found"}


@pytest.mark.parametrize("path", ["/", "/v2/jobs", "/v1", "/v1/", "/v1/jobs/", "/docs", "/redoc", "/v1/../etc", "/%00"])
def test_paths_that_are_none(site: Site, path: str) -> None:
    with httpx.Client(verify=site.tls(), base_url=site.url.removesuffix("/v1")) as http:
        answer = http.get(path)
    assert 300 <= answer.status_code < 500


RAW = {
    "not HTTP": b"\x16\x03\x01\r\n\r\n",
    "two lengths": b"POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "length and chunks": b"POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "huge length": b"POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n",
    "negative length": b"POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "path of bytes": b"GET /v1/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "huge header": b"GET /v1/health HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 300_000 + b"\r\n\r\n",
    "upgrade": b"GET /v1/pools HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "CONNECT": b"CONNECT /v1/x HTTP/1.1\r\nHost: x\r\n\r\n",
    "absolute": b"GET http://elsewhere/v1/pools HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("sent", RAW)
def test_what_is_hardly_http(site: Site, sent: str) -> None:
    plain = socket.create_connection(("127.0.0.1", site.port), timeout=10)
    with plain, site.tls().wrap_socket(plain, server_hostname="localhost") as tls:
        try:
            tls.sendall(RAW[sent])
            first = tls.recv(4096)
        except (ssl.SSLError, ConnectionError):
            first = b""
    assert not first.startswith(b"HTTP/1.1 5"), first
    assert not first.startswith(b"HTTP/1.1 2"), first
    assert not first or b"content-type: application/json" in first, first
    with site.http() as http:
        assert http.get("/health").status_code == 200


def test_plain_text_and_old_tls_are_not_answered(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as plain:
        plain.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not plain.recv(100).startswith(b"HTTP")
    old = site.tls()
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain, server_hostname="localhost")


def test_no_answer_repeats_what_was_sent(agent: Agent, caller: httpx.Client) -> None:
    """A problem's text is fixed, but for names of the schema."""
    secret = "hunter2secret"
    answers = [
        agent.http.post("/sessions", content=json.dumps({secret: 1, "instance": secret})),
        agent.http.post("/enroll", json={"token": secret, "name": "a", "csr": ""}),
        agent.http.get(f"/sessions/{secret}/orders"),
        agent.http.post(f"/lease?wait={secret}", json={}),
        caller.post("/jobs", content=secret),
        caller.get(f"/jobs/{secret}"),
        caller.get(f"/jobs?state={secret}"),
        caller.get(f"/{secret}"),
    ]
    assert [secret in one.text for one in answers] == [False] * len(answers)
