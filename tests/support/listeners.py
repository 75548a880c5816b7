"""Who of some processes could be spoken to from elsewhere: their sockets, as the kernel lists them."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_LISTENS: Final = "0A"
_ACCEPTS: Final = 0x10000
"""__SO_ACCEPTCON in the flags of /proc/net/unix."""


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def listening(pids: Iterable[int]) -> list[str]:
    """Sockets of these processes that listen, or take datagrams from anybody on the network; what each is.

    Every process is asked in the network namespace that it is in.
    """
    found: list[str] = []
    for pid in pids:
        own = set(_sockets(pid))
        for table in ("tcp", "tcp6", "udp", "udp6", "unix"):
            with suppress(OSError):
                lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
                found += [
                    f"{pid} {table} {line}" for line in lines if _inode(table, line) in own and _open(table, line)
                ]
    return found


def _sockets(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                target = str(handle.readlink())
                if target.startswith("socket:["):
                    yield int(target[8:-1])


def _inode(table: str, line: str) -> int:
    return int(line.split()[6 if table == "unix" else 9])


def _open(table: str, line: str) -> bool:
    fields = line.split()
    if table == "unix":
        return bool(int(fields[3], 16) & _ACCEPTS)
    if table.startswith("tcp"):
        return fields[3] == _LISTENS
    here, there = fields[1], fields[2]
    return not here.endswith(":0000") and set(there) <= {"0", ":"}
