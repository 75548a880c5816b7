"""The kernel calls that Python has no name for: numbers by architecture, and libc behind checked wrappers."""

import ctypes
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from agent.sandbox.numbers import NUMBERS

Architecture = Literal["x86_64", "aarch64"]
ARCHITECTURES: tuple[Architecture, ...] = ("x86_64", "aarch64")

NEWEST_KNOWN = 462
"""The highest number that the table was compared with (mseal, Linux 6.10). What is above it is unknown here."""


@dataclass(frozen=True, slots=True)
class Syscalls:
    """The numbers of one architecture. `audit_arch` is its AUDIT_ARCH_* value, as seccomp filters see it."""

    architecture: Architecture
    audit_arch: int
    numbers: Mapping[str, int] = field(hash=False)


_AUDIT_ARCH: dict[Architecture, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def syscalls(architecture: Architecture) -> Syscalls:
    """The table of one architecture, without the calls that it does not have."""
    column = ARCHITECTURES.index(architecture)
    numbers = {name: number for name, row in NUMBERS.items() if (number := row[column]) is not None}
    return Syscalls(architecture, _AUDIT_ARCH[architecture], numbers)


@cache
def host() -> Syscalls:
    """The table of this machine. Raises OSError on an architecture or byte order that has none."""
    machine = platform.machine()
    if machine not in ARCHITECTURES or sys.byteorder != "little" or sys.maxsize < 2**32:
        raise OSError(f"no system call table for {machine}, {sys.byteorder} endian")
    return syscalls(machine)


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.prctl.restype = ctypes.c_int


def syscall(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """Call the kernel by name. Integers are passed as C longs, bytes by address, None as NULL. Raises OSError."""
    plain = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result: int = _libc.syscall(ctypes.c_long(host().numbers[name]), *plain)
    if result < 0:
        _raise(name)
    return result


def prctl(option: int, *arguments: int) -> int:
    """Set a property of this process by an option and up to four numbers. Raises OSError."""
    padded = (*arguments, 0, 0, 0, 0)[:4]
    result: int = _libc.prctl(ctypes.c_int(option), *(ctypes.c_ulong(value) for value in padded))
    if result < 0:
        _raise("prctl")
    return result


def clearenv() -> None:
    """Empty libc's environment. What stood on the stack when the program began stays there."""
    if _libc.clearenv() != 0:
        raise OSError("the environment could not be cleared")


def _raise(what: str) -> None:
    code = ctypes.get_errno()
    raise OSError(code, os.strerror(code), what)
