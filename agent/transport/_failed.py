"""(entry, rejection) -> the entry in failed/ beside a reason file with the same stem. Nothing there is overwritten."""

import contextlib
import json
import os

from agent.core.durable import present, rename_new, sync_folder, write_synced
from agent.core.ports import Rejection
from agent.transport._files import read_once
from agent.transport._names import REASON_SUFFIX, filed_as, numbered, shown

_REASON_MODE = 0o640
_FRESH = ".reason.tmp"


def file_away(name: str, folder: int, failed: int, rejection: Rejection) -> None:
    """Move the entry itself, whatever it is, out of `folder`; one that is gone is fine. Raises OSError.

    The reason is written first: when the move fails it already says why, and the next try uses it again.
    """
    if not present(name, folder=folder):
        return
    reason = _reason(name, rejection)
    stem, extension = filed_as(name)
    for free in numbered(stem):
        if present(free + extension, folder=failed) or not _keep_reason(free + REASON_SUFFIX, reason, failed):
            continue
        try:
            rename_new(name, free + extension, source_folder=folder, target_folder=failed)
        except FileExistsError:
            continue
        except FileNotFoundError:
            pass  # its owner took it back in between
        break
    sync_folder(failed)
    sync_folder(folder)


def _reason(name: str, rejection: Rejection) -> bytes:
    members = {"code": rejection.code, "message": rejection.message, "hint": rejection.hint, "file": shown(name)}
    return json.dumps(members, indent=2).encode() + b"\n"


def _keep_reason(name: str, reason: bytes, failed: int) -> bool:
    """Whether a reason file `name` with exactly this content is there now."""
    if present(name, folder=failed):
        return read_once(name, failed) == reason
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_FRESH, dir_fd=failed)
    write_synced(_FRESH, reason, mode=_REASON_MODE, folder=failed)
    try:
        rename_new(_FRESH, name, source_folder=failed, target_folder=failed)
    except FileExistsError:
        return False
    sync_folder(failed)
    return True
