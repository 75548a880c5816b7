"""`make dev` on a free port, in a terminal: two jobs from another one, then Ctrl-C, and nothing is left."""

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import silent

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 90


class Terminal:
    """A shell's place: a session with a terminal of its own, and `make` in its foreground."""

    def __init__(self, *command: str) -> None:
        self.shown = ""
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execvp(command[0], command)

    def until(self, word: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while word not in self.shown:
            assert time.monotonic() < deadline, self.shown
            assert self._read(), self.shown

    def press(self, key: bytes) -> None:
        os.write(self.screen, key)

    def exit_code(self) -> int:
        while self._read():
            pass
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        if self.pid:
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.screen)

    def _read(self) -> bool:
        if not select.select([self.screen], [], [], PATIENCE_SECONDS)[0]:
            return False
        try:
            self.shown += os.read(self.screen, 65_536).decode()
        except OSError:  # nobody holds the other end any more
            return False
        return True


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its `agent` runs under a rule of the kernel that it must not listen."""
    folder = tmp_path_factory.mktemp("python") / "venv"
    silent.environment(folder)
    return folder


def make(venv: Path, folder: Path, port: int) -> Terminal:
    rest = (f"VENV={venv}", f"PORT={port}", f"DEV={folder}")
    return Terminal("make", "--no-print-directory", "-o", f"{venv}/.ready", "dev", *rest)


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def dev(venv: Path, tmp_path: Path, port: int) -> Iterator[Terminal]:
    terminal = make(venv, tmp_path / "dev", port)
    try:
        yield terminal
    finally:
        terminal.close()


def left(folder: Path) -> list[str]:
    """The processes that name the folder."""
    found = []
    for one in Path("/proc").iterdir():
        if one.name.isdecimal():
            try:
                line = (one / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if str(folder) in line and one.name != str(os.getpid()):
                found.append(line)
    return found


def commands(shown: str) -> list[str]:
    return [line.strip() for line in shown.splitlines() if line.startswith("  ")]


@pytest.mark.full
@pytest.mark.timeout(300)
def test_two_jobs_and_ctrl_c(dev: Terminal, venv: Path, tmp_path: Path, port: int):
    dev.until("Ctrl-C stops all.")
    sql, python, status = commands(dev.shown)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MERIDYEN_")}
    rows = _typed(sql, environ)
    assert "total" in rows
    drawn = _typed(python, environ)
    assert "orders" in drawn
    assert "chart-1" in drawn
    assert "online" in _typed(status.replace(" --watch", ""), environ)
    dev.until("completed ok")
    assert "run --config" in (venv / "agent-ran").read_text()
    dev.press(b"\x03")
    assert dev.exit_code() == 0, dev.shown
    assert "Stopped." in dev.shown
    assert "ended with code" not in dev.shown
    assert left(tmp_path / "dev") == []

    with socket.socket() as taken:  # and it goes on with the same state, but not on a port that is taken
        taken.bind(("127.0.0.1", port))
        taken.listen()
        refused = make(venv, tmp_path / "dev", port)
        try:
            assert refused.exit_code() != 0
        finally:
            refused.close()
    assert f"port {port} cannot be had" in refused.shown
    assert "make dev PORT=" in refused.shown
    again = make(venv, tmp_path / "dev", _other_port())
    try:
        again.until("Ctrl-C stops all.")
        assert "Starting, with the state in" in again.shown
        again.press(b"\x03")
        assert again.exit_code() == 0
    finally:
        again.close()
    assert left(tmp_path / "dev") == []


def _typed(command: str, environ: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _other_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.full
def test_it_stops_while_it_starts(venv: Path, tmp_path: Path, port: int):
    folder = tmp_path / "dev"
    command = [str(venv / "bin/python"), "-m", "examples.dev", "--folder", str(folder), "--port", str(port)]
    started = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert started.stdout is not None
        assert "Setting up" in started.stdout.readline()
        started.send_signal(signal.SIGTERM)
        started.communicate(timeout=PATIENCE_SECONDS)
        assert started.returncode == 0
    finally:
        started.kill()
        started.communicate()
    assert left(folder) == []


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, port: int):
    (tmp_path / "router").mkdir()
    (tmp_path / "router" / "mine").write_text("dear")
    command = [sys.executable, "-m", "examples.dev", "--folder", str(tmp_path), "--port", str(port)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 1
    assert "holds something else" in done.stderr
    assert (tmp_path / "router" / "mine").read_text() == "dear"
