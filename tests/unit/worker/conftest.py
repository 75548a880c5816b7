"""A launcher over a server whose jobs misbehave on request (hostile.py), and orders for it."""

import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.core.job import Me
from agent.core.limits import Limits
from agent.core.order import Order
from agent.service.launcher import ProcessLauncher

HOSTILE = (sys.executable, "-I", str(Path(__file__).parent / "hostile.py"))
RESULT_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def order(asked: dict[str, Any], **changed: Any) -> Order:
    """The order of a hostile job."""
    plain: dict[str, Any] = {
        "envelope": json.dumps(asked).encode(),
        "trust": "",
        "me": Me(tenant="t", agent="a", pool="p"),
        "now": 0.0,
        "attempt": 1,
        "result_id": RESULT_ID,
        "policy": "",
        "policy_sha256": "",
        "token_key": None,
        "sources": {"s": None},
        "limits": Limits(),
        "isolation": "test",
    }
    return Order(**plain | changed)


@dataclass(frozen=True)
class Seen:
    """What came of a job: the code of its end, whether a report came, and what stands in the parts file."""

    code: str
    reported: bool
    parts: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.parts)


Run = Callable[..., Awaitable[Seen]]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def serving(*arguments: str, before: tuple[str, ...] = ()) -> AsyncIterator[ProcessLauncher]:
    """A launcher over a hostile server of its own."""
    launcher = ProcessLauncher((*before, *HOSTILE, *arguments))
    await launcher.start()
    try:
        yield launcher
    finally:
        await launcher.aclose()


def running(launcher: ProcessLauncher) -> Run:
    """`await run(do, limits, sandbox, **asked)`: run one hostile job."""

    async def run(do: str, limits: Limits | None = None, sandbox: int | None = None, **asked: Any) -> Seen:
        with tempfile.TemporaryFile() as parts:
            ended = await launcher.work(order({"do": do, **asked}), limits or Limits(), parts.fileno(), sandbox)
            parts.seek(0)
            return Seen(ended.code, ended.report is not None, parts.read())

    return run


@pytest.fixture(scope="module", params=["fork", "reserve"])
async def launcher(anyio_backend: str, request: pytest.FixtureRequest) -> AsyncIterator[ProcessLauncher]:
    """Jobs are forked as they come, or handed to a process that was forked ahead: all tests hold for both."""
    async with serving(*(["--reserve"] if request.param == "reserve" else [])) as launcher:
        yield launcher


@pytest.fixture
def run(launcher: ProcessLauncher) -> Run:
    return running(launcher)


@pytest.fixture
async def run_with_stderr(tmp_path: Path) -> AsyncIterator[tuple[Run, Path]]:
    """A server of its own, and the file that its stderr goes to."""
    stderr = tmp_path / "stderr"
    async with serving(before=("/bin/sh", "-c", f'exec "$0" "$@" 2>{stderr}')) as launcher:
        yield running(launcher), stderr


@pytest.fixture
async def run_with_arrow() -> AsyncIterator[Run]:
    async with serving("--arrow") as launcher:
        yield running(launcher)


@pytest.fixture
async def run_without_landlock() -> AsyncIterator[Run]:
    async with serving("--landlock", "0") as launcher:
        assert launcher.isolation == "none"
        yield running(launcher)


class Pids:
    """A FIFO into which processes of a job write who they are."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        self._fd = os.open(path, os.O_RDWR)
        self._rest = b""

    def read(self, count: int) -> list[int]:
        """Wait for so many."""
        while self._rest.count(b"\n") < count:
            self._rest += os.read(self._fd, 4096)
        lines = self._rest.split(b"\n")
        self._rest = b"\n".join(lines[count:])
        return [int(line) for line in lines[:count]]

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Pids]:
    pids = Pids(tmp_path / "pids")
    yield pids
    pids.close()
