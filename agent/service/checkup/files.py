"""Files and folders of a site -> whether the service's account can use them, and nobody else what is private."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from agent.core.ports import Finding
from agent.service.checkup.account import ENTER, READ, WRITE, Account

Kind = Literal["key", "secret", "plain", "own", "shared"]
"""`key`: a private key, for its owner alone. `secret`: may not be read by everybody. `plain`: may be read by everybody,
and written by nobody but its owner. `own` and `shared` are folders: only `shared` may be open to others."""

_WANTED: Final[dict[Kind, int]] = {
    "key": READ,
    "secret": READ,
    "plain": READ,
    "own": READ | WRITE | ENTER,
    "shared": READ | WRITE | ENTER,
}
_FORBIDDEN: Final[dict[Kind, int]] = {"key": 0o077, "secret": 0o007, "plain": 0o002, "own": 0o027, "shared": 0o002}
_MODES: Final[dict[Kind, str]] = {"key": "0600", "secret": "0640", "plain": "0644", "own": "0700", "shared": "0770"}


@dataclass(frozen=True, slots=True)
class Held:
    """Something on disk that the site needs. `optional`: that it is missing is no matter."""

    path: Path
    kind: Kind
    optional: bool = False


def looked_at(held: Iterable[Held], account: Account) -> tuple[Finding, ...]:
    """A line for each thing that is there, or should be."""
    return tuple(finding for one in held for finding in _one(one, account))


def _one(held: Held, account: Account) -> Iterator[Finding]:
    check = str(held.path)
    folder = held.kind in {"own", "shared"}
    expected = f"a {'folder' if folder else 'file'} of mode {_MODES[held.kind]}, usable for {account.name}"
    try:
        found = held.path.stat()
        barred = account.barred(held.path)
    except FileNotFoundError:
        if not held.optional:
            yield Finding(check, "error", "is missing", "`agent init` makes it, or restore it.", expected)
        return
    except OSError as error:
        fix = "run `agent doctor` as root, or as the service's account."
        yield Finding(check, "error", f"cannot be looked at ({error.strerror})", fix, expected)
        return
    if barred is not None:
        fix = f"chmod a+x {barred}, or move it out of there."
        yield Finding(check, "error", f"{account.name} cannot enter {barred}", fix, expected)
    else:
        yield _judged(check, held, found, account, expected)


def _judged(check: str, held: Held, found: os.stat_result, account: Account, expected: str) -> Finding:
    mode = stat.S_IMODE(found.st_mode)
    shown = f"mode {mode:04o}, owner uid {found.st_uid}, group {found.st_gid}"
    right = stat.S_ISDIR if held.kind in {"own", "shared"} else stat.S_ISREG
    if not right(found.st_mode):
        return Finding(check, "error", "is something else", "put the right thing in its place.", expected)
    if mode & _FORBIDDEN[held.kind]:
        level: Literal["error", "warning"] = "warning" if held.kind == "own" else "error"
        fix = f"chmod {_MODES[held.kind]} {held.path}"
        return Finding(check, level, f"is open to others ({shown})", fix, expected)
    if not account.may(found, _WANTED[held.kind]):
        verb = "use" if held.kind in {"own", "shared"} else "read"
        fix = f"chown {account.uid} {held.path}"
        if held.kind not in {"own", "shared"}:
            fix += "; as a secret of Docker, the file keeps the host's owner and mode, so change them there."
        return Finding(check, "error", f"{account.name} cannot {verb} it ({shown})", fix, expected)
    return Finding(check, "ok", shown, "", expected)
