"""An account and the modes of files -> what it may do with them, as the kernel decides it without its privileges."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

READ: Final = 4
WRITE: Final = 2
ENTER: Final = 1


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the service runs as."""

    uid: int
    groups: frozenset[int]

    @property
    def name(self) -> str:
        """Its name and number, as far as this machine knows it."""
        try:
            return f"{pwd.getpwuid(self.uid).pw_name} (uid {self.uid})"
        except KeyError:
            return f"uid {self.uid}"

    def may(self, found: os.stat_result, wanted: int) -> bool:
        """Whether all of `wanted` is allowed to it."""
        if self.uid == 0:
            return True
        mode = stat.S_IMODE(found.st_mode)
        bits = mode >> 6 if found.st_uid == self.uid else mode >> 3 if found.st_gid in self.groups else mode
        return bits & wanted == wanted

    def barred(self, path: Path) -> Path | None:
        """The first folder above `path` that it cannot enter. Raises OSError."""
        parents = reversed(path.absolute().parents)
        return next((folder for folder in parents if not self.may(folder.stat(), ENTER)), None)


def of_service(state_dir: Path, *, uid: int | None = None) -> Account:
    """Who asks; and where that is root, whoever owns the state folder: what root may read says nothing of the service.

    Args: `uid` stands in for the process's own.
    """
    own = os.geteuid() if uid is None else uid
    if own != 0:
        return Account(own, frozenset({os.getegid(), *os.getgroups()}))
    try:
        found = state_dir.stat()
    except OSError:
        return Account(0, frozenset({0}))
    return Account(found.st_uid, frozenset({found.st_gid, *_groups(found.st_uid)}))


def _groups(uid: int) -> list[int]:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return []
    return os.getgrouplist(entry.pw_name, entry.pw_gid)
