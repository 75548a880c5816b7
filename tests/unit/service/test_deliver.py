"""Delivery: again until result_until, one failing result blocks no other, and what is given up is recorded first."""

import json
from typing import Any

import anyio
import pytest

from agent.core.errors import TransportError
from agent.service import deliver

pytestmark = pytest.mark.anyio


async def test_a_failing_result_blocks_no_other_and_is_delivered_when_it_can_be(bench: Any, until: Any) -> None:
    stuck: list[str] = []
    bench.undeliverable = lambda job_id: job_id in stuck
    async with bench.running() as supervisor:
        stuck += [bench.submit(id=f"01K{n}ZZZZZZZZZZZZZZZZZZZZZZ") for n in range(6)]
        await until(lambda: len(bench.worker.orders) == 6)
        for _ in range(8):
            await bench.done(bench.submit())
        await until(lambda: "deliver" in supervisor._board.findings)
        said = supervisor._board.findings["deliver"].line()
        assert "outbox/new is read-only" in said
        assert "tried again until its result_until" in said
        assert supervisor._board.word() == "degraded"
        assert bench.held("drop/processing") == sorted(f"{job_id}.mjob" for job_id in stuck)
        ids, stuck[:] = list(stuck), []
        for job_id in ids:
            await bench.done(job_id)
        await until(lambda: "deliver" not in supervisor._board.findings)
    assert bench.held("state/spool") == []


async def test_a_result_past_its_time_is_dropped_with_a_record(bench: Any, until: Any) -> None:
    bench.undeliverable = lambda _: True
    async with bench.running() as supervisor:
        now = bench.clock.now()
        job_id = bench.submit(expires=now + 0.2, result_until=now + 0.3)
        await until(lambda: bench.archived(job_id).exists() and bench.held("state/spool") == [])
        assert bench.held("drop/outbox/new") == []
        assert "1 result was dropped" in supervisor._board.findings["dropped"].line()
    assert bench.events(job_id) == ["job.started", "job.ended", "result.dropped"]
    assert bench.status()["jobs"]["dropped_24h"] == 1


async def test_nothing_is_dropped_on_the_word_of_a_clock_that_jumped(bench: Any, until: Any) -> None:
    bench.undeliverable = lambda _: True
    async with bench.running() as supervisor:
        job_id = bench.submit()
        await until(lambda: "deliver" in supervisor._board.findings)
        bench.clock.shift = 365 * 86_400
        failures = supervisor._deliver._tries[next(iter(supervisor._deliver._tries))]
        seen = failures.failures
        await until(lambda: failures.failures > seen + 3)
        assert "jumped forward" in supervisor._board.findings["clock"].line()
        bench.undeliverable = lambda _: False
        await bench.done(job_id)
    assert bench.events(job_id) == ["job.started", "job.ended"]


async def test_no_claim_is_forgotten_on_the_word_of_a_clock_that_jumped(bench: Any) -> None:
    async with bench.running() as supervisor:
        job_id = bench.submit()
        await bench.done(job_id)
        bench.clock.shift = 365 * 86_400
        await supervisor._sweep_ledger()
        assert supervisor._ports.ledger.settled(job_id)


async def test_without_its_record_nothing_is_dropped(bench: Any, until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.audit.log import AuditLog
    from agent.core.errors import AuditError

    append = AuditLog.append

    def broken(self: AuditLog, event: str, /, **fields: object) -> Any:
        if event == "result.dropped" and not mended:
            raise AuditError("the disk is full")
        return append(self, event, **fields)

    mended: list[bool] = []
    monkeypatch.setattr(AuditLog, "append", broken)
    bench.undeliverable = lambda _: True
    async with bench.running() as supervisor:
        now = bench.clock.now()
        job_id = bench.submit(expires=now + 0.1, result_until=now + 0.2)
        await until(lambda: "audit" in supervisor._board.findings)
        assert bench.held("state/spool") != []
        mended.append(True)
        await until(lambda: bench.archived(job_id).exists())
        assert "audit" not in supervisor._board.findings
    assert bench.events(job_id)[-1] == "result.dropped"


async def test_oldest_first(bench: Any, until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "AT_ONCE", 1)
    order: list[str] = []

    def stuck(job_id: str) -> bool:
        order.append(job_id)
        return True

    def free(job_id: str) -> bool:
        order.append(job_id)
        return False

    bench.undeliverable = stuck
    async with bench.running():
        for waiting in (2, 4, 6):
            bench.submit()
            await until(lambda: len(bench.held("state/spool")) == waiting)  # noqa: B023 - awaited at once
    held = [json.loads((bench.state / "spool" / name).read_bytes()) for name in bench.held("state/spool")[::2]]
    order.clear()
    bench.undeliverable = free
    async with bench.running():
        await until(lambda: len(order) == 3)
    assert order == [entry["job_id"] for entry in held]


async def test_who_is_told_when_to_come_back_comes_back_then(
    bench: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A far side that is too busy names its time: no result is sent before, whatever the backoff drew."""
    asked: list[float] = []
    busy = TransportError("The Router refused: too many calls.")
    busy.retry_after = 1000.0

    async def deliver(_: Any) -> None:
        asked.append(bench.clock.monotonic())
        raise busy

    async with bench.running() as supervisor:
        monkeypatch.setattr(supervisor._deliver._ports.transport, "deliver", deliver)
        bench.submit()
        await until(lambda: "deliver" in supervisor._board.findings)
        (tries,) = supervisor._deliver._tries.values()
        assert tries.due - asked[0] >= 1000
        for _ in range(3):
            supervisor._deliver.wake()
            await anyio.sleep(0.05)
        assert len(asked) == 1
        monkeypatch.undo()
        tries.due = 0.0
        supervisor._deliver.wake()
        await until(lambda: bench.held("state/spool") == [])
