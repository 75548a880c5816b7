"""What a hostile program must not get at, laid out for real, and what became of it: breaches are observed, not believed."""

import ctypes
import os
import resource
import secrets
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

HOSTILE = Path(__file__).parents[1] / "attacks" / "python" / "hostile"
BENIGN = HOSTILE.parent / "benign"
MARK = "ESCAPED"

NEXT_JOB = """
import builtins, json, os, threading
import pandas as pd
odd = []
if hasattr(builtins, 'MERIDYEN_POISON') or hasattr(pd, 'MERIDYEN_POISON'):
    odd.append('a module')
if hasattr('', 'meridyen_poison'):
    odd.append('a type')
if 'MERIDYEN_POISON' in os.environ:
    odd.append('the environment')
if [name for name in os.listdir(os.environ['TMPDIR']) if not name.startswith('matplotlib')]:
    odd.append('scratch')
if json.dumps({'a': 1}) != '{"a": 1}' or pd.DataFrame({'a': [1]}).to_dict() != {'a': {0: 1}}:
    odd.append('an encoder')
if str(len('x' * 199)) != '199':
    odd.append('a number')
if threading.active_count() != 1 or len(df) != 200:
    odd.append('the rest')
result = 'clean' if not odd else 'POISONED: ' + ', '.join(odd)
"""
"""What a job that follows a hostile one says when nothing of that one is left."""

_AGENT = """
import ctypes, sys, time
secret = sys.stdin.readline().strip().encode()
keep = ctypes.create_string_buffer(secret)
print(ctypes.addressof(keep), flush=True)
time.sleep(600)
"""


@dataclass(frozen=True)
class Case:
    """One program of the corpus and what its header says."""

    path: Path
    category: str
    must: str
    control: bool

    def __str__(self) -> str:
        return self.path.stem


def cases() -> list[Case]:
    return [_case(path) for path in sorted(HOSTILE.glob("*.py"))]


def _case(path: Path) -> Case:
    head = dict(line[2:].split(": ", 1) for line in path.read_text().splitlines()[:4])
    return Case(path, head["category"], head["must"], head["control"] == "run")


@dataclass
class World:
    """Secrets in files, listeners of every kind, and a process that stands for the agent, all of one account."""

    uid: int | None = None
    secret: str = field(default_factory=lambda: f"S3CR3T-CANARY-{secrets.token_hex(8)}")
    in_process: bool = False
    """The agent is forked from here instead of started: for a process that has namespaces of its own."""

    def __enter__(self) -> Self:
        self._open = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="meridyen-world-"))
        self._open.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._lay_files()
        self._listen()
        self._start_agent()
        self._before = self._look()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def fill(self, text: str) -> str:
        """The program's text with the places of this world in it."""
        places = {
            "SECRET_FILE": self.folder / "secret.txt",
            "OTHER_JOB_DIR": self.folder / "other",
            "OUT_DIR": self.folder / "out",
            "AGENT_PID": self.agent,
            "AGENT_ADDRESS": self.address,
            "TCP_PORT": self.sockets["tcp"].getsockname()[1],
            "UDP_PORT": self.sockets["udp"].getsockname()[1],
            "UNIX_SOCK": self.folder / "stream",
            "UNIX_DGRAM": self.folder / "datagram",
            "ABSTRACT": self.abstract,
        }
        for name, value in places.items():
            text = text.replace(f"@@{name}@@", str(value))
        return text

    def breaches(self, said: str) -> list[str]:
        """What is not as it was, and what the job's outcome holds that it must not."""
        found = [f"claims: {said[said.index(MARK) :][:120]}"] if MARK in said else []
        found += ["the secret is in the outcome"] if self.secret in said else []
        found += [f"{name} was reached" for name, it in self.sockets.items() if _reached(it)]
        after = self._look()
        found += [f"{name} changed" for name in self._before if after.get(name) != self._before[name]]
        return found + [f"{name} is new" for name in after.keys() - self._before.keys()]

    def _lay_files(self) -> None:
        self.folder.chmod(0o755)
        for name in ("out", "other"):
            (self.folder / name).mkdir()
        files = {
            "secret.txt": f"{self.secret}\n1\n",
            "out/victim.txt": "intact",
            "out/outside_module.py": f"WHO = {self.secret!r}",
            "other/data.txt": self.secret,
        }
        for name, text in files.items():
            (self.folder / name).write_text(text)
        (self.folder / "other" / "link").symlink_to(f"/nowhere/{self.secret}")
        with suppress(OSError):
            os.setxattr(self.folder / "secret.txt", "user.secret", self.secret.encode())
        for path in (self.folder, *self.folder.rglob("*")):
            if self.uid is not None:
                os.chown(path, self.uid, self.uid, follow_symlinks=False)
            if not path.is_symlink():
                path.chmod(0o777 if path.is_dir() else 0o666)

    def _listen(self) -> None:
        self.abstract = f"meridyen-world-{secrets.token_hex(8)}"
        wanted = {
            "tcp": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "udp": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "a unix stream socket": (socket.AF_UNIX, socket.SOCK_STREAM, str(self.folder / "stream")),
            "a unix datagram socket": (socket.AF_UNIX, socket.SOCK_DGRAM, str(self.folder / "datagram")),
            "an abstract socket": (socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{self.abstract}"),
        }
        self.sockets: dict[str, socket.socket] = {}
        for name, (family, kind, address) in wanted.items():
            it = self._open.enter_context(socket.socket(family, kind))
            it.bind(address)
            if kind == socket.SOCK_STREAM:
                it.listen(8)
            self.sockets[name] = it
        for name in ("stream", "datagram"):
            (self.folder / name).chmod(0o666)

    def _start_agent(self) -> None:
        if self.in_process:
            keep = ctypes.create_string_buffer(self.secret.encode())
            self.address = ctypes.addressof(keep)
            self.agent = os.fork()
            if self.agent == 0:
                while True:
                    signal.pause()
            self._open.callback(_end, self.agent)
            return
        command = [sys.executable, "-I", "-S", "-c", _AGENT]
        # Not by `user=`: that account may not be able to reach this interpreter by its path.
        account = (
            [] if self.uid is None else ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"]
        )
        it = subprocess.Popen([*account, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert it.stdin is not None
        assert it.stdout is not None
        it.stdin.write(self.secret + "\n")
        it.stdin.flush()
        self.address, self.agent = int(it.stdout.readline()), it.pid
        for close in (it.wait, it.kill, it.stdin.close, it.stdout.close):
            self._open.callback(close)

    def _look(self) -> dict[str, object]:
        seen: dict[str, object] = {}
        for path in sorted(self.folder.rglob("*")):
            if "scratch" in path.relative_to(self.folder).parts:
                continue
            there = path.lstat()
            seen[str(path.relative_to(self.folder))] = (
                stat.filemode(there.st_mode),
                there.st_size,
                there.st_uid,
                0 if stat.S_ISDIR(there.st_mode) else there.st_mtime_ns,
                _attributes(path),
            )
        return seen | {f"the agent's {name}": value for name, value in _process(self.agent)}


def _process(pid: int) -> Iterator[tuple[str, object]]:
    try:
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        yield "state", status["State"] in {"S (sleeping)", "R (running)"}
        yield "tracer", status["TracerPid"]
        yield "limits", resource.prlimit(pid, resource.RLIMIT_NOFILE)
        yield "processors", tuple(sorted(os.sched_getaffinity(pid)))
        yield "priority", os.getpriority(os.PRIO_PROCESS, pid)
    except OSError:
        yield "state", "gone"


def _attributes(path: Path) -> tuple[str, ...]:
    with suppress(OSError):
        return tuple(sorted(os.listxattr(path, follow_symlinks=False)))
    return ()


def _reached(it: socket.socket) -> bool:
    ready, _, _ = select.select([it], [], [], 0)
    while ready:  # what came is taken, so that it does not count for the next program
        if it.type == socket.SOCK_STREAM:
            it.accept()[0].close()
        else:
            it.recv(100)
        if not select.select([it], [], [], 0)[0]:
            return True
    return False


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)
