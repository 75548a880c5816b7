"""The sandbox server's life, over real processes: started, shared, replaced, ended; and what jobs get of it."""

import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.core.order import PythonTerms
from agent.service.board import Board
from agent.service.sandboxes import Held, PythonSite, Sandboxes
from agent.service.sandboxserver import Shape
from tests.unit.service.conftest import SANDBOXD

pytestmark = pytest.mark.anyio

REFUSED = "sandbox.isolation"


@dataclass
class Yard:
    """A manager of stand-in servers, and the log of those that were started."""

    log: Path
    python: PythonSite | None = field(default_factory=PythonSite)
    board: Board = field(default_factory=Board)

    def make(
        self, say: str = "full", *more: str, retry_seconds: float = 60.0, settle_seconds: float = 0.0
    ) -> Sandboxes:
        command = (sys.executable, "-I", SANDBOXD, "--say", say, "--log", str(self.log), *more)
        return Sandboxes(
            lambda: self.python, command=command, retry_seconds=retry_seconds, settle_seconds=settle_seconds
        )

    @property
    def started(self) -> list[int]:
        return [int(line.split()[0]) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    @asynccontextmanager
    async def running(self, sandboxes: Sandboxes) -> AsyncIterator[Sandboxes]:
        """With its loop, as in the service."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sandboxes.run, self.board)
            with anyio.fail_after(30):
                yield sandboxes
            tasks.cancel_scope.cancel()
        await sandboxes.aclose()


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path / "started")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def held_once(sandboxes: Sandboxes, python: PythonSite | None) -> Held:
    async with sandboxes.held("python", python) as held:
        return held


async def test_only_a_python_job_starts_the_server_and_the_next_one_shares_it(yard: Yard) -> None:
    sandboxes = yard.make()
    for kind in ("sql", "catalog", "explain"):
        async with sandboxes.held(kind, yard.python) as held:
            assert held == Held()
    assert yard.started == []
    async with sandboxes.held("python", yard.python) as first, sandboxes.held("python", yard.python) as second:
        assert first == second
        assert (first.isolation, first.code) == ("+sandbox-full", "")
        assert first.requests is not None
        with socket.socket(fileno=os.dup(first.requests)) as channel:
            assert channel.type == socket.SOCK_SEQPACKET
    assert [sandboxes.server_pid] == yard.started
    await sandboxes.aclose()
    assert not alive(yard.started[0])


async def test_a_site_without_python_has_no_server_and_its_jobs_no_channel(yard: Yard) -> None:
    yard.python = None
    sandboxes = yard.make()
    assert await held_once(sandboxes, None) == Held()
    async with yard.running(sandboxes):
        await anyio.wait_all_tasks_blocked()
        assert (sandboxes.view.state, yard.started, yard.board.findings) == ("off", [], {})


async def test_jobs_that_come_at_once_wait_for_one_server(yard: Yard) -> None:
    sandboxes = yard.make()
    got: list[Held] = []

    async def job() -> None:
        got.append(await held_once(sandboxes, yard.python))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(job)
    assert len(set(got)) == len(yard.started) == 1
    await sandboxes.aclose()


@pytest.mark.parametrize(
    ("say", "min_tier", "isolation", "sentence"),
    [
        ("none", "container", "+sandbox-none", "cannot be isolated on this machine: unshare was refused"),
        ("container", "full", "+sandbox-none", "here is container, and python.min_tier asks for full"),
        ("nothing", "container", "+sandbox-none", "it ended before it was ready"),
    ],
)
async def test_below_the_tier_no_job_gets_a_channel_and_no_server_stays(
    yard: Yard, say: str, min_tier: Any, isolation: str, sentence: str
) -> None:
    yard.python = PythonSite(min_tier=min_tier)
    async with yard.running(yard.make(say)) as sandboxes:
        assert await held_once(sandboxes, yard.python) == Held(isolation, None, REFUSED)
        assert not any(map(alive, yard.started))
        assert sandboxes.view.state == "failed"
        found = yard.board.findings["sandbox"]
        assert sentence in found.line()
        assert not found.note
        assert say == "nothing" or "Fix: Allow user namespaces; `agent doctor sandbox`" in found.line()


async def test_the_lesser_tier_is_advice_and_says_how_to_reach_the_better_one(yard: Yard) -> None:
    async with yard.running(yard.make("container")) as sandboxes:
        assert (await held_once(sandboxes, yard.python)).isolation == "+sandbox-container"
        found = yard.board.findings["sandbox"]
        assert found.note
        assert "`container`, not `full` (unshare was refused). Fix: Allow user namespaces;" in found.line()


async def test_a_job_keeps_the_tier_that_it_was_claimed_under(yard: Yard) -> None:
    sandboxes = yard.make("container")
    strict = PythonSite(min_tier="full")
    assert (await held_once(sandboxes, strict)).code == REFUSED
    assert (await held_once(sandboxes, yard.python)).isolation == "+sandbox-container"
    assert len(yard.started) == 1
    await sandboxes.aclose()


async def test_what_the_operator_declares_around_the_agent_is_named(yard: Yard) -> None:
    yard.python = PythonSite(outer="kata")
    sandboxes = yard.make()
    assert (await held_once(sandboxes, yard.python)).isolation == "+sandbox-full+kata"
    await sandboxes.aclose()


async def test_a_start_that_failed_is_not_repeated_for_every_job_but_for_a_new_configuration(yard: Yard) -> None:
    sandboxes = yard.make("nothing")
    for _ in range(3):
        assert (await held_once(sandboxes, yard.python)).code == REFUSED
    assert len(yard.started) == 1
    sandboxes.reconfigured()
    assert (await held_once(sandboxes, yard.python)).code == REFUSED
    assert len(yard.started) == 2


async def test_a_server_that_dies_is_replaced_for_the_next_job_and_by_itself(yard: Yard, until: Any) -> None:
    async with yard.running(yard.make(retry_seconds=0.1)) as sandboxes:
        await until(lambda: sandboxes.view.state == "ready" and len(yard.started) == 1)
        os.kill(yard.started[0], signal.SIGKILL)
        await until(lambda: len(yard.started) == 2 and sandboxes.server_pid == yard.started[1])
        os.kill(yard.started[1], signal.SIGKILL)
        await until(lambda: not alive(yard.started[1]))
        assert (await held_once(sandboxes, yard.python)).code == ""
        assert len(yard.started) == 3
        assert sandboxes.server_pid == yard.started[2]


async def test_the_channel_of_a_dead_server_reaches_nobody(yard: Yard, until: Any) -> None:
    sandboxes = yard.make()
    async with sandboxes.held("python", yard.python) as held:
        assert held.requests is not None
        with socket.socket(fileno=os.dup(held.requests)) as worker:
            os.kill(yard.started[0], signal.SIGKILL)
            await until(lambda: not alive(yard.started[0]))
            async with sandboxes.held("python", yard.python) as after:
                assert (after.code, after.requests is not None) == ("", True)
                with pytest.raises(OSError, match=r"Broken pipe|reset"):
                    worker.send(b"{}")
    await sandboxes.aclose()


async def test_without_a_job_for_long_the_server_rests_and_the_next_job_starts_it(yard: Yard, until: Any) -> None:
    yard.python = PythonSite(idle_seconds=0.3)
    async with yard.running(yard.make()) as sandboxes:
        async with sandboxes.held("python", yard.python):
            (pid,) = yard.started
            await anyio.sleep(0.5)
            assert alive(pid)  # a job holds it
        await until(lambda: sandboxes.view.state == "resting" and not alive(pid))
        assert yard.board.findings == {}
        async with sandboxes.held("python", yard.python) as held:
            assert held.code == ""
            assert len(yard.started) == 2
        await until(lambda: sandboxes.view.state == "resting")


async def test_it_never_rests_when_told_so(yard: Yard, until: Any) -> None:
    yard.python = PythonSite(idle_seconds=0)
    async with yard.running(yard.make()) as sandboxes:
        await until(lambda: sandboxes.view.state == "ready")
        await anyio.sleep(0.3)
        assert alive(yard.started[0])


async def test_other_settings_get_another_server_and_the_old_one_ends_with_its_last_job(yard: Yard, until: Any) -> None:
    async with yard.running(yard.make()) as sandboxes:
        async with sandboxes.held("python", yard.python) as old:
            yard.python = PythonSite(shape=Shape(at_once=7, memory_mb=77, preload=("json",)))
            sandboxes.reconfigured()
            await until(lambda: len(yard.started) == 2)
            async with sandboxes.held("python", yard.python) as new:
                assert new.requests != old.requests
            assert all(map(alive, yard.started))
        await until(lambda: not alive(yard.started[0]))
        assert alive(yard.started[1])
    assert yard.log.read_text().splitlines()[1].split()[1:] == ["7", "77", "json"]
    assert not alive(yard.started[1])


async def test_settings_that_the_server_does_not_have_leave_it_alone(yard: Yard, until: Any) -> None:
    async with yard.running(yard.make()) as sandboxes:
        await until(lambda: sandboxes.view.state == "ready")
        yard.python = replace(PythonSite(), terms=PythonTerms(imports=("json",), scratch_mb=1), outer="gvisor")
        sandboxes.reconfigured()
        assert (await held_once(sandboxes, yard.python)).isolation == "+sandbox-full+gvisor"
        assert len(yard.started) == 1


@pytest.mark.parametrize("wanted", [None, "full"])
async def test_switching_python_off_or_asking_for_more_ends_the_server(yard: Yard, until: Any, wanted: Any) -> None:
    async with yard.running(yard.make("container")) as sandboxes:
        await until(lambda: sandboxes.view.state == "ready")
        yard.python = PythonSite(min_tier=wanted) if wanted else None
        sandboxes.reconfigured()
        await until(lambda: sandboxes.server_pid is None and not any(map(alive, yard.started)))


async def test_the_load_is_what_the_server_says(yard: Yard, until: Any) -> None:
    async with yard.running(yard.make("full", "--loaded", "2")) as sandboxes:
        await until(lambda: sandboxes.view.running == 2)
        assert (sandboxes.view.waiting, round(sandboxes.view.memory_mb)) == (1, 300)


async def test_the_end_ends_the_server_that_jobs_still_hold_too(yard: Yard) -> None:
    sandboxes = yard.make()
    async with sandboxes.held("python", yard.python):
        yard.python = PythonSite(shape=Shape(at_once=9))
        async with sandboxes.held("python", yard.python):
            assert all(map(alive, yard.started))
            await sandboxes.aclose()
            assert [alive(pid) for pid in yard.started] == [False, False]


async def test_a_job_that_is_cancelled_while_the_server_starts_leaves_none(yard: Yard, until: Any) -> None:
    sandboxes = yard.make("hangs")  # no such tier: it ends by itself, after the job has
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(held_once, sandboxes, yard.python)
        await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    await until(lambda: not any(map(alive, yard.started)))
    await sandboxes.aclose()
