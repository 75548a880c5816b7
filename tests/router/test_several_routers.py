"""Two Routers over one database: what happens at one is heard at the other, and a database that restarts costs nothing."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agent.wire.ids import new_ulid
from router.core import ops
from router.core.agents import AgentId, Hello, SessionView
from router.core.jobs import JobView, NewJob, Offered
from router.core.problem import RouterProblem
from router.serve import hub_of
from router.server.app import application
from router.service.bell import job_key, session_key
from router.service.files import Files, init
from router.service.hub import Hub, Terms
from router.store.bulk import leases
from router.store.port import StoreError
from tests.router import stores
from tests.router.stores import accept_of, complete_of, enroll_token, new_job, submit
from tests.support import postgres as pg


@pytest.fixture
def address(postgres: pg.Postgres) -> Iterator[str]:
    with stores.database(postgres) as found:
        yield found


@asynccontextmanager
async def routers(folder: Path, address: str) -> AsyncIterator[tuple[Hub, Hub]]:
    """Two, as `router serve` has them."""
    authority = init(Files(folder), "example.org", ("localhost",), time.time())
    hubs = [hub_of(Files(folder), authority, Terms(tick_seconds=0.2), database=address) for _ in range(2)]
    async with AsyncExitStack() as stack:
        for hub in hubs:
            app = application(hub, "1")
            await stack.enter_async_context(app.router.lifespan_context(app))
        await until(lambda: all(hub.looked and not hub.unsure for hub in hubs))
        for hub in hubs:
            hub.looked += 3600  # only what is told counts here, not the look every few seconds
        yield hubs[0], hubs[1]


async def session_of(hub: Hub, name: str = "plant-7") -> tuple[AgentId, SessionView]:
    agent = AgentId(tenant="acme", name=name)
    await hub.writer.do(ops.PutToken(enroll_token(name, "acme", "default", time.time())))
    await hub.writer.do(ops.Enroll(name, name, {}, "1", time.time() + 86_400))
    hello = Hello(agent=agent, instance=new_ulid(time.time()), previous=None, labels={}, slots={"sql": 4}, version="1")
    opened: SessionView = await hub.writer.do(ops.OpenSession(hello, new_ulid(time.time())))
    return agent, opened


def polling(hub: Hub, session: SessionView, free: int = 1) -> "asyncio.Task[tuple[Offered, ...]]":
    never = asyncio.get_running_loop().create_future()
    return asyncio.create_task(hub.parking.lease(session, {"sql": free}, 30, never))


async def until(what: Callable[[], object]) -> None:
    for _ in range(1000):
        if what():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come about")


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 90))


def test_a_job_its_cancelling_and_its_result_cross(tmp_path: Path, address: str) -> None:
    async def main() -> None:
        async with routers(tmp_path, address) as (here, there):
            agent, session = await session_of(there)
            poll = polling(there, session)
            await until(lambda: there.parking.parked)
            job = new_job(time.time())
            await here.parking.submit(submit(job))
            (offered,) = await asyncio.wait_for(poll, 20)
            assert offered.job_id == job.id
            await there.writer.do(accept_of(agent, session, offered))
            second = polling(there, session)
            await until(lambda: there.parking.parked)
            await here.writer.do(ops.Cancel("acme", (), job.id))
            assert await asyncio.wait_for(second, 20) == (), "the agent is told before its poll ends"
            assert there.store.cancelling(session.id) == (offered.lease_id,)
            with here.bell.listening(job_key(job.id)) as rung:
                await there.writer.do(complete_of(agent, job, offered, code="job.cancelled"))
                await asyncio.wait_for(rung.wait(), 20)
            found = here.store.job("acme", job.id)
            assert found is not None
            assert found.state == "cancelled"

    run(main)


def test_sessions_and_agents_that_are_over_are_over_everywhere(tmp_path: Path, address: str) -> None:
    async def main() -> None:
        async with routers(tmp_path, address) as (here, there):
            agent, session = await session_of(here)
            assert there.session(session.id, agent) == session
            with there.bell.listening(session_key(session.id)) as told:
                await here.writer.do(ops.CloseSession(agent, session.id))
                await asyncio.wait_for(told.wait(), 20)
            await until(lambda: session.id not in there.sessions)
            with pytest.raises(RouterProblem, match=r"^session\.unknown"):
                there.session(session.id, agent)
            other, opened = await session_of(here, "plant-8")
            assert there.session(opened.id, other) == opened
            await here.writer.do(ops.RevokeAgent("acme", other.name))
            await until(lambda: other in there.revoked)
            with pytest.raises(RouterProblem, match=r"^auth\.invalid"):
                there.session(opened.id, other)

    run(main)


def test_two_routers_never_offer_a_job_twice(tmp_path: Path, address: str) -> None:
    async def main() -> None:
        async with routers(tmp_path, address) as hubs:
            sessions = [(await session_of(hub, f"plant-{number}"))[1] for number, hub in enumerate(hubs)]
            jobs = [new_job(time.time()) for _ in range(120)]
            polls = [polling(hub, session, 3) for hub, session in zip(hubs, sessions, strict=True) for _ in range(10)]
            await asyncio.gather(*(hubs[number % 2].parking.submit(submit(job)) for number, job in enumerate(jobs)))
            # The same job at both at once is one job.
            twice = new_job(time.time())
            both = await asyncio.gather(*(hub.parking.submit(submit(twice)) for hub in hubs))
            assert [one.id for one in both] == [twice.id] * 2
            given = [one.job_id for poll in polls for one in await poll]
            while len(given) < len(jobs) + 1:
                for hub, session in zip(hubs, sessions, strict=True):
                    given += [one.job_id for one in await polling(hub, session, 20)]
            assert sorted(given) == sorted([twice.id, *(job.id for job in jobs)])

    run(main)


class _Caller:
    """Calls that are made again until they are answered."""

    def __init__(self) -> None:
        self.unavailable = 0

    async def again(self, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        while True:
            try:
                return await call()
            except StoreError:
                self.unavailable += 1
            except RouterProblem as problem:
                if problem.code != "store.unavailable":
                    raise
                self.unavailable += 1
            await asyncio.sleep(0.1)


async def _work(hub: Hub, who: tuple[AgentId, SessionView], jobs: dict[str, NewJob], ended: set[str]) -> None:
    (agent, session), caller = who, _Caller()
    while len(ended) < len(jobs):
        for offered in await caller.again(lambda: _asked(hub, session)):
            with suppress(RouterProblem):  # an offer may lapse while the store is away
                await caller.again(lambda offered=offered: hub.writer.do(accept_of(agent, session, offered)))  # type: ignore[misc]
                op = complete_of(agent, jobs[offered.job_id], offered)
                landed: ops.Landed = await caller.again(lambda op=op: hub.writer.do(op))  # type: ignore[misc]
                assert landed.job.state == "succeeded"
                ended.add(offered.job_id)


async def _asked(hub: Hub, session: SessionView) -> tuple[Offered, ...]:
    never = asyncio.get_running_loop().create_future()
    return await hub.parking.lease(session, {"sql": 2}, 0.5, never)


async def _crashes(server: pg.Postgres, ended: set[str]) -> int:
    """One of the server's processes is killed: it drops every connection and recovers from its log. How often."""
    crashes = 0
    for share in (20, 60):
        await until(lambda share=share: len(ended) >= share)  # type: ignore[misc]
        with server.admin() as con:
            found = con.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'meridyen-router'"
            ).fetchone()
        assert found is not None
        os.kill(int(str(found[0])), signal.SIGKILL)
        crashes += 1
    return crashes


@pytest.mark.full
def test_a_database_that_restarts_under_load_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "OFFER_SECONDS", 1.0)
    submitter = _Caller()

    async def main(server: pg.Postgres, address: str) -> None:
        async with routers(tmp_path, address) as hubs:
            workers = [await session_of(hub, f"plant-{number}") for number, hub in enumerate(hubs)]
            jobs = {job.id: job for job in (new_job(time.time()) for _ in range(150))}
            ended: set[str] = set()
            working = [
                asyncio.create_task(_work(hub, who, jobs, ended)) for hub, who in zip(hubs, workers, strict=True)
            ]
            crashing = asyncio.create_task(_crashes(server, ended))
            for number, job in enumerate(jobs.values()):
                view: JobView = await submitter.again(
                    lambda job=job, hub=hubs[number % 2]: hub.parking.submit(submit(job))  # type: ignore[misc]
                )
                assert view.id == job.id
                await asyncio.sleep(0.01)
            await asyncio.gather(*working)
            assert await crashing == 2
            for job in jobs.values():
                found = await submitter.again(lambda job=job: asyncio.to_thread(hubs[0].store.job, "acme", job.id))  # type: ignore[misc]
                assert found.state == "succeeded"

    with pg.running(restart_after_crash="on") as server, stores.database(server) as address:
        run(lambda: main(server, address))
