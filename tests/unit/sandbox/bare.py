"""A running bare server, asked as a worker asks."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from agent.sandbox import channel, hand
from agent.sandbox.environment import ENVIRONMENT
from agent.sandbox.messages import Done, SandboxRequest

SCRIPT = Path(__file__).parent / "bare_server.py"
USUAL = {"wall_seconds": 20, "cpu_seconds": 20, "memory_mb": 256, "scratch_mb": 8}


@dataclass
class Bare:
    process: "subprocess.Popen[bytes]"
    control: socket.socket
    requests: socket.socket
    ready: dict[str, Any]

    def ask(self, **bounds: float) -> Any:
        return hand.ask(self.requests.fileno(), SandboxRequest(**(USUAL | bounds)))

    def run(self, code: str, **bounds: float) -> tuple[Any, Done | None]:
        """What was said, and the end. A child that ends before it reads is no error."""
        with self.ask(**bounds) as running:
            with suppress(BrokenPipeError):
                running.input.write(code.encode())
            running.input.close()
            said = running.result.read()
            return json.loads(said) if said else None, done(running)

    def load(self, **wanted: float) -> None:
        """Wait until the server says so of its load."""
        self.control.settimeout(10)
        while True:
            received = channel.receive(self.control)
            assert received is not None
            if {name: received[0][name] for name in wanted} == wanted:
                return

    def processes(self) -> list[int]:
        return [self.process.pid, *below(self.process.pid)]


def done(running: hand.Running) -> Done | None:
    ready, _, _ = select.select([running.end], [], [], 15)
    assert ready, "no end was told"
    line = running.end.read()
    return Done.model_validate_json(line) if line else None


def below(pid: int) -> list[int]:
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *below(child)]
    return found


def gone(pids: list[int], seconds: float = 10) -> bool:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if not any(running(pid) for pid in pids):
            return True
        time.sleep(0.01)
    return False


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@cache
def stands(tier: str) -> str:
    """Why a tier cannot be made on this machine; empty when it can."""
    code = f"from agent.sandbox import tiers; v = tiers.choose({tier!r}); print(v.tier, [f.found for f in v.findings if f.level == 'error'])"
    told = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    return "" if told.startswith(tier) else told


@contextmanager
def server(tier: str, *options: str, broken: str = "") -> Iterator[Bare]:
    if why := stands(tier):
        pytest.skip(f"this machine does not let the {tier} tier be made: {why}")
    (mine, its), (asking, asked) = channel.pair(), channel.pair()
    fds = (its.fileno(), asked.fileno())
    command = [sys.executable, "-I", str(SCRIPT), *(("--break", broken) if broken else ())]
    command += ["--control", str(fds[0]), "--requests", str(fds[1]), "--parent", str(os.getpid()), "--tier", tier]
    with mine, asking:
        started = subprocess.Popen([*command, *options], pass_fds=fds, env=dict(ENVIRONMENT), cwd="/")
        its.close()
        asked.close()
        try:
            mine.settimeout(30)
            received = channel.receive(mine)
            assert received is not None, "the server did not start"
            yield Bare(started, mine, asking, received[0])
        finally:
            mine.close()
            try:
                started.wait(10)
            finally:
                with suppress(ProcessLookupError):
                    started.send_signal(signal.SIGKILL)
                started.wait()
