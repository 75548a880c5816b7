"""inbox/new -> processing -> archive or failed: job files, by renames that a kill at any moment leaves whole."""

import contextlib
import errno
import json
import os
import stat
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.core.durable import present, rename_new, sync_folder, write_synced
from agent.core.lane import LANES, Lane, lane_of
from agent.core.ports import Clock, Offer, Rejection
from agent.transport import _folders as folders
from agent.transport._failed import file_away
from agent.transport._files import FOREIGN, KIND, TOO_LARGE, is_whole, read_once
from agent.transport._names import claimed_name, is_job_name, job_name, numbered, shown
from agent.transport._streams import Streams, headers, number_of, read_archive
from agent.wire.ids import is_ulid
from agent.wire.signing import MAX_ENVELOPE_BYTES, job_digest, peek_kind

LISTED = 10_000
"""Entries of the inbox that one poll looks at."""

REFUSED = 64
REFUSED_BESIDE_JOBS = 4
"""Entries that one poll moves to failed/, each with several syncs: a flood of them must not hold up jobs."""

RETRY_SECONDS = 5.0
"""How long an entry that could not be moved is left alone."""

_PARTIAL = ".partial"
_FRESH_RECORD = ".record.tmp"
_RECORD_MODE = 0o640
State = tuple[int, int, int, int, int]
Record = Mapping[str, object]


@dataclass(slots=True)
class _Sight:
    """An entry that may still be written to: what it looked like, since when, and whether it was read so.

    `lane` is what it then claimed to be for; None: not looked at.
    """

    state: State
    since: float
    read: bool = False
    lane: Lane | None = None


@dataclass(frozen=True, slots=True)
class _Left:
    """An entry that could not be moved."""

    retry: float
    sentence: str


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    found: os.stat_result

    @property
    def state(self) -> State:
        """Changes whenever somebody writes to the entry, renames over it or links it."""
        f = self.found
        return f.st_ino, f.st_size, f.st_mtime_ns, f.st_ctime_ns, f.st_nlink


class Inbox:
    """Job files on their way. Blocking; one call at a time (a lock). Lets only TransportError out."""

    def __init__(self, root: Path, *, settle_seconds: float, clock: Clock) -> None:
        """Args: the drop's folder; how long an unfinished or foreign file must stay unchanged before it is judged."""
        self._root = root
        self._settle_seconds = settle_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, Record] = {}
        self._unread: set[str] = set()
        self._sights: dict[str, _Sight] = {}
        self._left: dict[str, _Left] = {}
        self._crowded = False
        self._streams = Streams()
        self._problems: tuple[str, ...] = ()

    def problems(self) -> tuple[str, ...]:
        """Sentences about entries that stay where they are, and about gaps in streams. Never waits."""
        if self._lock.acquire(blocking=False):
            try:
                self._problems = self._describe()
            finally:
                self._lock.release()
        return self._problems

    def _describe(self) -> tuple[str, ...]:
        left = list(self._left.values())
        sentences = [left[0].sentence] if left else []
        if len(left) > 1:
            sentences.append(f"{len(left) - 1} more entries of {self._root} could not be moved either.")
        if self._crowded:
            sentences.append(f"{LISTED} entries or more wait in {self._root / folders.INBOX}; they are taken in turn.")
        return (*sentences, *self._streams.gaps({number_of(record) for record in self._held.values()}))

    def waiting(self) -> tuple[int, float | None]:
        """How many job files wait to be claimed (as far as one poll looks), and the oldest one's Unix time."""
        with folders.opened(self._root, folders.INBOX) as (inbox,), folders.translated(self._root / folders.INBOX):
            times = [entry.found.st_mtime for entry in _scan(inbox) if job_name(entry.name) is not None]
        return len(times), min(times, default=None)

    def poll(self, free: int, lanes: Collection[Lane] = LANES) -> list[Offer]:
        """Claim and read up to `free` job files of these lanes, oldest first; move some of what is none to failed/.

        Files are opened for their lane only when not all lanes are asked for, and once while they stay the same.
        """
        with self._lock, folders.opened(self._root, folders.INBOX, folders.PROCESSING, folders.FAILED) as opened:
            inbox, processing, failed = opened
            judged = [(entry, self._is_settled(entry)) for entry in self._listed(inbox)]
            names = sorted(self._unread)[:free]
            for entry, settled in judged:
                if len(names) >= free or not self._is_ready(entry, inbox, settled=settled):
                    continue
                if len(lanes) == len(LANES) or self._lane(entry, inbox) in lanes:
                    names += self._claim(entry.name, inbox, processing)
            if names:
                with folders.translated(self._root / folders.PROCESSING):
                    sync_folder(processing)
                    sync_folder(inbox)
            refused = [(entry, reason) for entry, settled in judged if (reason := _refusal(entry, settled=settled))]
            for entry, reason in refused[: REFUSED_BESIDE_JOBS if names else REFUSED]:
                self._file_away(entry.name, inbox, failed, reason)
            return self._read_all(names, processing, failed)

    def recovered(self) -> list[Offer]:
        """Job files in processing that this run does not hold, oldest first."""
        with self._lock, folders.opened(self._root, folders.PROCESSING, folders.FAILED, folders.ARCHIVE) as opened:
            processing, failed, archive = opened
            with folders.translated(self._root / folders.PROCESSING):
                entries = sorted(_scan(processing), key=_age)
            names = []
            for entry in entries:
                if entry.name.startswith(".") and entry.name.endswith(_PARTIAL):
                    self._drop_partial(entry.name, processing)
                elif not is_job_name(entry.name):
                    self._file_away(entry.name, processing, failed, FOREIGN)
                elif entry.name not in self._held:
                    names.append(entry.name)
            with folders.translated(self._root / folders.ARCHIVE):
                for place in read_archive(archive):
                    self._streams.saw(place)
            return self._read_all(names, processing, failed)

    def reject(self, ref: str, rejection: Rejection) -> None:
        """Move a held job file to failed/ with its reason. Idempotent."""
        with self._lock, folders.opened(self._root, folders.PROCESSING, folders.FAILED) as (processing, failed):
            held = self._find(ref, processing)
            if held is not None:
                with folders.translated(self._root / folders.FAILED):
                    file_away(held[0], processing, failed, rejection)
                self._forget(held[0])

    def settle(self, ref: str, now: float) -> None:
        """Replace a held job file by its headers in archive/. Idempotent. `now` in Unix seconds."""
        with self._lock, folders.opened(self._root, folders.PROCESSING, folders.ARCHIVE) as (processing, archive):
            held = self._find(ref, processing)
            if held is None:
                return
            name, record = held
            with folders.translated(self._root / folders.ARCHIVE):
                _archive(record, archive, now)
            self._streams.saw(number_of(record))
            with folders.translated(self._root / folders.PROCESSING), contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=processing)
                sync_folder(processing)
            self._forget(name)

    def _find(self, ref: str, processing: int) -> tuple[str, Record] | None:
        """The file that `ref` was given for, and what was read of it then: not a later file of the same name.

        What was offered is kept, because the file's owner may still hold it open; an earlier run's is read again.
        """
        name = ref.rpartition("@")[0]
        record = self._held.get(name)
        if record is None and is_job_name(name):
            with folders.translated(self._root / folders.PROCESSING):
                data = read_once(name, processing)
            record = _record(name, data) if isinstance(data, bytes) else None
        return (name, record) if record is not None and _ref(name, record) == ref else None

    def _forget(self, name: str) -> None:
        self._held.pop(name, None)
        self._unread.discard(name)
        self._left.pop(name, None)

    def _listed(self, inbox: int) -> list[_Entry]:
        """Entries worth a look, oldest first."""
        now = self._clock.monotonic()
        with folders.translated(self._root / folders.INBOX):
            entries = _scan(inbox, skip={name for name, left in self._left.items() if left.retry > now})
        self._crowded = len(entries) >= LISTED
        names = {entry.name for entry in entries}
        self._sights = {name: sight for name, sight in self._sights.items() if name in names}
        self._left = {
            name: left for name, left in self._left.items() if left.retry > now or name in names or name in self._unread
        }
        return sorted(entries, key=_age)

    def _is_settled(self, entry: _Entry) -> bool:
        now = self._clock.monotonic()
        sight = self._sights.get(entry.name)
        if sight is None or sight.state != entry.state:
            sight = self._sights[entry.name] = _Sight(entry.state, now)
        return now - sight.since >= self._settle_seconds

    def _is_ready(self, entry: _Entry, inbox: int, *, settled: bool) -> bool:
        """Whether the file is finished: by its form, or because nobody has written to it for a while."""
        name = job_name(entry.name)
        if name is None or _refusal(entry, settled=True) is not None:
            return False
        if entry.name in self._held or entry.name in self._unread:
            return False
        sight = self._sights[entry.name]
        if settled or sight.read:
            return settled
        sight.read = True
        try:
            data = read_once(entry.name, inbox)
        except OSError:
            return False
        return isinstance(data, bytes) and is_whole(data)

    def _lane(self, entry: _Entry, inbox: int) -> Lane | None:
        """None when the file cannot be read now."""
        sight = self._sights[entry.name]
        if sight.lane is None:
            try:
                data = read_once(entry.name, inbox)
            except OSError:
                return None
            sight.lane = lane_of(peek_kind(data) if isinstance(data, bytes) else None)
        return sight.lane

    def _claim(self, entry: str, inbox: int, processing: int) -> list[str]:
        name = job_name(entry)
        assert name is not None
        try:
            if not _take(entry, name, inbox, processing):
                return []
        except (FileNotFoundError, FileExistsError):
            return []  # taken back by its owner, or a file of this name is being worked on
        except OSError as error:
            self._leave(entry, folders.INBOX, error)
            return []
        self._left.pop(entry, None)
        self._unread.add(name)
        return [name]

    def _read_all(self, names: list[str], processing: int, failed: int) -> list[Offer]:
        return [offer for name in names if (offer := self._read(name, processing, failed)) is not None]

    def _read(self, name: str, processing: int, failed: int) -> Offer | None:
        try:
            envelope = read_once(name, processing)
        except OSError as error:
            self._unread.add(name)
            self._leave(name, folders.PROCESSING, error)
            return None
        if isinstance(envelope, Rejection):
            self._unread.add(name)
            if self._file_away(name, processing, failed, envelope):
                self._forget(name)
            return None
        self._forget(name)
        if envelope is None:
            return None
        record = self._held[name] = _record(name, envelope)
        return Offer(_ref(name, record), envelope)

    def _file_away(self, name: str, folder: int, failed: int, reason: Rejection) -> bool:
        try:
            file_away(name, folder, failed, reason)
        except OSError as error:
            self._leave(name, folders.FAILED, error)
            return False
        self._left.pop(name, None)
        return True

    def _leave(self, name: str, folder: str, error: OSError) -> None:
        retry = self._clock.monotonic() + RETRY_SECONDS
        self._left[name] = _Left(
            retry,
            f"The entry {shown(name)!r} stays where it is: {self._root / folder} said {error.strerror}. "
            f"Fix: {folders.remedy(error)}.",
        )

    def _drop_partial(self, name: str, processing: int) -> None:
        # A copy that was cut short; what it was made from is still in the inbox.
        with contextlib.suppress(FileNotFoundError), folders.translated(self._root / folders.PROCESSING):
            os.unlink(name, dir_fd=processing)


def _scan(folder: int, skip: frozenset[str] | set[str] = frozenset()) -> list[_Entry]:
    entries: list[_Entry] = []
    with os.scandir(folder) as scan:
        for entry in scan:
            if len(entries) >= LISTED:
                break
            if entry.name not in skip:
                with contextlib.suppress(FileNotFoundError):
                    entries.append(_Entry(entry.name, entry.stat(follow_symlinks=False)))
    return entries


def _age(entry: _Entry) -> tuple[int, str]:
    return entry.found.st_mtime_ns, entry.name


def _refusal(entry: _Entry, *, settled: bool) -> Rejection | None:
    """Why the entry is no job file. What may be a delivery in progress is given time first."""
    if not stat.S_ISREG(entry.found.st_mode):
        return KIND
    if entry.found.st_nlink != 1:
        return KIND if settled else None
    if job_name(entry.name) is None:
        return FOREIGN if settled else None
    return TOO_LARGE if entry.found.st_size > MAX_ENVELOPE_BYTES else None


def _record(name: str, envelope: bytes) -> Record:
    return {"file": shown(name), "digest": job_digest(envelope), **headers(envelope)}


def _ref(name: str, record: Record) -> str:
    """Names a file and its content, so that neither a rejection nor a settlement meets a later file of that name."""
    return f"{name}@{str(record['digest'])[:16]}"


def _take(entry: str, name: str, inbox: int, processing: int) -> bool:
    """Whether the file is claimed now. Raises OSError, FileExistsError while a file of that name is worked on."""
    try:
        rename_new(entry, name, source_folder=inbox, target_folder=processing)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return _carry(entry, name, inbox, processing)
    return True


def _carry(entry: str, name: str, inbox: int, processing: int) -> bool:
    """Claim a file of another volume: set it apart by a rename there, copy it durably, then remove it.

    A kill in between leaves it under its claimed name, from which the next poll goes on. Raises OSError.
    """
    apart = claimed_name(name)
    if entry != apart:
        rename_new(entry, apart, source_folder=inbox, target_folder=inbox)
    data = read_once(apart, inbox)
    if not isinstance(data, bytes):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    if present(name, folder=processing):
        if read_once(name, processing) == data:  # a kill came before the last step
            os.unlink(apart, dir_fd=inbox)
        return False
    partial = f".{job_digest(data)}{_PARTIAL}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(partial, dir_fd=processing)
    write_synced(partial, data, folder=processing)
    rename_new(partial, name, source_folder=processing, target_folder=processing)
    sync_folder(processing)
    os.unlink(apart, dir_fd=inbox)
    return True


def _archive(record: Record, archive: int, now: float) -> None:
    claimed, digest = str(record.get("id")), str(record["digest"])
    for free in numbered(claimed if is_ulid(claimed) else digest):
        name = f"{free}.json"
        if not present(name, folder=archive):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(_FRESH_RECORD, dir_fd=archive)
            data = json.dumps({**record, "settled": now}).encode() + b"\n"
            write_synced(_FRESH_RECORD, data, mode=_RECORD_MODE, folder=archive)
            rename_new(_FRESH_RECORD, name, source_folder=archive, target_folder=archive)
            sync_folder(archive)
            return
        if _same_job(name, archive, digest):
            return


def _same_job(name: str, archive: int, digest: str) -> bool:
    data = read_once(name, archive)
    try:
        return isinstance(data, bytes) and json.loads(data)["digest"] == digest
    except (ValueError, KeyError, TypeError):
        return False
