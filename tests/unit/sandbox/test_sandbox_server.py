"""The sandbox's server and its jail, in both tiers: real children of a real server."""

import errno
import os
import resource
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from agent.sandbox import channel, scratch
from agent.sandbox.jobs import usable
from agent.sandbox.messages import SandboxRequest
from tests.unit.sandbox import bare
from tests.unit.sandbox.bare import Bare

MIB = 1 << 20


@pytest.fixture(scope="module", params=["full", "container"])
def server(request: pytest.FixtureRequest) -> Iterator[Bare]:
    with bare.server(request.param, "--at-once", "2", "--memory-mb", "1000") as running:
        yield running


FACTS = """
import ctypes, errno, fcntl, resource, signal, socket, struct
from agent.sandbox.syscalls import prctl
def attempt(call):
    try:
        return call() or "done"
    except OSError as error:
        return errno.errorcode[error.errno]
def is_open(fd):
    try:
        return fcntl.fcntl(fd, fcntl.F_GETFD) >= 0
    except OSError:
        return False
say({
    "descriptors": [fd for fd in range(64) if is_open(fd)],
    "dumpable": prctl(3), "no new privileges": prctl(39), "seccomp": prctl(21),
    "limits": {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name))
               for name in ("CORE", "MEMLOCK", "MSGQUEUE", "FSIZE", "NOFILE", "CPU", "AS")},
    "environment": sorted(os.environ), "tmp": os.environ["TMPDIR"], "cwd": os.getcwd(), "files": os.listdir("."),
    "uid": os.getuid(), "pid": os.getpid(), "host": os.uname().nodename,
    "root": attempt(lambda: os.listdir("/")), "passwd": attempt(lambda: open("/etc/passwd").read()),
    "flags": os.statvfs(".").f_flag & (2 | 4 | 8), "size": os.statvfs(".").f_blocks * os.statvfs(".").f_frsize,
    "null": attempt(lambda: open("/dev/null", "w").write("x") and None),
    "group": open("/proc/self/cgroup").read() != "", "maps": ".so" in open("/proc/self/maps").read(),
    "groups": attempt(lambda: os.listdir("/sys/fs/cgroup")),
    "import": attempt(lambda: __import__("sqlite3") and None),
})
"""


def test_a_scratch_folder_has_a_size() -> None:
    """The kernel takes a size of 0 for none."""
    for size in (0, 1e-9, 0.5):
        with pytest.raises(ValidationError):
            SandboxRequest(wall_seconds=1, cpu_seconds=1, memory_mb=1, scratch_mb=size)


def test_a_request_needs_the_ends_of_five_pipes(tmp_path: Path) -> None:
    """A child that were given the reader of its own end as its input would hide that its worker has left."""
    file = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(5)]
    try:
        whole = [pipes[0][0], *(writing for _, writing in pipes[1:])]
        assert usable(whole)
        assert not usable([pipes[4][0], *whole[1:]])
        assert not usable([*whole[:3], whole[2], whole[4]])
        assert not usable(whole[:4])
        assert not usable([whole[1], *whole[1:]])
        assert not usable([*whole[:4], pipes[4][0]])
        assert not usable([*whole[:4], file])
    finally:
        os.close(file)
        for fd in (fd for pipe in pipes for fd in pipe):
            os.close(fd)


def test_facts_of_the_jail(server: Bare) -> None:
    said, done = server.run(FACTS, cpu_seconds=7)
    assert (done.cause, done.status) == ("exit", 0)
    assert said["descriptors"] == [0, 1, 2, 3]
    assert (said["dumpable"], said["no new privileges"], said["seccomp"]) == (0, 1, 2)
    limits = said["limits"]
    assert [limits[name] for name in ("CORE", "MEMLOCK", "MSGQUEUE")] == [[0, 0]] * 3
    assert (limits["FSIZE"], limits["NOFILE"], limits["CPU"]) == ([8 * MIB] * 2, [64, 64], [7, 8])
    assert resource.RLIM_INFINITY != limits["AS"][1] < 16 << 30
    assert {"PATH", "PYTHONPATH"}.isdisjoint(said["environment"])
    full = server.ready["tier"] == "full"
    assert said["files"] == []
    assert said["tmp"] == said["cwd"] or (full and said["tmp"] == "/tmp")  # code below /tmp leaves it its name
    assert said["root"] == "EACCES"
    assert said["passwd"] in {"EACCES", "ENOENT"}
    assert (said["null"], said["group"], said["maps"], said["import"]) == ("done", True, True, "done")
    assert said["groups"] == "EACCES"
    if full:
        assert (said["uid"], said["pid"], said["host"], said["cwd"]) == (65534, 1, "sandbox", "/scratch")
        assert (said["flags"], said["size"]) == (2 | 4 | 8, 8 * MIB)


HEADLESS = """
import ctypes, threading, time
held = []
def eat():
    time.sleep(0.2)
    held.append(bytearray(200 << 20))
    time.sleep(60)
threading.Thread(target=eat).start()
ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
"""
BOMB = """
import threading, time
threading.stack_size(65536)
for _ in range(400):
    threading.Thread(target=time.sleep, args=(60,)).start()
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("code", "bounds", "cause"),
    [
        ("import time\ntime.sleep(60)", {"wall_seconds": 0.3}, "limit.wall"),
        (
            "import signal\nsignal.pthread_sigmask(0, range(1, 32))\nsignal.signal(24, signal.SIG_IGN)\nwhile True: pass",
            {"cpu_seconds": 1},
            "limit.cpu",
        ),
        ("x = bytearray(200 << 20)\nimport time\ntime.sleep(60)", {"memory_mb": 100}, "limit.memory"),
        (HEADLESS, {"memory_mb": 100}, "limit.memory"),
        (
            BOMB,
            {},
            "limit.threads",
        ),
        ("import ctypes\nctypes.string_at(0)", {}, "signal"),
        ("raise KeyError", {}, "exit"),
    ],
    ids=["wall", "cpu, deaf", "memory", "memory, first thread gone", "threads", "crash", "exception"],
)
def test_each_limit_ends_a_job(server: Bare, code: str, bounds: dict[str, float], cause: str) -> None:
    said, done = server.run(f"say('began')\n{code}\nsay('went on')", **bounds)
    assert (said, done.cause) == ("began", cause)
    assert server.run("say(1)")[0] == 1, "the next job does not run"


def test_the_status_of_an_end(server: Bare) -> None:
    assert server.run("os._exit(7)")[1].status == 7
    assert server.run("raise KeyError")[1].status == 70
    assert server.run("import ctypes\nctypes.string_at(0)")[1].status == signal.SIGSEGV


WRITE = """
import errno
def write(name, size):
    try:
        with open(name, "wb") as file:
            for _ in range(size):
                file.write(bytes(1 << 20))
    except OSError as error:
        return errno.errorcode[error.errno]
"""


def test_a_file_is_bounded(server: Bare) -> None:
    said, _ = server.run(WRITE + "x = write('a', 5)\nos.unlink('a')\nsay([x, write('b', 9)])", scratch_mb=6.5)
    assert said[0] is None
    assert said[1] in {"EFBIG", "ENOSPC"}


def test_the_scratch_folder_is_bounded(server: Bare) -> None:
    said, done = server.run(WRITE + "import time\nx = [write(str(n), 4) for n in range(8)]\ntime.sleep(1)\nsay(x)")
    if server.ready["tier"] == "full":
        assert (said[0], said[-1], done.cause) == (None, "ENOSPC", "exit")
    else:
        assert (said, done.cause) == (None, "limit.scratch")


def test_the_number_of_files_is_bounded(server: Bare) -> None:
    code = "import errno\ntry:\n for n in range(6000): open(str(n), 'w').close()\nexcept OSError as e: say(e.errno)\n"
    said, done = server.run(code + "import time\ntime.sleep(2)", wall_seconds=30)
    if server.ready["tier"] == "full":
        assert (said, done.cause) == (errno.ENOSPC, "exit")
    else:
        assert (said, done.cause) == (None, "limit.scratch")


def test_shared_memory_without_a_file_is_refused(server: Bare) -> None:
    code = "import mmap\ntry:\n mmap.mmap(-1, 4096)\nexcept OSError as e: say(e.errno)"
    assert server.run(code)[0] == errno.EPERM


def test_a_hundred_open_files_are_too_many(server: Bare) -> None:
    code = (
        "import errno\nf=[]\ntry:\n for n in range(100): f.append(open('/dev/null'))\nexcept OSError as e: say(e.errno)"
    )
    assert server.run(code)[0] == errno.EMFILE


def test_nothing_is_left_for_the_next_job(server: Bare) -> None:
    leave = (
        "import sys\nopen('mine', 'w').write('x')\nos.makedirs('a/b/c')\nopen('a/b/c/d', 'w').close()\nos.mkdir('z', 0)"
    )
    assert server.run(leave)[1].status == 0
    for _ in range(3):
        assert server.run("say(os.listdir('.'))")[0] == []


def test_no_thread_outlives_its_job(server: Bare) -> None:
    server.run("say(1)")
    code = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\nos._exit(0)"
    assert server.run(code)[1].cause == "exit"
    usual = 3 if server.ready["tier"] == "full" else 2  # the server, the first inside, one that stands by
    give_up = time.monotonic() + 10
    while len(server.processes()) > usual and time.monotonic() < give_up:
        time.sleep(0.01)
    assert len(server.processes()) <= usual


def test_leaving_ends_a_running_job(server: Bare) -> None:
    with server.ask() as running:
        running.input.write(b"import time\nsay(1)\ntime.sleep(60)")
        running.input.close()
        assert running.result.read(1) == b"1"
        server.load(running=1)
    server.load(running=0)


def test_two_at_once_and_the_third_waits_its_turn(server: Bare) -> None:
    with server.ask() as first, server.ask() as second:
        server.load(running=2, waiting=0)
        with server.ask() as third:
            server.load(running=2, waiting=1)
            first.input.close()
            assert bare.done(first).cause == "exit"
            server.load(running=2, waiting=0)
            third.input.write(b"say('third')")
            third.input.close()
            assert third.result.read() == b'"third"'
            second.input.close()
            assert (bare.done(second).cause, bare.done(third).cause) == ("exit", "exit")


def test_leaving_the_queue(server: Bare) -> None:
    with server.ask() as first, server.ask() as second:
        with server.ask():
            server.load(running=2, waiting=1)
        server.load(running=2, waiting=0)
        for running in (first, second):
            running.input.close()
            assert bare.done(running).cause == "exit"


def test_the_memory_of_all_jobs_is_bounded(server: Bare) -> None:
    with server.ask(memory_mb=700) as first:
        server.load(running=1)
        with server.ask(memory_mb=400) as second:  # there is a place, but no memory
            server.load(running=1, waiting=1)
            first.input.close()
            assert bare.done(first).cause == "exit"
            server.load(running=1, waiting=0)
            second.input.close()
            assert bare.done(second).cause == "exit"


def test_a_job_that_can_never_fit_is_told_so(server: Bare) -> None:
    assert server.run("", memory_mb=2000) == (None, bare.Done(cause="limit.memory", status=0))


def test_what_is_no_request_is_dropped(server: Bare, tmp_path: Path) -> None:
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    good = {"wall_seconds": 1, "cpu_seconds": 1, "memory_mb": 1, "scratch_mb": 1}
    ends, others = [], []
    bad: list[tuple[dict[str, Any], int]] = [
        ({"wall_seconds": 1}, 5),
        (good | {"wall_seconds": -1}, 5),
        (good | {"memory_mb": 1e300}, 5),
        (good | {"more": 1}, 5),
        (good, 4),
        (good, 0),
        (good, 6),
    ]
    for message, count in bad:
        reading, writing = os.pipe()
        channel.send(server.requests, message, [writing] * count)
        os.close(writing)
        ends.append(reading)
    for descriptor in (file, os.open("/", os.O_PATH), socket.socket().detach()):
        reading, writing = os.pipe()
        channel.send(server.requests, good, [reading, descriptor, writing, writing, writing])
        os.close(writing)
        ends.append(reading)
        others.append(descriptor)
    server.requests.send(b"not json")
    for reading in ends:
        assert os.read(reading, 1) == b"", "the server keeps it"
        os.close(reading)
    for descriptor in others:
        os.close(descriptor)
    assert server.run("say(1)")[0] == 1


@pytest.mark.parametrize(
    ("tier", "how"),
    [("full", "killed"), ("container", "killed"), ("full", "terminated"), ("full", "closed"), ("container", "closed")],
)
def test_everything_ends_with_the_server(tier: str, how: str) -> None:
    with bare.server(tier) as server, server.ask() as running:
        running.input.write(b"import time, signal\nsay(1)\ntime.sleep(600)")
        running.input.close()
        assert running.result.read(1) == b"1"
        pids = server.processes()
        assert len(pids) >= (3 if tier == "full" else 2)
        if how == "closed":
            server.control.close()
        else:
            os.kill(server.process.pid, signal.SIGKILL if how == "killed" else signal.SIGTERM)
        server.process.wait(10)
        assert bare.gone(pids)
        assert running.end.read() in {b"", b'{"cause":"cancelled","status":0}\n'}


def test_no_scratch_folder_outlives_the_server() -> None:
    with bare.server("container") as server:
        own, _ = server.run("open('x', 'w').write('x')\nsay(os.getcwd())")
        folder = Path(own).parent
        assert folder.parent == Path(scratch.parent())
        assert folder.name.startswith(scratch.PREFIX)
        assert folder.is_dir()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("tier", "broken"),
    [
        *(("full", name) for name in ("scratch", "seccomp")),
        *(("container", name) for name in ("landlock", "limits", "descriptors")),
    ],
)
def test_without_a_whole_jail_no_code_runs(tier: str, broken: str) -> None:
    with bare.server(tier, broken=broken) as server:
        for _ in range(2):  # a process made at once, and one that stood by
            assert server.run("say('ran')") == (None, bare.Done(cause="isolation", status=70))
            time.sleep(0.05)
