import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Alone = Callable[..., Any]

FAMILY = Path(__file__).parent / "family.py"


def run(scenario: str) -> dict:
    command = [sys.executable, "-I", str(FAMILY), scenario]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("scenario", "cause", "at_least"),
    [
        ("exits", "exit", 5),
        ("sleeps", "limit.wall", 5),
        ("same_group", "limit.wall", 2),
        ("before_setsid", "limit.wall", 1),
        ("hops", "limit.wall", 3),
        ("crashes", "signal", 2),
    ],
)
def test_no_descendant_outlives_a_job(scenario: str, cause: str, at_least: int) -> None:
    said = run(scenario)
    assert said["cause"] == cause
    assert said["recorded"] >= at_least  # they were there
    assert (said["alive"], said["children"]) == (0, 0)
    assert said["bystander"], "another job was hit"


@pytest.mark.parametrize("scenario", ["exits", "sleeps"])
def test_close_ends_the_other_jobs_and_tells_nobody(scenario: str) -> None:
    assert run(scenario)["after close"] == [False, [], 1]


def test_the_end_tells_the_signal() -> None:
    assert run("crashes")["status"] == signal.SIGSEGV


def test_an_exception_is_an_exit_status_of_its_own() -> None:
    said = run("raises")
    assert (said["cause"], said["status"]) == ("exit", 70)


def test_a_server_with_threads_does_not_fork(alone: Alone) -> None:
    code = """
import selectors, threading
from agent.sandbox.supervisor import Bounds, Supervisor
threading.Thread(target=threading.Event().wait, daemon=True).start()
supervisor = Supervisor(selectors.DefaultSelector())
try:
    supervisor.fork(lambda: None, Bounds(wall_seconds=1, cpu_seconds=1, memory_bytes=1), lambda end: None)
except RuntimeError as error:
    say(str(error))
"""
    assert "has threads" in alone(code)


def test_a_fork_that_fails_is_an_end(alone: Alone) -> None:
    code = """
import resource, selectors
from agent.sandbox import process
from agent.sandbox.supervisor import Bounds, Supervisor
ends = []
def no_more():
    raise OSError(errno.EAGAIN, "no more processes")
os.fork = no_more
supervisor = Supervisor(selectors.DefaultSelector())
child = supervisor.fork(lambda: None, Bounds(wall_seconds=1, cpu_seconds=1, memory_bytes=1), ends.append)
say([child, ends[0].cause, ends[0].status == errno.EAGAIN])
"""
    assert alone(code) == [None, "fork", True]


RESERVED = """
import os, selectors, signal, time
from agent.sandbox import process
from agent.sandbox.supervisor import Bounds, Supervisor
process.become_subreaper()
bounds = Bounds(wall_seconds=30, cpu_seconds=30, memory_bytes=1 << 30)
selector = selectors.DefaultSelector()
supervisor, ends = Supervisor(selector), []
def drain():
    while supervisor.busy:
        for key, _ in selector.select(supervisor.look()):
            key.data()
reading, writing = os.pipe()
"""


def test_a_reserved_process_becomes_a_job_once(alone: Alone) -> None:
    code = f"""{RESERVED}
supervisor.reserve(lambda: os._exit(os.read(reading, 1)[0]))
supervisor.fork(lambda: None, bounds, lambda end: ends.append(end.status))
drain()
kept = len(process.children())
child = supervisor.assign(bounds, lambda end: ends.append(end.status))
os.write(writing, bytes([7]))
drain()
say([kept, child is not None, supervisor.assign(bounds, ends.append) is None, ends, process.children()])
"""
    assert alone(code) == [1, True, True, [0, 7], []]


def test_a_reserved_process_that_died_is_nobodys(alone: Alone) -> None:
    code = f"""{RESERVED}
supervisor.reserve(lambda: os._exit(1))
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
say([supervisor.assign(bounds, ends.append) is None, ends, process.children()])
"""
    assert alone(code) == [True, [], []]


def test_close_ends_a_reserved_process(alone: Alone) -> None:
    code = f"""{RESERVED}
supervisor.reserve(lambda: time.sleep(60))
before = len(process.children())
supervisor.close()
say([before, process.children()])
"""
    assert alone(code) == [1, []]
