"""Bad days: each has a stated behaviour, a sentence with its fix, an end by itself, and loses nothing."""

import contextlib
import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.audit.log import AuditLog
from agent.core.errors import AuditError, SpoolError
from agent.core.ports import Ended
from agent.spool.ledger import Ledger
from agent.spool.store import SpoolStore

pytestmark = pytest.mark.anyio


class Switch:
    """Makes a method fail while it is on."""

    def __init__(self, patch: pytest.MonkeyPatch, owner: type, name: str, error: Exception) -> None:
        self.on = False
        self.failures = 0
        real = getattr(owner, name)

        def method(*args: object, **kwargs: object) -> object:
            if self.on:
                self.failures += 1
                raise error
            return real(*args, **kwargs)

        patch.setattr(owner, name, method)


@pytest.mark.parametrize(
    ("owner", "name", "error", "key"),
    [
        (AuditLog, "append", AuditError("the audit folder is on a full disk"), "audit"),
        (Ledger, "claim", SpoolError("the ledger is on a full disk"), "ledger"),
        (Ledger, "sealed", SpoolError("the ledger is on a full disk"), "ledger"),
        (SpoolStore, "create", SpoolError("the spool is on a full disk"), "spool"),
        (SpoolStore, "commit", SpoolError("the spool is on a full disk"), "spool"),
    ],
)
async def test_a_write_that_fails_is_repeated_until_it_holds_and_no_job_is_taken_meanwhile(
    bench: Any, until: Any, monkeypatch: pytest.MonkeyPatch, *, owner: type, name: str, error: Exception, key: str
) -> None:
    switch = Switch(monkeypatch, owner, name, error)
    async with bench.running() as supervisor:
        await bench.done(bench.submit())
        switch.on = True
        held = bench.submit()
        await until(lambda: key in supervisor._board.findings)
        finding = supervisor._board.findings[key]
        assert "full disk" in finding.line()
        assert "Fix: free disk space" in finding.line()
        assert supervisor._board.word() == "degraded"
        waiting = [bench.submit() for _ in range(3)]
        failures = switch.failures
        await until(lambda: switch.failures > failures)
        assert len(bench.held("drop/inbox/new")) >= 2, "jobs were taken although nothing can be written"
        switch.on = False
        for job_id in (held, *waiting):
            opened = await bench.done(job_id)
            assert opened.outcome.code == "task.source"
        await until(lambda: supervisor._board.findings == {})


async def test_a_full_spool_takes_no_job_until_there_is_room(bench: Any, until: Any) -> None:
    bench.undeliverable = lambda _: True
    bench.max_spool_bytes = bench.limits.bytes + 2048
    async with bench.running() as supervisor:
        first = bench.submit()
        await until(lambda: "room" in supervisor._board.findings)
        second = bench.submit()
        assert "Fix: free disk space under state_dir" in supervisor._board.findings["room"].line()
        bench.undeliverable = lambda _: False
        await bench.done(first)
        await bench.done(second)
        await until(lambda: supervisor._board.findings == {})


async def run(command: str) -> int:
    return (await anyio.run_process(command.split(), check=False)).returncode


async def test_a_disk_that_is_really_full(bench: Any, until: Any, tmp_path: Path) -> None:
    """A small file system of its own, filled to the last byte, needs root."""
    spool = bench.state / "spool"
    spool.mkdir()
    if os.getuid() != 0 or await run(f"mount -t tmpfs -o size=40m tmpfs {spool}"):
        pytest.skip("cannot mount a small file system here")
    try:
        async with bench.running() as supervisor:
            await bench.done(bench.submit())
            with (spool / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
                while filler.write(bytes(1 << 20)):
                    pass
            await until(lambda: "room" in supervisor._board.findings)
            job_id = bench.submit()
            (spool / "filler").unlink()
            await bench.done(job_id)
            await until(lambda: supervisor._board.findings == {})
    finally:
        await run(f"umount -l {spool}")


async def test_an_audit_log_that_cannot_be_opened_at_the_start(bench: Any, until: Any) -> None:
    (bench.state / "audit").write_text("a file where the folder should be")
    async with bench.running() as supervisor:
        job_id = bench.submit()
        await until(lambda: "audit" in supervisor._board.findings)
        assert "no job is taken" in supervisor._board.findings["audit"].line()
        assert bench.held("drop/inbox/new") == [f"{job_id}.mjob"]
        (bench.state / "audit").unlink()
        await bench.done(job_id)
    assert bench.records()[0]["event"] == "service.started"


async def test_a_trust_file_that_does_not_parse_stops_intake_instead_of_trusting_the_last_one(
    bench: Any, until: Any
) -> None:
    good = bench.trust_file.read_bytes()
    async with bench.running() as supervisor:
        await bench.done(bench.submit())
        bench.trust_file.write_bytes(good[:-20])
        await until(lambda: "trust" in supervisor._board.findings)
        job_id = bench.submit()
        assert "no job is taken" in supervisor._board.findings["trust"].line()
        bench.trust_file.write_bytes(good)
        await bench.done(job_id)
        assert supervisor._board.findings == {}


async def test_a_worker_server_that_cannot_be_started_costs_no_job(bench: Any, until: Any) -> None:
    bench.worker.down = "it was not ready within 30 s"
    async with bench.running() as supervisor:
        job_id = bench.submit()
        await until(lambda: "launcher" in supervisor._board.findings)
        assert bench.held("drop/inbox/new") == [f"{job_id}.mjob"]
        bench.worker.down = None
        await bench.done(job_id)
        assert supervisor._board.findings == {}


async def test_workers_that_die_again_and_again_slow_the_intake_down_until_one_lives(bench: Any, refuse: Any) -> None:
    async def die(order: Any, parts: int) -> Ended:
        return Ended("worker.crashed", None)

    bench.worker.behaviour = die
    async with bench.running() as supervisor:
        for _ in range(3):
            assert (await bench.done(bench.submit())).outcome.code == "worker.crashed"
        assert "The last 3 jobs ended because their worker process died" in supervisor._board.findings["workers"].line()
        bench.worker.behaviour = refuse
        await bench.done(bench.submit())
        assert supervisor._board.findings == {}


@pytest.mark.parametrize("code", ["limit.wall", "limit.memory", "limit.cpu", "worker.isolation", "spool.full"])
async def test_the_service_states_a_failure_that_a_worker_could_not(bench: Any, code: str) -> None:
    async def end(order: Any, parts: int) -> Ended:
        os.write(parts, b"half a part")
        return Ended(code, None)

    bench.worker.behaviour = end
    async with bench.running():
        job_id = bench.submit()
        opened = await bench.done(job_id)
    assert (opened.outcome.outcome, opened.outcome.code) == ("failed", code)
    assert opened.outcome.hint
    assert bench.held("state/spool") == []
    ended = next(record for record in bench.records() if record["event"] == "job.ended")
    assert ended["statement"] == ""
    assert len(ended["statement_sha256"]) == 64


async def test_a_launcher_with_a_defect_ends_one_job_and_not_the_service(bench: Any, refuse: Any) -> None:
    async def broken(order: Any, parts: int) -> Ended:
        raise RuntimeError("a value that nobody may see: 4711")

    bench.worker.behaviour = broken
    async with bench.running():
        assert (await bench.done(bench.submit())).outcome.code == "worker.crashed"
        bench.worker.behaviour = refuse
        await bench.done(bench.submit())


async def test_a_defect_after_the_claim_is_a_stated_failure(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.service import perform

    def broken(*_: object) -> None:
        raise RuntimeError

    async with bench.running():
        monkeypatch.setattr(perform, "order_of", broken)
        assert (await bench.done(bench.submit())).outcome.code == "internal.error"
        monkeypatch.undo()
        assert (await bench.done(bench.submit())).outcome.code == "task.source"


async def test_a_secret_that_cannot_be_read_is_a_stated_failure_and_a_finding(bench: Any, until: Any) -> None:
    from agent.core.errors import ConfigError

    def source(name: str) -> str | None:
        if not mended:
            raise ConfigError("sources.shop.password", "the file /run/secrets/x does not exist.", "Create it.")
        return None

    mended: list[bool] = []
    supervisor = bench.supervisor()
    supervisor._site = bench.site(source=source)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(supervisor.run)
            assert (await bench.done(bench.submit())).outcome.code == "source.unavailable"
            assert "sources.shop.password" in supervisor._board.findings["source"].line()
            mended.append(True)
            await bench.done(bench.submit())
            assert supervisor._board.findings == {}
            supervisor.stop()


async def test_an_inbox_that_goes_away_is_offline_and_comes_back(bench: Any, until: Any) -> None:
    drop, away = bench.root / "drop", bench.root / "away"
    async with bench.running() as supervisor:
        await bench.done(bench.submit())
        drop.rename(away)
        await until(lambda: supervisor._board.word() == "offline")
        assert supervisor._board.findings["carrier"].line()
        if drop.exists():
            pytest.fail("the drop was made anew in the place of one that is away")
        away.rename(drop)
        await bench.done(bench.submit())
        assert supervisor._board.word() == "online"


async def test_a_status_file_that_cannot_be_written_is_a_finding_by_socket(bench: Any, until: Any) -> None:
    async with bench.running() as supervisor:
        await until((bench.state / "status.json").exists)
        (bench.state / "status.json").unlink()
        (bench.state / "status.json").mkdir()
        await until(lambda: "duty.status" in supervisor._board.findings)
        (bench.state / "status.json").rmdir()
        await until(lambda: "duty.status" not in supervisor._board.findings)
