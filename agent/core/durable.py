"""Bytes -> files that survive a power cut: every name appears whole, or not at all. Raises OSError only."""

import ctypes
import errno
import os
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
_RENAME_NOREPLACE = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
# Filesystems without the flag answer EINVAL (NFS, some FUSE), old kernels ENOSYS.
_NO_FLAG = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


def sync_folder(folder: Path | int) -> None:
    """Make the names in `folder` (a path or an open descriptor) durable."""
    if isinstance(folder, int):
        os.fsync(folder)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, mode: int = PRIVATE_FOLDER) -> None:
    """Create `folder` and its missing parents durably; one that exists is left as it is."""
    missing = [level for level in (folder, *folder.parents) if not level.is_dir()]
    for level in reversed(missing):
        level.mkdir(mode=mode, exist_ok=True)
        sync_folder(level.parent)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`: one call may take less, and the disk may fill in between."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def write_synced(path: str | Path, data: bytes, *, mode: int = PRIVATE_FILE, folder: int | None = None) -> None:
    """Create the new file `path` (relative to `folder`, an open descriptor) with `data`, synced; its name is not yet.

    A file that could not be written whole is removed again. Raises FileExistsError rather than touch another file.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, mode, dir_fd=folder)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    except OSError:
        os.unlink(path, dir_fd=folder)
        raise
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes, *, mode: int = PRIVATE_FILE) -> None:
    """Put `data` in the place of `path`: readers and crashes see the old bytes or the new ones.

    The caller makes sure that only one process at a time replaces `path`.
    """
    fresh = path.with_name(f".{path.name}.tmp")
    fresh.unlink(missing_ok=True)
    write_synced(fresh, data, mode=mode)
    try:
        fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def rename_new(source: str | Path, target: str | Path, *, source_folder: int, target_folder: int) -> None:
    """Rename an entry (never what a link points to) to a name that must be free. Raises FileExistsError when it is not.

    Names are relative to the open folders. Where the filesystem cannot promise it, the name is looked at first.
    """
    renameat2 = getattr(_LIBC, "renameat2", None)
    if renameat2 is not None:
        code = renameat2(source_folder, os.fsencode(source), target_folder, os.fsencode(target), _RENAME_NOREPLACE)
        if code == 0:
            return
        number = ctypes.get_errno()
        if number not in _NO_FLAG:
            raise OSError(number, os.strerror(number), str(source), None, str(target))
    if present(target, folder=target_folder):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    os.rename(source, target, src_dir_fd=source_folder, dst_dir_fd=target_folder)


def present(name: str | Path, *, folder: int | None = None) -> bool:
    """Whether an entry of any kind has this name. Raises OSError when that cannot be told."""
    try:
        os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True
