"""What an operator does to a running agent, and what it tells: also when it hangs, and when it is gone."""

import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli.status_report import STALE_SECONDS
from agent.service import schemas
from agent.service.statusclient import ask
from tests.acceptance.conftest import Site, environment, make_site, wait_until
from tests.acceptance.test_planted_causes import ENDLESS, hand_in, known


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, "subprocess.Popen[bytes]"]]:
    """A service without Python jobs: nothing here is about them."""
    site = make_site(tmp_path_factory.mktemp("operating") / "site")
    config = site.folder / "sandbox.yaml"
    config.write_text(config.read_text() + "python: {enabled: false}\nlimits: {drain_seconds: 1}\n")
    with site.running() as service:
        yield site, service


def test_a_drain_holds_new_jobs_back_and_a_resume_takes_them(served: tuple[Site, object]) -> None:
    site, _ = served
    hung = hand_in(site, known(site), task={"kind": "sql", "source": "ledger", "statement": ENDLESS})
    wait_until(lambda: ask(site.folder / "state")["jobs"]["phases"].get("running") == 1)
    assert site.cli("drain").returncode == 0
    held = hand_in(site, known(site))
    assert ask(site.folder / "state")["state"] == "draining"
    wait_until(lambda: ask(site.folder / "state")["jobs"]["queue"] == 1)
    waited = site.cli("drain", "--wait", "0")
    assert (waited.returncode, "1 jobs run" in waited.stderr) == (1, True)
    assert site.cli("jobs", "cancel", hung).returncode == 0
    site.wait_for(site.result(hung))
    assert not site.result(held).exists()
    assert site.cli("resume").returncode == 0
    site.wait_for(site.result(held))
    states = {job["id"]: job["state"] for job in site.json("jobs", "list")["jobs"]}
    assert set(states) == {hung, held}
    assert set(states.values()) <= {"delivered", "waits for delivery"}


@pytest.mark.full
def test_a_job_can_be_looked_up_with_what_the_audit_log_says(served: tuple[Site, object]) -> None:
    site, _ = served
    job = hand_in(site, known(site))
    site.wait_for(site.result(job))
    wait_until(lambda: site.json("jobs", "show", job)["job"]["state"] == "delivered")
    shown = site.json("jobs", "show", job)
    assert [record["event"] for record in shown["audit"]] == ["job.started", "job.ended"]
    assert shown["audit"][1]["code"] == "ok"
    assert "statement" not in json.dumps(shown)
    assert site.cli("jobs", "show", "0" * 26).returncode == 1
    assert site.cli("jobs", "cancel", job).returncode == 1
    assert site.cli("jobs", "cancel", "../etc").returncode == 2


@pytest.mark.full
def test_a_reload_that_is_refused_keeps_the_last_good_and_says_what_it_rejected(
    served: tuple[Site, "subprocess.Popen[bytes]"],
) -> None:
    site, service = served
    config = site.folder / "sandbox.yaml"
    good, before = config.read_text(), ask(site.folder / "state")["config"]["sha256"]
    config.write_text(good + "tenent: x\n")
    service.send_signal(signal.SIGHUP)
    wait_until(lambda: ask(site.folder / "state")["config"]["rejected"])
    found = ask(site.folder / "state")
    assert "tenent" in found["config"]["rejected"]
    assert found["config"]["rejected"] in found["health"]
    assert found["config"]["sha256"] == before
    hand_in(site, known(site))
    config.write_text(good.replace("poll_seconds: 0.05", "poll_seconds: 0.06") + "catalog_ttl_seconds: 7\n")
    service.send_signal(signal.SIGHUP)
    wait_until(lambda: ask(site.folder / "state")["config"]["sha256"] != before)
    found = ask(site.folder / "state")
    assert found["config"]["rejected"] is None
    assert any("what changed in transport counts from the next start only" in line for line in found["health"])
    config.write_text(good)
    service.send_signal(signal.SIGHUP)
    wait_until(lambda: ask(site.folder / "state")["config"]["sha256"] == before)


@pytest.mark.full
def test_the_status_is_of_its_published_schema(served: tuple[Site, object]) -> None:
    site, _ = served
    job = hand_in(site, known(site))
    site.wait_for(site.result(job))
    schemas.Status.model_validate_json(site.cli("status", "--json").stdout, strict=True)
    schemas.Doctor.model_validate_json(site.cli("doctor", "--json").stdout, strict=True)


@pytest.mark.full
def test_the_log_and_a_support_bundle(served: tuple[Site, object], tmp_path: Path) -> None:
    site, _ = served
    log = site.folder / "state/log/agent.jsonl"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "job" in site.cli("logs").stdout
    assert site.cli("logs", "--level", "error").stdout == ""
    bundle = tmp_path / "bundle.tar.gz"
    refused = site.cli("support-bundle", "--output", str(bundle), stdin="n\n")
    assert refused.returncode == 1
    assert "status.json" in refused.stdout, "the list comes before the question"
    assert not bundle.exists()
    assert site.cli("support-bundle", "--output", str(bundle), stdin="y\n").returncode == 0
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    with tarfile.open(bundle) as tar:
        names = {Path(one.name).name for one in tar.getmembers()}
    assert names == {line.split()[0] for line in refused.stdout.splitlines() if line.split(" ")[0].endswith((".json", ".jsonl"))}  # fmt: skip
    again = site.cli("support-bundle", "--yes", "--output", str(bundle))
    assert (again.returncode, "exists already" in again.stderr) == (1, True)


@pytest.mark.full
def test_a_health_check_prints_nothing(served: tuple[Site, object], tmp_path: Path) -> None:
    site, _ = served
    done = site.cli("status", "--healthcheck")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (tmp_path / "sandbox.yaml").write_text("tenant: acme\n")
    command = [sys.executable, "-m", "agent", "status", "--healthcheck", "--config", str(tmp_path)]
    nobody = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert (nobody.returncode, nobody.stdout, nobody.stderr) == (1, "", "")


@pytest.mark.full
def test_an_agent_that_hangs_and_one_that_is_gone(tmp_path: Path) -> None:
    site = make_site(tmp_path / "site")
    service = site.start()
    try:
        wait_until((site.folder / "state/status.json").exists)
        os.kill(service.pid, signal.SIGSTOP)
        soon = site.cli("status")
        assert "not answering; status of" in soon.stdout
        time.sleep(STALE_SECONDS + 3)
        late = site.cli("status")
        assert late.returncode == 4
        assert f"Process {service.pid} runs, but has not answered for" in late.stdout
        assert site.cli("status", "--healthcheck").returncode == 1
    finally:
        service.send_signal(signal.SIGKILL)
        service.wait()
    gone = site.cli("status")
    assert gone.returncode == 3
    assert f"Process {service.pid} is gone without a word. Fix: `agent run` starts it" in gone.stdout
