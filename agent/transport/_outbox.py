"""Sealed result -> outbox/new/<job id>.mres, by way of outbox/tmp: whole, or not there."""

import contextlib
import os
import stat
import threading
from pathlib import Path
from typing import BinaryIO, cast

from agent.core.durable import present, rename_new, sync_folder
from agent.core.errors import TransportError
from agent.core.ports import Sealed
from agent.transport import _folders as folders
from agent.transport._names import numbered
from agent.wire.container import write_mres
from agent.wire.errors import WireError
from agent.wire.ids import is_ulid

RESULT_SUFFIX = ".mres"
_RESULT_MODE = 0o640


class Outbox:
    """Results on their way out. Blocking; one call at a time (a lock). Lets only TransportError out."""

    def __init__(self, root: Path) -> None:
        """Args: the drop's folder."""
        self._root = root
        self._lock = threading.Lock()

    def deliver(self, sealed: Sealed) -> None:
        """Put the result into outbox/new. Idempotent: the same result that lies there already is left alone.

        Another result under the same name is kept; this one then gets a number behind its name.
        """
        if not is_ulid(sealed.job_id):
            raise TransportError("a result names a job whose id is not a ULID; it is not delivered")
        with self._lock, folders.opened(self._root, folders.OUTBOX_TMP, folders.OUTBOX) as (tmp, new):
            for stem in numbered(sealed.job_id):
                name = stem + RESULT_SUFFIX
                with folders.translated(self._root / folders.OUTBOX):
                    taken = present(name, folder=new)
                    if taken and self._is_same(name, new, sealed):
                        sync_folder(new)
                        return
                if not taken and self._put(name, tmp, new, sealed):
                    return

    def clear(self) -> None:
        """Remove what earlier runs left unfinished in outbox/tmp."""
        folder = self._root / folders.OUTBOX_TMP
        with self._lock, folders.opened(self._root, folders.OUTBOX_TMP) as (tmp,), folders.translated(folder):
            for name in [entry.name for entry in os.scandir(tmp)]:
                if name.endswith(RESULT_SUFFIX) and is_ulid(name.removesuffix(RESULT_SUFFIX)):
                    os.unlink(name, dir_fd=tmp)

    def _put(self, name: str, tmp: int, new: int, sealed: Sealed) -> bool:
        """Whether the result lies under `name` now; False when that name was taken in between."""
        fresh = sealed.job_id + RESULT_SUFFIX
        with folders.translated(self._root / folders.OUTBOX_TMP):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=tmp)
            try:
                self._write(fresh, tmp, sealed)
                rename_new(fresh, name, source_folder=tmp, target_folder=new)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(fresh, dir_fd=tmp)
                raise
            sync_folder(new)
            sync_folder(tmp)
        return True

    def _write(self, name: str, tmp: int, sealed: Sealed) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, _RESULT_MODE, dir_fd=tmp)
        with os.fdopen(descriptor, "wb") as sink:
            self._pack(sealed, sink)
            sink.flush()
            os.fsync(sink.fileno())

    def _is_same(self, name: str, new: int, sealed: Sealed) -> bool:
        if not stat.S_ISREG(os.lstat(name, dir_fd=new).st_mode):
            return False
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, dir_fd=new), "rb") as found:
            try:
                self._pack(sealed, cast("BinaryIO", _Comparison(found)))
            except _DifferenceError:
                return False
            return found.read(1) == b""

    def _pack(self, sealed: Sealed, sink: BinaryIO) -> None:
        try:
            parts = sealed.parts.open("rb")
        except OSError as error:
            raise TransportError(f"the spooled parts {sealed.parts} cannot be read ({error.strerror})") from None
        with parts:
            try:
                write_mres(sink, sealed.manifest, parts)
            except WireError as error:
                raise TransportError(f"the spooled result {sealed.parts} cannot be delivered ({error})") from None


class _DifferenceError(Exception):
    """What lies there is something else."""


class _Comparison:
    """Takes bytes as if to write them, and compares them with a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        if self._file.read(len(data)) != data:
            raise _DifferenceError
        return len(data)
