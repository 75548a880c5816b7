"""The Router: from a submission to the agent, and jobs through the store, many in a commit against one in each."""

import asyncio
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.wire.ids import new_ulid
from benchmarks.figures import Figure, milliseconds
from router.core import ops
from router.core.agents import AgentId, Hello, NewToken
from router.core.jobs import Manifest, NewJob
from router.service.bell import Bell
from router.service.parking import Parking
from router.service.writer import MOST_IN_A_BATCH, Writer
from router.store.port import Store
from tests.router import stores
from tests.router.server import site
from tests.support import postgres as pg

GROUP = "router"
JOBS = {MOST_IN_A_BATCH: 2000, 1: 300}
"""How many go through the store, by the most operations that a commit has."""
CALLERS = 64
ROUNDS = 200
TLS_ROUNDS = 60
ENVELOPE, MANIFEST, PARTS = b"e" * 800, b"m" * 900, b"p" * 1040


def run(folder: Path) -> Iterator[Figure]:
    """Both stores as they are used: the file synced at each commit, PostgreSQL without (its disk is not measured)."""
    with pg.running() as server, stores.postgres(server) as make:
        for name, store in (("SQLite", stores.sqlite(folder)), ("PostgreSQL", make())):
            with _agent(store) as agent:
                yield asyncio.run(_handed_over(name, store, agent))
                yield from _throughput(name, store, agent)
            store.close()
    yield _over_tls(folder / "site")


class _Agent:
    def __init__(self, store: Store) -> None:
        now, secret = time.time(), new_ulid(time.time())
        self.id, self.session = AgentId(tenant="bench", name="agent"), new_ulid(now)
        token = NewToken(
            id=secret,
            hash=secret,
            kind="enroll",
            tenant="bench",
            pools=("pool",),
            labels={},
            uses=1,
            expires=now + 600,
            created=now,
        )
        hello = Hello(agent=self.id, instance=new_ulid(now), previous=None, labels={}, slots={"sql": 4}, version="1")
        store.apply([ops.PutToken(token)], now)
        store.apply([ops.Enroll(secret, "agent", {}, "1", now + 86_400)], now)
        (self.view,) = store.apply([ops.OpenSession(hello, self.session)], now)

    def lease(self, free: int) -> ops.Lease:
        return ops.Lease(self.session, "bench", "agent", "pool", {"sql": free})


@contextmanager
def _agent(store: Store) -> Iterator[_Agent]:
    yield _Agent(store)


def _job() -> ops.Submit:
    now = time.time()
    job = NewJob(
        id=new_ulid(now),
        tenant="bench",
        audience="pool:pool",
        digest=new_ulid(now),
        kid="k",
        kind="sql",
        priority=0,
        idempotent=False,
        max_attempts=1,
        not_before=now - 1,
        expires=now + 600,
        result_until=now + 6000,
        envelope=ENVELOPE,
        submitter="s",
    )
    return ops.Submit(job, 10**6, 10**12)


async def _handed_over(name: str, store: Store, agent: _Agent) -> Figure:
    """A parked poll gets the job that is submitted, one at a time."""
    writer = Writer(store)
    parking = Parking(writer, Bell())
    writer.start()
    seconds = []
    for _ in range(ROUNDS):
        view: Any = agent.view
        never = asyncio.get_running_loop().create_future()
        poll = asyncio.create_task(parking.lease(view, {"sql": 1}, 60, never))
        while not parking.parked:  # noqa: ASYNC110 - a turn of the loop or two
            await asyncio.sleep(0)
        begun = time.perf_counter()
        submitted = asyncio.create_task(parking.submit(_job()))
        if len(await poll) != 1:
            raise SystemExit("a parked poll got nothing")
        seconds.append(time.perf_counter() - begun)
        await submitted
    await writer.close()
    return _quantiles(f"submission to a parked agent, {name}", seconds, limit=250.0)


def _throughput(name: str, store: Store, agent: _Agent) -> Iterator[Figure]:
    """Lease, accept and result of jobs that are queued."""
    rates = {most: asyncio.run(_rate(store, agent, most, count)) for most, count in JOBS.items()}
    together, alone = rates[MOST_IN_A_BATCH], rates[1]
    detail = {"jobs_per_second": together, "with_a_commit_for_each": alone}
    yield Figure(group=GROUP, name=f"a job, {name}", value=1000 / together, unit="ms", limit=1.0, detail=detail)
    # What a commit of one costs a file is its disk's sync: nothing to promise there.
    limit = 0.5 if name == "PostgreSQL" else None
    yield Figure(group=GROUP, name=f"share of a commit for each, {name}", value=alone / together, unit="x", limit=limit)


async def _rate(store: Store, agent: _Agent, most: int, count: int) -> float:
    writer = Writer(store, most=most)
    writer.start()
    digests = {}
    for _ in range(0, count, 100):
        some = [_job() for _ in range(100)]
        digests.update({op.job.id: op.job.digest for op in some})
        await asyncio.gather(*map(writer.do, some))

    async def call() -> int:
        done = 0
        while offered := await writer.do(agent.lease(2)):
            for one in offered:
                lease = (one.lease_id, one.fence)
                await writer.do(ops.Accept(agent.id, one.job_id, *lease, agent.session))
                manifest = _manifest(one.job_id, digests[one.job_id])
                landed = await writer.do(ops.Complete(agent.id, one.job_id, *lease, manifest, PARTS))
                done += landed.job.state == "succeeded"
        return done

    begun = time.perf_counter()
    done = sum(await asyncio.gather(*(call() for _ in range(CALLERS))))
    seconds = time.perf_counter() - begun
    await writer.close()
    if done != len(digests):
        raise SystemExit(f"{done} jobs of {len(digests)} ended")
    return done / seconds


def _manifest(job: str, digest: str) -> Manifest:
    result = new_ulid(time.time())
    return Manifest(
        job_id=job,
        job_digest=digest,
        result_id=result,
        attempt=1,
        outcome="completed",
        code="ok",
        digest=result,
        parts=(("p" * 64, len(PARTS)),),
        token=MANIFEST,
    )


def _over_tls(folder: Path) -> Figure:
    """The same through both HTTP interfaces, with real certificates; Router and callers share the machine."""
    seconds = []
    with site.running(folder) as here:
        agent, caller = here.agent(), here.submitter()
        for _ in range(TLS_ROUNDS):
            at: list[float] = []
            poll = threading.Thread(target=lambda at=at: at.append(_polled(agent)))
            poll.start()
            while not here.hub.parking.parked:
                time.sleep(0.001)
            begun = time.perf_counter()
            site.submitted(caller)
            poll.join()
            seconds.append(at[0] - begun)
    return _quantiles("submission to a parked agent, over TLS", seconds, limit=250.0)


def _polled(agent: site.Agent) -> float:
    if agent.lease(20).status_code != 200:
        raise SystemExit("a parked poll got nothing")
    return time.perf_counter()


def _quantiles(name: str, seconds: list[float], limit: float) -> Figure:
    detail = milliseconds(seconds)
    detail["p99"] = statistics.quantiles(seconds, n=100)[98] * 1000
    return Figure(group=GROUP, name=f"{name}, p99", value=detail["p99"], unit="ms", limit=limit, detail=detail)
