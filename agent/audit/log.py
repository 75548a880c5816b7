"""Event -> one more line of a hash chain on disk, synced before it returns. Fails closed."""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

from agent.audit.lock import hold
from agent.audit.records import (
    EMPTY,
    FILE_NAME,
    HEAD_FILE,
    LOCK_FILE,
    MAX_LINE_BYTES,
    Head,
    check,
    file_name,
    parse_head,
    render,
    render_head,
)
from agent.core.durable import PRIVATE_FILE, make_folder, replace_file, sync_folder, write_all
from agent.core.errors import AuditError

ROTATE_BYTES = 64 * 1024 * 1024
_WRITER_FILE = "writer.lock"


@dataclass(frozen=True, slots=True)
class _Tail:
    """Where the next line goes: the file's number and size, and the record it follows."""

    number: int
    size: int
    head: Head


class AuditLog:
    """The chain in one folder. Several processes may append, one lock per record, unless one holds it `exclusive`.

    Safe to call from any thread. Only AuditError gets out; after one, the next append looks at the disk anew.
    """

    def __init__(
        self,
        folder: Path,
        sign: Callable[[bytes], bytes] | None,
        *,
        now: Callable[[], float] = time.time,
        rotate_bytes: int = ROTATE_BYTES,
        alone: bool = False,
    ) -> None:
        """Open the chain, made (mode 0700) when missing; cut and record a torn tail.

        Args: `sign` makes the signature of head.json, the same one each time for the same bytes (Ed25519).
        Raises AuditError when the folder is not writable, its end does not verify, or another process holds it.
        """
        self._folder = folder
        self._sign = sign
        self._now = now
        self._rotate_bytes = rotate_bytes
        self._thread_lock = threading.Lock()
        self._tail: _Tail | None = None
        self._locks = contextlib.ExitStack()
        with self._translated():
            make_folder(folder)
            self._writer = self._open_lock(_WRITER_FILE)
            self._lock = self._open_lock(LOCK_FILE)
        try:
            self._claim(alone=alone)
            with self._locked():
                self._tail = self._recover()
        except BaseException:
            self.close()
            raise

    @classmethod
    def exclusive(
        cls,
        folder: Path,
        sign: Callable[[bytes], bytes] | None,
        *,
        now: Callable[[], float] = time.time,
        rotate_bytes: int = ROTATE_BYTES,
    ) -> Self:
        """Open the chain for this process alone, until `close`. Raises AuditError when another one has it open."""
        return cls(folder, sign, now=now, rotate_bytes=rotate_bytes, alone=True)

    @property
    def head(self) -> Head:
        """The last record that this process wrote or found."""
        return EMPTY if self._tail is None else self._tail.head

    def append(self, event: str, /, **fields: object) -> Head:
        """Write one record; when this returns it is on disk, and so is head.json. Fields must be JSON values.

        Raises AuditError, and then the record is not part of the chain, or is followed by one that says so.
        """
        with self._thread_lock, self._locked():
            tail, self._tail = self._tail, None
            if tail is None or not self._is_current(tail):
                tail = self._recover()
            self._tail = self._write(tail, event, fields)
            return self._tail.head

    def close(self) -> None:
        """Give up the locks. Idempotent."""
        self._locks.close()

    def _recover(self) -> _Tail:
        """Find the end of the chain on disk, and put right what a kill can leave: a torn line, a head one behind."""
        tail, torn, prev = self._read_tail()
        behind = self._check_head(tail.head, prev)
        if torn:
            with self._opened(tail.number) as descriptor:
                os.ftruncate(descriptor, tail.size)
                os.fsync(descriptor)
        if behind:
            replace_file(self._folder / HEAD_FILE, render_head(tail.head, self._sign))
            tail = self._write(tail, "audit.head_behind", {"record": tail.head.seq})
        if torn:
            tail = self._write(tail, "audit.torn_tail", {"bytes": len(torn), "sha256": sha256(torn).hexdigest()})
        return tail

    def _read_tail(self) -> tuple[_Tail, bytes, str]:
        """Where the next line goes, the torn bytes behind it, and the hash that the last record follows."""
        last = self._last_file()
        data, size = self._end_of(last) if last else (b"", 0)
        lines = data[: data.rfind(b"\n") + 1]
        torn = data[len(lines) :]
        tail = _Tail(max(last, 1), size - len(torn), EMPTY)
        if not lines and last > 1:  # killed between making a file and writing its first line
            lines, _ = self._end_of(last - 1)
        if not lines:
            return tail, torn, ""
        found = check(lines[lines.rfind(b"\n", 0, -1) + 1 :])
        if found is None:
            raise self._broken("its last record does not verify")
        head, prev = found
        return _Tail(tail.number, tail.size, head), torn, prev

    def _check_head(self, last: Head, prev: str) -> bool:
        """Whether head.json is one record behind, as a kill leaves it. Raises AuditError when it is anything else."""
        try:
            data = (self._folder / HEAD_FILE).read_bytes()
        except FileNotFoundError:
            written = EMPTY
        else:
            parsed = parse_head(data)
            if parsed is None or data != render_head(parsed[0], self._sign):
                raise self._broken(f"{HEAD_FILE} was changed, or was signed by another key")
            written = parsed[0]
        if written == last:
            return False
        if (written.seq + 1, written.hash) == (last.seq, prev):
            return True
        raise self._broken(f"its last record is {last.seq}, but {HEAD_FILE} says {written.seq}")

    def _last_file(self) -> int:
        """Number of the chain's last file, 0 when there is none. Raises AuditError for a gap."""
        names = (FILE_NAME.fullmatch(path.name) for path in self._folder.iterdir())
        numbers = sorted(int(name[1]) for name in names if name)
        if numbers != list(range(1, len(numbers) + 1)):
            raise self._broken("one of its files is missing")
        return len(numbers)

    def _end_of(self, number: int) -> tuple[bytes, int]:
        """The last bytes of a file, enough for a whole record and a torn one, and the file's size."""
        with self._opened(number) as descriptor:
            size = os.fstat(descriptor).st_size
            start = max(0, size - 2 * MAX_LINE_BYTES)
            data = _read_all(descriptor, start, size - start)
        if start and data.count(b"\n", 0, -1) == 0:
            raise self._broken("its end holds no record")
        return data, size

    def _write(self, tail: _Tail, event: str, fields: dict[str, object]) -> _Tail:
        try:
            line, head = render(tail.head, self._now(), event, fields)
        except (ValueError, TypeError, OverflowError, RecursionError):
            # Not the cause's own text: it can quote a value.
            raise AuditError(f"the record {event!r} is not JSON, uses a reserved name, or is too large") from None
        number, size = tail.number, tail.size
        if size >= self._rotate_bytes:
            number, size = number + 1, 0
        with self._opened(number, create=size == 0) as descriptor:
            if os.fstat(descriptor).st_size != size:
                raise self._broken(f"{file_name(number)} was changed by something else")
            if size == 0:
                sync_folder(self._folder)
            try:
                write_all(descriptor, line)
                os.fsync(descriptor)
                replace_file(self._folder / HEAD_FILE, render_head(head, self._sign))
            except OSError:
                self._take_back(descriptor, size, head)
                raise
        return _Tail(number, size + len(line), head)

    def _take_back(self, descriptor: int, size: int, head: Head) -> None:
        """Cut off a record whose head could not be written, unless head.json already names it."""
        with contextlib.suppress(OSError):  # what stays is put right by the next look at the disk
            if (self._folder / HEAD_FILE).read_bytes() == render_head(head, self._sign):
                return
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)

    def _is_current(self, tail: _Tail) -> bool:
        path = self._folder / file_name(tail.number)
        following = self._folder / file_name(tail.number + 1)
        return (path.stat().st_size if path.exists() else 0) == tail.size and not following.exists()

    @contextmanager
    def _opened(self, number: int, *, create: bool = False) -> Iterator[int]:
        flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        descriptor = os.open(self._folder / file_name(number), flags, PRIVATE_FILE)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _open_lock(self, name: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._folder / name, flags, PRIVATE_FILE)
        self._locks.callback(os.close, descriptor)
        return descriptor

    def _claim(self, *, alone: bool) -> None:
        try:
            fcntl.flock(self._writer, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AuditError(
                f"another process writes to the audit log in {self._folder}; stop it, or give this agent its own folder"
            ) from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._translated():
            if not hold(self._lock, fcntl.LOCK_EX):
                raise AuditError(f"the audit log in {self._folder} is locked by another process; see what it does")
            try:
                yield
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise AuditError(
                f"the audit folder {self._folder} cannot be written ({error.strerror}); "
                "free disk space there and make it writable for the agent's account"
            ) from None

    def _broken(self, what: str) -> AuditError:
        return AuditError(
            f"the audit log in {self._folder} is damaged or was changed: {what}; run `agent audit verify`, keep the "
            "folder as evidence, and move it aside to begin a new chain"
        )


def _read_all(descriptor: int, start: int, length: int) -> bytes:
    data = bytearray()
    while len(data) < length and (piece := os.pread(descriptor, length - len(data), start + len(data))):
        data += piece
    return bytes(data)
