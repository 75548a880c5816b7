"""The folders of a drop, as open descriptors: one that was swapped for a link is not followed."""

import contextlib
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from agent.core.durable import make_folder
from agent.core.errors import TransportError

INBOX_TMP: Final = "inbox/tmp"
INBOX: Final = "inbox/new"
PROCESSING: Final = "processing"
OUTBOX_TMP: Final = "outbox/tmp"
OUTBOX: Final = "outbox/new"
ARCHIVE: Final = "archive"
FAILED: Final = "failed"

_SHARED_MODE = 0o770
_OWN_MODE = 0o750
_MODES = {
    INBOX_TMP: _SHARED_MODE,
    INBOX: _SHARED_MODE,
    PROCESSING: _OWN_MODE,
    OUTBOX_TMP: _SHARED_MODE,
    OUTBOX: _SHARED_MODE,
    ARCHIVE: _OWN_MODE,
    FAILED: _OWN_MODE,
}
_REMEDIES = {
    errno.ENOENT: "create it, or mount its volume",
    errno.ENOTDIR: "put a real folder in its place",
    errno.ELOOP: "put a real folder in the place of the link",
    errno.EACCES: "make it writable for the agent's account",
    errno.EPERM: "make it writable for the agent's account",
    errno.EROFS: "mount its volume writable",
    errno.ENOSPC: "free disk space on its volume",
    errno.EDQUOT: "free disk space on its volume, or raise the quota of the agent's account",
    errno.EXDEV: "put it on the same volume as the other folders of the drop",
}


def prepare(root: Path) -> None:
    """Create the folders that are missing. Raises TransportError.

    Only for a start: a folder that vanishes later may be a volume that was unmounted.
    """
    for name, mode in _MODES.items():
        with translated(root / name):
            make_folder(root / name, mode)


@contextmanager
def opened(root: Path, *names: str) -> Iterator[tuple[int, ...]]:
    """Descriptors of the folders `names`, in this order. Raises TransportError naming the folder and the remedy."""
    with contextlib.ExitStack() as stack:
        descriptors = []
        for name in names:
            with translated(root / name):
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                descriptor = os.open(root / name, flags)
            stack.callback(os.close, descriptor)
            descriptors.append(descriptor)
        yield tuple(descriptors)


@contextmanager
def translated(folder: Path) -> Iterator[None]:
    """Turn OSError into TransportError naming `folder` and the remedy."""
    try:
        yield
    except OSError as error:
        raise TransportError(f"the folder {folder} cannot be used ({error.strerror}); {remedy(error)}") from None


def remedy(error: OSError) -> str:
    """What an operator does about `error`."""
    return _REMEDIES.get(error.errno or 0, "check its volume")
