"""Python jobs beside the others: slots of their own, a sandbox for them alone, and what becomes of them without one."""

import os
import signal
from typing import Any

import anyio
import pytest

from agent.core.order import Order, PythonTerms
from agent.core.ports import Ended
from agent.service.sandboxes import PythonSite
from tests.unit.service.conftest import refuse

pytestmark = pytest.mark.anyio


class Gate:
    """Workers of Python jobs that run until they are let go; all others end at once."""

    def __init__(self) -> None:
        self.open = anyio.Event()
        self.running = 0

    async def __call__(self, order: Order, parts: int) -> Ended:
        if "+sandbox" in order.isolation:
            self.running += 1
            try:
                await self.open.wait()
            finally:
                self.running -= 1
        return await refuse(order, parts)


@pytest.fixture
def gate(bench: Any) -> Gate:
    gate = Gate()
    bench.python = PythonSite(terms=PythonTerms(imports=("json", "csv"), scratch_mb=7))
    bench.worker.behaviour = gate
    return gate


def isolation(bench: Any, job_id: str) -> str:
    (record,) = [r for r in bench.records() if r.get("job") == job_id and r["event"] == "job.started"]
    return str(record["isolation"])


async def test_a_python_job_gets_a_sandbox_and_its_tier_stands_in_every_place(bench: Any, gate: Gate) -> None:
    gate.open.set()
    async with bench.running():
        python, sql = bench.submit_python(), bench.submit()
        await bench.done(python)
        await bench.done(sql)
    assert bench.manifest(python).isolation == isolation(bench, python) == "stand-in+sandbox-full"
    assert bench.manifest(sql).isolation == isolation(bench, sql) == "stand-in"
    given = {
        order.isolation: sandbox for order, sandbox in zip(bench.worker.orders, bench.worker.sandboxes, strict=True)
    }
    assert given["stand-in"] is None
    assert given["stand-in+sandbox-full"] is not None
    assert {order.python for order in bench.worker.orders} == {bench.python.terms}
    (started,) = [r for r in bench.records() if r.get("job") == python and r["event"] == "job.started"]
    assert (started["min_tier"], started["imports"]) == ("container", ["csv", "json"])


async def test_python_jobs_that_take_all_their_slots_hold_up_no_other_job(bench: Any, gate: Gate, until: Any) -> None:
    async with bench.running() as supervisor:
        greedy = [bench.submit_python() for _ in range(6)]
        await until(lambda: gate.running == 2)
        for _ in range(5):
            assert (await bench.done(bench.submit())).outcome.code == "task.source"
        jobs = supervisor._running
        assert (jobs.busy["python"], gate.running) == (2, 2)
        waiting = len(bench.held("drop/inbox/new"))
        assert waiting == 4, "a Python job was claimed that has no slot"
        gate.open.set()
        for job_id in greedy:
            assert (await bench.done(job_id)).outcome.code == "task.source"
        assert (jobs.total, jobs.free("python"), jobs.free("sql")) == (0, 2, 2)


async def test_other_jobs_that_take_all_their_slots_hold_up_no_python_job(bench: Any, gate: Gate, until: Any) -> None:
    held = anyio.Event()

    async def behaviour(order: Order, parts: int) -> Ended:
        if "+sandbox" not in order.isolation:
            await held.wait()
        return await refuse(order, parts)

    bench.worker.behaviour = behaviour
    async with bench.running() as supervisor:
        slow = [bench.submit() for _ in range(4)]
        await until(lambda: supervisor._running.busy["sql"] == 2)
        await bench.done(bench.submit_python())
        held.set()
        for job_id in slow:
            await bench.done(job_id)


async def test_what_an_earlier_run_held_waits_for_its_own_lane_only(bench: Any, gate: Gate, until: Any) -> None:
    processing = bench.root / "drop/processing"
    processing.mkdir(parents=True)
    for _ in range(5):
        job_id, envelope = bench.envelope(task={"kind": "python", "code": "result = 1", "inputs": {}})
        (processing / f"{job_id}.mjob").write_bytes(envelope)
    job_id, envelope = bench.envelope()
    (processing / f"{job_id}.mjob").write_bytes(envelope)
    async with bench.running() as supervisor:
        await bench.done(job_id)
        await until(lambda: gate.running == 2)
        assert supervisor._running.busy == {"sql": 0, "python": 2}
        gate.open.set()
        await until(lambda: len(bench.held("drop/archive")) == 6)


@pytest.mark.parametrize(("says", "min_tier"), [("none", "container"), ("container", "full"), ("nothing", "container")])
async def test_without_the_tier_python_jobs_fail_unrun_and_the_others_run(
    bench: Any, gate: Gate, says: str, min_tier: Any
) -> None:
    bench.sandbox_says, bench.python = says, PythonSite(min_tier=min_tier)
    async with bench.running() as supervisor:
        python = bench.submit_python()
        code = (await bench.done(python)).outcome.code
        assert (await bench.done(bench.submit())).outcome.code == "task.source"
        status = supervisor._answer().decode()
        assert supervisor._board.word() == "degraded"
    assert (code, bench.manifest(python).isolation) == ("sandbox.isolation", "stand-in+sandbox-none")
    assert [order.isolation for order in bench.worker.orders] == ["stand-in"]
    assert "Python jobs cannot be isolated" in status
    assert "agent doctor sandbox" in status


async def test_where_python_is_off_the_worker_says_so(bench: Any, gate: Gate) -> None:
    bench.python = None
    async with bench.running():
        await bench.done(python := bench.submit_python())
    assert bench.manifest(python).isolation == "stand-in"
    assert (bench.worker.orders[0].python, bench.worker.sandboxes) == (None, [None])


async def test_a_drain_kills_python_jobs_and_the_server_with_them(bench: Any, gate: Gate, until: Any) -> None:
    bench.drain_seconds = 0.1
    async with bench.running() as supervisor:
        once, again = bench.submit_python(), bench.submit_python(idempotent=True, max_attempts=2)
        await until(lambda: gate.running == 2)
        pid = supervisor._sandboxes.server_pid
    assert bench.opened(once).outcome.code == "job.interrupted"
    assert not bench.result_file(again).exists()
    assert bench.events(again) == ["job.started", "job.interrupted"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_server_that_dies_is_replaced_between_jobs(bench: Any, gate: Gate, until: Any) -> None:
    gate.open.set()
    async with bench.running() as supervisor:
        await bench.done(bench.submit_python())
        pid = supervisor._sandboxes.server_pid
        os.kill(pid, signal.SIGKILL)
        await until(lambda: supervisor._sandboxes.server_pid not in {None, pid})
        await bench.done(bench.submit_python())
    assert len((bench.root / "sandbox-servers").read_text().splitlines()) == 2


async def test_a_reload_takes_new_terms_for_the_next_job(bench: Any, gate: Gate, until: Any) -> None:
    gate.open.set()
    later = PythonSite(terms=PythonTerms(imports=("math",)), outer="gvisor")
    bench.reload = lambda: bench.site(python=later)
    async with bench.running() as supervisor:
        await bench.done(bench.submit_python())
        loaded = supervisor._loaded
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: supervisor._loaded > loaded)
        await bench.done(python := bench.submit_python())
    assert bench.manifest(python).isolation == "stand-in+sandbox-full+gvisor"
    assert bench.worker.orders[-1].python == later.terms
    assert len((bench.root / "sandbox-servers").read_text().splitlines()) == 1
