"""What a worker announced and did not take back is ended by another worker, however the first one ended."""

import json
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any, BinaryIO

import anyio
import pytest

from agent.core.limits import Limits
from agent.core.order import Order
from agent.core.ports import Ended, Finding
from agent.service.launcher import ProcessLauncher
from tests.unit.service.test_launcher import HOSTILE, order

pytestmark = pytest.mark.anyio


class Told:
    """A server that workers tell, over TCP, what they were sent for."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self.endpoint = ["127.0.0.1", self._server.getsockname()[1]]

    def heard(self) -> list[Any]:
        """Everything until now."""
        found = []
        while True:
            try:
                line, _ = self._server.accept()
            except BlockingIOError:
                return found
            with line, line.makefile() as file:
                line.settimeout(5)
                found.append(json.loads(file.read()))

    async def first(self) -> list[Any]:
        """What is heard first."""
        await anyio.wait_readable(self._server)
        return self.heard()

    def close(self) -> None:
        self._server.close()


@pytest.fixture
async def launcher() -> AsyncIterator[ProcessLauncher]:
    launcher = ProcessLauncher(HOSTILE)
    await launcher.start()
    yield launcher
    await launcher.aclose()


@pytest.fixture
def told() -> Iterator[Told]:
    server = Told()
    yield server
    server.close()


@pytest.fixture
def parts() -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as file:
        yield file


def asking(told: Told, do: str, *announce: str, **source: object) -> Order:
    asked = order(do=do, announce=announce, connects=[told.endpoint])
    return replace(asked, sources={"s": json.dumps({"connects": [told.endpoint], **source})})


@pytest.mark.parametrize(
    ("do", "limits", "code"),
    [
        ("sleep", Limits(wall_seconds=0.3), "limit.wall"),
        ("segfault", Limits(), "worker.crashed"),
        ("exit_silently", Limits(), "worker.crashed"),
        ("fail", Limits(), "internal.error"),
        ("say_ok_and_crash", Limits(), "worker.crashed"),
        ("nothing", Limits(), "ok"),
    ],
)
async def test_what_still_stands_is_ended(  # noqa: PLR0917 - fixtures
    launcher: ProcessLauncher, told: Told, parts: BinaryIO, do: str, limits: Limits, code: str
) -> None:
    ended = await launcher.work(asking(told, do, "s:one", "s:two"), limits, parts.fileno())
    assert ended.code == code
    assert told.heard() == [["cancel", "s:one", "s:two"]]


async def test_what_was_taken_back_is_left_alone(launcher: ProcessLauncher, told: Told, parts: BinaryIO) -> None:
    ended = await launcher.work(asking(told, "nothing", "s:one", ""), Limits(), parts.fileno())
    assert ended.code == "ok"
    assert told.heard() == []


async def test_a_worker_that_somebody_kills(launcher: ProcessLauncher, told: Told, parts: BinaryIO) -> None:
    ended: list[Ended] = []

    async def work() -> None:
        ended.append(await launcher.work(asking(told, "sleep_told", "s:one"), Limits(), parts.fileno()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        os.kill(await asleep(told), signal.SIGKILL)
    assert ended[0].code == "worker.crashed"
    assert told.heard() == [["cancel", "s:one"]]


async def test_a_job_that_is_cancelled(launcher: ProcessLauncher, told: Told, parts: BinaryIO) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(launcher.work, asking(told, "sleep_told", "s:one"), Limits(), parts.fileno())
        await asleep(told)
        tasks.cancel_scope.cancel()
    assert told.heard() == [["cancel", "s:one"]]


async def test_the_end_of_everything(launcher: ProcessLauncher, told: Told, parts: BinaryIO) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(launcher.work, asking(told, "sleep_told", "s:one"), Limits(), parts.fileno())
        await asleep(told)
        await launcher.aclose()
    assert told.heard() == [["cancel", "s:one"]]


async def test_a_server_that_dies(launcher: ProcessLauncher, told: Told, parts: BinaryIO) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(launcher.work, asking(told, "sleep_told", "s:one"), Limits(), parts.fileno())
        await asleep(told)
        assert launcher.server_pid is not None
        os.kill(launcher.server_pid, signal.SIGKILL)
    assert told.heard() == [["cancel", "s:one"]]


async def test_it_is_tried_twice_and_the_job_ends_as_it_did(
    launcher: ProcessLauncher, told: Told, parts: BinaryIO, caplog: pytest.LogCaptureFixture
) -> None:
    asked = asking(told, "nothing", "s:secret-handle", fails=True)
    assert (await launcher.work(asked, Limits(), parts.fileno())).code == "ok"
    assert told.heard() == [["cancel", "s:secret-handle"]] * 2
    assert "could not be ended at its source: source.unavailable" in caplog.text
    assert "secret-handle" not in caplog.text


async def test_an_errand_gets_nothing_of_the_job(launcher: ProcessLauncher, told: Told) -> None:
    asked = replace(asking(told, "nothing", say="hello"), token_key=b"k" * 32)
    assert await launcher.examine(asked, 5) == (Finding("said", "ok", "hello"),)
    assert told.heard() == [["examine"]]


async def test_an_errand_that_fails_or_hangs_ends_with_a_code(launcher: ProcessLauncher, told: Told) -> None:
    assert await launcher.examine(asking(told, "nothing", fails=True), 5) == "source.unavailable"
    assert await launcher.examine(replace(order(), sources={}), 5) == "internal.error"


async def asleep(told: Told) -> int:
    """The worker that has announced, and begun to sleep."""
    with anyio.fail_after(10):
        heard = await told.first()
    [[word, pid]] = heard
    assert word == "asleep"
    return int(pid)
