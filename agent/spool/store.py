"""Sealed parts and their signed manifest -> disk, until they are delivered."""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from agent.core.durable import PRIVATE_FILE, make_folder, replace_file, sync_folder
from agent.core.errors import SpoolError
from agent.core.ports import Sealed
from agent.wire.ids import is_ulid

HEADROOM_BYTES = 16 * 1024 * 1024
"""Free disk that is never counted on: the ledger, the audit log and a `Failed` result must still find room."""

HEADROOM_FILES = 64
"""Free inodes that are never counted on."""

_PARTS, _OPEN, _ENTRY = ".parts", ".parts.tmp", ".json"
_OURS = re.compile(r"\.?[0-9A-Z]{26}\.(?:parts|parts\.tmp|json|json\.tmp)", re.ASCII)
_VERSION: Final = 1


class SpoolStore:
    """One folder; per result `<result id>.parts` and, written last, `<result id>.json`. Safe to call from any thread.

    A result exists once its `.json` does. All methods raise SpoolError when the folder cannot be read or written.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Use `folder`, created (mode 0700) when missing; `max_bytes` caps what waits in it."""
        self._folder = folder
        self._max_bytes = max_bytes
        with self._translated():
            make_folder(folder)

    def create(self, result_id: str) -> BinaryIO:
        """A new empty file, open for reading and writing, for the framed parts of a result. The caller closes it."""
        path = self._path(result_id, _OPEN)
        with self._translated():
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            return os.fdopen(os.open(path, flags, PRIVATE_FILE), "w+b")

    def commit(self, result_id: str, job_id: str, manifest: bytes, result_until: float) -> Sealed:
        """Make the parts and the signed manifest durable, in this order. Once this returns the result survives.

        Idempotent: what a first call left half done, a second one finishes. Flush the parts' file first.
        """
        parts, entry = self._path(result_id, _PARTS), self._path(result_id, _ENTRY)
        sealed = Sealed(job_id, result_id, manifest, parts, result_until)
        with self._translated():
            _finish(self._path(result_id, _OPEN), parts)
            # An entry stands for its parts: their name must be on disk before the entry's can be.
            sync_folder(self._folder)
            replace_file(entry, _encode(sealed))
        return sealed

    def pending(self) -> tuple[Sealed, ...]:
        """Committed results, oldest first. Entries that cannot be read are left out: see `problems`."""
        with self._translated():
            return tuple(sealed for _, sealed in self._entries() if sealed is not None)

    def find(self, job_id: str) -> Sealed | None:
        """The newest committed result of a job."""
        return next((sealed for sealed in reversed(self.pending()) if sealed.job_id == job_id), None)

    def problems(self) -> tuple[str, ...]:
        """A sentence for each committed result that cannot be read, with what to do."""
        with self._translated():
            damaged = [path for path, sealed in self._entries() if sealed is None]
        return tuple(
            f"The spooled result {path} is damaged and is not delivered. Fix: restore it, or submit its job again."
            for path in damaged
        )

    def drop(self, result_id: str) -> None:
        """Forget a delivered result. Idempotent."""
        with self._translated():
            # In this order a crash in between leaves parts without an entry, which `sweep` removes.
            self._path(result_id, _ENTRY).unlink(missing_ok=True)
            sync_folder(self._folder)
            self._path(result_id, _PARTS).unlink(missing_ok=True)

    def discard(self, result_id: str) -> None:
        """Forget parts that are not to be committed; a committed result is left alone. Idempotent."""
        with self._translated():
            if not self._path(result_id, _ENTRY).exists():
                self._path(result_id, _OPEN).unlink(missing_ok=True)
                self._path(result_id, _PARTS).unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove what dead runs left uncommitted, and return how many files. Only at start, before any `create`."""
        removed = 0
        with self._translated():
            names = {path.name for path in self._folder.iterdir()}
            for name in sorted(names):
                if _OURS.fullmatch(name) and _is_leftover(name, names):
                    (self._folder / name).unlink()
                    removed += 1
            sync_folder(self._folder)
        return removed

    def oldest(self) -> float | None:
        """When the oldest result that still waits was committed (Unix seconds); None when none waits."""
        with self._translated():
            times = [_changed(path) for path, _ in self._entries()]
        return min((time for time in times if time is not None), default=None)

    def room(self, needed: int) -> bool:
        """Whether `needed` more bytes fit under the cap and on the disk, with headroom for what must always fit."""
        with self._translated():
            disk = os.statvfs(self._folder)
            free = disk.f_bavail * disk.f_frsize - HEADROOM_BYTES
            # Some filesystems (btrfs) have no count of inodes and say 0 of 0.
            files = disk.f_files == 0 or disk.f_favail > HEADROOM_FILES
        return files and needed <= free and self.bytes() + needed <= self._max_bytes

    def bytes(self) -> int:
        """Bytes of all files in the folder, open ones too."""
        with self._translated():
            return sum(_size(path) for path in self._folder.iterdir())

    def _path(self, result_id: str, suffix: str) -> Path:
        if not is_ulid(result_id):
            raise SpoolError("A result id is not a ULID.")
        return self._folder / f"{result_id}{suffix}"

    def _entries(self) -> list[tuple[Path, Sealed | None]]:
        found: list[tuple[Path, Sealed | None]] = []
        for name in sorted(path.name for path in self._folder.iterdir()):
            result_id = name.removesuffix(_ENTRY)
            if name.endswith(_ENTRY) and is_ulid(result_id):
                path = self._folder / name
                with contextlib.suppress(FileNotFoundError):  # another thread dropped it in between
                    found.append((path, _decode(path.read_bytes(), result_id, self._path(result_id, _PARTS))))
        return found

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SpoolError(
                f"The spool folder {self._folder} cannot be used ({error.strerror}). "
                "Fix: free disk space there and make it writable for the agent's account."
            ) from None


def _finish(open_parts: Path, parts: Path) -> None:
    """Sync the parts and give them their final name, unless an earlier call did."""
    try:
        descriptor = os.open(open_parts, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        if not parts.exists():
            raise
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    open_parts.rename(parts)


def _encode(sealed: Sealed) -> bytes:
    members = {
        "version": _VERSION,
        "job_id": sealed.job_id,
        "result_id": sealed.result_id,
        "result_until": sealed.result_until,
        "manifest": sealed.manifest.decode("ascii"),
    }
    return json.dumps(members).encode() + b"\n"


def _decode(data: bytes, result_id: str, parts: Path) -> Sealed | None:
    try:
        members = json.loads(data)
        if members["version"] != _VERSION or members["result_id"] != result_id or not parts.is_file():
            return None
        job_id, until = str(members["job_id"]), float(members["result_until"])
        return Sealed(job_id, result_id, members["manifest"].encode("ascii"), parts, until)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_leftover(name: str, names: set[str]) -> bool:
    if name.endswith(".tmp"):
        return True
    return name.endswith(_PARTS) and name.removesuffix(_PARTS) + _ENTRY not in names


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def _changed(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None
