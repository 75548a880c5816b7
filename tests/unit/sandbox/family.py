"""A supervisor without any jail: `python -I family.py SCENARIO` forks a job that tries to outlive its end.

Says a JSON object: `cause` of the end, `alive`: how many of the recorded processes are left, `recorded`, `waited`.
"""

import json
import os
import selectors
import signal
import sys
import time
from typing import Never

from agent.sandbox import process
from agent.sandbox.supervisor import Bounds, Supervisor

READING, WRITING = os.pipe()
BOUNDS = {"wall_seconds": 30, "cpu_seconds": 30, "memory_bytes": 1 << 30}


def record() -> None:
    os.write(WRITING, f"{os.getpid()}\n".encode())


def deaf() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    time.sleep(600)


def settle(depth: int) -> None:
    """A descendant in its own session, its parent gone or not."""
    ready, say = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if depth:
            settle(depth - 1)
        record()
        os.write(say, b"x")
        deaf()
    os.read(ready, 1)


def exits() -> None:
    os.setsid()
    record()
    settle(3)


def sleeps() -> None:
    os.setsid()
    record()
    settle(3)
    time.sleep(600)


def same_group() -> None:
    os.setsid()
    for _ in range(8):
        if os.fork() == 0:
            record()
            deaf()
    record()
    time.sleep(600)


def before_setsid() -> None:
    record()
    time.sleep(600)


def hops() -> None:
    """A process that is always another one: each forks its successor and exits."""
    os.setsid()
    record()
    if os.fork() == 0:
        os.setsid()
        born = time.monotonic()
        while time.monotonic() - born < 20:
            if os.fork():
                os._exit(0)
            record()
    time.sleep(600)


def crashes() -> None:
    settle(1)
    os.kill(os.getpid(), signal.SIGSEGV)


def raises() -> Never:
    record()
    raise KeyError


def waits(parent: int) -> None:
    process.die_with_parent(parent)
    time.sleep(600)


SCENARIOS = {
    "exits": (exits, {}),
    "sleeps": (sleeps, {"wall_seconds": 0.3}),
    "same_group": (same_group, {"wall_seconds": 0.3}),
    "before_setsid": (before_setsid, {"wall_seconds": 0.2}),
    "hops": (hops, {"wall_seconds": 0.3}),
    "crashes": (crashes, {}),
    "raises": (raises, {}),
}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def main(name: str) -> None:
    process.become_subreaper()
    body, bounds = SCENARIOS[name]
    selector, ends = selectors.DefaultSelector(), []
    supervisor = Supervisor(selector)
    me = os.getpid()
    bystander = supervisor.fork(lambda: waits(me), Bounds(**BOUNDS), ends.append)
    supervisor.fork(body, Bounds(**BOUNDS | bounds), ends.append)
    while not ends:
        for key, _ in selector.select(supervisor.look()):
            key.data()
    os.set_blocking(READING, False)
    recorded = [int(pid) for pid in os.read(READING, 1 << 20).split()]
    others = [pid for pid in process.children() if pid != bystander.pid]
    said = {
        "cause": ends[0].cause,
        "status": ends[0].status,
        "recorded": len(recorded),
        "alive": sum(map(alive, recorded)),
        "children": len(others),
        "bystander": alive(bystander.pid),
    }
    supervisor.close()
    said["after close"] = [alive(bystander.pid), process.children(), len(ends)]
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1])
