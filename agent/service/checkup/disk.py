"""Folders that have to take data -> room, a writable mount, and a file that was really written and synced."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from agent.core.ports import Finding

LOW_BYTES: Final = 512 * 2**20
LEAST_BYTES: Final = 64 * 2**20
_LEAST_FILES: Final = 1000
_TRIED: Final = bytes(65_536)


def looked_at(folders: Mapping[str, Path]) -> tuple[Finding, ...]:
    """By what each is called, such as `audit`. What does not exist yet is judged by the folder above it."""
    return tuple(finding for name, folder in folders.items() for finding in _one(f"disk: {name}", _there(folder)))


def _there(folder: Path) -> Path:
    return next((level for level in (folder, *folder.absolute().parents) if level.is_dir()), Path("/"))


def _one(check: str, folder: Path) -> Iterator[Finding]:
    expected = f"a writable disk with at least {LOW_BYTES // 2**20} MiB free"
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        yield Finding(check, "error", f"{folder} cannot be looked at ({error.strerror})", "check its volume.", expected)
        return
    free = disk.f_bavail * disk.f_frsize
    shown = f"{folder}: {free // 2**20} MiB free"
    if disk.f_flag & os.ST_RDONLY:
        yield Finding(check, "error", f"{folder} is mounted read-only", "mount its volume writable.", expected)
    elif (problem := _write(folder)) is not None:
        fix = "free disk space, or make it writable for the service's account; run this as that account."
        yield Finding(check, "error", f"{folder} takes no data ({problem}), {free // 2**20} MiB free", fix, expected)
    elif free < LEAST_BYTES:
        yield Finding(check, "error", shown, "free disk space: without room no job is taken.", expected)
    elif free < LOW_BYTES:
        yield Finding(check, "warning", shown, "free disk space before it fills up.", expected)
    elif disk.f_files > 0 and disk.f_favail < _LEAST_FILES:
        yield Finding(check, "warning", f"{folder}: {disk.f_favail} files left", "remove files there.", expected)
    else:
        yield Finding(check, "ok", shown, "", expected)


def _write(folder: Path) -> str | None:
    """Why a file without a name cannot be written there; it is gone again at once."""
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, _TRIED)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # Some file systems have no files without a name.
        return None if isinstance(error, IsADirectoryError) or error.errno in _NO_NAMELESS else error.strerror
    return None


_NO_NAMELESS: Final = frozenset({95, 22})
"""EOPNOTSUPP, EINVAL."""
