"""The Router as a process, over TLS with certificates: how soon an agent has a job, and how many jobs go through it."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.figures import Figure, milliseconds
from benchmarks.routing import NOTHING, TOKEN, Agent, Made, Place, Result, Wire, made, only, processor
from router.service.writer import MOST_IN_A_BATCH
from tests.router import stores
from tests.support import postgres as pg

GROUP = "router"
ROUNDS = 200
WARM = 20
CALLERS = 24
SECONDS = 10.0
"""At most, for each rate: what is done by then counts."""
JOBS = {MOST_IN_A_BATCH: 6000, 1: 3000}
"""How many wait at the start, by the most operations that a commit has."""
HAS_IT_MS = {"SQLite": (2.0, 10.0), "PostgreSQL": (4.0, 15.0)}
JOBS_PER_SECOND = {"SQLite": 1500, "PostgreSQL": 1000}
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


def run(folder: Path) -> Iterator[Figure]:
    """Both stores, each of them durable at every commit. The callers share the machine with the Router."""
    for name in HAS_IT_MS:
        with _address(name) as address:
            yield from _has_it(name, Place(folder / f"{name}-latency", address))
        rates = {}
        for most in JOBS:
            with _address(name) as address:
                rates[most] = _rate(Place(folder / f"{name}-{most}", address), most)
        yield from _rates(name, rates)


@contextmanager
def _address(name: str) -> Iterator[str | None]:
    with pg.running(**DURABLE) if name == "PostgreSQL" else nullcontext() as server:
        if server is None:
            yield None
        else:
            with stores.database(server) as address:
                yield address


def _has_it(name: str, place: Place) -> Iterator[Figure]:
    (pair,) = place.enroll(1)
    with place.serving():
        seconds = asyncio.run(_submissions(place, Agent(place.port, place.tls(pair)), made(ROUNDS + WARM)))[WARM:]
    detail = milliseconds(seconds) | {"p99": statistics.quantiles(seconds, n=100)[98] * 1000}
    for quantile, limit in zip(("median", "p99"), HAS_IT_MS[name], strict=True):
        title = f"submission → an agent has it, {name}, {'p50' if quantile == 'median' else quantile}"
        yield Figure(group=GROUP, name=title, value=detail[quantile], unit="ms", limit=limit, detail=detail)


async def _submissions(place: Place, agent: Agent, jobs: list[Made]) -> list[float]:
    """From the first byte of the submission to the last one of the offer, one at a time."""
    seconds = []
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/jose"}
    async with agent, Wire(place.port, place.tls()) as submitter:
        await agent.open()
        for job in jobs:
            agent.poll(60)
            await asyncio.sleep(0.005)  # it is parked by then
            begun = time.perf_counter()
            submitter.ask("POST", "/jobs", job.envelope, headers)
            status, body = await agent.answer()
            seconds.append(time.perf_counter() - begun)
            submitted, _ = await submitter.answer()
            if (status, submitted) != (200, 202):
                raise SystemExit(f"a parked poll got nothing: {status}, {submitted}")
            await agent.finish(only(body), job.result)
    return seconds


@dataclass(frozen=True)
class _Rate:
    """`router` and `callers` are milliseconds of processor time for a job, which say more on a busy machine."""

    jobs_per_second: float
    router: float
    callers: float


def _rate(place: Place, most: int) -> _Rate:
    """Lease, accept, result: three calls for each job."""
    pairs, jobs = place.enroll(CALLERS), made(JOBS[most])
    place.put([job.submit() for job in jobs])
    with place.serving(most=most) as process:
        agents = [Agent(place.port, place.tls(pair)) for pair in pairs]
        return asyncio.run(_drained(agents, {job.id: job.result for job in jobs}, process.pid))


async def _drained(agents: list[Agent], results: dict[str, Result], pid: int) -> _Rate:
    done, until = 0, 0.0

    async def work(agent: Agent) -> None:
        nonlocal done
        while time.perf_counter() < until:
            agent.poll(0)
            status, body = await agent.answer()
            if status == NOTHING:
                return
            job = only(body)
            await agent.finish(job, results[job["job"]])
            done += 1

    async with AsyncExitStack() as connected:
        for agent in agents:
            await connected.enter_async_context(agent)
            await agent.open()
        begun, theirs, own = time.perf_counter(), processor(pid), time.process_time()
        until = begun + SECONDS
        await asyncio.gather(*map(work, agents))
        seconds = time.perf_counter() - begun
        theirs, own = processor(pid) - theirs, time.process_time() - own
    return _Rate(done / seconds, 1000 * theirs / done, 1000 * own / done)


def _rates(name: str, rates: dict[int, _Rate]) -> Iterator[Figure]:
    together, alone = rates[MOST_IN_A_BATCH], rates[1]
    detail = {"callers": CALLERS, "together": asdict(together), "a_commit_for_each": asdict(alone)}
    took, limit = 1000 / together.jobs_per_second, 1000 / JOBS_PER_SECOND[name]
    yield Figure(group=GROUP, name=f"a job, {name}", value=took, unit="ms", limit=limit, detail=detail)
    share = alone.jobs_per_second / together.jobs_per_second
    title = f"share of a commit for each, {name}"
    yield Figure(group=GROUP, name=title, value=share, unit="x", limit=0.5, detail=detail)
