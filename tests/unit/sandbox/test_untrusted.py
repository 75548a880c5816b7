"""The list of system calls for untrusted programs: what it decides on both architectures, and in a live process."""

import errno
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.sandbox import seccomp, untrusted
from agent.sandbox.numbers import NUMBERS
from agent.sandbox.syscalls import ARCHITECTURES, Syscalls, syscalls
from tests.support.bpf import ALLOW, KILL, decide, denied

Alone = Callable[..., Any]

PID = 4242
THREAD = 0x3D0F00
"""What glibc passes to clone for a thread; musl adds 0x400000."""

HEADERS = {
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}


@pytest.fixture(params=ARCHITECTURES)
def table(request: pytest.FixtureRequest) -> Syscalls:
    return syscalls(request.param)


def verdict(table: Syscalls, name: str, *arguments: int) -> int:
    program = seccomp.program(untrusted.rules(PID, own_root=True), table, "unknown")
    return decide(program, table.numbers[name], table.audit_arch, arguments)


DANGEROUS = [
    "execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_open",
    "pidfd_getfd", "pidfd_send_signal", "tkill", "kcmp", "socket", "socketpair", "connect", "bind", "sendto", "sendmsg",
    "recvmsg", "memfd_create", "memfd_secret", "io_uring_setup", "io_uring_enter", "bpf", "userfaultfd",
    "perf_event_open", "keyctl", "add_key", "request_key", "unshare", "setns", "mount", "umount2", "pivot_root",
    "chroot", "open_tree", "move_mount", "fsopen", "mount_setattr", "open_by_handle_at", "name_to_handle_at", "chmod",
    "fchmod", "fchmodat", "fchmodat2", "chown", "fchownat", "utimensat", "truncate", "setxattr", "getxattr",
    "listxattr", "link", "linkat", "symlink", "symlinkat", "mknod", "mknodat", "shmget", "shmat", "semget", "msgget",
    "mq_open", "mq_unlink", "mq_timedsend", "seccomp", "landlock_restrict_self", "setuid", "setresuid", "setgroups",
    "capset", "capget", "setrlimit", "setpriority", "sched_setscheduler", "personality", "syslog", "reboot", "kexec_load",
    "init_module", "finit_module", "acct", "quotactl", "setsid", "setpgid", "modify_ldt", "move_pages",
]  # fmt: skip


@pytest.mark.parametrize("name", DANGEROUS)
def test_what_reaches_outside_is_refused(table: Syscalls, name: str) -> None:
    if name in table.numbers:
        assert verdict(table, name) == denied(errno.EPERM)
    else:
        assert NUMBERS[name][ARCHITECTURES.index(table.architecture)] is None


@pytest.mark.parametrize(
    "name", ["openat2", "splice", "vmsplice", "inotify_init1", "signalfd4", "timerfd_create", "pkey_alloc", "mlock"]
)
def test_what_is_on_no_list_looks_missing(table: Syscalls, name: str) -> None:
    assert verdict(table, name) == denied(errno.ENOSYS)


def test_every_number_without_a_rule_looks_missing(table: Syscalls) -> None:
    """Also those that the table does not know: a list of what is allowed, whatever a later kernel brings."""
    named = {
        table.numbers[name]
        for rule in untrusted.rules(PID, own_root=True)
        for name in rule.names
        if name in table.numbers
    }
    program = seccomp.program(untrusted.rules(PID, own_root=True), table, "unknown")
    for number in {*range(700), 2**30 - 1} - named:
        assert decide(program, number, table.audit_arch) == denied(errno.ENOSYS), number


def test_no_plain_call_kills(table: Syscalls) -> None:
    program = seccomp.program(untrusted.rules(PID, own_root=True), table, "unknown")
    for arguments in ((), (2**64 - 1,) * 6, (PID,) * 6):
        assert all(decide(program, number, table.audit_arch, arguments) != KILL for number in range(700))


@pytest.mark.parametrize("name", ["read", "openat", "mmap", "futex", "getrandom", "clock_gettime", "exit_group"])
def test_ordinary_work_passes(table: Syscalls, name: str) -> None:
    assert verdict(table, name, 2**64 - 1, 2**64 - 1) == ALLOW


def test_a_thread_can_be_made_and_nothing_else(table: Syscalls) -> None:
    assert verdict(table, "clone", THREAD) == verdict(table, "clone", THREAD | 0x400000) == ALLOW
    assert verdict(table, "clone3") == denied(errno.ENOSYS)
    refused = [17, 0, 0x4000 | 0x100 | 17, THREAD & ~0x10000, THREAD & ~0x100, THREAD & ~0x800]
    refused += [THREAD & ~0x200, THREAD & ~0x400]
    namespaces = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
    others = (0x1000, 0x2000, 0x4000, 0x8000, 0x800000, 0x80000000)
    for flags in (*refused, *(THREAD | bit for bit in (*namespaces, *others))):
        assert verdict(table, "clone", flags) == denied(errno.EPERM), hex(flags)


@pytest.mark.parametrize("name", ["kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"])
def test_only_itself_may_be_signalled(table: Syscalls, name: str) -> None:
    assert verdict(table, name, PID) == ALLOW
    for other in (0, 1, PID + 1, 2**32 - 1, 2**64 - 1, 2**64 - PID):
        assert verdict(table, name, other) == denied(errno.EPERM)


def test_limits_can_be_read_and_not_set(table: Syscalls) -> None:
    assert verdict(table, "prlimit64", 0, 7, 0, 1) == verdict(table, "prlimit64", PID, 7, 0, 1) == ALLOW
    for arguments in ((1, 7, 0, 1), (0, 7, 1, 0), (0, 7, 1 << 32, 0), (PID, 7, 0x7F00_0000_0000, 0)):
        assert verdict(table, "prlimit64", *arguments) == denied(errno.EPERM)


def test_descriptors_cannot_send_signals(table: Syscalls) -> None:
    """F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY, and F_SETPIPE_SZ, whose memory nobody counts."""
    for command in (8, 10, 15, 1024, 1026, 1031):
        assert verdict(table, "fcntl", 0, command) == denied(errno.EPERM)
    for command in (0, 1, 2, 3, 4, 6, 1030):
        assert verdict(table, "fcntl", 0, command) == ALLOW


def test_few_requests_of_ioctl_and_prctl_pass(table: Syscalls) -> None:
    assert verdict(table, "ioctl", 0, 0x5401) == ALLOW
    for request in (0x5412, 0x5452, 0x8910, 0xAF01, 0):  # TIOCSTI, FIOASYNC, a socket's, vhost's
        assert verdict(table, "ioctl", 0, request) == denied(errno.ENOTTY)
    assert verdict(table, "prctl", 15) == ALLOW
    for option in (1, 4, 8, 22, 24, 36, 38, 47, 59, 0x59616D61):  # death signal … syscall user dispatch, ptracer
        assert verdict(table, "prctl", option) == denied(errno.EPERM)


def test_pipes_that_notify_are_refused(table: Syscalls) -> None:
    assert verdict(table, "pipe2", 0, 0o2000000 | 0o4000) == ALLOW
    assert verdict(table, "pipe2", 0, 0o200) == denied(errno.EPERM)


def test_in_the_machines_root_no_link_is_read_and_no_file_is_without_a_name(table: Syscalls) -> None:
    program = seccomp.program(untrusted.rules(PID), table, "unknown")

    def decided(name: str, *arguments: int) -> int:
        return decide(program, table.numbers[name], table.audit_arch, arguments)

    assert decided("openat", 0, 0, 0o2000102) == decided("openat", 0, 0, 0o200000) == ALLOW  # O_CREAT, O_DIRECTORY
    assert decided("openat", 0, 0, 0o20200002) == denied(errno.EOPNOTSUPP)
    assert decided("readlinkat") == denied(errno.EINVAL)
    if "open" in table.numbers:
        assert decided("open", 0, 0o20200002) == denied(errno.EOPNOTSUPP)
        assert decided("readlink") == denied(errno.EINVAL)
    assert verdict(table, "readlinkat") == verdict(table, "openat", 0, 0, 0o20200002) == ALLOW


def test_memory_that_is_counted_nowhere_is_refused(table: Syscalls) -> None:
    """MAP_SHARED and MAP_SHARED_VALIDATE, each with MAP_ANONYMOUS."""
    for flags in (0x21, 0x23, 0x8021):
        assert verdict(table, "mmap", 0, 4096, 3, flags) == denied(errno.EPERM)
    for flags in (0x22, 0x01, 0x02, 0x4022):
        assert verdict(table, "mmap", 0, 4096, 3, flags) == ALLOW


def test_other_processes_are_not_moved_between_processors(table: Syscalls) -> None:
    assert verdict(table, "sched_setaffinity", 0) == verdict(table, "sched_setaffinity", PID) == ALLOW
    assert verdict(table, "sched_setaffinity", 1) == verdict(table, "sched_getaffinity", 1) == denied(errno.EPERM)


def test_foreign_architectures_and_x32_are_killed(table: Syscalls) -> None:
    program = seccomp.program(untrusted.rules(PID, own_root=True), table, "unknown")
    foreign = {syscalls(name).audit_arch for name in ARCHITECTURES} | {0x40000003, 0x40000028}
    for arch in foreign - {table.audit_arch}:
        assert decide(program, 0, arch) == KILL
    if table.architecture == "x86_64":
        assert decide(program, 0x40000000, table.audit_arch) == decide(program, 2**31 - 1, table.audit_arch) == KILL


def test_every_named_call_has_a_number() -> None:
    for rule in untrusted.rules(PID, own_root=True):
        assert set(rule.names) <= NUMBERS.keys()


def test_no_call_is_named_twice() -> None:
    names = [name for rule in untrusted.rules(PID, own_root=True) for name in rule.names]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_numbers_are_the_kernels(architecture: str) -> None:
    header = Path(HEADERS[architecture])
    if not header.exists():
        pytest.skip("the kernel's headers are not installed")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", header.read_text())
    known = {name: int(number) for name, number in found}
    column = ARCHITECTURES.index(architecture)
    ours = {name: row[column] for name, row in NUMBERS.items() if name in known and row[column] is not None}
    assert {name: known[name] for name in ours} == ours
    assert len(ours) > 200


LIVE = """
import ctypes, fcntl, resource, struct, threading
from agent.sandbox import process, seccomp, untrusted
from agent.sandbox.syscalls import syscall
me, other = os.getpid(), os.fork()
if other == 0:
    process.die_with_parent(me)
    signal.pause()
seccomp.install(untrusted.rules(me, own_root=True), "unknown")
def thread():
    it = threading.Thread(target=seen.append, args=("ran",))
    it.start()
    it.join()
def owner():
    reading, writing = os.pipe()
    fcntl.fcntl(reading, fcntl.F_SETOWN, other)
seen = []
say({
    "eperm": [attempt(call) for call in (
        lambda: socket.socket(), lambda: socket.socketpair(), lambda: os.execv("/bin/true", ["true"]), os.fork,
        lambda: os.kill(other, 0), lambda: os.memfd_create("x"), lambda: os.chmod("/", 0o755),
        lambda: os.utime("/", (0, 0)), lambda: os.symlink("a", "/b"), lambda: os.setxattr("/", "user.x", b""),
        lambda: syscall("ptrace", 16, other, 0, 0), lambda: syscall("unshare", 0), lambda: os.pidfd_open(other), owner,
        lambda: syscall("prlimit64", 0, 7, bytes(16), None), lambda: os.sched_setaffinity(other, {0}),
        lambda: syscall("clone", 0x10000000 | 17, None, None, None, 0), lambda: os.setsid(),
    )],
    "enosys": [attempt(lambda: syscall(name, 0, 0, 0, 0)) for name in ("clone3", "inotify_init1", "splice")],
    "done": [attempt(call) for call in (
        thread, lambda: os.kill(me, 0), lambda: os.listdir("/"), lambda: os.pipe(), lambda: os.urandom(8),
        lambda: resource.getrlimit(resource.RLIMIT_NOFILE), lambda: signal.raise_signal(signal.SIGWINCH),
    )],
    "seen": seen,
})
"""


def test_in_force_in_a_real_process(alone: Alone) -> None:
    said = alone(LIVE)
    assert said["eperm"] == ["EPERM"] * 18
    assert said["enosys"] == ["ENOSYS"] * 3
    assert said["done"] == ["done"] * 7
    assert said["seen"] == ["ran"]


def test_it_holds_for_threads_that_run_already(alone: Alone) -> None:
    code = """
import threading
from agent.sandbox import seccomp, untrusted
go, said = threading.Event(), []
def late():
    go.wait()
    said.append(attempt(lambda: socket.socket()))
it = threading.Thread(target=late)
it.start()
seccomp.install(untrusted.rules(os.getpid(), own_root=True), "unknown")
go.set()
it.join()
say(said)
"""
    assert alone(code) == ["EPERM"]
