"""Small files that matter: read with a size limit and a look at their mode, written whole or not at all."""

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.core.errors import ConfigError

_WRITABLE_BY_ALL = stat.S_IWOTH
_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EMLINK})


def read(path: Path, limit: int, *, private: bool = False) -> bytes:
    """The bytes of a regular file of at most `limit` bytes. Raises ConfigError naming the file and the remedy.

    A `private` file must be open to its owner only; no file may be writable by everybody.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise ConfigError(str(path), "the file does not exist.", "Create it with `agent init`.") from None
    except OSError as error:
        raise ConfigError(str(path), f"cannot be opened ({error.strerror}).", "Check its owner and mode.") from None
    try:
        _check(path, os.fstat(descriptor), limit, private=private)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise ConfigError(str(path), f"is larger than {limit} bytes.")
    return data


def _check(path: Path, found: os.stat_result, limit: int, *, private: bool) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(str(path), "is not a regular file.")
    if found.st_size > limit:
        raise ConfigError(str(path), f"is larger than {limit} bytes.")
    if private and found.st_mode & _FOR_OTHERS:
        raise ConfigError(str(path), "is a private key that others may read or write.", f"chmod 600 {path}")
    if found.st_mode & _WRITABLE_BY_ALL:
        raise ConfigError(str(path), "may be written by every user.", f"chmod o-w {path}")


def create(path: Path, data: bytes, mode: int) -> None:
    """Write a new file, whole and durable or not at all. Raises ConfigError when one is there: never overwritten."""
    with _draft(path, data, mode) as draft:
        try:
            _link(draft, path)
        except FileExistsError:
            raise ConfigError(str(path), "exists already and is never overwritten.", "Move it away first.") from None
        except OSError as error:
            raise ConfigError(str(path), f"cannot be written ({error.strerror}).", "Check the folder's mode.") from None
    _sync_folder(path.parent)


def _link(draft: Path, path: Path) -> None:
    """Give the draft its name unless the name is taken; by rename where the file system has no hard links."""
    try:
        os.link(draft, path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        draft.rename(path)


def replace(path: Path, data: bytes, mode: int) -> None:
    """Write a file over what is there, whole and durable or not at all; an existing file keeps its mode and group."""
    path = Path(os.path.realpath(path))
    try:
        before = path.stat()
    except FileNotFoundError:
        before = None
    with _draft(path, data, mode if before is None else stat.S_IMODE(before.st_mode)) as draft:
        if before is not None and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            _keep_owner(draft, before)
        draft.rename(path)
    _sync_folder(path.parent)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that two commands do not lose each other's change."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _draft(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """A finished, synced file beside `path` under a name of its own; gone afterwards, renamed or not."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written ({error.strerror}).", "Check the folder's mode.") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _keep_owner(draft: Path, before: os.stat_result) -> None:
    try:
        os.chown(draft, before.st_uid, before.st_gid)
    except PermissionError:
        # Whoever may replace the file but not give it away keeps it as their own: the content still gets there.
        return


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
