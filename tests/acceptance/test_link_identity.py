"""Who the agent is, on bad days: clocks, certificates, the authority behind them, copies of it.

Real processes: a Router, and an agent over mTLS whose whole tree runs under a rule of the kernel that nothing may
listen. In every case no result is lost, none counts twice, no job that may not run twice did, and status names the
trouble and the cure.
"""

import json
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from agent.identity import certificate
from router.cli.site import Settings
from router.core import ops
from tests.support.links import ENROLL, SLOW, LinkSite
from tests.support.routers import AGENT, DOMAIN, TENANT
from tests.support.silent import SILENT_AGENT

pytestmark = pytest.mark.timeout(600)  # a busy machine: nothing here measures time
TOKEN = "f" * 48
OTHER = "plant-8"


@pytest.fixture
def site(link: LinkSite) -> LinkSite:
    """No Python job is run here: its server need not load anything."""
    with (link.root / "sandbox.yaml").open("a") as config:
        config.write("python: {enabled: false}\n")
    return link


def agent(site: LinkSite, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = [*SILENT_AGENT, *arguments, "--config", str(site.root)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=120)


def shown(site: LinkSite) -> str:
    """What an operator reads, without line breaks."""
    return " ".join(agent(site, "status").stdout.split())


def authority(site: LinkSite, *arguments: str) -> str:
    """`router ca …`; its complaint, if it has one."""
    command = [str(Path(sys.executable).with_name("router")), "ca", *arguments, "--data", str(site.files.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode == 0) == (not done.stderr), done.stderr
    return done.stderr


@pytest.mark.full
@pytest.mark.parametrize("seconds", [-1200, -240, 240, 1200])
def test_a_wrong_clock_is_named_and_judges_by_itself(site: LinkSite, seconds: int) -> None:
    with site.service(skew=seconds) as process:
        job = site.submit(expires=time.time() + 600, result_until=time.time() + 1200)
        site.wait(lambda: site.states()[job] in {"succeeded", "refused"}, process)
        site.wait(lambda: "This machine's clock is" in site.health(), process)
        assert abs(site.status()["platform"]["clock_skew_seconds"] + seconds) < 20
        assert ("ahead of" if seconds > 0 else "behind") in site.health()
        assert "check the time service (NTP) here and at the Router" in shown(site)
        site.end(process)
    if abs(seconds) < 300:
        assert site.check() == {job: "ok"}
    else:
        assert site.states()[job] == "refused"
        assert site.rows("SELECT COUNT(*) FROM results") == [(0,)]


@pytest.mark.full
def test_an_expired_certificate_is_named_and_enrolling_again_heals_the_running_agent(site: LinkSite) -> None:
    """A result is made while the link is away, and the certificate ends before it is back."""
    assert site.relay is not None
    with site.service(check=1) as process:
        held = site.submit(SLOW)
        site.wait(lambda: started(site) == [held], process)  # the Router's agreement has come back
        site.relay.refusing = True
        site.relay.cut()
        site.wait(lambda: site.status().get("spool", {}).get("results") == 1, process)
        site.enroll(now=time.time() - 86_400, hours=1)
        site.relay.refusing = False
        site.wait(lambda: "has ended: run `agent enroll` again" in site.health(), process)
        site.wait(lambda: site.status()["state"] == "offline", process)
        assert site.status()["certificate"]["valid"] is False
        assert "1 result waits because delivery fails" in site.health()
        assert "`agent enroll` gets a new one" in shown(site)
        site.put_token("enroll", TOKEN)
        done = agent(site, "enroll", "--token-file", "-", stdin=TOKEN)
        assert done.returncode == 0, done.stderr
        next_ = site.submit()
        site.wait(site.settled, process)
        site.wait(lambda: site.status().get("state") == "online", process)
        site.end(process)
    assert site.check() == {held: "ok", next_: "ok"}


@pytest.mark.full
def test_an_agent_that_is_not_enrolled_waits_in_good_health_and_a_token_counts_once(site: LinkSite) -> None:
    shutil.rmtree(site.tls.folder)
    site.put_token("enroll", TOKEN)
    with site.service() as process:
        site.wait(lambda: site.status().get("state") == "enrolling", process)
        assert agent(site, "status", "--healthcheck").returncode == 0
        site.wait(lambda: "agent enroll" in json.dumps(site.status()), process)  # figures are read every two seconds
        first, again = (agent(site, "enroll", "--token-file", "-", stdin=TOKEN) for _ in range(2))
        assert first.returncode == 0, first.stderr
        kept = site.tls.pair.read_bytes()
        assert again.returncode != 0
        assert "used up or expired" in again.stderr
        assert "`router token create` makes a new one" in again.stderr
        assert TOKEN not in first.stdout + first.stderr + again.stdout + again.stderr
        assert site.tls.pair.read_bytes() == kept, "a refused token changes nothing"
        job = site.submit()
        site.wait(site.settled, process)
        assert site.status()["certificate"]["valid"]
        assert "Seccomp:\t2" in Path(f"/proc/{process.pid}/status").read_text()
        site.end(process)
    assert site.check() == {job: "ok"}


@pytest.mark.full
def test_a_revoked_agent_is_told_and_exits_only_when_it_is_told_to(site: LinkSite) -> None:
    with site.service() as process:
        job = site.submit()
        site.wait(site.settled, process)
        site.apply(ops.RevokeAgent(TENANT, AGENT))
        site.wait(lambda: "revoked" in site.health() and site.status()["state"] == "offline", process)
        assert "The agent was revoked. Fix: Ask the Router's operator" in shown(site)
        site.put_token("enroll", TOKEN)
        done = agent(site, "enroll", "--token-file", "-", stdin=TOKEN)
        assert "was revoked" in done.stderr, "no token brings the name back"
        assert process.poll() is None
        site.end(process)
    assert site.check() == {job: "ok"}


@pytest.mark.full
def test_a_certificate_is_renewed_under_load_without_a_word_lost(site: LinkSite) -> None:
    site.enroll(now=time.time() - 3600 * 20, hours=24)
    before = certificate.life(site.tls)
    with site.service(check=1) as process:
        jobs = [site.submit(SLOW if number % 3 == 0 else "select 1 as one") for number in range(9)]
        site.wait(lambda: certificate.life(site.tls).ends > before.ends, process)
        jobs += [site.submit() for _ in range(3)]
        site.wait(site.settled, process)
        assert not [line for line in site.status()["health"] if "certificate" in line]
        site.end(process)
    assert site.check() == dict.fromkeys(jobs, "ok")
    assert ENROLL not in site.log()


@pytest.mark.full
def test_the_authority_is_rolled_while_jobs_run_and_who_was_away_is_told_what_to_do(
    site: LinkSite, tmp_path: Path
) -> None:
    """One agent stays connected; one was away all the time. Both keep the CA's file that they were given at first."""
    site.kill_router()
    Settings(domain=DOMAIN, hosts=("localhost",), agent_hours=0.06).write(site.files.folder / "router.json")
    site.start_router()
    away = companion(site, tmp_path / "away")
    site.enroll(now=time.time() - 3600 * 20, hours=24)  # from now on it renews at each look: lives are short
    with site.service(check=1) as process:
        site.wait(lambda: site.status().get("state") == "online", process)
        authority(site, "next")
        site.wait(lambda: heard(site) == 2, process)
        jobs = [site.submit(SLOW) for _ in range(3)]
        refused = authority(site, "switch")
        assert f"1 agents have not renewed since: {TENANT}/{OTHER}" in refused
        assert "wait for them, or use --force" in refused
        authority(site, "switch", "--force")
        site.wait(lambda: issuer(site) == site.files.ca.read_bytes(), process)
        jobs += [site.submit(SLOW) for _ in range(3)]
        authority(site, "drop", "--force")
        site.wait(lambda: heard(site) == 1, process)
        jobs += [site.submit() for _ in range(3)]
        site.wait(site.settled, process)
        site.wait(lambda: site.status()["state"] == "online", process)
        with away.service(check=1) as other:
            away.wait(lambda: "not trusted here" in away.health() and away.status()["state"] == "offline", other)
            assert "run `agent enroll` again with its new --ca-file" in shown(away)
            site.put_token("enroll", TOKEN)
            ca = ("--ca-file", str(site.files.bundle))
            done = agent(away, "enroll", "--token-file", "-", *ca, stdin=TOKEN)
            assert done.returncode == 0, done.stderr
            late = away.submit()
            away.wait(away.settled, other)
            away.end(other)
        site.end(process)
    assert site.check() == dict.fromkeys(jobs, "ok")
    assert away.check() == {late: "ok"}


@pytest.mark.full
def test_a_copy_of_the_whole_state_folder_runs_nothing_twice_and_both_are_told(site: LinkSite, tmp_path: Path) -> None:
    """It knows what the first one knew: it takes over at once, and the first one is kept out as long as it is there.

    A job that ran when the copy was made may end by the word of either, but by one.
    """
    with site.service() as process:
        before = site.submit()
        site.wait(site.settled, process)
        busy = site.submit(SLOW)
        site.wait(lambda: started(site) == [before, busy], process)
        shutil.copytree(site.root, tmp_path / "copy", ignore=shutil.ignore_patterns("status*", "*.lock", "router"))
        copy = LinkSite(tmp_path / "copy")
        with copy.service() as second:
            site.wait(lambda: copy.status().get("platform", {}).get("session"), second)
            site.wait(lambda: "Another instance of this agent was seen" in site.health(), process)
            assert "a copied agent needs a name and a state_dir of its own" in shown(site)
            jobs = [site.submit() for _ in range(4)]
            site.wait(site.done, process)
            copy.end(second)
        site.end(process)
    with site.service() as process:
        jobs.append(site.submit())
        site.wait(site.done, process)
        site.end(process)
    everything = [before, *jobs]
    assert {job: site.opened(job).outcome.code for job in everything} == dict.fromkeys(everything, "ok")
    assert site.opened(busy).outcome.code in {"ok", "job.interrupted"}
    assert site.rows("SELECT job_id FROM results WHERE state = 'held' GROUP BY 1 HAVING COUNT(*) > 1") == []
    assert started(copy)[:2] == [before, busy], "as it was copied"
    assert sorted([*started(site), *started(copy)[2:]]) == sorted([busy, *everything]), "each ran once, here or there"


@pytest.mark.full
def test_a_second_agent_with_the_same_identity_gets_nothing_and_says_who_is_in_its_way(
    site: LinkSite, tmp_path: Path
) -> None:
    """It has the keys, but does not know which run came last."""
    with site.service() as process:
        site.wait(lambda: site.status().get("state") == "online", process)
        shutil.copytree(
            site.root, tmp_path / "copy", ignore=shutil.ignore_patterns("status*", "*.lock", "instance.json")
        )
        copy = LinkSite(tmp_path / "copy")
        with copy.service() as second:
            copy.wait(lambda: "Another instance of this agent" in copy.health(), second)
            jobs = [site.submit() for _ in range(4)]
            site.wait(site.settled, process)
            copy.end(second)
        site.end(process)
    assert site.check() == dict.fromkeys(jobs, "ok")
    assert started(copy) == []


def companion(site: LinkSite, root: Path) -> LinkSite:
    """Another agent of the same Router, enrolled; the CA's file that both have is a copy, as `agent init` makes it."""
    shutil.copytree(site.root, root, ignore=shutil.ignore_patterns("state", "router", "*.log"))
    assert site.relay is not None
    made = LinkSite(root, relay=site.relay, router=site.router, name=OTHER)
    made.port, made.files, made.authority = site.port, site.files, site.authority
    for one in (made, site):
        shutil.copyfile(site.files.ca, one.root / "first-ca.pem")
        text = (site.root / "sandbox.yaml").read_text().replace(str(site.files.ca), str(one.root / "first-ca.pem"))
        (one.root / "sandbox.yaml").write_text(text.replace(AGENT, one.name))
    token = "t" * 48
    site.put_token("enroll", token)
    done = agent(made, "enroll", "--token-file", "-", stdin=token)
    assert done.returncode == 0, done.stderr
    return made


def heard(site: LinkSite) -> int:
    """How many authorities the agent was told of at its last renewal."""
    return site.tls.ca.read_text().count("BEGIN CERTIFICATE")


def issuer(site: LinkSite) -> bytes | None:
    """The authority, of those that the agent was told of, whose certificate it has."""
    own = x509.load_pem_x509_certificates(site.tls.pair.read_bytes().partition(b"-----END PRIVATE KEY-----\n")[2])[0]
    for one in x509.load_pem_x509_certificates(site.tls.ca.read_bytes()):
        with suppress(InvalidSignature, ValueError):
            own.verify_directly_issued_by(one)
            return one.public_bytes(Encoding.PEM)
    return None


def started(site: LinkSite) -> list[str]:
    """Ids of the jobs whose start stands in its audit log."""
    files = sorted((site.root / "state/audit").glob("audit-*.jsonl"))
    records = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [record["job"] for record in records if record["event"] == "job.started"]
