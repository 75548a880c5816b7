"""Seccomp: a classic BPF program that forbids system calls -> the kernel, for this process and its future children."""

import ctypes
import errno
import socket
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

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
_AND = 0x54  # ALU | AND | K
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
class Allow:
    """These calls pass, whatever their arguments are."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """These calls pass only when the low 32 bits of `argument` are one of `values`; else `error`."""

    names: tuple[str, ...]
    argument: int
    values: tuple[int, ...]
    error: int = errno.EPERM


@dataclass(frozen=True, slots=True)
class AnyBit:
    """These calls pass only when one of `bits` is set in the low 32 bits of `argument`; else EPERM."""

    names: tuple[str, ...]
    argument: int
    bits: int


@dataclass(frozen=True, slots=True)
class Masked:
    """These calls pass only when those low 32 bits of `argument` that are set in `mask` are `value`; else `error`."""

    names: tuple[str, ...]
    argument: int
    mask: int
    value: int
    error: int = errno.EPERM


@dataclass(frozen=True, slots=True)
class NotAll:
    """These calls pass unless all of `bits` are set in the low 32 bits of `argument`; else EPERM."""

    names: tuple[str, ...]
    argument: int
    bits: int


@dataclass(frozen=True, slots=True)
class Every:
    """These calls pass only when each of the arguments, in its low 32 bits, is one of its values; else EPERM.

    `null` are arguments that have to be zero in all of their 64 bits.
    """

    names: tuple[str, ...]
    arguments: tuple[tuple[int, tuple[int, ...]], ...]
    null: tuple[int, ...] = ()


Rule = Allow | Forbid | OneOf | AnyBit | NotAll | Masked | Every
Rest = Literal["allow", "unknown"]
"""What becomes of a call that no rule names: it passes, or it looks as on a kernel that does not have it (ENOSYS)."""

OTHER_PROCESSES = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp"),
    *("pidfd_getfd", "pidfd_send_signal", "tkill"),
)
PROGRAMS = ("execve", "execveat", "fork", "vfork")
INCOMING = ("listen", "accept", "accept4", "bind")
KEPT_BEYOND_THE_JOB = (
    *("shmget", "shmat", "shmctl", "semget", "semop", "semctl", "semtimedop", "msgget", "msgsnd", "msgrcv", "msgctl"),
    *("mq_open", "mq_unlink", "add_key", "request_key", "keyctl"),
)
UNCOUNTED_MEMORY = ("memfd_create", "memfd_secret")
FILE_ATTRIBUTES = (
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "truncate"),
    *("setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr"),
    *("utime", "utimes", "futimesat", "utimensat"),
)
KERNEL_SURFACE = (
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
        Forbid(INCOMING),
        sockets,
        Forbid(("socketpair",)),
        # Would end the sandbox's channel for all workers, which share it. Drivers that part politely see it succeed.
        Forbid(("shutdown",), 0),
        Forbid(PROGRAMS),
        AnyBit(("clone",), 0, _CLONE_THREAD),
        # Its flags lie in memory, out of a filter's sight; on ENOSYS libc falls back to clone.
        Forbid(("clone3",), errno.ENOSYS),
        Forbid(OTHER_PROCESSES),
        OneOf(("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"), 0, (pid,)),
        OneOf(("prlimit64",), 0, (0, pid)),
        Forbid(KEPT_BEYOND_THE_JOB),
        Forbid(UNCOUNTED_MEMORY),
        Forbid(FILE_ATTRIBUTES),
        Forbid(KERNEL_SURFACE),
    )


@lru_cache(maxsize=4)
def program(rules: Sequence[Rule], table: Syscalls, rest: Rest = "allow") -> bytes:
    """The rules as classic BPF. A foreign architecture is killed, and so are x32's calls.

    Of what no rule names, calls that are newer than the table answer ENOSYS whatever `rest` is, as on an older kernel,
    so that a kernel update opens nothing. A call that two rules name obeys the first.
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
    if rest == "allow":
        code += [_op(_JUMP_GREATER, NEWEST_KNOWN, 1, 0), _op(_RETURN, _ALLOW)]
    return b"".join([*code, _op(_RETURN, _ERRNO | errno.ENOSYS)])


def _verdict(rule: Rule) -> list[bytes]:
    """Instructions that always return: each call's own verdict."""
    match rule:
        case Allow():
            return [_op(_RETURN, _ALLOW)]
        case Forbid(error=error):
            return [_op(_RETURN, _ERRNO | error)]
        case OneOf(argument=argument, values=values, error=error):
            return [*_one_of(_low(argument), values, error), _op(_RETURN, _ALLOW)]
        case Every(arguments=arguments, null=null):
            words = [(_low(argument), values) for argument, values in arguments]
            words += [(word, (0,)) for argument in null for word in (_low(argument), _low(argument) + 4)]
            return [*(check for word in words for check in _one_of(*word)), _op(_RETURN, _ALLOW)]
        case Masked() | NotAll() | AnyBit():
            refuse = _op(_RETURN, _ERRNO | (rule.error if isinstance(rule, Masked) else errno.EPERM))
            return [_op(_LOAD_WORD, _low(rule.argument)), *_bits(rule), refuse, _op(_RETURN, _ALLOW)]


def _bits(rule: Masked | NotAll | AnyBit) -> list[bytes]:
    """Skips the next instruction when the loaded word passes."""
    match rule:
        case Masked(mask=mask, value=value):
            return [_op(_AND, mask), _op(_JUMP_EQUAL, value, 1, 0)]
        case NotAll(bits=bits):
            return [_op(_AND, bits), _op(_JUMP_EQUAL, bits, 0, 1)]
        case AnyBit(bits=bits):
            return [_op(_JUMP_ANY_BIT, bits, 1, 0)]


def _low(argument: int) -> int:
    """Where the low word of an argument lies; its high word follows."""
    return _OFFSET_ARGUMENTS + 8 * argument


def _one_of(word: int, values: tuple[int, ...], error: int = errno.EPERM) -> list[bytes]:
    """Goes on behind itself when the word is one of the values; else it returns the error."""
    tests = [_op(_JUMP_EQUAL, value, len(values) - index, 0) for index, value in enumerate(values)]
    return [_op(_LOAD_WORD, word), *tests, _op(_RETURN, _ERRNO | error)]


def _op(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One struct sock_filter: jumps count instructions after the next one."""
    return struct.pack("=HBBI", code, if_true, if_false, operand)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install(rules: Sequence[Rule], rest: Rest = "allow") -> None:
    """Put the rules in force for all threads of this process, for good. Raises OSError."""
    filters = program(tuple(rules), host(), rest)
    forbid_new_privileges()
    # c_char_p keeps the address of the bytes' own buffer, which lives until the call is over.
    argument = _Program(len(filters) // 8, filters)
    if syscall("seccomp", _SET_MODE_FILTER, _FILTER_FLAG_TSYNC, bytes(argument)) != 0:
        raise OSError(errno.EBUSY, "a thread could not be brought under the seccomp filter")
