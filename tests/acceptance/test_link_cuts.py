"""The outbound link is cut, or swallows everything: at every place, for moments and for longer than a lease lasts.

In every case: no result is lost, none counts twice, no job that may not run twice did, and status names the trouble.
"""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest

from agent.identity import certificate
from agent.identity.certificate import Tls
from agent.wire.ids import new_ulid
from router.core import ops
from router.core.agents import AgentId
from router.core.jobs import LEASE_SECONDS
from router.server.enroll import token_hash
from tests.support.frozen import freeze
from tests.support.links import HUNG, SLOW, WIDE, LinkSite
from tests.support.relays import Relay
from tests.support.routers import AGENT, POOL, TENANT
from tests.support.silent import SILENT_AGENT

pytestmark = [pytest.mark.timeout(600), pytest.mark.full]  # a busy machine: nothing here measures time
CUTS = 6
HOLE_SECONDS = 90.0
PART = 4 * 2**20


def relay_of(link: LinkSite) -> Relay:
    assert link.relay is not None
    return link.relay


def status(link: LinkSite) -> str:
    """What the operator reads."""
    command = [*SILENT_AGENT, "status", "--config", str(link.root)]
    return subprocess.run(command, capture_output=True, check=False, timeout=120, text=True).stdout


def test_a_link_that_is_cut_in_the_poll_and_under_jobs_again_and_again(link: LinkSite) -> None:
    with link.service() as process:
        link.wait(lambda: link.status().get("state") == "online", process)
        for number in range(CUTS):
            link.submit(SLOW if number % 2 else "select 1 as one")
            time.sleep(0.3)
            relay_of(link).cut()
        link.wait(lambda: "closed the connection" in str(link.status()["platform"]["last_error"]), process)
        link.wait(link.settled, process)
        link.end(process)
    assert set(link.check().values()) == {"ok"}


@pytest.mark.parametrize("how", ["cut", "killed"])
def test_an_upload_that_broke_off_goes_on_with_the_parts_that_are_missing(link: LinkSite, how: str) -> None:
    """In the third of four parts: the link ends, or the Router dies; what the Router had is not sent again."""
    link.widen()
    with link.service() as process:
        link.wait(lambda: link.status().get("state") == "online", process)
        relay, before = relay_of(link), relay_of(link).up
        relay.most = before + int(2.5 * PART)
        relay.refusing_after = True
        job = link.submit(WIDE)
        link.wait(lambda: relay.most is None, process)
        had = parts(link)
        assert [name.partition(".")[0] for name in sorted(had)] == ["0", "1"]
        sent = relay.up - before
        link.wait(lambda: "delivery fails" in link.health(), process)
        assert "delivery fails" in status(link)
        if how == "killed":
            link.kill_router()
            link.start_router()
        relay.refusing = relay.refusing_after = False
        link.wait(link.settled, process)
        link.end(process)
    assert link.check() == {job: "ok"}
    now = parts(link)
    assert len(now) == 4
    assert {name: now[name] for name in had} == had, "not written again"
    size = link.rows("SELECT size FROM results WHERE job_id = ?", job)[0][0]
    assert relay.up - before - sent < size - 2 * PART + 256 * 1024, "not sent again"


def parts(link: LinkSite) -> dict[str, tuple[int, int]]:
    """The parts that the Router has, and which files they are."""
    found = [path for path in link.files.parts.glob("*/*") if not path.name.startswith(".")]
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def test_a_hole_for_moments_costs_nothing_and_what_was_offered_into_it_is_offered_again(link: LinkSite) -> None:
    link.aim(relay_of(link).port, wait=60)
    with link.service() as process:
        hung = link.submit(HUNG)
        freeze(link, 1)
        relay_of(link).hole(there=True)
        offered = link.submit()
        link.wait(lambda: link.states()[offered] == "offered", process)
        link.wait(lambda: link.states()[offered] == "queued", process)
        relay_of(link).hole(there=False)
        link.wait(lambda: link.states()[offered] == "succeeded", process)
        assert link.states()[hung] == "running"
        link.call("POST", f"/jobs/{hung}/cancel")
        link.wait(link.settled, process)
        link.end(process)
    assert link.check() == {hung: "job.cancelled", offered: "ok"}
    (first, offered_again) = link.rows("SELECT attempt, fence FROM jobs ORDER BY fence")
    assert first == (1, 1)
    assert offered_again[0] == 1, "an offer that nobody heard of is no attempt"
    assert offered_again[1] > 1


def test_a_hole_longer_than_the_lease_ends_what_may_run_elsewhere_and_loses_nothing(link: LinkSite) -> None:
    """For 90 s nothing comes through; then all of it does, much too late."""
    with link.service() as process:
        again, lone = link.submit(HUNG, idempotent=True, attempts=3), link.submit(HUNG)
        hung = freeze(link, 2)
        late = link.submit(SLOW)
        (slow,) = freeze(link, 3) - hung
        link.wait(lambda: link.status()["jobs"].get("phases") == {"running": 3}, process)
        relay_of(link).hole(there=True)
        os.kill(slow, signal.SIGCONT)
        begun = time.monotonic()
        link.wait(lambda: link.status().get("state") == "offline", process)
        assert "did not answer in time" in status(link)
        link.wait(lambda: link.states() == {again: "queued", lone: "dead", late: "dead"}, process)
        link.wait(lambda: ended_here(link) >= {again, lone}, process)
        assert time.monotonic() - begun > LEASE_SECONDS
        time.sleep(max(0.0, HOLE_SECONDS - (time.monotonic() - begun)))
        link.wait(lambda: link.status()["spool"]["results"] == 2, process)
        relay_of(link).hole(there=False)
        link.wait(lambda: link.states()[again] == "running", process)
        link.call("POST", f"/jobs/{again}/cancel")
        link.wait(link.settled, process)
        link.wait(lambda: link.status()["state"] == "online", process)
        link.end(process)
    assert link.check() == {again: "job.cancelled", lone: "job.interrupted", late: "ok"}
    assert link.rows("SELECT attempt FROM jobs ORDER BY id = ?", again) == [(1,), (1,), (2,)]
    assert len(link.rows("SELECT 1 FROM results")) == 3


def test_eight_pollers_vanish_without_a_word_and_eight_jobs_reach_the_agent_that_is_there(link: LinkSite) -> None:
    """Their links swallow everything: the Router cannot know that they are gone, and offers them the jobs first."""
    hole = Relay(link.port)
    with hole, contextlib.ExitStack() as stack:
        pollers = [stack.enter_context(poller(link, hole, f"gone-{number}")) for number in range(8)]
        link.wait(lambda: len(link.rows("SELECT 1 FROM sessions WHERE seen > opened")) == len(pollers))
        hole.hole(there=True)
        with link.service() as process:
            link.wait(lambda: link.status().get("state") == "online", process)
            for _ in pollers:
                link.submit(audience=f"pool:{POOL}")
            link.wait(lambda: set(link.states().values()) == {"succeeded"}, process)
            link.wait(link.settled, process)
            link.end(process)
    assert set(link.check().values()) == {"ok"}
    assert set(link.rows("SELECT agent, attempt, fence FROM jobs")) == {(AGENT, 1, 2)}, "offered to the dead, then here"


@contextlib.contextmanager
def poller(link: LinkSite, way: Relay, name: str) -> Iterator[None]:
    """Another agent of the pool whose poll waits at the Router, over a link of its own."""
    token, tls, request = name.ljust(48, "-"), Tls(link.root / name), certificate.request(name)
    link.put_token("enroll", token)
    issued = link.authority.agent(request.csr.encode(), AgentId(tenant=TENANT, name=name), time.time())
    link.apply(ops.Enroll(token_hash(token), name, {}, issued.serial, issued.not_after))
    certificate.keep(tls, request, issued.pem, link.authority.certificate_pem().decode())
    context = ssl.create_default_context(cafile=str(link.files.ca))
    context.load_cert_chain(tls.pair)
    with httpx.Client(verify=context, base_url=f"https://localhost:{way.port}/v1", timeout=60) as client:
        said = {"instance": new_ulid(time.time()), "slots": {"sql": 1, "python": 0}, "version": "1"}
        session = client.post("/sessions", json=said).json()["session"]
    body = json.dumps({"session": session, "free": {"sql": 1}})
    head = f"POST /v1/lease?wait=60 HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", way.port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as link_of_its_own,
    ):
        link_of_its_own.sendall((head + body).encode())
        yield


def ended_here(link: LinkSite) -> set[str]:
    """Jobs whose lease the agent took for lost."""
    lines = (link.root / "service.log").read_text().splitlines()
    return {job for job in link.jobs for line in lines if job in line and "was lost; it is ended here" in line}
