"""What real servers for tests share: an account, a free port, a folder and a process of their own."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

READER, READER_PASSWORD = "meridyen_ro", "reader's pass word"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
NOBODY = 65534


def account() -> int | None:
    """Whom a server runs as: nobody, for they refuse to be root; None where the tests are somebody already."""
    return NOBODY if os.geteuid() == 0 else None


@contextmanager
def folder(prefix: str) -> Iterator[Path]:
    """A folder of the server's own account, removed at the end."""
    made = Path(mkdtemp(prefix=prefix, dir="/tmp"))  # a socket's path has at most 107 bytes
    user = account()
    if user is not None:
        os.chown(made, user, user)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def served(home: Path, command: Sequence[str], stop: signal.Signals) -> Iterator["subprocess.Popen[bytes]"]:
    """A server's process, whose log is `home`/log; ended by the signal `stop`, and killed when that does not help."""
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, user=account(), cwd=home)
    try:
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def prepared(home: Path, command: Sequence[str]) -> None:
    """Run what makes a server's files. Fails with what it says."""
    environment = os.environ | {"HOME": str(home)}
    made = subprocess.run(
        command, capture_output=True, text=True, user=account(), check=False, cwd=home, env=environment
    )
    assert made.returncode == 0, made.stdout + made.stderr


def wait_for(ready: Callable[[], bool], home: Path, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the server answers. Fails with its log when it ends, or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        assert process.poll() is None, (home / "log").read_text()
        assert time.monotonic() < deadline, (home / "log").read_text()
        time.sleep(0.05)


def config(kind: str, port: int, database: str, more: Mapping[str, object]) -> dict[str, object]:
    """The source as sandbox.yaml would name it; what `more` says counts."""
    return {
        "type": kind,
        "host": "127.0.0.1",
        "port": port,
        "database": database,
        "user": READER,
        "password": READER_PASSWORD,
        "tls": {"mode": "disable"},
        **more,
    }


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
