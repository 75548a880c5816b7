"""Fifteen reasons why a job does not run: for each, `agent status` or `agent doctor` says cause and cure in a sentence."""

import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agent.identity.keystore import load_opening, load_signing
from agent.service.statusclient import ask
from router.core import ops
from tests.acceptance.conftest import Site, environment, make_site, wait_until
from tests.acceptance.support.endless import put
from tests.acceptance.test_bad_days import needs_mounts
from tests.support.links import LinkSite
from tests.support.postgres import Postgres
from tests.support.proxies import ConnectProxy, certificates
from tests.support.routers import AGENT, TENANT, Submitter
from tests.support.servers import READER, READER_PASSWORD
from tests.support.silent import SILENT_AGENT

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]
IN_DOCKER = (sys.executable, str(Path(__file__).parent / "support/as_in_docker.py"))
AHEAD = "import sys, time; right = time.time; time.time = lambda: right() + 400; from agent.cli import main; main()"
ENDLESS = "SELECT count(*) AS n FROM " + " CROSS JOIN ".join(f"customers {name}" for name in "abcdefghijklmnop")
"""At the source `ledger`; it ends when somebody ends it."""


def doctor(folder: Path, *only: str, run: tuple[str, ...] = SILENT_AGENT) -> tuple[int, list[Any]]:
    """Exit code, and the findings that are no good."""
    options = [option for name in only for option in ("--only", name)]
    command = [*run, "doctor", "--config", str(folder), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment())
    assert done.stdout, done.stderr
    sections = json.loads(done.stdout)["sections"]
    return done.returncode, [one for section in sections for one in section["findings"] if one["level"] != "ok"]


def said(findings: list[Any], check: str, found: str, fix: str) -> None:
    """One line has the cause and the cure, and it is the only error."""
    errors = [one for one in findings if one["level"] == "error"]
    assert [one["check"] for one in errors] == [check], errors
    assert re.search(found, errors[0]["found"]), errors
    assert re.search(fix, errors[0]["fix"]), errors


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LinkSite]:
    """An enrolled agent, and its Router, which runs."""
    site = LinkSite(tmp_path_factory.mktemp("linked") / "site")
    site.prepare(site.port)
    site.enroll()
    site.start_router()
    try:
        yield site
    finally:
        site.kill_router()


@contextmanager
def changed(site: LinkSite, old: str, new: str) -> Iterator[None]:
    """The site with another line in sandbox.yaml."""
    text = (site.root / "sandbox.yaml").read_text()
    assert old in text
    (site.root / "sandbox.yaml").write_text(text.replace(old, new))
    try:
        yield
    finally:
        (site.root / "sandbox.yaml").write_text(text)


def test_nothing_is_wrong_before_anything_is_planted(linked: LinkSite) -> None:
    assert doctor(linked.root, "configuration", "files", "disk", "platform", "trust") == (0, [])


def test_a_name_that_dns_does_not_know(linked: LinkSite) -> None:
    with changed(linked, "https://localhost:", "https://router.invalid:"):
        code, findings = doctor(linked.root, "platform")
    assert code == 69
    said(findings, "DNS", "router.invalid is not known", "transport.https.urls.*DNS")


def test_a_proxy_that_wants_another_login(linked: LinkSite) -> None:
    with ConnectProxy("some:other") as proxy:
        line = f'proxy: "http://some:one@{proxy.address}", wait_seconds'
        with changed(linked, "wait_seconds", line):
            code, findings = doctor(linked.root, "platform")
    assert code == 69
    said(findings, "proxy", "407", "user and password")
    assert "some" not in str(findings)


def test_a_proxy_that_does_not_let_through(linked: LinkSite) -> None:
    said_no = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    with answering(said_no) as port, changed(linked, "wait_seconds", f'proxy: "http://127.0.0.1:{port}", wait_seconds'):
        code, findings = doctor(linked.root, "platform")
    assert code == 69
    said(findings, "proxy", "refused the way to localhost .status 403", "no_proxy")


def test_the_way_through_a_proxy_is_tried_to_its_end(linked: LinkSite) -> None:
    with ConnectProxy("some:one") as proxy:
        line = f'proxy: "http://some:one@{proxy.address}", wait_seconds'
        with changed(linked, "wait_seconds", line):
            code, findings = doctor(linked.root, "platform")
    assert (code, findings) == (0, [])
    assert len(proxy.asked) == 1


def test_a_proxy_that_is_not_there(linked: LinkSite) -> None:
    with closed_port() as port, changed(linked, "wait_seconds", f'proxy: "http://127.0.0.1:{port}", wait_seconds'):
        code, findings = doctor(linked.root, "platform")
    assert code == 69
    said(findings, "proxy", "cannot be connected to", "transport.https.proxy")


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that is taken, and where nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


def test_the_ca_of_somebody_else(linked: LinkSite, tmp_path: Path) -> None:
    """Before enrolment: after it, the CA that the Router named then counts as well."""
    other, _ = certificates(tmp_path, "elsewhere.example")
    moved = linked.tls.folder.rename(tmp_path / "tls")
    try:
        with changed(linked, str(linked.files.ca), str(other)):
            code, findings = doctor(linked.root, "platform")
    finally:
        moved.rename(linked.tls.folder)
    assert code == 69
    said(
        findings[1:],
        "CA",
        f"shown is by .*, whom {other} does not name",
        "point transport.https.ca_file to the Router's ca.pem",
    )
    with changed(linked, str(linked.files.ca), str(linked.root / "policy.yaml")):
        said(
            doctor(linked.root, "platform")[1],
            "CA",
            "policy.yaml holds no certificate",
            "point transport.https.ca_file",
        )


def test_tls_that_is_intercepted(linked: LinkSite, tmp_path: Path) -> None:
    _, context = certificates(tmp_path, "localhost")
    with answering(context=context) as port, changed(linked, f"localhost:{linked.port}", f"localhost:{port}"):
        code, findings = doctor(linked.root, "platform")
    assert code == 69
    said(
        findings,
        "TLS interception",
        "by .*trustme.*, not by the Router's CA: somebody on the way ends TLS",
        "exempted from TLS inspection",
    )


@contextmanager
def answering(said: bytes = b"", context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Somebody who says always the same; with `context`, behind a certificate of their own."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with suppress(OSError, ssl.SSLError), client:
                    taken = client if context is None else context.wrap_socket(client, server_side=True)
                    with taken:
                        taken.recv(4096)
                        taken.sendall(said)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_a_clock_that_is_wrong(linked: LinkSite) -> None:
    code, findings = doctor(linked.root, "platform", run=(sys.executable, "-c", AHEAD))
    assert code == 69
    said(findings, "clock", "4[0-9][0-9] s ahead of the Router's", "NTP")


def test_a_certificate_that_has_expired(linked: LinkSite) -> None:
    linked.enroll(now=time.time() - 48 * 3600)
    code, findings = doctor(linked.root, "platform")
    linked.enroll()
    assert code == 69
    said(findings[:1], "certificate", "expired 2[34] h ago", "agent enroll.*new token")
    assert re.search("ended the connection|refuses this agent", findings[1]["found"])


def test_an_agent_that_was_revoked(linked: LinkSite, tmp_path: Path) -> None:
    site = LinkSite(tmp_path / "site")
    site.prepare(site.port)
    site.enroll()
    site.apply(ops.RevokeAgent(TENANT, AGENT))
    site.start_router()
    try:
        code, findings = doctor(site.root, "platform")
    finally:
        site.kill_router()
    assert code == 69
    said(findings, "Router", "has revoked this agent", "operator why.*agent enroll")


def test_a_source_that_is_down(tmp_path: Path) -> None:
    with closed_port() as port:
        source = {"type": "postgres", "host": "127.0.0.1", "port": port, "database": "d", "user": "u"}
        site = put(
            tmp_path, {"shop": source | {"password": "file:word", "tls": {"mode": "disable"}}}, {"version": 1}, word="x"
        )
        code, findings = doctor(site.folder, "sources")
    assert code == 1
    said(
        findings,
        "shop: connect",
        "Nothing listens at the source's address",
        "that the server runs, and `host` and `port`",
    )


def test_a_role_that_may_write(postgres: Postgres, tmp_path: Path) -> None:
    database = postgres.database("planted", f"CREATE TABLE t(id int); GRANT INSERT ON t TO {READER}")
    source = postgres.config(database, password="file:password", writable_role="refuse")
    site = put(tmp_path, {"shop": source}, {"version": 1}, password=READER_PASSWORD)
    code, findings = doctor(site.folder, "sources")
    assert code == 1
    said(findings, "shop: role", "more than reading: it may change tables", "REVOKE INSERT")


def test_isolation_below_what_the_site_asks_for(tmp_path: Path) -> None:
    site = make_site(tmp_path / "site")
    config = site.folder / "sandbox.yaml"
    config.write_text(config.read_text() + "python: {min_tier: full, preload: []}\n")
    run = (*IN_DOCKER, *SILENT_AGENT)
    code, findings = doctor(site.folder, "sandbox", run=run)
    assert code == 1
    (tier, *layers) = [one for one in findings if one["level"] == "error"]
    assert (tier["check"], tier["found"]) == ("tier", "tier container")
    assert "python.min_tier" in tier["fix"]
    assert any("seccomp" in one["fix"] for one in [*layers, *findings])


@needs_mounts
def test_an_audit_log_on_a_full_disk(tmp_path: Path) -> None:
    site = make_site(tmp_path / "site")
    folder = site.folder / "state/audit"
    folder.mkdir(mode=0o700)
    mount = f"mount -t tmpfs -o size=4k,mode=700 none {folder}"
    service = site.start(("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh"))
    try:
        health = told(site, "audit log cannot be written")
    finally:
        service.send_signal(signal.SIGKILL)
        service.wait()
    assert "No space left" in health
    assert "Fix: free disk space" in health


def told(site: Site, sentence: str) -> str:
    """The line of `agent status` that has the sentence, as soon as there is one."""
    found: list[str] = []

    def look() -> bool:
        shown = site.cli("status").stdout
        found[:] = [line for line in shown.splitlines() if sentence in line]
        return bool(found)

    wait_until(look)
    return found[0]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service with one slot, that asks for aggregates."""
    site = make_site(tmp_path_factory.mktemp("busy") / "site")
    config, policy = site.folder / "sandbox.yaml", site.folder / "policy.yaml"
    config.write_text(config.read_text() + "limits: {drain_seconds: 1}\n")
    config.write_text(re.sub(r"(?m)^agent:.*(\n  .*)*", "agent: {name: plant-7, slots: {sql: 1}}", config.read_text()))
    policy.write_text(policy.read_text() + "release: {require_aggregate: true}\n")
    with site.running():
        yield site


def hand_in(site: Site, who: Submitter, **changes: Any) -> str:
    """A signed envelope into the inbox; its id."""
    task = {"kind": "sql", "source": "shop", "statement": "SELECT count(*) AS n FROM customers"}
    job, envelope = who.envelope(**{"audience": "agent:plant-7", "task": task, **changes})
    draft = site.drop / "inbox/tmp" / f"{job}.mjob"
    draft.write_bytes(envelope)
    draft.rename(site.inbox / f"{job}.mjob")
    return job


def known(site: Site) -> Submitter:
    folder = site.folder / "submitter"
    return Submitter(load_signing(folder / "signing.jwk"), load_opening(folder / "opening.jwk"))


def test_a_signing_key_that_nobody_knows(busy: Site) -> None:
    hand_in(busy, Submitter())
    line = told(busy, "envelope.untrusted")
    assert "1 envelope was rejected" in line
    assert "The signing key is not in trust.json. Fix: The security officer adds it with `agent trust add`." in line


def test_a_job_for_another_pool(busy: Site) -> None:
    hand_in(busy, known(busy), audience="pool:elsewhere")
    line = told(busy, "envelope.audience")
    assert "The job is for another agent or pool. This agent is plant-7 in pool default" in line
    assert "Fix: Address it to this agent or its pool." in line


def test_a_policy_that_refuses(busy: Site) -> None:
    busy.json("submit", busy.query("SELECT name FROM customers"), "--source", "shop")
    line = told(busy, "policy.aggregate")
    assert (
        "1 job was refused with policy.aggregate: The policy asks for aggregates only. Fix: Group the result." in line
    )


def test_slots_that_are_all_taken(busy: Site) -> None:
    job = busy.json("submit", busy.query(ENDLESS), "--source", "ledger")["id"]
    line = told(busy, "the one slot is taken")
    assert "agent jobs cancel" in line
    assert "agent.slots.sql" in line
    wait_until(lambda: running(busy) == [job])
    assert busy.cli("jobs", "cancel", job).returncode == 0
    wait_until(lambda: ask(busy.folder / "state")["jobs"]["running"] == 0)
    assert "slot is taken" not in busy.cli("status").stdout
    busy.wait_for(busy.result(job))
    opened = busy.cli("open", str(busy.result(job)))
    assert "job.cancelled" in opened.stdout + opened.stderr


def running(site: Site) -> list[str]:
    jobs: list[Mapping[str, Any]] = site.json("jobs", "list", "--running")["jobs"]
    return [str(job["id"]) for job in jobs]
