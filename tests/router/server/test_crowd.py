"""Too many, too large, too often: from one address, with one certificate. The others are served as ever."""

import asyncio.constants
import gzip
import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from router.server import protocol, tls
from router.server.protocol import Peers, place
from router.service import sweep
from router.service.hub import Terms
from tests.router.server import site as sites
from tests.router.server.site import MRES, Agent, Site, addressed, envelope, submitted, ulid
from tests.router.server.test_operation import until

SLOW = Terms(tick_seconds=0.05, failures_per_second=1)


# --- callers that are refused


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sites.running(tmp_path_factory.mktemp("slow"), SLOW) as found:
        yield found


def guesses(site: Site) -> dict[str, Any]:
    """Who is refused, and how: each guesses in its own way."""
    nobody = site.http()
    return {
        "token": lambda: nobody.get("/jobs", headers={"authorization": f"Bearer {ulid()}"}),
        "enrolment": lambda: site.enroll(ulid(), "x")[0],
        "nobody at an agent's call": lambda: nobody.post("/lease", json={}),
        "nobody at a submitter's call": lambda: nobody.post("/jobs", content=b"x"),
    }


@pytest.mark.parametrize("how", ["token", "enrolment", "nobody at an agent's call", "nobody at a submitter's call"])
def test_whoever_is_refused_too_often_is_told_to_wait_and_others_at_its_address_are_served(
    slow: Site, how: str
) -> None:
    caller, agent = slow.submitter(), slow.agent(tenant=f"crowd-{ulid()}")
    guess = guesses(slow)[how]
    answers = [guess() for _ in range(12)]
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (429, "quota.rate")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 5
    assert answers[-1].json()["message"].startswith("Too many")
    assert caller.get("/jobs").status_code == 200
    assert agent.http.post("/heartbeat", json={"session": agent.session, "leases": []}).status_code == 200
    assert slow.enroll(slow.token("enroll", "acme", ("default",)), f"a-{ulid()}")[0].status_code == 201


def test_one_address_is_one_caller() -> None:
    assert place(("192.0.2.7", 1)) == place(("192.0.2.7", 2)) != place(("192.0.2.8", 1))
    assert place(("2001:db8::1", 1)) == place(("2001:db8::ffff:1", 1)) != place(("2001:db8:0:1::1", 1))
    assert place(("fe80::1%eth0", 1)) == place(("fe80::2", 1))
    assert place(("::ffff:192.0.2.7", 1)) != place(("::ffff:192.0.2.8", 1))
    assert place(None) == ""


# --- connections


@contextmanager
def crowd(site: Site, count: int, pair: Path | None = None) -> Iterator[list[ssl.SSLSocket]]:
    """Connections that say nothing."""
    with ExitStack() as stack:
        made = []
        for _ in range(count):
            plain = stack.enter_context(socket.create_connection(("127.0.0.1", site.port), timeout=20))
            made.append(stack.enter_context(site.tls(pair).wrap_socket(plain, server_hostname="localhost")))
        yield made


def asked(connection: ssl.SSLSocket) -> bytes:
    """What comes for a call without a caller; nothing where it was hung up."""
    try:
        connection.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        return connection.recv(65_536)
    except (ConnectionError, ssl.SSLError):
        return b""


def problem(answer: bytes) -> tuple[int, str]:
    """Status and code of an answer that is a published problem, and after which the connection ends."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("ascii").lower().splitlines()
    assert {"content-type: application/json", "connection: close", f"content-length: {len(body)}"} <= set(lines)
    said = json.loads(body)
    assert set(said) == {"code", "message", "hint"}
    return int(lines[0].split()[1]), said["code"]


def test_connections_beyond_what_one_caller_may_have_are_answered_so(tmp_path: Path) -> None:
    with sites.running(tmp_path, Terms(connections=4)) as site:
        agent = site.agent()
        agent.http.close()
        with crowd(site, 4, agent.pair) as served, crowd(site, 2, agent.pair) as surplus:
            assert all(asked(one).startswith(b"HTTP/1.1 200") for one in served)
            answers = [asked(one) for one in surplus]
            assert [problem(one) for one in answers] == [(429, "quota.connections")] * 2
            assert all(b"retry-after: " in one for one in answers)
            # Without its certificate it is somebody else, as far as can be known; so is every other agent.
            with crowd(site, 1) as other:
                assert asked(other[0]).startswith(b"HTTP/1.1 200")
        with crowd(site, 4, agent.pair) as again:
            assert all(asked(one).startswith(b"HTTP/1.1 200") for one in again)


def test_far_beyond_it_they_are_cut_off(tmp_path: Path) -> None:
    with sites.running(tmp_path, Terms(connections=3)) as site, crowd(site, 7) as held:
        assert [bool(asked(one)) for one in held] == [True] * 6 + [False]


def test_connections_are_counted_off_again() -> None:
    peers = Peers(2)
    assert [peers.come("a") for _ in range(4)] == [0, 0, 1, 2]
    assert peers.come("b") == 0
    for _ in range(4):
        peers.gone("a")
    assert peers._open == {"b": 1}
    assert peers.come("a") == 0


def test_whoever_connects_and_says_nothing_is_hung_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "_HANDSHAKE_SECONDS", 0.2)
    with sites.running(tmp_path) as site, socket.create_connection(("127.0.0.1", site.port), timeout=20) as silent:
        assert silent.recv(1) == b""
    monkeypatch.undo()
    tls.hasten_handshakes()  # it is the process's
    assert asyncio.constants.SSL_HANDSHAKE_TIMEOUT == 15


# --- uploads that are never completed


def test_a_running_router_sweeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent sends a part, and rejects the job: an hour later its parts are gone, and those of another are not."""
    monkeypatch.setattr(sweep, "LOOK_SECONDS", 0.05)
    with sites.running(tmp_path) as site:
        agent, caller = site.agent(), site.submitter()
        begun = []
        for _ in range(2):
            submitted(caller)
            job, result = agent.offered(), ulid()
            agent.accept(job)
            assert agent.http.put(addressed(job, result, "/parts/0"), content=b"x" * 100).status_code == 204
            begun.append((job, result))
        (job, gone), (_, stays) = begun
        said = {"lease": job["lease"], "fence": job["fence"], "code": "envelope.field"}
        assert agent.http.post(f"/jobs/{job['job']}/reject", json=said).status_code == 200
        assert {gone, stays} <= {one.name for one in site.files.parts.iterdir()}
        until(lambda: gone in site.hub.sweep._since)
        site.ahead = 3601  # the other job is overdue by none of its own times
        until(lambda: not (site.files.parts / gone).exists())
        assert (site.files.parts / stays).exists()


# --- heads


HEADS = {
    "a header": b"X: " + b"y" * 300_000,
    "many headers": b"".join(b"X%d: y\r\n" % number for number in range(30_000)),
    "an endless header": b"X: " + b"y" * (protocol.MAX_HEAD_BYTES + 20_000),
}


@pytest.mark.parametrize("head", HEADS)
def test_a_head_beyond_its_limit_is_a_problem(site: Site, head: str) -> None:
    end = b"" if head == "an endless header" else b"\r\n\r\n"
    with crowd(site, 1) as (link,):
        try:
            link.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n" + HEADS[head] + end)
            found = link.recv(65_536)
        except (ConnectionError, ssl.SSLError):
            found = b""  # it was still sending when it was hung up
    assert not found or problem(found) == (431, "request.head")
    if head == "an endless header":
        assert found


def test_a_long_address_is_no_way_around_it(site: Site) -> None:
    with crowd(site, 1) as (link,):
        link.sendall(b"GET /v1/" + b"x" * (protocol.MAX_HEAD_BYTES + 20_000))
        assert problem(link.recv(65_536)) == (431, "request.head")


def test_heads_one_after_the_other_are_counted_each_for_itself(site: Site) -> None:
    big = {"x-big": "y" * 30_000}
    with site.http() as http:
        assert [http.get("/health", headers=big).status_code for _ in range(6)] == [200] * 6


def test_what_is_not_http_is_a_problem_too(site: Site) -> None:
    with crowd(site, 1) as (link,):
        link.sendall(b"hello\r\n\r\n")
        assert problem(link.recv(65_536)) == (400, "request.malformed")


# --- bodies of another kind


@pytest.fixture(scope="module")
def agent(site: Site) -> Agent:
    return site.agent(tenant="media")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity", "zstd", "x"])
def test_a_compressed_body_is_refused_unread(site: Site, agent: Agent, encoding: str) -> None:
    """A few kilobytes would be a gigabyte; nothing sealed shrinks anyway."""
    bomb, header = gzip.compress(b" " * 10**6), {"content-encoding": encoding}
    submitter = site.submitter("media")
    submitted(submitter, "media")
    job = agent.offered()
    agent.accept(job)
    answers = [
        agent.http.post("/sessions", content=bomb, headers=header),
        agent.http.post("/enroll", content=bomb, headers=header),
        submitter.post("/jobs", content=bomb, headers=header),
        agent.http.put(addressed(job, ulid(), "/parts/0"), content=bomb, headers=header),
        agent.http.post(addressed(job, ulid()), content=bomb, headers={**header, **MRES}),
    ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(415, "request.media")] * len(answers)


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "x/y;z"]
)
def test_a_body_of_another_type_is_refused(site: Site, agent: Agent, media: str) -> None:
    header = {"content-type": media}
    place = f"/jobs/{ulid()}/results/{ulid()}?lease={ulid()}&fence=1"
    answers = [
        agent.http.post("/heartbeat", content=b"{}", headers=header),
        agent.http.post(place, content=b"x", headers=header),
        site.submitter("media").post("/jobs", content=envelope("media")[1], headers=header),
    ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(415, "request.media")] * len(answers)


def test_the_types_that_are_taken_may_be_spelt_as_http_spells_them(site: Site, agent: Agent) -> None:
    job, signed = envelope("media")
    submitter = site.submitter("media")
    header = {"content-type": "Application/JOSE; charset=us-ascii", "content-encoding": "Identity"}
    assert submitter.post("/jobs", content=signed, headers=header).status_code == 202
    said = json.dumps({"session": agent.session, "leases": []})
    for media in ("application/json", "application/json; charset=utf-8", "APPLICATION/JSON"):
        assert agent.http.post("/heartbeat", content=said, headers={"content-type": media}).status_code == 200
    assert submitter.get(f"/jobs/{job}").status_code == 200


def test_a_slow_agent_does_not_hold_up_the_rest(site: Site) -> None:
    """Forty callers that dribble their bodies cost the others nothing that they notice."""
    with crowd(site, 40) as held, site.http() as http:
        for one in held:
            one.sendall(b"POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        begun = time.monotonic()
        assert [http.get("/health").status_code for _ in range(20)] == [200] * 20
        assert time.monotonic() - begun < 20  # nobody waited for the dribblers' thirty seconds
