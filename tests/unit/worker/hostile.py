"""A worker server whose jobs misbehave on request: `python -I hostile.py --channel FD --parent PID`.

The envelope of an order is a JSON object: `do` names a function below, `before` one that runs before the jail is
locked, and both get the object. What a function returns stands as JSON in the sink.
"""

import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

from agent.core.outcome import Facts, Parcel, Part, Report
from agent.worker import server

SEEN_BY_EARLIER_JOBS = []


def parcel(order):
    return Parcel(
        job_id="01ARZ3NDEKTSV4RRFFQ69G5FAV",
        job_digest="0" * 64,
        result_id=order.result_id,
        attempt=order.attempt,
        outcome="completed",
        code="ok",
        media_types=("application/json",),
        parts=(Part("0" * 64, 1024 + 16),),
        policy_version=1,
        policy_sha256="",
        isolation="test",
        disclosure_sha256="",
        recipient="A" * 43,
        sealed_key=bytes(80),
    )


def reads(order):
    asked = json.loads(order.envelope)
    if "before" in asked:
        globals()[asked["before"]](asked)
    return [Path(path) for path in asked.get("reads", ())]


def work(order, sink):
    asked = json.loads(order.envelope)
    if asked["do"] == "flood_sink":
        return flood_sink(sink)
    found = globals()[asked["do"]](asked)
    sink.write(json.dumps(found).encode())
    return Report(parcel(order), Facts())


def nothing(_):
    return None


def echo(asked):
    return asked.get("say")


def sleep(_):
    time.sleep(600)


def spin(_):
    while True:
        pass


def stubborn(_):
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    time.sleep(600)


def stubborn_spin(_):
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    spin(_)


def stop_itself(_):
    os.kill(os.getpid(), signal.SIGSTOP)


def grow(asked):
    kept = []
    while True:
        kept.append(bytearray(8 << 20))
        kept[-1][::4096] = b"x" * 2048
        time.sleep(0.001)


def grow_shared(asked):
    kept = []
    while True:
        block = mmap.mmap(-1, 8 << 20)
        block.write(b"x" * (8 << 20))
        kept.append(block)


def hold(asked):
    kept = bytearray(asked["mb"] << 20)
    kept[::4096] = b"x" * (len(kept) // 4096)
    time.sleep(0.1)
    return len(kept)


def one_huge_allocation(_):
    return len(bytearray(1 << 45))


def segfault(_):
    ctypes.string_at(8)


def exit_silently(_):
    os._exit(0)


def fail(asked):
    raise KeyError(asked["secret"])


def no_space(_):
    raise OSError(errno.ENOSPC, "full")


def flood_sink(sink):
    while True:
        sink.write(bytes(1 << 20))


def flood_answer(asked):
    for fd in range(3, 64):
        try:
            while True:
                os.write(fd, b"\xff" * 65536)
        except OSError:
            continue
    os._exit(0)


def leave_a_family(asked):
    """Children and grandchildren that left their session, deaf to polite signals. Each writes its pid to a FIFO."""
    record(asked)
    born, parent = os.pipe()
    for _ in range(2):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.setsid()
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            record(asked)
            os.write(parent, b"x")
            while True:
                time.sleep(600)
    for _ in range(4):
        os.read(born, 1)


def orphan(asked):
    """A daemon by the book: its parent is gone while the job still runs."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            record(asked)
            os.write(writing, b"x")
            time.sleep(600)
        os._exit(0)
    os.read(reading, 1)


def record(asked):
    fifo = os.open(asked["pids"], os.O_WRONLY)
    os.write(fifo, f"{os.getpid()}\n".encode())
    os.close(fifo)


def try_calls(_):
    def listen():
        with socket.socket(socket.AF_UNIX) as it:
            it.listen()

    calls = {
        "fork": os.fork,
        "execve": lambda: os.execv("/bin/true", ["true"]),
        "listen": listen,
        "inet": lambda: socket.socket(socket.AF_INET).close(),
        "unix": lambda: socket.socket(socket.AF_UNIX).close(),
        "memfd": lambda: os.memfd_create("x"),
        "kill_server": lambda: os.kill(os.getppid(), 0),
        "chmod": lambda: os.chmod("/tmp", 0o777),  # noqa: PTH101, S103
    }
    return {name: attempt(call) for name, call in calls.items()}


def attempt(call):
    try:
        call()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"


def try_paths(asked):
    def write(path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))

    def make(path):
        os.close(os.open(f"{path}/new", os.O_WRONLY | os.O_CREAT))

    return {
        "read": {path: attempt(lambda path=path: Path(path).read_bytes()) for path in asked.get("read", ())},
        "list": {path: attempt(lambda path=path: os.listdir(path)) for path in asked.get("list", ())},
        "write": {path: attempt(lambda path=path: write(path)) for path in asked.get("write", ())},
        "make": {path: attempt(lambda path=path: make(path)) for path in asked.get("make", ())},
    }


def look_around(asked):
    """What a job can see of the world, and what earlier jobs left in this very module."""
    earlier = list(SEEN_BY_EARLIER_JOBS)
    SEEN_BY_EARLIER_JOBS.append(asked["say"])
    status = dict(line.split(":", 1) for line in status_of_self(asked))
    return {
        "earlier": earlier,
        "environ": dict(os.environ),
        "descriptors": [fd for fd in range(256) if attempt(lambda fd=fd: os.fstat(fd)) == "done"],
        "cwd": os.getcwd(),
        "session": os.getsid(0) == os.getpid(),
        "threads": threading.active_count(),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "status": {name: status[name].strip() for name in ("CapEff", "CapPrm", "NoNewPrivs", "Seccomp")},
    }


_STATUS = []


def read_status(_):
    """Before the jail is locked: a descriptor on the own status, to be read again afterwards."""
    _STATUS.append(os.open("/proc/self/status", os.O_RDONLY))


def status_of_self(_):
    return os.pread(_STATUS[0], 65536, 0).decode().splitlines()


def arrow(_):
    import pyarrow as pa

    table = pa.table({"k": [1, 2, 1, 2] * 1000, "v": list(range(4000))})
    grouped = table.group_by("k").aggregate([("v", "sum")]).sort_by("k")
    return grouped.column("v_sum").to_pylist()


if __name__ == "__main__":
    preload = ("pyarrow", "pyarrow.compute", "pyarrow.acero")
    sys.exit(server.main(pipeline=SimpleNamespace(reads=reads, work=work), preload=preload))
