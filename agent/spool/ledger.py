"""(job id, digest, attempt) -> a durable claim. The check against replays, and where each job stands."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from agent.core.durable import PRIVATE_FILE, make_folder, sync_folder
from agent.core.errors import Refuse, SpoolError
from agent.core.outcome import OutcomeName

State = Literal["claimed", "sealed", "delivered", "failed"]

KEEP_SECONDS = 7 * 86400
"""How long a settled job is remembered after its last moment: far beyond the clock tolerance of `verify`."""

_VERSION = 1
_BUSY_SECONDS = 5.0
_HOUR = 3600
_SCHEMA = """
CREATE TABLE jobs (
  job_id TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  ref TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('claimed', 'sealed', 'delivered', 'failed')),
  attempts INTEGER NOT NULL,
  expires REAL NOT NULL,
  result_until REAL NOT NULL,
  result_id TEXT,
  outcome TEXT,
  changed REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX jobs_changed ON jobs (changed);
CREATE TABLE rejections (hour INTEGER NOT NULL, code TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (hour, code))
  WITHOUT ROWID;
CREATE TABLE horizon (only INTEGER PRIMARY KEY CHECK (only = 1), expires REAL NOT NULL);
INSERT INTO horizon VALUES (1, 0);
"""
_COLUMNS = "job_id, digest, ref, state, attempts, expires, result_until, result_id, outcome, changed"
_HINT = "Sign a new job with a new id."


@dataclass(frozen=True, slots=True)
class Entry:
    """One job of the ledger. Times are Unix seconds; `result_id` and `outcome` are None until it is sealed."""

    job_id: str
    digest: str
    ref: str
    state: State
    attempts: int
    expires: float
    result_until: float
    result_id: str | None
    outcome: OutcomeName | None
    changed: float


@dataclass(frozen=True, slots=True)
class Counts:
    """How jobs ended since a moment; `rejected` envelopes were never jobs, `undelivered` had a result and no taker."""

    completed: int = 0
    refused: int = 0
    failed: int = 0
    rejected: int = 0
    undelivered: int = 0


class Ledger:
    """The claims of one agent, in one SQLite file. Safe to call from any thread; every change is synced on return.

    All methods raise SpoolError when the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        """Open `path`, or create it (mode 0600). Raises SpoolError also when it is damaged or of a newer version."""
        self._path = path
        self._lock = threading.Lock()
        with self._translated():
            self._connection = _connect(path)
        try:
            with self._locked() as connection:
                _prepare(connection)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self._lock:
            self._connection.close()

    def claim(
        self,
        job_id: str,
        digest: str,
        *,
        idempotent: bool,
        max_attempts: int,
        ref: str,
        expires: float,
        result_until: float,
        now: float,
    ) -> int:
        """Claim one attempt before its worker starts, and return its number, from 1.

        A second claim is granted only to the same envelope under the same `ref` (the carrier's own name for it, stable
        over restarts), for an idempotent job with attempts left. Raises Refuse(envelope.replayed).
        """
        with self._transaction() as connection:
            entry = _entry(connection, job_id)
            if entry is None:
                _check_horizon(connection, expires)
                connection.execute(
                    f"INSERT INTO jobs ({_COLUMNS}) VALUES (?, ?, ?, 'claimed', 1, ?, ?, NULL, NULL, ?)",  # noqa: S608  constant
                    (job_id, digest, ref, expires, result_until, now),
                )
                return 1
            _check_reclaim(entry, digest, ref, max_attempts if idempotent else 1)
            connection.execute(
                "UPDATE jobs SET state = 'claimed', attempts = attempts + 1, result_id = NULL, outcome = NULL,"
                " changed = ? WHERE job_id = ?",
                (now, job_id),
            )
            return entry.attempts + 1

    def sealed(self, job_id: str, result_id: str, outcome: OutcomeName, now: float) -> None:
        """The job's result is committed to the spool. Idempotent; a settled job stays settled."""
        self._change(
            "UPDATE jobs SET state = 'sealed', result_id = ?, outcome = ?, changed = ?"
            " WHERE job_id = ? AND state IN ('claimed', 'sealed')",
            (result_id, outcome, now, job_id),
        )

    def delivered(self, job_id: str, now: float) -> None:
        """The job's result reached its carrier: the job is settled. Idempotent."""
        self._change(
            "UPDATE jobs SET state = 'delivered', changed = ? WHERE job_id = ? AND state IN ('claimed', 'sealed')",
            (now, job_id),
        )

    def failed(self, job_id: str, now: float) -> None:
        """The job was given up without a delivered result: it is settled. Idempotent."""
        self._change(
            "UPDATE jobs SET state = 'failed', changed = ? WHERE job_id = ? AND state IN ('claimed', 'sealed')",
            (now, job_id),
        )

    def rejected(self, code: str, now: float) -> None:
        """Count an envelope that was not accepted, by the hour: a flood of them stays a few rows."""
        self._change(
            "INSERT INTO rejections VALUES (?, ?, 1) ON CONFLICT (hour, code) DO UPDATE SET count = count + 1",
            (int(now // _HOUR), code),
        )

    def entry(self, job_id: str) -> Entry | None:
        """Where a job stands; None when it was never claimed."""
        with self._locked() as connection:
            return _entry(connection, job_id)

    def settled(self, job_id: str) -> bool:
        """Whether the job is over: delivered, or given up."""
        entry = self.entry(job_id)
        return entry is not None and entry.state in {"delivered", "failed"}

    def attempts(self, job_id: str) -> int:
        """How many attempts were claimed; 0 for an unknown job."""
        entry = self.entry(job_id)
        return 0 if entry is None else entry.attempts

    def unsettled(self) -> tuple[Entry, ...]:
        """Jobs that were claimed and are neither delivered nor given up, by id (that is by age)."""
        with self._locked() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE state IN ('claimed', 'sealed') ORDER BY job_id"  # noqa: S608  constant
            ).fetchall()
        return tuple(Entry(*row) for row in rows)

    def counts(self, since: float) -> Counts:
        """How jobs ended after `since` (Unix seconds); rejections are counted from the full hour."""
        with self._locked() as connection:
            ended = dict(
                connection.execute(
                    "SELECT outcome, count(*) FROM jobs WHERE state = 'delivered' AND changed > ? GROUP BY outcome",
                    (since,),
                ).fetchall()
            )
            lost = connection.execute("SELECT count(*) FROM jobs WHERE state = 'failed' AND changed > ?", (since,))
            undelivered = int(lost.fetchone()[0])
            hour = int(since // _HOUR)
            rejections = connection.execute("SELECT total(count) FROM rejections WHERE hour >= ?", (hour,))
            rejected = int(rejections.fetchone()[0])
        return Counts(
            completed=ended.get("completed", 0),
            refused=ended.get("refused", 0),
            failed=ended.get("failed", 0) + ended.get(None, 0),
            rejected=rejected,
            undelivered=undelivered,
        )

    def sweep(self, now: float) -> int:
        """Forget settled jobs whose every moment lies a week back; returns how many.

        Their latest `expires` stays as a horizon, so that a clock set back cannot let a forgotten job run again.
        """
        limit = now - KEEP_SECONDS
        old = "state IN ('delivered', 'failed') AND expires < ? AND result_until < ? AND changed < ?"
        with self._transaction() as connection:
            connection.execute("DELETE FROM rejections WHERE hour < ?", (int(limit // _HOUR),))
            latest = connection.execute(f"SELECT max(expires) FROM jobs WHERE {old}", (limit,) * 3).fetchone()[0]  # noqa: S608  constant
            if latest is None:
                return 0
            connection.execute("UPDATE horizon SET expires = max(expires, ?)", (latest,))
            return connection.execute(f"DELETE FROM jobs WHERE {old}", (limit,) * 3).rowcount  # noqa: S608  constant

    def _change(self, sql: str, parameters: tuple[object, ...]) -> None:
        with self._transaction() as connection:
            connection.execute(sql, parameters)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._locked() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A failed COMMIT (disk full) may have rolled back by itself.
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _locked(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._translated():
            yield self._connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            _fail(self._path, error)


def look(path: Path, *, job_id: str | None = None, most: int = 100) -> tuple[Entry, ...]:
    """Jobs of the ledger at `path`, the last changed first, beside an agent that writes to it; nothing is changed.

    With `job_id` only that one. Raises SpoolError, also when there is no ledger.
    """
    which = "" if job_id is None else " WHERE job_id = ?"
    query = f"SELECT {_COLUMNS} FROM jobs{which} ORDER BY changed DESC LIMIT ?"  # noqa: S608  constants
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as connection:
            return tuple(Entry(*row) for row in connection.execute(query, (*([job_id] if job_id else ()), most)))
    except sqlite3.Error as error:
        _fail(path, error)


def _connect(path: Path) -> sqlite3.Connection:
    make_folder(path.parent)
    # SQLite gives its journal the mode of the main file.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE))
    sync_folder(path.parent)
    return sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _prepare(connection: sqlite3.Connection) -> None:
    # With TRUNCATE, FULL syncs the journal's end as well: a commit that returned is never rolled back by a power cut.
    connection.execute("PRAGMA journal_mode = TRUNCATE")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")
    if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise _damaged()
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version = {_VERSION};COMMIT;")
    elif version != _VERSION:
        raise SpoolError(
            f"The ledger was written by another version of the agent (layout {version}, this one knows {_VERSION}). "
            "Fix: run the version that wrote it."
        )


def _damaged() -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError()
    error.sqlite_errorname = "SQLITE_CORRUPT"
    return error


def _entry(connection: sqlite3.Connection, job_id: str) -> Entry | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM jobs WHERE job_id = ?", (job_id,)).fetchone()  # noqa: S608  constant
    return None if row is None else Entry(*row)


def _check_reclaim(entry: Entry, digest: str, ref: str, allowed: int) -> None:
    if entry.digest != digest:
        raise Refuse("envelope.replayed", "Another envelope was claimed under this job's id.", _HINT)
    if entry.state in {"delivered", "failed"}:
        raise Refuse("envelope.replayed", "The job is over.", _HINT)
    if entry.ref != ref:
        raise Refuse("envelope.replayed", "The job was handed in before and is not over.", "Wait for its result.")
    if entry.attempts >= allowed:
        raise Refuse("envelope.replayed", "The job was claimed as often as it may be.", _HINT)


def _check_horizon(connection: sqlite3.Connection, expires: float) -> None:
    horizon = connection.execute("SELECT expires FROM horizon").fetchone()[0]
    if expires <= horizon:
        raise Refuse("envelope.replayed", "The job is older than what the ledger remembers.", _HINT)


def _fail(path: Path, error: sqlite3.Error | OSError) -> NoReturn:
    cause = error.strerror if isinstance(error, OSError) else getattr(error, "sqlite_errorname", "closed")
    if cause in {"SQLITE_CORRUPT", "SQLITE_NOTADB"}:
        remedy = "move it aside; jobs that were claimed in it could then run again, so let them expire first."
    else:
        remedy = "free disk space in its folder and make both writable for the agent's account."
    raise SpoolError(f"The ledger {path} cannot be used ({cause}). Fix: {remedy}") from None
