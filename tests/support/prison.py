"""The real sandbox server, asked as a worker asks it, and what is seen of it from outside."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow as pa

from agent.sandbox import channel, hand
from agent.sandbox.environment import ENVIRONMENT
from agent.sandbox.exchange import Answer, Caps, Input, Printed, Program, converse
from agent.sandbox.messages import Done, SandboxReady, SandboxRequest
from agent.sandbox.process import own_memory
from tests.support.frames import orders
from tests.support.hostile_world import NEXT_JOB

SERVER = Path(__file__).parent / "sandbox_server.py"
UNPRIVILEGED = 10_001
PRELOAD = "pandas,numpy,pyarrow,duckdb"
MEMORY_MB = 400
SCRATCH_MB = 64
PRINTED = 16_384
PATIENCE_SECONDS = 6.0
"""How much later than its wall limit a job may be told to have ended, on a machine that does other things too."""


@cache
def other_account() -> int | None:
    """An account without privileges that can run this interpreter; None: the tests' own has to do."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        return None
    command = [*_as_account(UNPRIVILEGED), sys.executable, "-I", "-c", "import numpy, pandas"]
    return None if subprocess.run(command, capture_output=True, check=False).returncode else UNPRIVILEGED


def _as_account(uid: int | None) -> list[str]:
    """The start of a command line: another account, and no capability whatsoever."""
    if uid is None:
        return []
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--bounding-set=-all"]


@dataclass(frozen=True)
class Mode:
    """How the server is started, and the tier that must come out."""

    name: str
    tier: str
    asked: str
    unprivileged: bool = False
    docker: bool = False

    @property
    def uid(self) -> int | None:
        """The account that it runs as; None: the tests' own."""
        return other_account() if self.unprivileged else None

    def __str__(self) -> str:
        return self.name


FULL = Mode("full", "full", "full")
FULL_UNPRIVILEGED = Mode("full unprivileged", "full", "auto", unprivileged=True)
CONTAINER = Mode("container", "container", "container")
DOCKER = Mode("container in a container", "container", "auto", unprivileged=True, docker=True)
MODES = (FULL, FULL_UNPRIVILEGED, CONTAINER, DOCKER)


@dataclass(frozen=True)
class Outcome:
    """What came of one program, as its worker sees it, and the most that was held in memory and in scratch."""

    answer: Answer | None
    printed: Printed
    done: Done | None
    seconds: float
    peak_mb: float
    scratch_mb: float

    @property
    def said(self) -> str:
        """All of it as text."""
        held = self.answer
        parts = [self.printed.stdout, self.printed.stderr]
        if held is not None:
            frame = held.frame.slice(0, 1000).to_pylist() if held.frame is not None else ""
            parts += [str(held.value)[:100_000], str(frame), str(held.error), str(held.outputs)[:100_000]]
            parts += [str(held.frame.schema) if held.frame is not None else ""]
        return "\n".join(parts)


class Prison:
    """One server. `with Prison(mode) as prison: prison.run(text, wall_seconds=2)`. `policy`: programs are checked."""

    def __init__(self, mode: Mode, *, policy: bool = False) -> None:
        self.mode = mode
        self._policy = policy
        self._frame = Input.of(pa.Table.from_pandas(orders(), preserve_index=False))

    def __enter__(self) -> "Prison":  # noqa: PYI034
        self._control, control = channel.pair()
        self._requests, requests = channel.pair()
        first = [] if self._policy else ["--without-policy"]
        first += ["--as-in-a-container"] if self.mode.docker else []
        command = [
            *_as_account(self.mode.uid),
            sys.executable,
            "-I",
            str(SERVER),
            *first,
            "--control",
            str(control.fileno()),
        ]
        command += ["--requests", str(requests.fileno()), "--parent", str(os.getpid())]
        command += ["--tier", self.mode.asked, "--preload", PRELOAD]
        self.process = subprocess.Popen(
            command,
            pass_fds=(control.fileno(), requests.fileno()),
            env=dict(ENVIRONMENT) | {"PATH": "/usr/bin:/bin"},
            cwd="/",
        )
        control.close()
        requests.close()
        self._control.settimeout(60)
        received = channel.receive(self._control)
        assert received is not None, "the server did not start"
        self.ready = SandboxReady.model_validate(received[0])
        self._drain = threading.Thread(target=_drain, args=(self._control,))
        self._drain.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._requests.close()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()
            self._drain.join()
            self._control.close()

    def run(self, code: str, wall_seconds: float, *, watch: bool = False) -> Outcome:
        """One job. `watch`: sample the memory of its processes while it runs."""
        request = SandboxRequest(wall_seconds=wall_seconds, cpu_seconds=20, memory_mb=MEMORY_MB, scratch_mb=SCRATCH_MB)
        program = Program(
            code=code, inputs=("df",), charts=("vega-lite", "plotly", "png"), rows=10_000, bytes=8 << 20, outputs=20
        )
        peak = _Peak(self.process.pid if watch else None)
        started = time.monotonic()
        with peak, hand.ask(self._requests.fileno(), request) as running:
            answer, printed, done = converse(running, program, {"df": self._frame}, Caps(PRINTED, PRINTED))
        return Outcome(answer, printed, done, time.monotonic() - started, peak.mb, peak.scratch_mb)

    def breaches(self, outcome: Outcome, wall_seconds: float) -> list[str]:
        """What the sandbox itself let through: time, memory, printed text, the next job, processes."""
        found = []
        if outcome.done is None or self.process.poll() is not None:
            found.append("the server is gone")
        if outcome.seconds > wall_seconds + PATIENCE_SECONDS:
            found.append(f"it ran {outcome.seconds:.1f} s")
        if outcome.peak_mb > MEMORY_MB + 250:
            found.append(f"it held {outcome.peak_mb:.0f} MB")
        if outcome.scratch_mb > SCRATCH_MB + 500:
            found.append(f"it wrote {outcome.scratch_mb:.0f} MB")
        if max(len(outcome.printed.stdout), len(outcome.printed.stderr)) > PRINTED + 200:
            found.append("its printed text is too long")
        if outcome.done is not None and outcome.done.cause == "isolation":
            found.append("the jail could not be made")
        if found:
            return found
        following = self.run(NEXT_JOB, 30)
        if following.answer is None or following.answer.value != "clean":
            found.append(f"the next job says {following.said[:200]!r}, {following.done}")
        return found + self._left()

    def _left(self) -> list[str]:
        """Processes beyond the server's own: one that stands by, and in the full tier the first one inside."""
        usual = 2 if self.mode.tier == "full" else 1
        give_up = time.monotonic() + PATIENCE_SECONDS
        while len(left := list(descendants(self.process.pid))) > usual and time.monotonic() < give_up:
            time.sleep(0.01)
        return [f"{len(left)} processes are left"] if len(left) > usual else []


def descendants(pid: int) -> Iterator[int]:
    """All processes below one, as /proc tells."""
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from descendants(int(child))


class _Peak:
    """Samples what the processes below one hold beyond what they had at first, in MB."""

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self._over = threading.Event()
        self.mb = 0.0
        self.scratch_mb = 0.0

    def __enter__(self) -> None:
        if self._pid is not None:
            self._base = own_memory(self._pid)
            self._used = _used_mb()
            self._thread = threading.Thread(target=self._sample, args=(self._pid,))
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._pid is not None:
            self._thread.join()

    def _sample(self, pid: int) -> None:
        while not self._over.wait(0.01):
            self.scratch_mb = max(self.scratch_mb, _used_mb() - self._used)
            for child in descendants(pid):
                with suppress(OSError):
                    self.mb = max(self.mb, (own_memory(child) - self._base) / (1 << 20))


def _used_mb() -> float:
    """What is in shared memory, where the container tier has its scratch folders."""
    there = os.statvfs("/dev/shm")
    return (there.f_blocks - there.f_bfree) * there.f_frsize / (1 << 20)


def _drain(control: socket.socket) -> None:
    """The server's words on its load are of no interest here."""
    control.settimeout(None)
    with suppress(OSError, channel.ChannelError):
        while channel.receive(control) is not None:
            pass
