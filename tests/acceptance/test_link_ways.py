"""The way out of the site, and room to work in, on bad days: proxies, pins, several addresses, full disks.

Real processes: a Router, a proxy, and an agent over mTLS whose whole tree runs under a rule of the kernel that nothing
may listen. In every case no result is lost, none counts twice, and status names the trouble and the cure.
"""

import base64
import json
import shutil
import ssl
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from agent.transport._tls import spki_pin
from router.service import roll
from tests.acceptance.test_bad_days import needs_mounts
from tests.support.links import DEADLINE_SECONDS, SLOW, LinkSite
from tests.support.proxies import ConnectProxy
from tests.support.relays import Relay
from tests.support.silent import SILENT_AGENT

pytestmark = [pytest.mark.timeout(600), pytest.mark.full]  # a busy machine: nothing here measures time
TOKEN, LOGIN = "f" * 48, "ann:c4n4ry word"
HOST = "router.example"
"""A name that only the proxy can resolve: there is no other way."""


@pytest.fixture
def site(link: LinkSite) -> LinkSite:
    """No Python job is run here: its server need not load anything."""
    with (link.root / "sandbox.yaml").open("a") as config:
        config.write("python: {enabled: false}\n")
    return link


def relay_of(site: LinkSite) -> Relay:
    assert site.relay is not None
    return site.relay


def configured(site: LinkSite, old: str, new: str) -> None:
    text = (site.root / "sandbox.yaml").read_text()
    assert old in text
    (site.root / "sandbox.yaml").write_text(text.replace(old, new))


def named_too(site: LinkSite, host: str) -> None:
    """The Router's certificate gets this name as well; returns when the running Router shows it."""
    roll.reissue(site.files, site.authority, ("localhost", host), time.time())
    new = ssl.PEM_cert_to_DER_cert(site.files.certificate.read_text().strip())
    deadline = time.monotonic() + DEADLINE_SECONDS
    while ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("localhost", site.port))) != new:
        assert time.monotonic() < deadline, "the Router did not read its certificate again"
        time.sleep(0.1)


@pytest.mark.parametrize("named", ["file", "environment"])
def test_through_a_proxy_with_a_login_an_own_authority_and_a_spare_pin(site: LinkSite, named: str) -> None:
    """Enrolled and run through it alone; a login that is not taken, and connections that the proxy ends, are got over."""
    named_too(site, HOST)
    right = spki_pin(ssl.PEM_cert_to_DER_cert(site.files.certificate.read_text().strip()))
    pins = json.dumps([base64.b64encode(bytes(32)).decode(), right])
    shutil.rmtree(site.tls.folder)
    site.put_token("enroll", TOKEN)
    with ConnectProxy(LOGIN) as proxy:
        address = f"http://ann:c4n4ry%20word@{proxy.address}"
        (site.root / "proxy").write_text(address)
        (site.root / "proxy").chmod(0o600)
        own = ", proxy: file:./proxy" if named == "file" else ""
        configured(site, "https://localhost:", f"https://{HOST}:")
        configured(site, "wait_seconds: 2", f"wait_seconds: 2, pins: {pins}{own}")
        environ = {} if named == "file" else {"HTTPS_PROXY": address, "NO_PROXY": "elsewhere.example"}
        command = [*SILENT_AGENT, "enroll", "--config", str(site.root), "--token-file", "-"]
        done = subprocess.run(command, input=TOKEN.encode(), env=environ, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        proxy.login = "somebody:else"
        with site.service(environ=environ) as process:
            site.wait(lambda: "The proxy refused the way" in site.health(), process)
            assert "transport.https.proxy and its login" in site.health()
            proxy.login = LOGIN
            jobs = [site.submit(SLOW) for _ in range(2)]
            site.wait(lambda: set(site.states().values()) == {"running"}, process)
            proxy.cut()
            jobs.append(site.submit())
            site.wait(site.settled, process)
            site.wait(lambda: site.status()["state"] == "online", process)
            site.end(process)
    assert site.check() == dict.fromkeys(jobs, "ok")
    assert {place.rpartition(":")[0] for place, _ in proxy.asked} == {HOST}
    told = site.log() + json.dumps(site.status()) + (done.stdout + done.stderr).decode()
    assert "c4n4ry" not in told


def test_a_router_with_a_key_that_is_not_pinned_hears_nothing(site: LinkSite) -> None:
    pins = json.dumps([base64.b64encode(bytes(32)).decode()])
    configured(site, "wait_seconds: 2", f"wait_seconds: 2, pins: {pins}")
    with site.service() as process:
        job = site.submit()
        site.wait(lambda: "not trusted here" in site.health(), process)
        assert "check transport.https.ca_file and pins" in site.health()
        assert site.rows("SELECT COUNT(*) FROM sessions") == [(0,)]
        site.end(process)
    assert site.states() == {job: "queued"}


def test_several_addresses_are_tried_in_their_order_with_and_without_a_proxy(site: LinkSite) -> None:
    """The first is reached through a proxy, the second one is in no_proxy; a third answers nobody, ever."""
    named_too(site, HOST)
    first = relay_of(site)
    with Relay(site.port) as second, ConnectProxy(None) as proxy:
        urls = [f"https://{HOST}:{first.port}", f"https://localhost:{second.port}", "https://localhost:1"]
        configured(site, f'["https://localhost:{first.port}"]', json.dumps(urls))
        configured(site, "wait_seconds: 2", f'wait_seconds: 2, proxy: "{proxy.address}", no_proxy: [localhost]')
        with site.service() as process:
            jobs = [site.submit()]
            site.wait(site.settled, process)
            assert (first.up > 0, second.up) == (True, 0)
            first.refusing = True
            first.cut()
            jobs += [site.submit(SLOW), site.submit()]
            site.wait(site.settled, process)
            assert second.up > 0
            site.wait(lambda: site.status()["state"] == "online", process)
            second.refusing = True
            second.cut()
            site.wait(lambda: site.status()["state"] == "offline", process)
            assert "closed the connection" in site.health() or "cannot be reached" in site.health()
            first.refusing = False
            jobs.append(site.submit())
            site.wait(site.settled, process)
            site.wait(lambda: site.status()["state"] == "online", process)
            site.end(process)
    assert site.check() == dict.fromkeys(jobs, "ok")
    assert {place for place, _ in proxy.asked} == {f"{HOST}:{first.port}"}, "no other address went through the proxy"


@needs_mounts
@pytest.mark.parametrize("folder", ["spool", "audit"])
def test_a_disk_that_fills_up_under_a_job_holds_it_and_loses_nothing(site: LinkSite, folder: str) -> None:
    """Rows that the spool has no room for are given up, and their job ends with a result that says so."""
    place = site.root / "state" / folder
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    script = f'mount -t tmpfs -o size=64m,mode=700 none {place} && exec "$@"'
    prefix = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh")
    configured(site, "memory_mb: 512", "memory_mb: 512, bytes: 1048576")
    with site.service(*prefix) as process:
        inside = Path(f"/proc/{process.pid}/root{place}")
        site.wait(lambda: site.status().get("state") == "online", process)
        job = site.submit(SLOW)
        site.wait(lambda: site.states()[job] == "running", process)
        filler = inside / "filler"
        fill(filler)
        trouble = "spool" if folder == "spool" else "audit log"
        site.wait(lambda: f"The {trouble} cannot be written" in site.health(), process)
        assert "no job is taken" in site.health()
        assert "free disk space" in site.health()
        site.wait(lambda: site.status()["loops"]["intake"].startswith("taking nothing"), process)
        next_ = site.submit()
        assert site.states() == {job: "running", next_: "queued"}
        filler.unlink()
        site.wait(site.done, process)
        site.wait(lambda: site.status()["spool"]["results"] == 0 and site.status()["state"] == "online", process)
        shutil.copytree(inside, place, dirs_exist_ok=True)
        site.end(process)
    assert site.check() == {job: "spool.full" if folder == "spool" else "ok", next_: "ok"}


def fill(path: Path) -> None:
    """Until not one byte more fits."""
    for size in (1 << 20, 4096, 1):
        with suppress(OSError), path.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(size))
