"""A thousand agents, each with a session: what they cost a Router while they wait, and how they come back."""

import asyncio
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.routing import NOTHING, Agent, Place, processor, resident, wait_for

_wait_for = wait_for
GROUP = "router, idle"
AGENTS = 1000
POLL_SECONDS = 25
SECONDS = 30.0
"""Longer than a poll, so that each agent asks again in it."""
SPREAD_SECONDS = 15.0
"""Over which agents spread that lost their link together: `transport.https.reconnect_seconds`."""
AT_ONCE = 20
_SLOTS = 250
"""Agents that call from one address."""


def run(folder: Path) -> Iterator[Figure]:
    """Memory and processor time of the Router's process alone."""
    place = Place(folder / "site")
    pairs = place.enroll(AGENTS)
    agents = [Agent(place.port, place.tls(pair), f"127.0.1.{1 + n // _SLOTS}") for n, pair in enumerate(pairs)]
    with place.serving() as process:
        time.sleep(1)
        before = resident(process.pid)
        kib, cpu = asyncio.run(_idle(agents, process.pid, before))
    yield Figure(group=GROUP, name=f"memory of each of {AGENTS} agents", value=kib, unit="KiB", limit=90.0)
    yield Figure(group=GROUP, name=f"processor for {AGENTS} agents", value=cpu * 100, unit="%", limit=3.0)
    with place.serving():
        refused, seconds = asyncio.run(_return(agents))
    detail = {"median": statistics.median(seconds) * 1000, "longest": max(seconds) * 1000, "spread": SPREAD_SECONDS}
    yield Figure(
        group=GROUP, name=f"refusals when {AGENTS} agents come back", value=refused, unit="", limit=0.0, detail=detail
    )


async def _idle(agents: list[Agent], pid: int, before: int) -> tuple[float, float]:
    gate = asyncio.Semaphore(AT_ONCE)
    over = asyncio.Event()

    async def wait(agent: Agent) -> None:
        async with gate:
            await agent.__aenter__()
            await agent.open()
        while not over.is_set():
            agent.poll(POLL_SECONDS)
            status, _ = await agent.answer()
            if status != NOTHING:
                raise SystemExit(f"an idle poll was answered with {status}")

    async with AsyncExitStack() as stack:
        tasks = [asyncio.create_task(wait(agent)) for agent in agents]
        stack.push_async_callback(_hang_up, agents, tasks)
        while not all(agent.session for agent in agents):
            _raise(tasks)
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        began, spent = time.monotonic(), processor(pid)
        await asyncio.sleep(SECONDS)
        share = (processor(pid) - spent) / (time.monotonic() - began)
        _raise(tasks)
        return (resident(pid) - before) / 1024 / len(agents), share


def _raise(tasks: "list[asyncio.Task[None]]") -> None:
    for task in tasks:
        if task.done():
            task.result()


async def _hang_up(agents: list[Agent], tasks: "list[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for agent in agents:
        if agent.session:
            await agent.__aexit__()


async def _return(agents: list[Agent]) -> tuple[int, list[float]]:
    """As after a restart of the Router: each after a wait of its own, with a session, and a poll that is parked."""
    seconds: list[float] = []
    refused = 0

    async def again(agent: Agent) -> None:
        nonlocal refused
        await asyncio.sleep(random.uniform(0, SPREAD_SECONDS))
        begun = time.monotonic()
        try:
            await agent.__aenter__()
            await agent.open(previous=agent.instance)
            agent.poll(1)
            status, _ = await agent.answer()
        except (OSError, asyncio.IncompleteReadError, SystemExit):
            refused += 1
            return
        refused += status != NOTHING
        seconds.append(time.monotonic() - begun - 1)
        await agent.__aexit__()

    async with asyncio.timeout(SPREAD_SECONDS + 45):
        await asyncio.gather(*map(again, agents))
    return refused, seconds or [0.0]
