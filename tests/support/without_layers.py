"""`python without_layers.py PROGRAM...`: what each program does where nothing holds it. A line of JSON for each.

Each runs in a forked child with its result pickled back, as a simple runner would do it; the whole lives in user, pid,
net, ipc and mount namespaces of its own, with private /tmp and /dev/shm and a limit on everything, so that nothing is
harmed.
"""

import ctypes
import json
import os
import pickle
import resource
import select
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.hostile_world import NEXT_JOB, World

WALL_SECONDS = 1.2
MEMORY_MB = 700
FLOOD_BYTES = 8 << 20
THREADS = 300


def main(paths: list[str]) -> None:
    _own_namespaces()  # first: libraries start threads, and a process with threads gets none
    if os.fork():
        os.wait()
        return
    from tests.support.frames import orders

    frame = orders()
    libc = ctypes.CDLL(None, use_errno=True)
    for place, kind in ((b"/proc", b"proc"), (b"/tmp", b"tmpfs"), (b"/dev/shm", b"tmpfs")):
        assert libc.mount(b"none", place, kind, 0, b"size=1g" if kind == b"tmpfs" else None) == 0, place
    _loopback_up()
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    for path in paths:
        sys.stdout.write(json.dumps([Path(path).stem, _breaches(Path(path).read_text(), frame)]) + "\n")
        sys.stdout.flush()


def _own_namespaces() -> None:
    uid, gid = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(0x10000000 | 0x20000 | 0x20000000 | 0x40000000 | 0x08000000) == 0, "no namespaces here"
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    assert libc.mount(b"none", b"/", None, 0x4000 | 1 << 18, None) == 0


def _loopback_up() -> None:
    import fcntl

    with socket.socket() as it:
        fcntl.ioctl(it, 0x8914, struct.pack("16sH14x", b"lo", 1))


def _breaches(text: str, frame: object) -> list[str]:
    with World(in_process=True) as world:
        os.environ["CANARY"] = world.secret
        code = world.fill(text)
        reading, writing = os.pipe()
        printed, printing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _child(code, frame, world, (writing, printing))
        os.close(writing)
        os.close(printing)
        said, found = _watch(pid, reading, printed)
        found += _left_behind(world.agent, pid)
        found += world.breaches(said)
        del os.environ["CANARY"]
        return found


def _child(code: str, frame: object, world: World, pipes: tuple[int, int]) -> None:
    """A runner without any care: the namespace is shared, the result is pickled."""
    holds = {"secret": world.secret, "tracked": []}
    secret = world.secret
    for fd in (1, 2):
        os.dup2(pipes[1], fd)
    os.chdir(world.folder)
    Path("scratch").mkdir()
    os.chdir("scratch")
    os.environ["TMPDIR"] = str(Path.cwd())
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (10, 11))
    ctypes.CDLL(None).unshare(0x20000)
    names = {"df": frame, "__name__": "__main__"}
    try:
        exec(compile(code, "<program>", "exec"), names)
        result = names.get("result")
        if "POISONED" in _next(frame):
            os.write(1, b"ESCAPED to the next job")
        assert holds["secret"] == secret
        os.write(pipes[0], pickle.dumps(_Plain(result).value))
    except BaseException as error:  # noqa: BLE001 - here as in any runner
        try:
            os.write(2, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0 if isinstance(error, OSError) else 1)
    for thread in __import__("threading").enumerate():
        if not thread.daemon and thread is not __import__("threading").main_thread():
            thread.join()
    os._exit(0)


def _next(frame: object) -> str:
    names = {"df": frame, "__name__": "__main__"}
    try:
        exec(compile(NEXT_JOB, "<next>", "exec"), names)
    except BaseException:  # noqa: BLE001 - what the program broke for it, the program says itself
        return ""
    return str(names["result"])


class _Plain:
    """What pickle cannot name by import is given as text, but what says how it is to be rebuilt is believed."""

    def __init__(self, value: object) -> None:
        reduce = type(value).__dict__.get("__reduce__")
        self.value = value if reduce is None else _Rebuilt(reduce(value))


class _Rebuilt:
    def __init__(self, how: tuple[object, ...]) -> None:
        self.how = how

    def __reduce__(self) -> tuple[object, ...]:
        return self.how


def _watch(pid: int, reading: int, printed: int) -> tuple[str, list[str]]:
    """What it said, and the limits that it went past."""
    found: list[str] = []
    data = {reading: b"", printed: b""}
    give_up = time.monotonic() + WALL_SECONDS
    while data and time.monotonic() < give_up:
        ready, _, _ = select.select(list(data), [], [], 0.02)
        done = False
        for fd in ready:
            piece = os.read(fd, 1 << 16)
            data[fd] += piece
            done = done or (not piece and fd == reading and not ready[1:])
        if sum(map(len, data.values())) > FLOOD_BYTES:
            found.append("a flood")
        if _status(pid, "RssAnon:") + _status(pid, "RssShmem:") > MEMORY_MB << 10:
            found.append("memory")
        if _status(pid, "Threads:") > THREADS:
            found.append("threads")
        if found or os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
    else:
        found.append("it does not end")
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    for fd in (reading, printed):
        os.set_blocking(fd, False)
        with suppress(OSError):
            data[fd] += os.read(fd, 1 << 20)
        os.close(fd)
    said = ""
    if data[reading]:
        with suppress(Exception):
            said = repr(pickle.loads(data[reading]))
    elif status == 0:
        found.append("it ended well without a result")
    return said + data[printed].decode("utf-8", "replace")[:10_000], found


def _status(pid: int, name: str) -> int:
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1])
    return 0


def _left_behind(agent: int, pid: int) -> list[str]:
    """Processes that are left; they are given a moment to do what they came for, and ended."""
    left = [int(it.name) for it in Path("/proc").iterdir() if it.name.isdigit() and int(it.name) not in {1, agent, pid}]
    if not left:
        return []
    time.sleep(1.3)
    for stray in left:
        with suppress(ProcessLookupError):
            os.kill(stray, signal.SIGKILL)
    for stray in left:
        with suppress(ChildProcessError):
            os.waitpid(stray, 0)
    return [f"{len(left)} processes are left"]


if __name__ == "__main__":
    main(sys.argv[1:])
