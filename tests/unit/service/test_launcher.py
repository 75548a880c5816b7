"""The launcher over a real server: cancel, crash and restart, and that everything dies with the service."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO

import anyio
import pytest

from agent.core.job import Me
from agent.core.limits import Limits
from agent.core.order import Order
from agent.service.launcher import ProcessLauncher
from agent.service.workerserver import ServerError, WorkerServer

pytestmark = pytest.mark.anyio

Fifo = tuple[Path, int]
HOSTILE = (sys.executable, "-I", str(Path(__file__).parents[1] / "worker" / "hostile.py"))


def order(**asked: object) -> Order:
    return Order(
        envelope=json.dumps(asked).encode(),
        trust="",
        me=Me(tenant="t", agent="a", pool="p"),
        now=0,
        attempt=1,
        result_id="01ARZ3NDEKTSV4RRFFQ69G5FAV",
        policy="",
        policy_sha256="",
        token_key=None,
        sources={"s": None},
        limits=Limits(),
        isolation="test",
    )


@pytest.fixture
async def launcher() -> AsyncIterator[ProcessLauncher]:
    launcher = ProcessLauncher(HOSTILE)
    await launcher.start()
    yield launcher
    await launcher.aclose()


@pytest.fixture
def parts() -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as file:
        yield file


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Fifo]:
    path = tmp_path / "pids"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR)
    yield path, fd
    os.close(fd)


async def read_pids(fd: int, count: int) -> list[int]:
    data = b""
    while data.count(b"\n") < count:
        await anyio.wait_readable(fd)
        data += os.read(fd, 4096)
    return [int(line) for line in data.split()]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def ended(pids: list[int], within_seconds: float) -> bool:
    """Wait until all of these are gone."""
    give_up = time.monotonic() + within_seconds
    for pid in pids:
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not select.select([pidfd], [], [], max(0, give_up - time.monotonic()))[0]:
                return False
        finally:
            os.close(pidfd)
    return True


async def test_a_report_comes_back(launcher: ProcessLauncher, parts: BinaryIO) -> None:
    got = await launcher.work(order(do="echo", say=1), Limits(), parts.fileno())
    assert (got.code, got.report.parcel.attempt) == ("ok", 1)
    assert launcher.isolation.startswith("landlock")


async def test_an_order_larger_than_a_pipe_arrives(launcher: ProcessLauncher, parts: BinaryIO) -> None:
    said = "x" * (3 << 20)
    assert (await launcher.work(order(do="echo", say=said), Limits(), parts.fileno())).code == "ok"
    parts.seek(0)
    assert json.load(parts) == said


async def test_the_server_starts_by_itself(parts: BinaryIO) -> None:
    launcher = ProcessLauncher(HOSTILE)
    assert launcher.isolation == "none"
    assert (await launcher.work(order(do="nothing"), Limits(), parts.fileno())).code == "ok"
    await launcher.aclose()


async def test_a_cancelled_job_is_gone_before_work_returns(
    launcher: ProcessLauncher, parts: BinaryIO, fifo: Fifo
) -> None:
    path, fd = fifo
    pids = []
    async with anyio.create_task_group() as tasks:
        asked = order(do="sleep", before="leave_a_family", pids=str(path))
        tasks.start_soon(launcher.work, asked, Limits(), parts.fileno())
        pids += await read_pids(fd, 5)
        assert all(map(alive, pids))
        tasks.cancel_scope.cancel()
    assert [pid for pid in pids if alive(pid)] == []
    assert (await launcher.work(order(do="nothing"), Limits(), parts.fileno())).code == "ok"


async def test_a_server_that_dies_takes_its_jobs_and_is_replaced(
    launcher: ProcessLauncher, parts: BinaryIO, fifo: Fifo
) -> None:
    path, fd = fifo
    codes = []

    async def work() -> None:
        asked = order(do="sleep", before="record", pids=str(path))
        codes.append((await launcher.work(asked, Limits(), parts.fileno())).code)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        tasks.start_soon(work)
        pids = await read_pids(fd, 2)
        first = launcher.server_pid
        os.kill(first, signal.SIGKILL)
    assert codes == ["worker.crashed"] * 2
    assert ended(pids, within_seconds=3)
    assert (await launcher.work(order(do="nothing"), Limits(), parts.fileno())).code == "ok"
    assert launcher.server_pid != first


async def test_a_server_that_dies_idle_is_replaced_without_a_loss(launcher: ProcessLauncher, parts: BinaryIO) -> None:
    first = launcher.server_pid
    os.kill(first, signal.SIGKILL)
    assert ended([first], within_seconds=3)
    assert (await launcher.work(order(do="nothing"), Limits(), parts.fileno())).code == "ok"


async def test_an_interrupt_from_the_terminal_is_not_for_the_server(launcher: ProcessLauncher, parts: BinaryIO) -> None:
    first = launcher.server_pid
    os.kill(first, signal.SIGINT)
    assert (await launcher.work(order(do="nothing"), Limits(), parts.fileno())).code == "ok"
    assert launcher.server_pid == first


async def test_a_server_that_does_not_answer_is_killed(
    launcher: ProcessLauncher, parts: BinaryIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.service.launcher._GRACE_SECONDS", 0.2)
    first = launcher.server_pid
    os.kill(first, signal.SIGSTOP)
    assert (await launcher.work(order(do="nothing"), Limits(wall_seconds=0.1), parts.fileno())).code == "worker.crashed"
    assert not alive(first)
    assert (await launcher.work(order(do="nothing"), Limits(), parts.fileno())).code == "ok"


@pytest.mark.parametrize("command", [("/bin/false",), ("/no/such/program",), (sys.executable, "-I", "-c", "")])
async def test_a_server_that_cannot_start_is_told(command: tuple[str, ...], parts: BinaryIO) -> None:
    launcher = ProcessLauncher(command)
    with pytest.raises(ServerError):
        await launcher.start()
    assert (await launcher.work(order(do="nothing"), Limits(), parts.fileno())).code == "worker.crashed"
    await launcher.aclose()


async def test_a_server_that_never_gets_ready_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.service.workerserver._START_SECONDS", 0.2)
    with pytest.raises(ServerError, match="not ready within"):
        await WorkerServer.start((sys.executable, "-I", "-c", "import time; time.sleep(600)"))


async def test_close_ends_server_and_jobs(parts: BinaryIO, fifo: Fifo) -> None:
    path, fd = fifo
    launcher = ProcessLauncher(HOSTILE)
    asked = order(do="stubborn", before="leave_a_family", pids=str(path))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(launcher.work, asked, Limits(), parts.fileno())
        pids = [*await read_pids(fd, 5), launcher.server_pid]
        await launcher.aclose()
    assert [pid for pid in pids if alive(pid)] == []


async def test_no_descriptor_and_no_child_is_left(parts: BinaryIO) -> None:
    def counted() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    before = counted()
    launcher = ProcessLauncher(HOSTILE)
    for do in ("nothing", "segfault", "flood_answer"):
        await launcher.work(order(do=do), Limits(), parts.fileno())
    with anyio.move_on_after(0.05):
        await launcher.work(order(do="sleep"), Limits(), parts.fileno())
    await launcher.aclose()
    assert counted() == before


SERVICE = """
import sys, tempfile, anyio, json
sys.path.insert(0, sys.argv[1])
from test_launcher import HOSTILE, Limits, ProcessLauncher, order

async def main():
    launcher = ProcessLauncher(HOSTILE)
    await launcher.start()
    print(launcher.server_pid, flush=True)
    with tempfile.TemporaryFile() as parts:
        asked = order(do="stubborn", before="leave_a_family", pids=sys.argv[2])
        await launcher.work(asked, Limits(), parts.fileno())

anyio.run(main)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_everything_dies_with_the_service(fifo: Fifo, number: signal.Signals) -> None:
    path, fd = fifo
    command = [sys.executable, "-c", SERVICE, str(Path(__file__).parent), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        server = int(service.stdout.readline())
        pids = [server, *anyio.run(read_pids, fd, 5)]
        assert all(map(alive, pids))
        service.send_signal(number)
    assert ended(pids, within_seconds=3)
