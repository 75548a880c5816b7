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
from collections.abc import Callable
from pathlib import Path
from stat import S_ISFIFO, S_ISSOCK
from types import SimpleNamespace
from typing import Any, BinaryIO, Never

from agent.core.errors import Fault
from agent.core.order import Order
from agent.core.outcome import Facts, Parcel, Part, Report
from agent.core.ports import Endpoint, Finding
from agent.sandbox.answer import Answer, encode
from agent.worker import server

Asked = dict[str, Any]
PR_GET_DUMPABLE = 3
OOM: list[str] = []
SEEN_BY_EARLIER_JOBS: list[str] = []


def parcel(order: Order) -> Parcel:
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


BALLAST = bytearray(64 << 20)
"""A server is larger than the smallest limit of a job, and each child maps all of it."""


def warm() -> None:
    os.environ["LEFT_BY_A_LIBRARY"] = "yes"
    BALLAST[::4096] = b"x" * (len(BALLAST) // 4096)


def warm_with_arrow() -> None:
    import pyarrow.acero
    import pyarrow.compute  # noqa: F401


def rehearse() -> None:
    """What a process that stands by does before it has a job."""
    os.environ["REHEARSED"] = "yes"


def reads(order: Order) -> list[Path]:
    asked = json.loads(order.envelope or b"{}")
    if "before" in asked:
        globals()[asked["before"]](asked)
    return [Path(path) for path in asked.get("reads", ())]


def _source(order: Order) -> str | None:
    return next(iter(order.sources.values()), None)


def connects(order: Order) -> list[Endpoint]:
    asked = json.loads(_source(order) or order.envelope or b"{}")
    return [Endpoint(host, port) for host, port in asked.get("connects", ())]


def errand(order: Order) -> list[Finding]:
    """What would end a statement elsewhere: tells the handles to who listens at the first endpoint."""
    asked = json.loads(_source(order) or "{}")
    with socket.create_connection(tuple(asked["connects"][0])) as line:
        line.sendall(json.dumps([order.errand, *order.handles]).encode())
    if asked.get("fails"):
        raise Fault("source.unavailable", "It does not answer.")
    return [Finding("said", "ok", asked["say"])] if "say" in asked else []


def work(order: Order, sink: BinaryIO, announce: Callable[[str], None], sandbox: int | None = None) -> Report:
    asked = json.loads(order.envelope) | {"sandbox": sandbox}
    for handle in asked.get("announce", ()):
        announce(handle)
    if asked["do"] == "flood_sink":
        return flood_sink(sink)
    found = globals()[asked["do"]](asked)
    sink.write(json.dumps(found).encode())
    return Report(parcel(order), Facts())


def nothing(_: Asked) -> None:
    return None


def ask_the_sandbox(asked: Asked) -> Any:
    """Send a pipe down the sandbox's channel; and what sockets there are at all."""
    reading, writing = os.pipe()
    os.write(writing, b"from the worker")
    with socket.socket(fileno=os.dup(asked["sandbox"])) as channel:
        socket.send_fds(channel, [b"{}"], [reading])
    return sockets(asked)


def sockets(_: Asked) -> Any:
    open_ones = [fd for fd in range(3, 256) if attempt(lambda fd=fd: os.fstat(fd)) == "done"]
    return [fd for fd in open_ones if S_ISSOCK(os.fstat(fd).st_mode)]


def echo(asked: Asked) -> Any:
    return asked.get("say")


def sleep(_: Asked) -> None:
    time.sleep(600)


def sleep_told(asked: Asked) -> None:
    with socket.create_connection(tuple(asked["connects"][0])) as line:
        line.sendall(json.dumps(["asleep", os.getpid()]).encode())
    time.sleep(600)


def spin(_: Asked) -> None:
    while True:
        pass


def stubborn(_: Asked) -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    time.sleep(600)


def stubborn_spin(_: Asked) -> None:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    spin(_)


def stop_itself(_: Asked) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def grow(asked: Asked) -> None:
    kept = []
    while True:
        kept.append(bytearray(8 << 20))
        kept[-1][::4096] = b"x" * 2048
        time.sleep(0.001)


def grow_shared(asked: Asked) -> None:
    kept = []
    while True:
        block = mmap.mmap(-1, 8 << 20)
        block.write(b"x" * (8 << 20))
        kept.append(block)


def hold(asked: Asked) -> Any:
    kept = bytearray(asked["mb"] << 20)
    kept[::4096] = b"x" * (len(kept) // 4096)
    time.sleep(0.1)
    return len(kept)


def one_huge_allocation(_: Asked) -> Any:
    return len(bytearray(1 << 45))


def segfault(_: Asked) -> None:
    ctypes.string_at(8)


def exit_silently(_: Asked) -> None:
    os._exit(0)


def print_secret(asked: Asked) -> None:
    for fd in (1, 2):
        os.write(fd, asked["secret"].encode())


def say_ok_and_crash(_: Asked) -> Never:
    """A whole answer, but not a proper end."""
    for fd in pipes():
        os.write(fd, encode(Answer(failed="limit.memory")))
    os.abort()


def fail(asked: Asked) -> Never:
    raise KeyError(asked["secret"])


def no_space(_: Asked) -> Never:
    raise OSError(errno.ENOSPC, "full")


def flood_sink(sink: BinaryIO) -> None:
    while True:
        sink.write(bytes(1 << 20))


def pipes() -> list[int]:
    open_ones = [fd for fd in range(3, 64) if attempt(lambda fd=fd: os.fstat(fd)) == "done"]
    return [fd for fd in open_ones if S_ISFIFO(os.fstat(fd).st_mode)]


def flood_answer(asked: Asked) -> None:
    try:
        while True:
            os.write(pipes()[0], b"\xff" * 65536)
    except OSError:
        os._exit(0)


def leave_a_family(asked: Asked) -> None:
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


def orphan(asked: Asked) -> None:
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


def record(asked: Asked) -> None:
    fifo = os.open(asked["pids"], os.O_WRONLY)
    os.write(fifo, f"{os.getpid()}\n".encode())
    os.close(fifo)


def try_calls(_: Asked) -> Any:
    def listen() -> None:
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
        "chmod": lambda: os.chmod("/tmp", 0o777),  # noqa: PTH101
    }
    return {name: attempt(call) for name, call in calls.items()}


def try_network(asked: Asked) -> Any:
    """What a job with one server may do beyond talking to it."""

    def connect(port: int) -> None:
        socket.create_connection(("127.0.0.1", port), 5).close()

    def made(family: int, kind: int, protocol: int = 0) -> None:
        socket.socket(family, kind, protocol).close()

    def bind() -> None:
        with socket.socket() as it:
            it.bind(("127.0.0.1", 0))

    def listen() -> None:
        with socket.socket() as it:
            it.listen()

    calls = {
        "own_port": lambda: connect(asked["connects"][0][1]),
        "other_port": lambda: connect(asked["other"]),
        "bind": bind,
        "listen": listen,
        "udp": lambda: made(socket.AF_INET, socket.SOCK_DGRAM),
        "raw": lambda: made(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP),
        "mptcp": lambda: made(socket.AF_INET, socket.SOCK_STREAM, 262),
        "unix": lambda: made(socket.AF_UNIX, socket.SOCK_STREAM),
        "netlink": lambda: made(socket.AF_NETLINK, socket.SOCK_RAW),
        "vsock": lambda: made(socket.AF_VSOCK, socket.SOCK_STREAM),
    }
    return {name: attempt(call) for name, call in calls.items()}


def attempt(call: Callable[[], object]) -> str:
    try:
        call()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"


def try_paths(asked: Asked) -> Any:
    def write(path: str) -> None:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))

    def make(path: str) -> None:
        os.close(os.open(f"{path}/new", os.O_WRONLY | os.O_CREAT))

    return {
        "read": {path: attempt(lambda path=path: Path(path).read_bytes()) for path in asked.get("read", ())},
        "list": {path: attempt(lambda path=path: list(Path(path).iterdir())) for path in asked.get("list", ())},
        "write": {path: attempt(lambda path=path: write(path)) for path in asked.get("write", ())},
        "make": {path: attempt(lambda path=path: make(path)) for path in asked.get("make", ())},
    }


def look_around(asked: Asked) -> Any:
    """What a job can see of the world, and what earlier jobs left in this very module."""
    earlier = list(SEEN_BY_EARLIER_JOBS)
    SEEN_BY_EARLIER_JOBS.append(asked["say"])
    status = dict(line.split(":", 1) for line in status_of_self(asked))
    return {
        "earlier": earlier,
        "environ": dict(os.environ),
        "descriptors": [fd for fd in range(256) if attempt(lambda fd=fd: os.fstat(fd)) == "done"],
        "cwd": str(Path.cwd()),
        "session": os.getsid(0) == os.getpid(),
        "threads": threading.active_count(),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "dumpable": ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0),
        "oom": OOM[0],
        "status": {name: status[name].strip() for name in ("CapEff", "CapPrm", "NoNewPrivs", "Seccomp")},
    }


_STATUS: list[int] = []


def read_status(_: Asked) -> None:
    """Before the jail is locked: a descriptor on the own status, to be read again afterwards."""
    _STATUS.append(os.open("/proc/self/status", os.O_RDONLY))
    OOM.append(Path("/proc/self/oom_score_adj").read_text().strip())


def status_of_self(_: Asked) -> Any:
    return os.pread(_STATUS[0], 65536, 0).decode().splitlines()


def arrow(_: Asked) -> Any:
    import pyarrow as pa

    table = pa.table({"k": [1, 2, 1, 2] * 1000, "v": list(range(4000))})
    grouped = table.group_by("k").aggregate([("v", "sum")]).sort_by("k")
    return grouped.column("v_sum").to_pylist()


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--arrow"]
    first = warm_with_arrow if "--arrow" in sys.argv else warm
    parts = {"reads": reads, "connects": connects, "work": work, "errand": errand}
    sys.exit(server.main(arguments, SimpleNamespace(warm=first, rehearse=rehearse, **parts)))
