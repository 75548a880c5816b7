import errno
from collections.abc import Callable
from socket import IPPROTO_TCP, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_RAW, SOCK_STREAM
from typing import Any

import pytest

from agent.sandbox import seccomp
from agent.sandbox.syscalls import ARCHITECTURES, NEWEST_KNOWN, Syscalls, syscalls
from tests.support.bpf import ALLOW, KILL, decide, denied

Alone = Callable[..., Any]

PID = 4242
FOREIGN = 0x40000003  # AUDIT_ARCH_I386
READ = {"x86_64": 0, "aarch64": 63}
CLONE_THREAD_FLAGS = 0x3D0F00
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16


@pytest.fixture(params=ARCHITECTURES)
def table(request: pytest.FixtureRequest) -> Syscalls:
    return syscalls(request.param)


def verdict(table: Syscalls, name: str, *arguments: int, families: tuple[int, ...] = ()) -> int:
    program = seccomp.program(seccomp.worker_rules(PID, families), table)
    return decide(program, table.numbers[name], table.audit_arch, arguments)


@pytest.mark.parametrize(
    "name",
    [
        "listen",
        "accept4",
        "bind",
        "execve",
        "execveat",
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "pidfd_getfd",
        "memfd_create",
        "shmget",
        "mq_open",
        "keyctl",
        "io_uring_setup",
        "bpf",
        "unshare",
        "mount",
        "fchmodat",
        "setxattr",
        "utimensat",
        "truncate",
        "open_by_handle_at",
        "userfaultfd",
        "socketpair",
    ],
)
def test_forbidden_calls(table: Syscalls, name: str) -> None:
    assert verdict(table, name) == denied(errno.EPERM)


def test_a_shared_channel_cannot_be_shut(table: Syscalls) -> None:
    assert verdict(table, "shutdown", 5, 1) == denied(0)


def test_ordinary_calls_pass(table: Syscalls) -> None:
    program = seccomp.program(seccomp.worker_rules(PID), table)
    assert decide(program, READ[table.architecture], table.audit_arch) == ALLOW


def test_a_process_cannot_be_made_but_a_thread_can(table: Syscalls) -> None:
    assert verdict(table, "clone", CLONE_THREAD_FLAGS) == ALLOW
    assert verdict(table, "clone", 17) == denied(errno.EPERM)
    assert verdict(table, "clone3") == denied(errno.ENOSYS)
    for name in {"fork", "vfork"} & table.numbers.keys():
        assert verdict(table, name) == denied(errno.EPERM)


@pytest.mark.parametrize("name", ["kill", "tgkill", "rt_sigqueueinfo"])
def test_only_itself_may_be_signalled(table: Syscalls, name: str) -> None:
    assert verdict(table, name, PID) == ALLOW
    for other in (0, 1, PID + 1, 2**64 - 1):
        assert verdict(table, name, other) == denied(errno.EPERM)


def test_only_its_own_limits_may_be_changed(table: Syscalls) -> None:
    assert verdict(table, "prlimit64", 0) == verdict(table, "prlimit64", PID) == ALLOW
    assert verdict(table, "prlimit64", 1) == denied(errno.EPERM)


def test_a_file_source_gets_no_socket(table: Syscalls) -> None:
    for family in (AF_UNIX, AF_INET, AF_INET6, AF_NETLINK):
        assert verdict(table, "socket", family) == denied(errno.EPERM)


def test_a_network_source_gets_its_families_only(table: Syscalls) -> None:
    families = (AF_INET, AF_INET6)
    for kind in (SOCK_STREAM, SOCK_STREAM | SOCK_CLOEXEC, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK):
        for protocol in (0, IPPROTO_TCP):
            assert verdict(table, "socket", AF_INET6, kind, protocol, families=families) == ALLOW
    for family in (AF_UNIX, AF_NETLINK):
        assert verdict(table, "socket", family, SOCK_STREAM, families=families) == denied(errno.EPERM)
    for kind, protocol in ((SOCK_DGRAM, 0), (SOCK_RAW, IPPROTO_TCP), (SOCK_STREAM, 262), (SOCK_STREAM, 132), (0, 0)):
        assert verdict(table, "socket", AF_INET, kind, protocol, families=families) == denied(errno.EPERM)
    assert verdict(table, "listen", families=families) == denied(errno.EPERM)


def test_a_foreign_architecture_is_killed(table: Syscalls) -> None:
    program = seccomp.program(seccomp.worker_rules(PID), table)
    for name in ARCHITECTURES:
        foreign = syscalls(name).audit_arch
        if foreign != table.audit_arch:
            assert decide(program, 0, foreign) == KILL
    assert decide(program, 0, FOREIGN) == KILL


def test_x32_calls_are_killed() -> None:
    table = syscalls("x86_64")
    program = seccomp.program(seccomp.worker_rules(PID), table)
    assert decide(program, 0x40000000, table.audit_arch) == KILL


def test_calls_newer_than_the_table_look_missing(table: Syscalls) -> None:
    program = seccomp.program(seccomp.worker_rules(PID), table)
    assert decide(program, NEWEST_KNOWN + 1, table.audit_arch) == denied(errno.ENOSYS)
    assert decide(program, NEWEST_KNOWN, table.audit_arch) == ALLOW


def test_every_named_call_is_in_a_table() -> None:
    known = syscalls("x86_64").numbers.keys() | syscalls("aarch64").numbers.keys()
    for rule in seccomp.worker_rules(PID):
        assert set(rule.names) <= known


INSTALLED = """
import ctypes, mmap, threading
from agent.sandbox import process, seccomp
me, other = os.getpid(), os.fork()
if other == 0:
    process.die_with_parent(me)
    signal.pause()
unix = socket.socket(socket.AF_UNIX)
asking, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
unix.bind("\\0meridyen-seccomp-test-%d" % os.getpid())
seccomp.install(seccomp.worker_rules(os.getpid()))
libc = ctypes.CDLL(None, use_errno=True)
def ptrace():
    if libc.ptrace(16, other, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "")
def thread():
    it = threading.Thread(target=seen.append, args=("ran",))
    it.start()
    it.join()
def shut():
    asking.shutdown(socket.SHUT_RDWR)
    asking.send(b"still")
    return asked.recv(9).decode()
seen = []
said = {
    "shut": attempt(shut),
    "listen": attempt(unix.listen),
    "socket": attempt(lambda: socket.socket(socket.AF_INET)),
    "exec": attempt(lambda: os.execv("/bin/true", ["true"])),
    "fork": attempt(os.fork),
    "ptrace": attempt(ptrace),
    "kill": attempt(lambda: os.kill(other, signal.SIGKILL)),
    "memfd": attempt(lambda: os.memfd_create("x")),
    "thread": attempt(thread),
    "self": attempt(lambda: os.kill(os.getpid(), 0)),
    "seen": seen,
}
say(said)
"""


def test_in_force_in_a_real_process(alone: Alone) -> None:
    said = alone(INSTALLED)
    forbidden = ("listen", "socket", "exec", "fork", "ptrace", "kill", "memfd")
    assert {name: said[name] for name in forbidden} == dict.fromkeys(forbidden, "EPERM")
    assert (said["thread"], said["seen"], said["self"], said["shut"]) == ("done", ["ran"], "done", "done")
