import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.sandbox import process
from agent.sandbox.syscalls import prctl

Alone = Callable[..., Any]

PR_SET_PDEATHSIG = 1


def test_a_child_dies_with_its_parent(alone: Alone) -> None:
    code = """
from agent.sandbox import process
process.become_subreaper()
reading, writing = os.pipe()
middle = os.fork()
if middle == 0:
    parent, pid = os.getpid(), os.fork()
    if pid == 0:
        process.die_with_parent(parent)
        os.write(writing, b"x")
        signal.pause()
    os.read(reading, 1)
    os._exit(0)
os.waitpid(middle, 0)
orphan, status = os.waitpid(-1, 0)
say(os.WTERMSIG(status))
"""
    assert alone(code) == 9


def test_a_parent_that_is_gone_already_is_noticed() -> None:
    with pytest.raises(ProcessLookupError):
        process.die_with_parent(os.getpid())
    prctl(PR_SET_PDEATHSIG, 0)  # this process itself goes on as before


def test_only_kept_descriptors_stay_open(alone: Alone) -> None:
    code = """
from agent.sandbox import process
fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(8)]
os.dup2(fds[0], 200)
process.keep_descriptors({0, 1, 2, fds[3], fds[6]})
say([[fd in (0, 1, 2, fds[3], fds[6]) for fd in range(256) if attempt(lambda: os.fstat(fd)) == "done"], len(fds)])
"""
    assert alone(code) == [[True] * 5, 8]


def test_standard_streams_are_silenced(alone: Alone) -> None:
    code = """
from agent.sandbox import process
kept = os.dup(1)
process.silence()
print("not to be seen")
sys.stdout.flush()
print("nor this", file=sys.stderr)
os.dup2(kept, 1)
say(sys.stdin.read())
"""
    assert alone(code) == ""


def test_privileges_are_dropped(alone: Alone) -> None:
    code = """
from agent.sandbox import process
process.drop_capabilities()
process.forbid_new_privileges()
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
say({name: status[name].strip() for name in ("CapEff", "CapPrm", "CapInh", "CapAmb", "NoNewPrivs")})
"""
    none = "0" * 16
    assert alone(code) == {"CapEff": none, "CapPrm": none, "CapInh": none, "CapAmb": none, "NoNewPrivs": "1"}


def test_a_process_without_dumps_cannot_be_read_by_its_own_account(alone: Alone) -> None:
    code = """
from agent.sandbox import process
process.drop_capabilities()
ready, mine = os.pipe()
me, pid = os.getpid(), os.fork()
if pid == 0:
    process.die_with_parent(me)
    process.forbid_dumps()
    os.write(mine, b"x")
    signal.pause()
os.read(ready, 1)
say(attempt(lambda: open(f"/proc/{pid}/mem", "rb")))
"""
    assert alone(code) == "EACCES"


def test_resources_are_limited(alone: Alone) -> None:
    code = """
import resource
from agent.sandbox import process
process.limit_resources(cpu_seconds=7, memory_bytes=1 << 30, file_bytes=4096, open_files=32)
names = ("CORE", "CPU", "FSIZE", "NOFILE", "MEMLOCK", "MSGQUEUE")
def big():
    try:
        bytearray(1 << 31)
    except MemoryError:
        raise OSError(errno.ENOMEM, "") from None
def write():
    with open(os.memfd_create("x"), "wb", buffering=0) as file:
        file.write(bytes(4096))
        file.write(b"x")
say([{name: resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in names}, attempt(big), attempt(write)])
"""
    limits, memory, file = alone(code)
    assert limits["CORE"] == limits["MEMLOCK"] == limits["MSGQUEUE"] == [0, 0]
    assert (limits["CPU"], limits["FSIZE"], limits["NOFILE"]) == ([7, 8], [4096, 4096], [32, 32])
    assert (memory, file) == ("ENOMEM", "EFBIG")


def test_limits_are_never_raised(alone: Alone) -> None:
    code = """
import resource
from agent.sandbox import process
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
process.limit_resources(cpu_seconds=7, memory_bytes=1 << 30, file_bytes=4096, open_files=32)
say(resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    assert alone(code) == [20, 20]


def test_children_are_found_with_and_without_the_kernels_list() -> None:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as child:
        assert child.pid in process.children()
        assert sorted(process.children()) == sorted(process._children_by_scan())
        child.communicate()
    assert child.pid not in process.children()


GROWTH = """
import mmap
from agent.sandbox import process
size = 64 << 20
def growth(make):
    before = process.own_memory(os.getpid())
    kept = make()
    return (process.own_memory(os.getpid()) - before) / size
def private():
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    block.write(b"x" * size)
    return block
def shared():
    block = mmap.mmap(-1, size)
    block.write(b"x" * size)
    return block
def file():
    with open(sys.argv[1], "rb") as opened:
        block = mmap.mmap(opened.fileno(), size, prot=mmap.PROT_READ)
    sum(block[at] for at in range(0, size, 4096))
    return block
say([growth(private), growth(shared), growth(file)])
"""


def test_memory_counts_private_and_shared_pages_but_no_files(alone: Alone, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(64 << 20))
    private, shared, mapped = alone(GROWTH, file)
    assert private == pytest.approx(1, abs=0.1)
    assert shared == pytest.approx(1, abs=0.1)
    assert mapped == pytest.approx(0, abs=0.1)


def test_a_forked_child_starts_with_no_growth(alone: Alone) -> None:
    code = """
from agent.sandbox import process
kept = bytearray(64 << 20)
kept[::4096] = b"x" * (len(kept) // 4096)
before, reading = process.own_memory(os.getpid()), os.pipe()
if os.fork() == 0:
    os.write(reading[1], str(process.own_memory(os.getpid()) - before).encode())
    os._exit(0)
say(int(os.read(reading[0], 32)) >> 20)
"""
    assert abs(alone(code)) <= 2


def test_memory_of_a_process_that_is_gone_cannot_be_seen() -> None:
    with subprocess.Popen(["/bin/true"]) as child:
        pass
    with pytest.raises(OSError):
        process.own_memory(child.pid)


def test_threads_are_named(alone: Alone) -> None:
    code = """
import threading
from agent.sandbox import process
alone = process.threads()
threading.Thread(target=threading.Event().wait, daemon=True).start()
say([len(alone), len(process.threads())])
"""
    assert alone(code) == [1, 2]
