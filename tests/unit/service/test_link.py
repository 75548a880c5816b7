"""The link's side of progress: told once a phase, and an agent with nothing to do wakes up for nothing."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest

from agent.core.ports import LinkView, Phase, Told
from agent.service import link
from agent.service.board import Board
from agent.service.link import Link
from agent.service.running import Running

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "_AGAIN_SECONDS", 0.01)


@dataclass
class Far:
    """A carrier with a far side that hears all; `looks` counts how often it was asked how it is."""

    session: str | None = "s"
    looks: int = 0
    heard: list[tuple[str, Phase]] = field(default_factory=list)

    def view(self) -> LinkView:
        self.looks += 1
        return LinkView(session=self.session)

    async def report(self, ref: str, phase: Phase, rows: str | None = None) -> None:
        self.heard.append((ref, phase))

    def enrolled(self) -> bool:
        return True

    async def run(self, told: Told, under_way: Callable[[str], bool]) -> None:
        await anyio.sleep_forever()

    async def announce_drain(self) -> None: ...

    async def aclose(self) -> None: ...


@asynccontextmanager
async def linked(far: Far) -> AsyncIterator[tuple[Link, Board]]:
    board = Board()
    made = Link(far, Running({"sql": 1, "python": 1}), board)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(made.run)
        yield made, board
        tasks.cancel_scope.cancel()


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - any of many things
            await anyio.sleep(0.005)


async def test_once_it_was_met_an_idle_agent_does_not_wake_up() -> None:
    far = Far(session=None)
    async with linked(far) as (_, board):
        await until(lambda: far.looks > 3)
        assert not board.met
        far.session = "s"
        await until(lambda: board.met)
        await anyio.sleep(0.05)
        before = far.looks
        await anyio.sleep(0.1)
        assert far.looks == before


async def test_each_phase_is_told_once_also_of_a_job_that_begins_again() -> None:
    far = Far()
    async with linked(far) as (made, board):
        await until(lambda: board.met)
        for _ in range(2):
            for phase in ("running", "sealing"):
                made.progress("job", phase)
                await until(lambda phase=phase: far.heard[-1:] == [("job", phase)])
            await anyio.sleep(0.05)
            made.ended("job")
            await anyio.sleep(0.05)
    assert far.heard == [("job", "running"), ("job", "sealing")] * 2
