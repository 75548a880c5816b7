"""Parked polls: who gets a job, in which commit, and what becomes of it when the poller has gone."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from router.core import ops
from router.core.agents import AgentId
from router.core.jobs import Offered, Slot
from router.core.problem import RouterProblem
from router.service import parking as parking_module
from router.service.bell import Bell, session_key
from router.service.parking import Parking
from router.service.writer import Writer
from router.store.port import Store, StoreError
from router.store.sqlite import SqliteStore
from tests.router.stores import START, World, new_job, submit

QUEUE = "acme/pool:default"


class Watched(SqliteStore):
    """Remembers its batches, and waits before a commit when it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.batches: list[list[ops.Op]] = []
        self.go = threading.Event()
        self.go.set()

    def apply(self, batch: Sequence[ops.Op], now: float) -> list[Any]:
        assert self.go.wait(20)
        self.batches.append(list(batch))
        return super().apply(batch, now)

    def leases(self) -> int:
        return sum(isinstance(op, ops.Lease) for batch in self.batches for op in batch)


class Room:
    """A parking over a store with agents in one pool."""

    def __init__(self, store: Watched, agents: int) -> None:
        self.store, self.world = store, World(store)
        self.agents = [self.world.agent(f"a{number}") for number in range(agents)]
        self.sessions = [self.world.session(agent) for agent in self.agents]
        self.writer, self.bell = Writer(store, now=lambda: START), Bell()
        self.parking = Parking(self.writer, self.bell)
        self.store.batches.clear()

    def poll(
        self, number: int = 0, *, wait: float = 20, gone: Awaitable[Any] | None = None, **free: int
    ) -> "asyncio.Task[tuple[Offered, ...]]":
        room: dict[Slot, int] = {"sql": 1} if not free else dict(free)  # type: ignore[arg-type]
        never = asyncio.get_running_loop().create_future()
        return asyncio.create_task(self.parking.lease(self.sessions[number], room, wait, gone or never))

    async def parked(self, count: int) -> None:
        for _ in range(2000):
            if self.parking.parked == count:
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"{self.parking.parked} polls are parked, not {count}")

    async def submit(self, **more: Any) -> str:
        job = new_job(START, **more)
        await self.parking.submit(submit(job))
        return job.id


@asynccontextmanager
async def room(folder: Path, agents: int = 1) -> AsyncIterator[Room]:
    found = Room(Watched(folder / "router.db"), agents)
    found.writer.start()
    try:
        yield found
    finally:
        found.store.go.set()
        await found.writer.close()
        found.store.close()


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_job_and_the_parked_lease_that_it_wakes_share_a_commit(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            poll = here.poll()
            await here.parked(1)
            job = await here.submit()
            assert [one.job_id for one in await poll] == [job]
            assert [[type(op) for op in batch] for batch in here.store.batches] == [[ops.Submit, ops.Lease]]

    run(main)


def test_an_idle_poll_does_not_touch_the_store(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            assert await here.poll(wait=0.05) == ()
            assert here.store.batches == []
            assert (here.parking.parked, here.bell.listeners()) == (0, 0)

    run(main)


def test_the_one_that_has_waited_longest_is_first(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path, 3) as here:
            polls = []
            for number in range(3):
                polls.append(here.poll(number))
                await here.parked(number + 1)
            jobs = [await here.submit() for _ in range(3)]
            assert [(await poll)[0].job_id for poll in polls] == jobs

    run(main)


def test_slots_of_two_kinds_wait_apart(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path, 2) as here:
            python = here.poll(0, python=1)
            await here.parked(1)
            both = here.poll(1, sql=1, python=1)
            await here.parked(2)
            sql_job = await here.submit()
            assert (await both)[0].job_id == sql_job
            python_job = await here.submit(kind="python")
            assert (await python)[0].job_id == python_job

    run(main)


def test_a_poll_for_one_kind_does_not_call_a_queue_empty_that_holds_another(tmp_path: Path) -> None:
    """As an agent asks whose other slots are busy: its next poll, for those, must not wait beside the job."""

    async def main() -> None:
        async with room(tmp_path) as here:
            job = await here.submit()
            python = here.poll(python=1, wait=0.2)
            assert await python == ()
            (sql,) = await asyncio.wait_for(here.poll(sql=1, wait=60), 10)
            assert sql.job_id == job

    run(main)


def test_orders_end_a_poll(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            poll = here.poll()
            await here.parked(1)
            here.bell.ring(session_key(here.sessions[0].id))
            assert await poll == ()

    run(main)


@pytest.mark.parametrize("how", ["time is over", "hung up", "cancelled"])
def test_what_a_poll_leased_while_it_ended_is_not_lost(tmp_path: Path, how: str) -> None:
    """The lease is in a commit when the poll ends: its caller gets the job, or the next poller does."""

    async def main() -> None:
        async with room(tmp_path, 2) as here:
            gone = asyncio.get_running_loop().create_future()
            first = here.poll(0, wait=0.2, gone=gone)
            await here.parked(1)
            here.store.go.clear()
            submitted = asyncio.create_task(here.submit())
            await here.parked(0)
            if how == "hung up":
                gone.set_result(None)
            elif how == "cancelled":
                await asyncio.sleep(0)
                first.cancel()
            await asyncio.sleep(0.3)
            here.store.go.set()
            job = await submitted
            if how == "time is over":
                assert (await first)[0].job_id == job
                return
            await asyncio.wait({first})
            second = here.poll(1)
            assert (await second)[0].job_id == job

    run(main)


def test_eight_vanished_pollers_keep_no_job_from_the_ninth(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path, 9) as here:
            gone = asyncio.get_running_loop().create_future()
            lost = [here.poll(number, gone=gone) for number in range(8)]
            await here.parked(8)
            here.store.go.clear()
            submitted = [asyncio.create_task(here.submit()) for _ in range(8)]
            await here.parked(0)
            gone.set_result(None)
            here.store.go.set()
            jobs = set(await asyncio.gather(*submitted))
            assert await asyncio.gather(*lost) == [()] * 8
            found: set[str] = set()
            while len(found) < len(jobs):
                found |= {one.job_id for one in await here.poll(8, sql=8)}
            assert found == jobs

    run(main)


def test_a_session_that_is_over_passes_its_job_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path, 3) as here:
            over, drained, good = [here.poll(number) for number in range(3)]
            await here.parked(3)
            here.world.do(ops.CloseSession(here.agents[0], here.sessions[0].id))
            here.world.do(ops.DrainSession(here.agents[1], here.sessions[1].id))
            job = await here.submit()
            assert (await good)[0].job_id == job
            with pytest.raises(RouterProblem, match=r"^session\.unknown"):
                await over
            drained.cancel()

    run(main)


def test_one_job_does_not_make_a_thousand_pollers_look(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            polls = [here.poll() for _ in range(300)]
            await here.parked(300)
            here.world.job()
            here.store.batches.clear()
            here.parking.wake(QUEUE)
            done, _ = await asyncio.wait(polls, return_when="FIRST_COMPLETED")
            assert len(done) == 1
            await here.parked(299)
            assert here.store.leases() <= 3 * parking_module._AT_ONCE
            for poll in polls:
                poll.cancel()

    run(main)


def test_many_jobs_that_come_unseen_all_find_a_parked_poller(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            polls = [here.poll() for _ in range(40)]
            await here.parked(40)
            jobs = {here.world.job().id for _ in range(40)}
            here.parking.settle(here.store.ready(), here.parking.mark)
            assert {one.job_id for poll in polls for one in await poll} == jobs

    run(main)


def test_queues_of_nobody_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking_module, "_MOST_QUEUES", 10)

    async def main() -> None:
        async with room(tmp_path) as here:
            for number in range(25):
                here.parking.wake(f"acme/agent:nobody-{number}")
            mark = here.parking.mark
            job = await here.submit()
            assert len(here.parking._changes) <= 10
            here.parking.settle([], mark)
            known = {queue for queue, _ in here.parking._maybe}
            assert {QUEUE} <= known <= {QUEUE, *here.parking._changes}, "what came later is kept"
            assert (await here.poll())[0].job_id == job
            here.parking.settle([], here.parking.mark)
            assert here.parking._maybe == set()

    run(main)


class Slow:
    """A store that answers with what it was asked, when it may."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.batches: list[list[Any]] = []
        self.error: Exception | None = None

    def apply(self, batch: Sequence[Any], _: float) -> list[Any]:
        assert self.go.wait(20)
        self.batches.append(list(batch))
        if self.error:
            raise self.error
        return list(batch)


def beat(tenant: str, session: str = "s") -> ops.Beat:
    return ops.Beat(AgentId(tenant=tenant, name="a"), session, ())


def test_a_tenant_s_flood_does_not_fill_the_next_commit() -> None:
    async def main() -> None:
        store = Slow()
        writer = Writer(_as_store(store), most=10)
        flood = [future for _ in range(100) for future in writer.put(beat("flood"))]
        other = writer.put(beat("other"), beat("other", "second"))
        writer.start()
        store.go.set()
        await asyncio.gather(*other)
        first = [op.agent.tenant for op in store.batches[0]]
        assert first.count("other") == 2, "what was put together stays together"
        await writer.close()
        assert all(future.done() for future in flood), "what waits is written at the end"
        with pytest.raises(RouterProblem, match=r"^shutting_down"):
            writer.put(beat("late"))

    run(main)


@pytest.mark.parametrize(
    ("error", "code"), [(StoreError("away"), "store.unavailable"), (ValueError("a defect"), "internal")]
)
def test_every_caller_is_told_of_a_commit_that_failed(error: Exception, code: str) -> None:
    async def main() -> None:
        store = Slow()
        writer = Writer(_as_store(store))
        writer.start()
        store.error = error
        gone, here = asyncio.create_task(writer.do(beat("t"))), asyncio.create_task(writer.do(beat("t")))
        await asyncio.sleep(0)
        gone.cancel()
        store.go.set()
        with pytest.raises(RouterProblem, match=f"^{code}"):
            await here
        store.error = None
        assert await writer.do(beat("u")) == beat("u"), "it goes on"
        await writer.close()

    run(main)


def _as_store(store: Slow) -> Store:
    return store  # type: ignore[return-value]
