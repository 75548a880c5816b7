"""Parts of uploads that were never completed go, an hour after their job's end; all others stay. For every store."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.wire.ids import new_ulid
from router.core import ops
from router.core.agents import AgentId, SessionView
from router.core.jobs import NewJob, Offered
from router.service.sweep import LOOK_SECONDS, Sweep
from router.store.parts import FolderParts
from router.store.port import Parts, Store
from router.store.postgres_parts import PostgresParts
from tests.router import stores
from tests.router.stores import START, World, complete_of
from tests.support import postgres as pg

HOUR = 3600.0


@dataclass
class Yard:
    """A store, its parts, one agent at work, and who sweeps."""

    world: World
    parts: Parts
    agent: AgentId
    session: SessionView
    sweep: Sweep

    def running(self, **more: object) -> tuple[NewJob, Offered]:
        return self.world.running(self.session, self.agent, **more)

    def upload(self, job: NewJob) -> str:
        """Two parts of a result of this job."""
        result = new_ulid(START)
        assert self.parts.claim(result, job.id)
        for number in range(2):
            self.parts.put(result, number, "d" * 64, b"sealed")
        return result

    def end(self, job: NewJob, offered: Offered) -> None:
        self.world.do(ops.Rejected(self.agent, job.id, offered.lease_id, offered.fence, "envelope.field"))

    def look(self, seconds: float = 0.0) -> tuple[str, ...]:
        self.world.now += seconds
        return self.sweep.look(self.world.store, self.parts, self.world.now, HOUR)


@pytest.fixture(params=["sqlite and a folder", "postgresql", "postgresql and a folder"])
def yard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Yard]:
    def made(store: Store, parts: Parts) -> Yard:
        world = World(store)
        agent = world.agent()
        return Yard(world, parts, agent, world.session(agent), Sweep())

    if request.param == "sqlite and a folder":
        store = stores.sqlite(tmp_path)
        yield made(store, FolderParts(tmp_path / "parts"))
        store.close()
        return
    server: pg.Postgres = request.getfixturevalue("postgres")
    with stores.database(server) as address:
        shared = stores.PostgresStore(address)
        parts: Parts = FolderParts(tmp_path / "parts") if "folder" in request.param else PostgresParts(address)
        yield made(shared, parts)
        parts.close()
        shared.close()


def test_parts_of_a_job_that_goes_on_stay(yard: Yard) -> None:
    job, _ = yard.running()
    result = yard.upload(job)
    assert [yard.look(), yard.look(2 * HOUR), yard.look(2 * HOUR)] == [()] * 3
    assert len(yard.parts.held(result)) == 2


def test_parts_of_a_job_that_ended_without_them_go_after_their_time(yard: Yard) -> None:
    job, offered = yard.running()
    result, going_on = yard.upload(job), yard.upload(yard.running()[0])
    assert yard.look() == ()
    yard.end(job, offered)
    assert [yard.look(10 * HOUR), yard.look(HOUR - 1)] == [(), ()]  # whoever is still sending has an hour
    assert yard.parts.held(result)
    assert yard.look(1) == (result,)
    assert yard.parts.held(result) == {}
    assert yard.parts.owners().keys() == {going_on}
    assert yard.look(2 * HOUR) == ()


def test_parts_of_a_job_that_is_not_known_go(yard: Yard) -> None:
    """Its row was deleted, or the Router died between the commit that said so and the folder."""
    unclaimed = new_ulid(START)
    yard.parts.put(unclaimed, 0, "d" * 64, b"sealed")
    gone = yard.upload(stores.new_job(START))
    assert yard.look() == ()
    assert set(yard.look(HOUR)) == {unclaimed, gone}
    assert yard.parts.owners() == {}


def test_a_complete_result_stays_until_it_is_forgotten(yard: Yard) -> None:
    job, offered = yard.running()
    result = yard.upload(job)
    yard.world.do(complete_of(yard.agent, job, offered, result=result))
    assert [yard.look(), yard.look(2 * HOUR)] == [(), ()]
    assert len(yard.parts.held(result)) == 2
    assert yard.world.do(ops.Fetched(job.tenant, job.id)) == result
    assert [yard.look(), yard.look(HOUR)] == [(), (result,)]  # as when the Router dies before it deletes them itself


def test_a_late_result_that_is_kept_aside_keeps_its_parts(yard: Yard) -> None:
    job, first = yard.running(idempotent=True, max_attempts=2)
    early = yard.upload(job)
    yard.world.tick(61 + 60)  # lost with its session, and queued again
    other = yard.world.agent("other")
    session = yard.world.session(other)
    (second,) = yard.world.lease(session)
    yard.world.do(stores.accept_of(other, session, second))
    counted = yard.upload(job)
    yard.world.do(complete_of(other, job, second, result=counted))
    yard.world.do(complete_of(yard.agent, job, first, result=early, digest="e"))
    assert [yard.look(), yard.look(2 * HOUR)] == [(), ()]
    assert yard.parts.owners().keys() == {early, counted}


def test_one_that_is_completed_after_all_has_its_time_again(yard: Yard) -> None:
    """Abandoned is what it has been without a break."""
    job, offered = yard.running()
    result = yard.upload(job)
    yard.end(job, offered)
    assert yard.look() == ()
    late = complete_of(yard.agent, job, offered, result=result)
    yard.world.do(late)
    assert yard.look(HOUR) == ()
    assert len(yard.parts.held(result)) == 2


def test_very_many_uploads_are_looked_through(yard: Yard) -> None:
    job, offered = yard.running()
    every = {new_ulid(START): job.id for _ in range(1001)}
    assert yard.world.store.abandoned(every) == frozenset()
    yard.end(job, offered)
    assert yard.world.store.abandoned(every) == frozenset(every)


def test_when_it_is_time() -> None:
    sweep = Sweep()
    assert sweep.due(START)
    sweep.look(_Empty(), _Empty(), START, HOUR)  # type: ignore[arg-type]
    assert not sweep.due(START + LOOK_SECONDS - 1)
    assert sweep.due(START + LOOK_SECONDS)
    assert sweep.due(START - 10)  # the clock was set back


class _Empty:
    """No store and no parts: nothing is there."""

    def owners(self) -> dict[str, str]:
        return {}

    def abandoned(self, uploads: dict[str, str]) -> frozenset[str]:
        return frozenset(uploads)
