"""Python jobs in the real service: fairness, crashes, kills, drains, tiers. Real processes, no stand-ins."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agent.service.statusclient import ask
from tests.acceptance.conftest import Site, environment, make_site, wait_until
from tests.support.silent import SILENT_AGENT

pytestmark = pytest.mark.timeout(600)  # a busy machine: nothing here measures time
GONE_SECONDS = 3.0
IN_DOCKER = (sys.executable, str(Path(__file__).parent / "support/as_in_docker.py"))
SPIN = "while True:\n    pass\n"
GROW = "held = []\nwhile True:\n    held.append(bytearray(8 << 20))\n"
SLEEP = "import time\nresult = time.sleep(600)\n"
TWO = "result = 1 + 1\n"
SERVER = "agent.sandbox.server"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_site(tmp_path_factory.mktemp("python-service") / "site").folder


@pytest.fixture
def site(template: Path, tmp_path: Path) -> Site:
    return copied(template, tmp_path / "site")


def copied(template: Path, folder: Path) -> Site:
    subprocess.run(["cp", "-a", str(template), str(folder)], check=True)
    return Site(folder)


def configured(site: Site, text: str) -> None:
    config = site.folder / "sandbox.yaml"
    config.write_text(config.read_text() + text)


def submitted(site: Site, code: str, name: str, *more: str) -> str:
    return str(site.json("submit", site.query(code, f"{name}.py"), *more)["id"])


def code_of(site: Site, job_id: str) -> str:
    site.wait_for(site.result(job_id))
    found = site.cli("open", str(site.result(job_id)))
    said = re.match(r"agent: (?:refused|failed): ([a-z._]+):", found.stderr)
    assert (found.returncode == 0) == (said is None), found.stderr
    return said.group(1) if said else "ok"


def manifest(site: Site, job_id: str) -> dict[str, Any]:
    with site.result(job_id).open("rb") as file:
        head = file.read(65536)
    payload = next(part for part in head.split(b".") if part.startswith(b"eyJ") and b"isolation" in _plain(part))
    return dict(json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))))


def _plain(part: bytes) -> bytes:
    with suppress(ValueError):
        return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    return b""


def family(pid: int) -> dict[int, str]:
    """All descendants and their command lines."""
    parents: dict[int, int] = {}
    words: dict[int, str] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
                words[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    found: dict[int, str] = {}
    new = {pid}
    while new:
        new = {one for one, parent in parents.items() if parent in new and one not in found}
        found.update({one: words[one] for one in new})
    return found


def sandboxes(pid: int) -> list[int]:
    """Processes of the sandbox server's, the server itself first."""
    return sorted(one for one, words in family(pid).items() if SERVER in words)


def server_of(pid: int, module: str) -> int:
    (found,) = [one for one, words in family(pid).items() if module in words and parent_of(one) == pid]
    return found


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def in_sandbox(site: Site, count: int) -> bool:
    return bool(ask(site.folder / "state")["isolation"]["python"]["running"] == count)


def all_gone(pids: Any) -> None:
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), GONE_SECONDS)


@contextmanager
def killed_at_the_end(site: Site, prefix: tuple[str, ...] = ()) -> Iterator["subprocess.Popen[bytes]"]:
    service = site.start(prefix)
    try:
        yield service
    finally:
        service.kill()
        service.wait()


@pytest.mark.full
def test_hogs_in_every_python_slot_starve_nobody_and_end_at_their_limits(site: Site) -> None:
    configured(site, "limits: {wall_seconds: 20, memory_mb: 300}\n")
    with site.running() as service:
        hogs = [submitted(site, SPIN, "spin"), submitted(site, GROW, "grow"), submitted(site, SPIN, "again")]
        wait_until(lambda: ask(site.folder / "state")["jobs"]["python"]["running"] == 2)
        for number in range(3):
            done = site.cli("submit", site.query(f"SELECT {number} AS n", "q.sql"), "--source", "shop", "--wait")
            assert done.returncode == 0, done.stderr
            assert str(number) in done.stdout
            assert site.state() in {"online", "degraded"}
        fine = submitted(site, TWO, "two")
        assert [code_of(site, job_id) for job_id in (*hogs, fine)] == ["limit.wall", "limit.memory", "limit.wall", "ok"]
        assert manifest(site, fine)["isolation"].endswith("+sandbox-full")
        wait_until(lambda: in_sandbox(site, 0))
        everybody = family(service.pid)
    all_gone(everybody)


@pytest.mark.full
def test_scores_and_weights_put_sandboxes_behind_workers_behind_the_service(site: Site) -> None:
    with killed_at_the_end(site) as service:
        submitted(site, SLEEP, "sleep")
        wait_until(lambda: in_sandbox(site, 1))
        mine = os.getpriority(os.PRIO_PROCESS, service.pid)
        assert int(Path(f"/proc/{service.pid}/oom_score_adj").read_text()) < 700
        children = standing(sandboxes(service.pid))
        assert max(children) == (1000, min(mine + 5, 19))
        workers = [pid for pid, words in family(service.pid).items() if "agent.worker.server" in words]
        assert max(score for score, _ in standing(workers)) == 700


def standing(pids: Iterable[int]) -> list[tuple[int, int]]:
    """OOM score and niceness of those that still live: the child that stands by comes and goes."""
    found = []
    for pid in pids:
        with suppress(OSError):
            found.append((int(Path(f"/proc/{pid}/oom_score_adj").read_text()), os.getpriority(os.PRIO_PROCESS, pid)))
    return found


def test_a_killed_service_takes_the_sandboxes_with_it(site: Site) -> None:
    with killed_at_the_end(site) as service:
        submitted(site, SLEEP, "sleep")
        submitted(site, SPIN, "spin")
        wait_until(lambda: in_sandbox(site, 2))
        everybody = family(service.pid)
        assert len(sandboxes(service.pid)) >= 3
        service.kill()
        service.wait()
        all_gone(everybody)


@pytest.mark.full
def test_either_server_that_dies_fails_its_jobs_and_serves_the_next(site: Site) -> None:
    with site.running() as service:
        for module, code in ((SERVER, "sandbox.crashed"), ("agent.worker.server", "worker.crashed")):
            job_id = submitted(site, SLEEP, "sleep")
            wait_until(lambda: in_sandbox(site, 1))
            children = set(sandboxes(service.pid))
            os.kill(server := server_of(service.pid, module), signal.SIGKILL)
            assert code_of(site, job_id) == code
            assert code_of(site, submitted(site, TWO, "two")) == "ok"
            if module == SERVER:
                all_gone(children)
            else:
                all_gone([server])
                wait_until(lambda: in_sandbox(site, 0))
        everybody = family(service.pid)
    all_gone(everybody)


@pytest.mark.full
def test_a_drain_ends_python_jobs_that_do_not_end_by_themselves(site: Site) -> None:
    configured(site, "limits: {drain_seconds: 0.5}\n")
    with site.running() as service:
        job_id = submitted(site, SPIN, "spin")
        wait_until(lambda: in_sandbox(site, 1))
        everybody = family(service.pid)
    all_gone(everybody)
    assert code_of(site, job_id) == "job.interrupted"
    assert site.cli("audit", "verify").returncode == 0


@pytest.mark.full
def test_in_a_container_the_lesser_tier_runs_unless_the_site_asks_for_more(site: Site) -> None:
    with killed_at_the_end(site, IN_DOCKER) as service:
        job_id = submitted(site, TWO, "two")
        assert code_of(site, job_id) == "ok"
        assert manifest(site, job_id)["isolation"].endswith("+sandbox-container")
        found = ask(site.folder / "state")
        assert (found["state"], found["isolation"]["python"]["tier"]) == ("online", "container")
        assert any("`container`, not `full`" in line and "Fix: " in line for line in found["health"])
        configured(site, "python: {min_tier: full}\n")
        service.send_signal(signal.SIGHUP)
        wait_until(lambda: ask(site.folder / "state")["isolation"]["python"]["min_tier"] == "full")
        refused = submitted(site, TWO, "two")
        assert code_of(site, refused) == "sandbox.isolation"
        assert manifest(site, refused)["isolation"].endswith("+sandbox-none")
        done = site.cli("submit", site.query("SELECT 5 AS n", "q.sql"), "--source", "shop", "--wait")
        assert done.returncode == 0, done.stderr
        assert ask(site.folder / "state")["state"] == "degraded"
        assert sandboxes(service.pid) == []


@pytest.mark.full
def test_two_services_on_one_machine_do_not_touch_each_other(template: Path, tmp_path: Path) -> None:
    one, other = (copied(template, tmp_path / name) for name in ("one", "other"))
    with killed_at_the_end(one) as first, killed_at_the_end(other) as second:
        submitted(one, SLEEP, "sleep")
        job_id = submitted(other, "import time\ntime.sleep(4)\nresult = 1\n", "slow")
        wait_until(lambda: in_sandbox(one, 1) and in_sandbox(other, 1))
        assert set(family(first.pid)).isdisjoint(family(second.pid))
        gone = family(first.pid)
        first.kill()
        first.wait()
        all_gone(gone)
        assert code_of(other, job_id) == "ok"


def test_exec_starts_the_sandbox_for_python_only_and_leaves_nothing(site: Site) -> None:
    command = [*SILENT_AGENT, "exec", "--jsonl", "-", "--config", str(site.folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def asked(**task: Any) -> dict[str, Any]:
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.flush()
            return dict(json.loads(process.stdout.readline()))

        assert asked(ref="a", kind="sql", source="shop", statement="SELECT 1 AS n")["outcome"] == "completed"
        assert sandboxes(process.pid) == []
        assert asked(ref="b", kind="python", code=TWO)["result"]["value"] == 2
        assert sandboxes(process.pid) != []
        assert asked(ref="c", kind="sql", source="shop", statement="SELECT 2 AS n")["outcome"] == "completed"
        everybody = family(process.pid)
        process.stdin.close()
        assert process.wait(60) == 0
    all_gone(everybody)


@pytest.mark.parametrize(("prefix", "tier"), [((), "full"), (IN_DOCKER, "container")])
def test_doctor_shows_the_tier_and_how_to_reach_a_better_one(
    site: Site, tmp_path: Path, prefix: tuple[str, ...], tier: str
) -> None:
    command = [*prefix, *SILENT_AGENT, "doctor", "sandbox"]

    def doctor(*more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*command, *more], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment(), timeout=120
        )

    found = doctor("--json")
    said = json.loads(found.stdout)
    assert (found.returncode, said["ok"], said["tier"], said["problem"]) == (0, True, tier, None)
    errors = [finding for finding in said["findings"] if finding["level"] == "error"]
    assert all(finding["check"].startswith("full: ") for finding in errors)
    assert any(finding["fix"] for finding in errors) == bool(errors)
    assert bool(errors) == (tier == "container")
    configured(site, "python: {min_tier: full, enabled: false}\n")
    strict = doctor("--config", str(site.folder))
    assert strict.returncode == (0 if tier == "full" else 1)
    assert f"tier: {tier} (asked for: full or better)" in strict.stdout
    assert "python.enabled is false" in strict.stdout
    assert doctor("--config", str(tmp_path / "nowhere.yaml")).returncode == 78
