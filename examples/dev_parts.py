"""The parts of `make dev`: its folder, its programs, their logs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMAND_SECONDS = 60.0
MIN_LIFE_SECONDS = 3600.0

QUESTION = """\
SELECT c.city, count(*) AS orders, sum(o.amount) AS total
FROM customers AS c JOIN orders AS o ON o.customer_id = c.id
GROUP BY c.city ORDER BY total DESC
"""
PROGRAM = """\
import altair as alt

by = orders.groupby("product_id", as_index=False).amount.sum()
print(len(orders), "orders")
chart = alt.Chart(by).mark_bar().encode(x="product_id:O", y="amount:Q")
result = by
"""


class DevError(Exception):
    """It cannot start, or cannot go on; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything lies."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Of the Router."""
        return f"https://localhost:{self.port}"

    @property
    def data(self) -> Path:
        """The Router's folder."""
        return self.folder / "router"

    @property
    def site(self) -> Path:
        """The agent's folder."""
        return self.folder / "site"

    @property
    def submitter(self) -> Path:
        """The submitter's folder."""
        return self.site / "submitter"

    @property
    def question(self) -> Path:
        """A statement to try."""
        return self.folder / "question.sql"

    @property
    def program(self) -> Path:
        """A program to try."""
        return self.folder / "program.py"

    @property
    def orders(self) -> Path:
        """The statement of its input."""
        return self.folder / "orders.sql"

    @property
    def done(self) -> Path:
        """Written last when the folder is set up; holds the port that its files name."""
        return self.folder / "port"

    def log(self, name: str) -> Path:
        """Everything that a program logs."""
        return self.folder / f"{name}.log"


class Part:
    """A program that runs until it is stopped. Its log goes to a file, and what matters of it to this terminal."""

    def __init__(self, name: str, log: Path) -> None:
        self._name, self._log = name, log
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self, *command: str) -> None:
        """In a session of its own: Ctrl-C does not reach it, the order of stopping is ours."""
        self._process = subprocess.Popen(
            _program(*command), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
            text=True, errors="replace", env=_environment(), start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def check(self) -> None:
        """Raises DevError when it ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise DevError(f"the {self._name} ended with code {self._process.returncode}. See {self._log}.")

    def stop(self, seconds: float) -> None:
        """Let it finish for so long, and no longer."""
        if self._process is None or self._reader is None:
            return
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._reader.join(5)

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        with self._log.open("a") as log, self._process.stderr as lines:
            for line in lines:
                log.write(line)
                log.flush()
                shown = _essential(line)
                if shown:
                    print(f"{self._name:6} | {shown}", flush=True)


def prepare(place: Place, router: Part) -> None:
    """Make what is missing, start the Router, and enrol the agent where its certificate does not last."""
    if not place.done.exists():
        for old in (place.data, place.site):
            shutil.rmtree(old, ignore_errors=True)
        _run("router", "init", "--data", str(place.data))
    router.start("router", "serve", "--data", str(place.data), "--listen", f"127.0.0.1:{place.port}")
    if not place.done.exists():
        _make_site(place)
    elif (old_port := place.done.read_text().strip()) != str(place.port):
        for file in (place.site / "sandbox.yaml", place.submitter / "profile.json"):
            file.write_text(file.read_text().replace(f"https://localhost:{old_port}", place.url))
    _enroll(place, router)
    place.done.write_text(f"{place.port}\n")


def _make_site(place: Place) -> None:
    token = place.folder / "submit.token"
    token.unlink(missing_ok=True)
    ca = place.data / "ca-bundle.pem"
    made = _begin("agent", "init", str(place.site), "--router", place.url, "--ca-file", str(ca))
    _run(
        "router",
        "token",
        "create",
        "--data",
        str(place.data),
        "--tenant",
        "default",
        "--submit",
        "--output",
        str(token),
    )
    _finish(made)
    token.rename(place.submitter / "router.token")
    shutil.copytree(ROOT / "config" / "demo" / "shop", place.site / "shop")
    shutil.copyfile(ROOT / "config" / "policy.example.yaml", place.site / "policy.yaml")
    config = place.site / "sandbox.yaml"
    config.write_text(config.read_text().replace("sources: {}", "sources: {shop: {type: duckdb, path: ./shop}}"))
    place.question.write_text(QUESTION)
    place.program.write_text(PROGRAM)
    place.orders.write_text("SELECT product_id, amount FROM orders\n")


def _enroll(place: Place, router: Part) -> None:
    """Under a one-time token; a Router that is only starting is asked again."""
    from agent.core.errors import ConfigError  # noqa: PLC0415 - after the Router was started
    from agent.identity import certificate, state  # noqa: PLC0415

    with suppress(ConfigError):
        tls = certificate.Tls(state.folder(place.site / "state") / "tls")
        if certificate.life(tls).ends > time.time() + MIN_LIFE_SECONDS:
            return
    token = place.folder / "enroll.token"
    token.unlink(missing_ok=True)
    data = ("--data", str(place.data), "--tenant", "default", "--pool", "default", "--output", str(token))
    _run("router", "token", "create", *data)
    _listening(place, router)
    _run("agent", "enroll", "--config", str(place.site), "--token-file", str(token))
    token.unlink()


def _listening(place: Place, router: Part) -> None:
    import socket  # noqa: PLC0415

    deadline = time.monotonic() + COMMAND_SECONDS
    while True:
        router.check()
        with suppress(OSError), socket.create_connection(("127.0.0.1", place.port), 1):
            return
        if time.monotonic() > deadline:
            raise DevError(f"the Router does not answer. See {place.log('router')}.")
        time.sleep(0.05)


def _run(*command: str) -> None:
    _finish(_begin(*command))


def _begin(*command: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        _program(*command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        env=_environment(), start_new_session=True,
    )  # fmt: skip


def _finish(process: "subprocess.Popen[str]") -> None:
    try:
        said, _ = process.communicate(timeout=COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
    if process.returncode:
        raise DevError(f"`{' '.join(map(str, process.args[1:]))}` failed: {said.strip()}")  # type: ignore[index]


def _program(name: str, *arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name(name)), *arguments]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.upper().startswith("MERIDYEN_")}


def _essential(line: str) -> str:
    """What a person wants to see: jobs and troubles, without the time."""
    try:
        said = json.loads(line)
        text, level = str(said["event"]), said["level"]
    except (ValueError, KeyError, TypeError):
        return line.strip()
    return text if level != "info" or text.startswith("job ") else ""


@contextmanager
def own_terminal() -> Iterator[None]:
    """Be the terminal's foreground group: Ctrl-C is ours alone, and `make` sees the exit code, not the signal."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield  # there is none
        return
    ours = os.getpgrp()
    try:
        if os.tcgetpgrp(terminal) != ours or os.getpid() == os.getsid(0):
            yield  # in the background, or the session's leader: nothing to take over
            return
        os.setpgid(0, 0)
        _give(terminal, os.getpgrp())
        try:
            yield
        finally:
            _give(terminal, ours)
            with suppress(OSError):
                os.setpgid(0, ours)
    finally:
        os.close(terminal)


def _give(terminal: int, group: int) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        with suppress(OSError, termios.error):
            os.tcsetpgrp(terminal, group)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
