"""Docker's default seccomp profile as far as it takes something away, for a process that has no capabilities.

From the profile's published meaning: an allow-list whose default is EPERM, calls that need a capability left out,
`clone` without namespaces, `clone3` as ENOSYS so that libc falls back, `personality` with known values, no vsock.
Only what a process could notice is said here: the calls on none of its lists.
"""

import ctypes
import errno
import struct
from typing import Final

from agent.sandbox.syscalls import host, prctl, syscall

DENIED: Final = (
    *("_sysctl", "acct", "add_key", "adjtimex", "bpf", "chroot", "clock_adjtime", "clock_settime", "delete_module"),
    *("fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module"),
    *("io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kexec_file_load", "kexec_load"),
    *("keyctl", "mount", "mount_setattr", "move_mount", "move_pages", "open_by_handle_at", "open_tree"),
    *("perf_event_open", "pivot_root", "quotactl", "reboot", "request_key", "setdomainname", "sethostname", "setns"),
    *("settimeofday", "swapoff", "swapon", "syslog", "umount2", "unshare", "userfaultfd", "vhangup"),
)
NAMESPACES: Final = 0x7E020000
"""CLONE_NEW*: the bits of clone's first argument that need CAP_SYS_ADMIN."""
_VSOCK: Final = 40

_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


def program() -> bytes:
    """The profile as classic BPF for this machine."""
    numbers, refuse = host().numbers, _ERRNO | errno.EPERM
    code = [_op(_LOAD, 4), _op(_EQUAL, host().audit_arch, 1, 0), _op(_RETURN, refuse), _op(_LOAD, 0)]
    for name in DENIED:
        if name in numbers:
            code += [_op(_EQUAL, numbers[name], 0, 1), _op(_RETURN, refuse)]
    code += [_op(_EQUAL, numbers["clone3"], 0, 1), _op(_RETURN, _ERRNO | errno.ENOSYS)]
    code += [_op(_EQUAL, numbers["clone"], 0, 4), _op(_LOAD, 16), _op(_ANY_BIT, NAMESPACES, 0, 1)]
    code += [_op(_RETURN, refuse), _op(_RETURN, _ALLOW)]
    code += [_op(_EQUAL, numbers["socket"], 0, 4), _op(_LOAD, 16), _op(_EQUAL, _VSOCK, 0, 1)]
    code += [_op(_RETURN, refuse), _op(_RETURN, _ALLOW)]
    return b"".join([*code, _op(_RETURN, _ALLOW)])


def install() -> None:
    """Put it in force for this process and all that it will start. Raises OSError."""
    filters = program()
    prctl(38, 1)
    keep = ctypes.create_string_buffer(filters, len(filters))
    argument = struct.pack("=HxxxxxxQ", len(filters) // 8, ctypes.addressof(keep))
    syscall("seccomp", 1, 0, argument)


def _op(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)
