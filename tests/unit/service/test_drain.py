"""The end: jobs finish in time or are killed and say so, results are delivered, and a second signal does not wait."""

import os
import signal
from typing import Any

import anyio
import pytest

from agent.core.ports import Ended
from agent.service import drain

pytestmark = pytest.mark.anyio


async def test_jobs_under_way_finish_and_waiting_ones_stay_in_the_inbox(bench: Any, refuse: Any, until: Any) -> None:
    finish = anyio.Event()

    async def slow(order: Any, parts: int) -> Ended:
        await finish.wait()
        ended: Ended = await refuse(order, parts)
        return ended

    bench.worker.behaviour = slow
    async with bench.running() as supervisor:
        under_way = [bench.submit() for _ in range(2)]
        await until(lambda: len(bench.worker.orders) == 2)
        supervisor.stop()
        await until(lambda: supervisor._board.word() == "draining")
        waiting = bench.submit()
        finish.set()
        for job_id in under_way:
            await bench.done(job_id)
    assert bench.held("drop/inbox/new") == [f"{waiting}.mjob"]
    assert len(bench.worker.orders) == 2


async def hang(order: Any, parts: int) -> Ended:
    await anyio.sleep_forever()
    raise AssertionError


async def test_a_job_that_does_not_finish_is_killed_and_its_failure_delivered(bench: Any, until: Any) -> None:
    bench.drain_seconds = 0.05
    bench.worker.behaviour = hang
    async with bench.running() as supervisor:
        job_id = bench.submit()
        await until(lambda: bench.worker.orders)
        supervisor.stop()
        opened = await bench.done(job_id)
    assert opened.outcome.code == "job.interrupted"
    assert bench.events(job_id) == ["job.started", "job.ended"]


async def test_a_killed_job_that_may_run_again_does_at_the_next_start(bench: Any, refuse: Any, until: Any) -> None:
    bench.drain_seconds = 0.05
    bench.worker.behaviour = hang
    async with bench.running():
        job_id = bench.submit(idempotent=True, max_attempts=2)
        await until(lambda: bench.worker.orders)
    assert bench.events(job_id) == ["job.started", "job.interrupted"]
    assert bench.held("drop/processing") == [f"{job_id}.mjob"]
    bench.worker.behaviour = refuse
    async with bench.running():
        assert (await bench.done(job_id)).outcome.code == "task.source"
    assert bench.events(job_id) == ["job.started", "job.interrupted", "job.started", "job.ended"]


async def test_the_end_is_bounded_when_nothing_can_be_written_any_more(
    bench: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.audit.log import AuditLog
    from agent.core.errors import AuditError

    def broken(*_: object, **__: object) -> None:
        raise AuditError("the disk is gone")

    bench.drain_seconds = 0.05
    async with bench.running() as supervisor:
        await bench.done(bench.submit())
        monkeypatch.setattr(AuditLog, "append", broken)
        job_id = bench.submit()
        await until(lambda: "audit" in supervisor._board.findings)
    monkeypatch.undo()
    assert bench.held("drop/processing") == [f"{job_id}.mjob"], "it waits for the next start"
    assert bench.status()["loops"]["intake"] == "stopped", "it ended in order, not by being cut off"
    async with bench.running():
        assert (await bench.done(job_id)).outcome.code == "job.interrupted"


async def test_what_cannot_be_delivered_at_the_end_is_delivered_at_the_next_start(bench: Any, until: Any) -> None:
    bench.undeliverable = lambda _: True
    async with bench.running():
        job_id = bench.submit()
        await until(lambda: bench.worker.orders)
    assert bench.held("drop/outbox/new") == []
    bench.undeliverable = lambda _: False
    async with bench.running():
        await bench.done(job_id)
    assert len(bench.worker.orders) == 1


async def test_the_first_signal_drains_and_the_second_exits_now() -> None:
    stopped, exited = anyio.Event(), anyio.Event()
    codes: list[int] = []

    def exit_now(code: int) -> None:
        codes.append(code)
        exited.set()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await tasks.start(
                lambda *, task_status: drain.on_signals(
                    stopped.set, lambda: None, exit_now=exit_now, task_status=task_status
                )
            )
            os.kill(os.getpid(), signal.SIGTERM)
            await stopped.wait()
            assert not codes
            os.kill(os.getpid(), signal.SIGINT)
            await exited.wait()
            tasks.cancel_scope.cancel()
    assert codes == [1]
