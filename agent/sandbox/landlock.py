"""Landlock: the process and its future children keep only the paths and ports that are named here."""

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from stat import S_ISDIR

from agent.sandbox.process import forbid_new_privileges
from agent.sandbox.syscalls import syscall

NEWEST_ABI = 7
"""The newest ABI whose rights are named here. A newer kernel is used as this one."""

# LANDLOCK_ACCESS_FS_*
_WRITE_FILE = 1 << 1
_READ_FILE = 1 << 2
_READ_DIR = 1 << 3
_REMOVE_DIR = 1 << 4
_REMOVE_FILE = 1 << 5
_MAKE_DIR = 1 << 7
_MAKE_REG = 1 << 8
_REFER = 1 << 13
_TRUNCATE = 1 << 14
_IOCTL_DEV = 1 << 15
_FS_ABI_1 = (1 << 13) - 1
_FS_SINCE = {2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEV}

# LANDLOCK_ACCESS_NET_*
_NET_SINCE = 4
_BIND_TCP = 1 << 0
_CONNECT_TCP = 1 << 1

# LANDLOCK_SCOPE_*
_SCOPES_SINCE = 6
_SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0
_SCOPE_SIGNAL = 1 << 1

_CREATE_RULESET_VERSION = 1 << 0
_RULE_PATH_BENEATH = 1
_RULE_NET_PORT = 2

# No EXECUTE anywhere: loading a shared library does not need it.
_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _TRUNCATE
_ON_FILES = _READ_FILE | _WRITE_FILE | _TRUNCATE


@dataclass(frozen=True, slots=True)
class Rights:
    """What a ruleset of one ABI takes away: bit masks of the kernel's access rights."""

    fs: int
    net: int
    scoped: int

    @classmethod
    def of(cls, abi: int) -> "Rights":
        """Every right that this ABI can handle."""
        fs = _FS_ABI_1 | reduce(or_, (right for since, right in _FS_SINCE.items() if since <= abi), 0)
        net = _BIND_TCP | _CONNECT_TCP if abi >= _NET_SINCE else 0
        scoped = _SCOPE_ABSTRACT_UNIX_SOCKET | _SCOPE_SIGNAL if abi >= _SCOPES_SINCE else 0
        return cls(fs, net, scoped)

    def attribute(self) -> bytes:
        """The struct landlock_ruleset_attr, as long as the kernel of this ABI knows it."""
        words = (self.fs, self.net, self.scoped)
        known = 3 if self.scoped else 2 if self.net else 1
        return struct.pack(f"={known}Q", *words[:known])


def abi() -> int:
    """The kernel's Landlock ABI, at most NEWEST_ABI; 0 when it has none or does not allow it."""
    try:
        return min(NEWEST_ABI, syscall("landlock_create_ruleset", None, 0, _CREATE_RULESET_VERSION))
    except OSError:
        return 0


def restrict(
    *,
    read: Iterable[Path | str] = (),
    write: Iterable[Path | str] = (),
    connect_ports: Iterable[int] = (),
    version: int | None = None,
) -> int:
    """Give up every file system, network and signal right but these, for good. Returns the ABI in force.

    `read` and `write` name files or folders with all that is below them; what does not exist or cannot be reached is
    left out. `connect_ports` are TCP ports that may be connected to (ABI 4 and later; before, TCP stays open and
    seccomp has to close it). `version` uses an older ABI than the kernel's. Raises OSError when the kernel has no
    Landlock; the process is then unrestricted and must not go on.
    """
    version = min(abi(), NEWEST_ABI if version is None else version)
    if version < 1:
        raise OSError("this kernel has no Landlock")
    rights = Rights.of(version)
    attribute = rights.attribute()
    ruleset = syscall("landlock_create_ruleset", attribute, len(attribute), 0)
    try:
        for paths, access in ((read, _READ), (write, _WRITE)):
            for path in paths:
                _allow_path(ruleset, path, access & rights.fs)
        if rights.net:
            for port in connect_ports:
                syscall("landlock_add_rule", ruleset, _RULE_NET_PORT, struct.pack("=QQ", _CONNECT_TCP, port), 0)
        forbid_new_privileges()
        syscall("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _allow_path(ruleset: int, path: Path | str, access: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        if not S_ISDIR(os.fstat(fd).st_mode):
            access &= _ON_FILES
        syscall("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", access, fd), 0)
    finally:
        os.close(fd)
