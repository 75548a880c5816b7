"""SIGKILL of the real service at every named step of a job, and at random moments under load.

Real keys, a real folder drop, real workers over a real database. After the next start each job has exactly one result,
or one stated failure; no job that may not run twice did; no process is left over; and the audit chain verifies.
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.audit.verify import verify as verify_audit
from agent.identity import state
from agent.identity.keystore import load_opening, load_signing
from agent.service.wiring import STEPS
from agent.wire.container import read_mres
from agent.wire.frames import decode
from agent.wire.ids import new_ulid
from agent.wire.models import JobModel
from agent.wire.sealing import Opened, open_result
from agent.wire.signing import job_digest, sign_job, verify_manifest
from tests.support.silent import SILENT_AGENT

RUNNER = Path(__file__).parent / "support/run_service.py"
DEADLINE_SECONDS = 120.0
ORPHAN_SECONDS = 3.0
ROWS = 200

SANDBOX = """
version: 1
tenant: acme
agent: {name: plant-7, slots: {sql: 3}}
state_dir: ./state
transport: {filedrop: {path: ./drop, poll_seconds: 0.05, settle_seconds: 0.5}}
trust: trust.json
policy: policy.yaml
limits: {wall_seconds: 60, memory_mb: 512, drain_seconds: 30}
sources: {shop: {type: sqlite, path: ./shop.sqlite}}
"""
POLICY = "version: 1\ndefault: keep\n"

QUICK = "select id, name from people order by id limit 3"
SLOW = "select count(*) as n from people a cross join people b cross join people c where a.id + b.id + c.id = 100"
HUNG = "select count(*) as n from people a cross join people b cross join people c cross join people d"
WRONG = "select no_such_column from people"

pytestmark = pytest.mark.timeout(600)  # a busy machine: nothing here measures time

FEW = frozenset({"started", "committed"})
"""Steps whose kills are part of every run; the others are of the slower one."""


@dataclass
class Site:
    """One agent's folder and its submitter."""

    root: Path
    jobs: dict[str, bool] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, root: Path) -> "Site":
        subprocess.run(
            [*SILENT_AGENT, "init", str(root), "--tenant", "acme", "--name", "plant-7"],
            check=True,
            capture_output=True,
        )
        (root / "sandbox.yaml").write_text(SANDBOX)
        (root / "policy.yaml").write_text(POLICY)
        with sqlite3.connect(root / "shop.sqlite") as connection:
            connection.execute("create table people (id integer primary key, name text)")
            connection.executemany("insert into people values (?, ?)", [(n, f"person {n}") for n in range(1, ROWS + 1)])
        connection.close()
        return cls(root)

    def submit(self, statement: str = QUICK, *, idempotent: bool = False, attempts: int = 1) -> str:
        """Hand in a signed job, by rename; its id."""
        now = time.time()
        opening = load_opening(self.root / "submitter/opening.jwk")
        payload = {
            "id": new_ulid(now),
            "tenant": "acme",
            "audience": "agent:plant-7",
            "issued": now,
            "not_before": now,
            "expires": now + 3600,
            "result_until": now + 7200,
            "requested_by": {"user": "ada"},
            "reply_to": {"kid": opening.kid},
            "idempotent": idempotent,
            "max_attempts": attempts,
            "task": {"kind": "sql", "source": "shop", "statement": statement},
        }
        envelope = sign_job(JobModel.model_validate(payload), load_signing(self.root / "submitter/signing.jwk"))
        job_id = str(payload["id"])
        tmp = self.root / f"drop/inbox/tmp/{job_id}.mjob"
        tmp.write_bytes(envelope)
        tmp.rename(self.root / f"drop/inbox/new/{job_id}.mjob")
        self.jobs[job_id] = idempotent
        self.digests[job_id] = job_digest(envelope)
        return job_id

    @contextmanager
    def service(self, die_at: str = "") -> Iterator["subprocess.Popen[bytes]"]:
        """The service as a process of its own; killed at the end if it still runs."""
        log = (self.root / "service.log").open("ab")
        command = [sys.executable, str(RUNNER), str(self.root / "sandbox.yaml"), *([die_at] if die_at else [])]
        with log, subprocess.Popen(command, stderr=log, stdout=log) as process:
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    process.kill()

    def held(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.root / folder).iterdir())

    def done(self) -> bool:
        """Whether every job is filed away and nothing waits."""
        return len(self.held("drop/archive")) == len(self.jobs) and self.held("state/spool") == []

    def busier_than(self, archived: int) -> bool:
        """Whether jobs are held, or more than `archived` are done."""
        return bool(self.held("drop/processing")) or len(self.held("drop/archive")) > archived

    def finish(self) -> None:
        """Run the service until all is done, and end it in order: exit code 0."""
        with self.service() as process:
            self.wait(lambda: self.done() and self.status().get("pid") == process.pid, process)
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_SECONDS) == 0, self.log()

    def status(self) -> dict[str, Any]:
        with suppress(FileNotFoundError):
            return dict(json.loads((self.root / "state/status.json").read_bytes()))
        return {}

    def wait(self, condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert process.poll() is None, f"the service ended by itself: {self.log()}"
            assert time.monotonic() < deadline, f"nothing happened for long: {self.log()}"
            time.sleep(0.01)

    def log(self) -> str:
        return (self.root / "service.log").read_text()[-4000:]

    def opened(self, job_id: str) -> Opened:
        key = state.load(self.root / "state").result.public()
        with (self.root / f"drop/outbox/new/{job_id}.mres").open("rb") as stream:
            signed, parts = read_mres(stream)
            manifest = verify_manifest(signed, {key.kid: key})
            opening = load_opening(self.root / "submitter/opening.jwk")
            return open_result(manifest, parts, opening, job_digest=self.digests[job_id])

    def records(self) -> list[dict[str, Any]]:
        """The audit chain, which has to verify."""
        verdict = verify_audit(self.root / "state/audit", state.load(self.root / "state").result.public())
        assert verdict.ok, verdict.problems
        files = sorted((self.root / "state/audit").glob("audit-*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def check(self) -> dict[str, str]:
        """The one law of this file. Gives the code of every job."""
        assert self.held("drop/outbox/new") == sorted(f"{job_id}.mres" for job_id in self.jobs)
        assert self.held("drop/archive") == sorted(f"{job_id}.json" for job_id in self.jobs)
        for folder in ("drop/inbox/new", "drop/processing", "drop/failed", "drop/outbox/tmp", "state/spool"):
            assert self.held(folder) == [], folder
        records = self.records()
        started = Counter(record["job"] for record in records if record["event"] == "job.started")
        codes = {}
        for job_id, idempotent in self.jobs.items():
            opened = self.opened(job_id)
            codes[job_id] = opened.outcome.code
            assert started[job_id] <= (3 if idempotent else 1), "it ran more often than it may"
            assert opened.outcome.code in {"ok", "job.interrupted", "source.binding", "sql.column"}
            released = [r for r in records if r["event"] == "job.ended" and r["job"] == job_id]
            assert opened.outcome.code in {record["code"] for record in released}, "it left without its record"
        return codes


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "site"
    Site.make(root)
    return root


@pytest.fixture
def site(template: Path, tmp_path: Path) -> Site:
    subprocess.run(["cp", "-a", str(template), str(tmp_path / "site")], check=True)
    return Site(tmp_path / "site")


def children_of(pid: int, *modules: str) -> list[str]:
    """Worker servers (or servers of these modules) that were started by `pid`, and their children, by command line."""
    wanted = set(modules or ("agent.worker.server",))
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if wanted.intersection(words) and words[words.index("--parent") + 1] == str(pid):
                found.append(entry.name)
    return found


def assert_no_orphans(pid: int) -> None:
    deadline = time.monotonic() + ORPHAN_SECONDS
    while orphans := children_of(pid, "agent.worker.server", "agent.sandbox.server"):
        assert time.monotonic() < deadline, f"processes outlived the service: {orphans}"
        time.sleep(0.02)


@pytest.mark.parametrize(
    "step", [step if step in FEW else pytest.param(step, marks=pytest.mark.full) for step in STEPS]
)
def test_a_kill_at_any_step_loses_no_job_and_doubles_no_result(site: Site, step: str) -> None:
    once, again = site.submit(), site.submit(idempotent=True, attempts=3)
    with site.service(step) as process:
        assert process.wait(DEADLINE_SECONDS) == -signal.SIGKILL, site.log()
    assert_no_orphans(process.pid)
    safe = [json.loads(path.read_bytes())["job_id"] for path in (site.root / "state/spool").glob("*.json")]
    assert safe or STEPS.index(step) < STEPS.index("committed")
    site.finish()
    codes = site.check()
    assert {codes[job_id] for job_id in safe} <= {"ok"}, "a result that was safe in the spool was not delivered"
    assert codes[again] == "ok"
    assert decode(*site.opened(again).members["rows.arrow"]).num_rows == 3
    before_claim = STEPS.index(step) < STEPS.index("claimed")
    assert codes[once] in ({"ok"} if before_claim else {"ok", "job.interrupted"})


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=pytest.mark.full) for seed in (1, 2, 3, 4)])
def test_kills_at_random_moments_under_load(site: Site, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(20):
        idempotent = number % 2 == 0
        statement = (QUICK, SLOW, QUICK, WRONG)[number % 4] if number % 5 else SLOW
        site.submit(statement, idempotent=idempotent, attempts=3 if idempotent else 1)
    for _ in range(3):
        before = len(site.held("drop/archive"))
        with site.service() as process:
            # A moment that is sure to lie in the work: from the first sign of it, a while longer.
            site.wait(partial(site.busier_than, before), process)
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, 1.2))
            process.kill()
            process.wait()
        assert_no_orphans(process.pid)
    site.finish()
    site.check()
    first = {name: (site.root / "drop/outbox/new" / name).read_bytes() for name in site.held("drop/outbox/new")}
    site.finish()
    assert first == {name: (site.root / "drop/outbox/new" / name).read_bytes() for name in site.held("drop/outbox/new")}


def test_a_worker_server_killed_under_a_job_is_a_stated_failure_and_the_next_job_runs(site: Site) -> None:
    with site.service() as process:
        site.wait(lambda: len(children_of(process.pid)) == 2, process)  # the server, and who stands by
        hung = site.submit(HUNG)
        site.wait(lambda: len(children_of(process.pid)) > 2, process)  # and one stands by again
        os.kill(min(map(int, children_of(process.pid))), signal.SIGKILL)
        site.wait(site.done, process)
        fine = site.submit()
        site.wait(site.done, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_SECONDS) == 0
    assert site.opened(hung).outcome.code == "worker.crashed"
    assert site.opened(fine).outcome.code == "ok"
    site.records()


def test_the_idle_service_is_small(site: Site) -> None:
    """Less than 80 MB resident, measured on the running agent; nothing heavy in its memory map."""
    with site.service() as process:
        job_id = site.submit()
        site.wait(site.done, process)
        assert site.opened(job_id).outcome.code == "ok"
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if ":" in line
        )
        mapped = Path(f"/proc/{process.pid}/maps").read_text()
    resident = int(status["VmRSS"].split()[0])
    assert resident < 80 * 1024, f"{resident} kB"
    for library in ("duckdb", "pyarrow", "numpy", "pandas", "sqlglot"):
        assert f"site-packages/{library}" not in mapped, library
