"""The full tier's own world: user, mount, net, ipc, uts and pid namespaces, and a root that holds only code.

Three steps, each in a process of its own. `leave` unshares; the next process that is forked is the first of the new
pid namespace, and calls `settle`, which makes the root; there `fork_inside` gives every job a pid namespace below, and
`own_scratch` its own mount namespace. All raise OSError.
"""

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent.sandbox import places
from agent.sandbox.syscalls import syscall

NEW_MOUNTS = 0x00020000
NEW_UTS = 0x04000000
NEW_IPC = 0x08000000
NEW_USER = 0x10000000
NEW_PIDS = 0x20000000
NEW_NET = 0x40000000
FLAGS = NEW_USER | NEW_MOUNTS | NEW_PIDS | NEW_NET | NEW_IPC | NEW_UTS
"""CLONE_NEW*: what a job has of its own, or shares with other jobs only."""

SCRATCH = "/scratch"
_TEMPORARY = "/tmp"  # noqa: S108 - in the job's own root
"""Leads to the scratch folder, unless the code itself lies below it."""
INSIDE = 65534
"""The user and group that a job is inside. Outside it stays the server's own: no second account is needed."""

_NO_SUID = 2
_NO_DEVICES = 4
_NO_EXEC = 8
_BIND = 4096
_RECURSIVE = 16384
_PRIVATE = 1 << 18
_DETACH = 2

_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_ATTR_READ_ONLY = 1
_ATTR_NO_SUID = 2
_ATTR_NO_DEVICES = 4
_ATTR_NO_EXEC = 8

_BASE = "/proc"
"""The new root is mounted here first: every system has this folder, and nothing that jobs need lies below it."""
_OLD = "/.old"
_MAX_FACT_BYTES = 1 << 20
_FILES_OF_SCRATCH = 4096


@dataclass(frozen=True, slots=True)
class Root:
    """What the new root holds: links as (place, target), files and folders bound from the old one, devices, copies."""

    links: tuple[tuple[str, str], ...]
    binds: tuple[str, ...]
    devices: tuple[str, ...]
    copies: tuple[tuple[str, bytes], ...]

    @classmethod
    def plan(cls, code: Iterable[str]) -> "Root":
        """For the code at these places. To be made while the old root still is one."""
        links: dict[str, str] = {}
        real: set[str] = set()
        for path in (*code, *places.LIBRARIES):
            on_the_way, place = places.links(path)
            links.update(on_the_way)
            if Path(place).exists():
                real.add(place)
        binds = tuple(sorted(path for path in real if not any(str(up) in real for up in Path(path).parents)))
        hidden = {place for place in links if any(str(up) in binds for up in Path(place).parents)}
        devices = tuple(path for path in places.DEVICES if Path(path).is_char_device())
        # Of the real /proc nothing is there. DuckDB aborts without a control group to read, so it gets one.
        copies = (*_facts(), ("/proc/self/cgroup", b"0::/\n"), ("/proc/self/maps", _maps()))
        if not any(path == _TEMPORARY or path.startswith(_TEMPORARY + "/") for path in (*links, *binds)):
            links[_TEMPORARY] = SCRATCH
        return cls(tuple(item for item in links.items() if item[0] not in hidden), binds, devices, copies)


def _facts() -> Iterable[tuple[str, bytes]]:
    """Numbers of the machine that libraries look up, as they are now."""
    for place in places.FACTS:
        files = [place] if Path(place).is_file() else [f"{place}/{name}" for name in ("online", "possible", "present")]
        for file in files:
            with suppress(OSError), open(file, "rb") as opened:  # noqa: PTH123
                yield file, opened.read(_MAX_FACT_BYTES)


def _maps() -> bytes:
    """This process's own, which its children share: some libraries look there for those that are loaded."""
    with suppress(OSError):
        return Path("/proc/self/maps").read_bytes()[:_MAX_FACT_BYTES]
    return b""


def leave() -> None:
    """Unshare all namespaces. This process stays in its pid namespace; the next one that it forks is in the new one."""
    user, group = os.getuid(), os.getgid()
    with suppress(PermissionError):  # who may not set them keeps them, without use in the new namespace
        os.setgroups([])
    syscall("unshare", FLAGS)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{INSIDE} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{INSIDE} {group} 1")


def settle(root: Root) -> None:
    """Move into the new root, for good: nothing of the old one can be reached by a path any more."""
    name = b"sandbox"
    syscall("sethostname", name, len(name))
    _mount(None, "/", None, _RECURSIVE | _PRIVATE)
    _mount("tmpfs", _BASE, "tmpfs", _NO_SUID | _NO_DEVICES, "size=16m,nr_inodes=4096,mode=0755")
    Path(_BASE + _OLD).mkdir()
    syscall("pivot_root", _path(_BASE), _path(_BASE + _OLD))
    os.chdir("/")
    _fill(root)
    syscall("umount2", _path(_OLD), _DETACH)
    Path(_OLD).rmdir()
    _protect("/", _ATTR_READ_ONLY | _ATTR_NO_SUID | _ATTR_NO_DEVICES | _ATTR_NO_EXEC, recursive=False)


def _fill(root: Root) -> None:
    for path in root.binds:
        _bind(path)
        _protect(path, _ATTR_READ_ONLY | _ATTR_NO_SUID | _ATTR_NO_DEVICES, recursive=True)
    for path in root.devices:
        _bind(path)
        _protect(path, _ATTR_READ_ONLY | _ATTR_NO_SUID | _ATTR_NO_EXEC, recursive=False)
    for path, content in root.copies:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content)
    for folder in ("/sys/fs/cgroup", SCRATCH):
        Path(folder).mkdir(parents=True, exist_ok=True)
    for place, target in root.links:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).symlink_to(target)


def _bind(path: str) -> None:
    there, here = Path(_OLD + path), Path(path)
    if there.is_dir():
        here.mkdir(parents=True, exist_ok=True)
    else:
        here.parent.mkdir(parents=True, exist_ok=True)
        here.touch()
    _mount(str(there), path, None, _BIND | _RECURSIVE)


def fork_inside(own: int) -> int:
    """Fork the first process of a new pid namespace. `own` is an open file of this process's: /proc/self/ns/pid."""
    syscall("unshare", NEW_PIDS)
    pid = os.fork()
    if pid:
        try:
            syscall("setns", own, NEW_PIDS)  # else the next one would be refused
        except OSError:
            os.kill(pid, 9)
            raise
    return pid


def own_scratch(size: int) -> None:
    """A mount namespace of this process's own, with an empty scratch folder of `size` bytes."""
    syscall("unshare", NEW_MOUNTS)
    options = f"size={size},nr_inodes={_FILES_OF_SCRATCH},mode=0700"
    _mount("tmpfs", SCRATCH, "tmpfs", _NO_SUID | _NO_DEVICES | _NO_EXEC, options)


def resize_scratch(size: int) -> None:
    """Another size for this process's own scratch folder."""
    flags = _REMOUNT | _NO_SUID | _NO_DEVICES | _NO_EXEC
    _mount("tmpfs", SCRATCH, "tmpfs", flags, f"size={size},nr_inodes={_FILES_OF_SCRATCH}")


_REMOUNT = 32


def _mount(source: str | None, place: str, kind: str | None, flags: int, options: str | None = None) -> None:
    texts = [None if text is None else _path(text) for text in (source, place, kind, options)]
    try:
        syscall("mount", texts[0], texts[1], texts[2], flags, texts[3])
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), f"mount {kind or ''}") from None


def _protect(place: str, attributes: int, *, recursive: bool) -> None:
    """Take rights from a mount; flags that it has already stay, also those that may not be cleared here."""
    attribute = attributes.to_bytes(8, "little") + bytes(24)  # struct mount_attr: set, clear, propagation, userns
    flags = _AT_RECURSIVE if recursive else 0
    syscall("mount_setattr", _AT_FDCWD, _path(place), flags, attribute, len(attribute))


def _path(text: str) -> bytes:
    if "\0" in text:
        raise OSError(errno.EINVAL, "a path with a NUL")
    return os.fsencode(text) + b"\0"
