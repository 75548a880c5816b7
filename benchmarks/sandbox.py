"""Sandboxed programs: what the jail costs over a plain fork, the first job, jobs side by side, a large frame."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from agent.sandbox import channel, hand
from agent.sandbox.environment import ENVIRONMENT
from agent.sandbox.exchange import Caps, Input, Program, converse
from agent.sandbox.messages import SandboxReady, SandboxRequest
from agent.sandbox.program import DEFAULT
from benchmarks.figures import HERE, Figure, milliseconds, timed

ROUNDS = 150
SIDE_BY_SIDE = 8
FRAME_ROUNDS = 15
STARTS = 3
PRELOAD = ",".join(DEFAULT)
GROUP = "sandbox"
REQUEST = SandboxRequest(wall_seconds=60, cpu_seconds=60, memory_mb=400, scratch_mb=16)
CAPS = Caps(65_536, 65_536)
BUSY = "n = 0\nfor i in range(3_000_000):\n    n += i\nresult = n"


@dataclass(frozen=True)
class _Server:
    requests: int
    tier: str
    born: float

    def empty(self) -> None:
        """One child that does nothing."""
        with hand.ask(self.requests, REQUEST) as running:
            if b'"exit","status":0' not in running.end.read():
                raise SystemExit("the child did not end well")

    def run(self, code: str, table: pa.Table | None = None) -> None:
        """One program."""
        program = Program(
            code=code, inputs=("df",) if table is not None else (), rows=200_000, bytes=1 << 28, output_bytes=1 << 20
        )
        inputs = {} if table is None else {"df": Input.of(table)}
        with hand.ask(self.requests, REQUEST) as running:
            answer, _, done = converse(running, program, inputs, CAPS)
        if answer is None or answer.code != "ok":
            raise SystemExit(f"the program did not run: {done}")


def run(_: Path) -> Iterator[Figure]:
    """Overhead of each tier over a fork of the same process, then whole programs in the best tier."""
    yield from _overheads()
    yield from _programs()


def _overheads() -> Iterator[Figure]:
    with ExitStack() as stack:
        fork = stack.enter_context(_forks())
        empty = (sys.executable, "-I", str(HERE / "empty_child.py"))
        tiers = [stack.enter_context(_server(tier, empty)) for tier in ("container", "full")]
        found: dict[str, list[float]] = {"fork": [], "container": [], "full": []}
        for _ in range(ROUNDS):
            found["fork"].append(fork())
            for server in tiers:
                if server.tier != "none":
                    found[server.tier].append(timed(server.empty))
                    time.sleep(0.02)  # so that one stands by, as between jobs of a person
    base = statistics.median(found["fork"])
    yield Figure(group=GROUP, name="fork alone", value=base * 1000, unit="ms", detail=milliseconds(found["fork"]))
    for tier, limit in (("container", 3.0), ("full", 8.0)):
        if found[tier]:
            detail = milliseconds(found[tier])
            name = f"{tier} tier, over fork alone"
            yield Figure(
                group=GROUP, name=name, value=detail["median"] - base * 1000, unit="ms", limit=limit, detail=detail
            )


def _programs() -> Iterator[Figure]:
    command = (sys.executable, "-I", "-m", "agent.sandbox.server")
    first = []
    for _ in range(STARTS):
        with _server("auto", command) as server:
            server.run("result = 1")
            first.append(time.perf_counter() - server.born)
    detail = milliseconds(first)
    yield Figure(
        group=GROUP, name="first job, from the start", value=detail["median"], unit="ms", limit=1500, detail=detail
    )
    with _server("auto", command) as server:
        server.run("result = 1")
        seconds = [timed(lambda: server.run("result = 1")) for _ in range(ROUNDS)]
        detail = milliseconds(seconds)
        yield Figure(
            group=GROUP, name=f"result = 1, {server.tier} tier", value=detail["median"], unit="ms", detail=detail
        )
        yield _side_by_side(server)
        yield _frame(server)


def _side_by_side(server: _Server) -> Figure:
    ratios = []
    for _ in range(3):
        serial = sum(timed(lambda: server.run(BUSY)) for _ in range(SIDE_BY_SIDE))
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            together = timed(lambda: list(pool.map(server.run, [BUSY] * SIDE_BY_SIDE)))
        ratios.append(together / serial)
    name = f"{SIDE_BY_SIDE} jobs at once, share of one by one"
    return Figure(group=GROUP, name=name, value=statistics.median(ratios), unit="x", limit=1 / 1.6)


def _frame(server: _Server) -> Figure:
    numbers = np.random.default_rng(1)
    table = pa.table({f"c{n}": numbers.random(100_000) for n in range(10)})
    seconds = [timed(lambda: server.run("result = df", table)) for _ in range(FRAME_ROUNDS)]
    detail = milliseconds(seconds)
    name = "100,000 x 10 frame in and out"
    return Figure(group=GROUP, name=name, value=detail["median"], unit="ms", limit=250, detail=detail)


@contextmanager
def _forks() -> Iterator[Callable[[], float]]:
    command = (sys.executable, "-I", str(HERE / "empty_child.py"), "--fork", PRELOAD)
    with subprocess.Popen(command, env=dict(ENVIRONMENT), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        asked, told = process.stdin, process.stdout
        if asked is None or told is None:
            raise SystemExit("the forking process has no pipes")
        told.readline()

        def once() -> float:
            asked.write(b"x")
            asked.flush()
            return float(told.readline())

        yield once
        asked.close()


@contextmanager
def _server(tier: str, command: tuple[str, ...]) -> Iterator[_Server]:
    with ExitStack() as stack:
        control, its_control = map(stack.enter_context, channel.pair())
        requests, its_requests = map(stack.enter_context, channel.pair())
        fds = (its_control.fileno(), its_requests.fileno())
        options = ["--control", str(fds[0]), "--requests", str(fds[1]), "--parent", str(os.getpid()), "--tier", tier]
        options += ["--at-once", "2", "--memory-mb", "4096", "--preload", PRELOAD]
        born = time.perf_counter()
        process = subprocess.Popen([*command, *options], env=dict(ENVIRONMENT), pass_fds=fds, cwd="/")
        its_control.close()
        its_requests.close()
        received = channel.receive(control)
        if received is None:
            raise SystemExit("the sandbox's server did not start")
        try:
            yield _Server(requests.fileno(), SandboxReady.model_validate(received[0]).tier, born)
        finally:
            control.close()
            process.wait(20)
