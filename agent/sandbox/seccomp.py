"""Seccomp: a classic BPF program that forbids system calls -> the kernel, for this process and its future children."""

import ctypes
import errno
import socket
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from agent.sandbox.process import forbid_new_privileges
from agent.sandbox.syscalls import NEWEST_KNOWN, Syscalls, host, syscall

# struct seccomp_data { int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6]; }
_OFFSET_NUMBER = 0
_OFFSET_ARCH = 4
_OFFSET_ARGUMENTS = 16

# Classic BPF: instruction class, size, mode, operation.
_LOAD_WORD = 0x20  # LD | W | ABS
_JUMP_EQUAL = 0x15  # JMP | JEQ | K
_JUMP_GREATER = 0x25  # JMP | JGT | K
_JUMP_ANY_BIT = 0x45  # JMP | JSET | K
_RETURN = 0x06  # RET | K

_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000

_SET_MODE_FILTER = 1
_FILTER_FLAG_TSYNC = 1
_X32_FIRST = 0x40000000
_CLONE_THREAD = 0x00010000
_STREAMS = tuple(
    socket.SOCK_STREAM | close | block for close in (0, socket.SOCK_CLOEXEC) for block in (0, socket.SOCK_NONBLOCK)
)
_TCP_OR_DEFAULT = (0, socket.IPPROTO_TCP)


@dataclass(frozen=True, slots=True)
class Forbid:
    """These calls fail with `error`."""

    names: tuple[str, ...]
    error: int = errno.EPERM


@dataclass(frozen=True, slots=True)
class OneOf:
    """These calls pass only when the low 32 bits of `argument` are one of `values`; else EPERM."""

    names: tuple[str, ...]
    argument: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AnyBit:
    """These calls pass only when one of `bits` is set in the low 32 bits of `argument`; else EPERM."""

    names: tuple[str, ...]
    argument: int
    bits: int


@dataclass(frozen=True, slots=True)
class Every:
    """These calls pass only when each of the arguments, in its low 32 bits, is one of its values; else EPERM."""

    names: tuple[str, ...]
    arguments: tuple[tuple[int, tuple[int, ...]], ...]


Rule = Forbid | OneOf | AnyBit | Every

_OTHER_PROCESSES = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp"),
    *("pidfd_getfd", "pidfd_send_signal", "tkill"),
)
_PROGRAMS = ("execve", "execveat", "fork", "vfork")
_INCOMING = ("listen", "accept", "accept4", "bind")
_KEPT_BEYOND_THE_JOB = (
    *("shmget", "shmat", "shmctl", "semget", "semop", "semctl", "semtimedop", "msgget", "msgsnd", "msgrcv", "msgctl"),
    *("mq_open", "mq_unlink", "add_key", "request_key", "keyctl"),
)
_UNCOUNTED_MEMORY = ("memfd_create", "memfd_secret")
_FILE_ATTRIBUTES = (
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "truncate"),
    *("setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr"),
    *("utime", "utimes", "futimesat", "utimensat"),
)
_KERNEL_SURFACE = (
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "userfaultfd", "perf_event_open"),
    *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen", "fsconfig"),
    *("fsmount", "fspick", "mount_setattr", "name_to_handle_at", "open_by_handle_at", "fanotify_init", "quotactl"),
    *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff"),
    *("acct", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "sethostname", "setdomainname", "iopl"),
    *("ioperm", "vhangup", "personality", "syslog"),
)


def worker_rules(pid: int, families: Collection[int] = ()) -> tuple[Rule, ...]:
    """What a worker must not do: listen, run programs, fork, touch other processes, leave anything behind.

    `pid` is the worker's own process, the only one it may signal. `families` are the address families (AF_*) of the
    stream sockets it may open, none for a source that is a file. Streams are TCP or Unix and nothing else: Landlock
    knows no rule for datagrams, and some kernels have none for MPTCP.
    """
    wanted = ((0, tuple(sorted(families))), (1, _STREAMS), (2, _TCP_OR_DEFAULT))
    sockets: Rule = Every(("socket",), wanted) if families else Forbid(("socket",))
    return (
        Forbid(_INCOMING),
        sockets,
        Forbid(("socketpair",)),
        Forbid(_PROGRAMS),
        AnyBit(("clone",), 0, _CLONE_THREAD),
        # Its flags lie in memory, out of a filter's sight; on ENOSYS libc falls back to clone.
        Forbid(("clone3",), errno.ENOSYS),
        Forbid(_OTHER_PROCESSES),
        OneOf(("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"), 0, (pid,)),
        OneOf(("prlimit64",), 0, (0, pid)),
        Forbid(_KEPT_BEYOND_THE_JOB),
        Forbid(_UNCOUNTED_MEMORY),
        Forbid(_FILE_ATTRIBUTES),
        Forbid(_KERNEL_SURFACE),
    )


def program(rules: Sequence[Rule], table: Syscalls) -> bytes:
    """The rules as classic BPF. What no rule names is allowed, up to NEWEST_KNOWN; a foreign architecture is killed.

    Calls that are newer than the table answer ENOSYS, as on an older kernel, so that a kernel update opens nothing.
    """
    code = [
        _op(_LOAD_WORD, _OFFSET_ARCH),
        _op(_JUMP_EQUAL, table.audit_arch, 1, 0),
        _op(_RETURN, _KILL_PROCESS),
        _op(_LOAD_WORD, _OFFSET_NUMBER),
    ]
    if table.architecture == "x86_64":
        code += [_op(_JUMP_GREATER, _X32_FIRST - 1, 0, 1), _op(_RETURN, _KILL_PROCESS)]
    for rule in rules:
        for name in rule.names:
            if name in table.numbers:
                verdict = _verdict(rule)
                code += [_op(_JUMP_EQUAL, table.numbers[name], 0, len(verdict)), *verdict]
    code += [_op(_JUMP_GREATER, NEWEST_KNOWN, 0, 1), _op(_RETURN, _ERRNO | errno.ENOSYS), _op(_RETURN, _ALLOW)]
    return b"".join(code)


def _verdict(rule: Rule) -> list[bytes]:
    """Instructions that always return: each call's own verdict."""
    refuse = _op(_RETURN, _ERRNO | errno.EPERM)
    match rule:
        case Forbid(error=error):
            return [_op(_RETURN, _ERRNO | error)]
        case OneOf(argument=argument, values=values):
            return [*_one_of(argument, values), _op(_RETURN, _ALLOW)]
        case Every(arguments=arguments):
            checks = [check for argument, values in arguments for check in _one_of(argument, values)]
            return [*checks, _op(_RETURN, _ALLOW)]
        case AnyBit(argument=argument, bits=bits):
            test = _op(_JUMP_ANY_BIT, bits, 1, 0)
            return [_op(_LOAD_WORD, _OFFSET_ARGUMENTS + 8 * argument), test, refuse, _op(_RETURN, _ALLOW)]


def _one_of(argument: int, values: tuple[int, ...]) -> list[bytes]:
    """Goes on behind itself when the argument is one of the values; else it returns EPERM."""
    tests = [_op(_JUMP_EQUAL, value, len(values) - index, 0) for index, value in enumerate(values)]
    return [_op(_LOAD_WORD, _OFFSET_ARGUMENTS + 8 * argument), *tests, _op(_RETURN, _ERRNO | errno.EPERM)]


def _op(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One struct sock_filter: jumps count instructions after the next one."""
    return struct.pack("=HBBI", code, if_true, if_false, operand)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install(rules: Sequence[Rule]) -> None:
    """Put the rules in force for all threads of this process, for good. Raises OSError."""
    filters = program(rules, host())
    forbid_new_privileges()
    # c_char_p keeps the address of the bytes' own buffer, which lives until the call is over.
    argument = _Program(len(filters) // 8, filters)
    if syscall("seccomp", _SET_MODE_FILTER, _FILTER_FLAG_TSYNC, bytes(argument)) != 0:
        raise OSError(errno.EBUSY, "a thread could not be brought under the seccomp filter")
