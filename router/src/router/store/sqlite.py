"""The embedded store: one SQLite file, synced at every commit, written by one thread."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from router.core.ops import Op
from router.core.problem import RouterProblem
from router.store import ops, schema
from router.store.port import Reply, StoreError
from router.store.reads import Reads
from router.store.tx import Row

_PRIVATE: Final = 0o600
_BUSY_SECONDS: Final = 5.0
_OPERATION_S_OWN: Final = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.DataError,
    sqlite3.NotSupportedError,
)
_DAMAGED: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_CACHE_KIB: Final = 64 * 1024


class SqliteStore(Reads):
    """Satisfies `Store`. WAL with FULL: a commit that returned is never rolled back by a power cut."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it (mode 0600), and bring its tables up to date. Raises StoreError."""
        self._path = path
        with _translated():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives its journals the mode of the main file.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _PRIVATE))
            self._writer = _connect(path)
            try:
                _prepare(self._writer)
            except BaseException:
                self._writer.close()
                raise
        self._readers = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    def apply(self, batch: Sequence[Op], now: float) -> list[Reply | RouterProblem]:
        """See `Store.apply`."""
        with _translated():
            try:
                return self._together(batch, now)
            except Exception as error:
                if _is_stores(error):
                    raise
            # One of them broke the transaction: each gets its own, so that it breaks alone.
            return [self._alone(op, now) for op in batch]

    def close(self) -> None:
        """See `Store.close`."""
        with self._lock:
            for connection in (self._writer, *self._opened):
                connection.close()

    def _together(self, batch: Sequence[Op], now: float) -> list[Reply | RouterProblem]:
        connection = self._writer
        connection.execute("BEGIN IMMEDIATE")
        try:
            tx = _Transaction(connection, now)
            replies = [_attempt(tx, op) for op in batch]
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # a COMMIT that failed may have rolled back by itself
                connection.execute("ROLLBACK")
            raise
        return replies

    def _alone(self, op: Op, now: float) -> Reply | RouterProblem:
        try:
            return self._together([op], now)[0]
        except Exception as error:
            if _is_stores(error):
                raise
            # A defect of one operation is its caller's answer.
            return RouterProblem("internal")

    @override
    @contextmanager
    def _reading(self) -> Iterator[Callable[[str, Sequence[object]], Sequence[Row]]]:
        with _translated():
            connection: sqlite3.Connection | None = getattr(self._readers, "connection", None)
            if connection is None:
                connection = _connect(self._path)
                connection.execute("PRAGMA query_only = ON")
                self._readers.connection = connection
                with self._lock:
                    self._opened.append(connection)
            found = connection
            yield lambda sql, parameters: found.execute(sql, tuple(parameters)).fetchall()


def _is_stores(error: Exception) -> bool:
    """Whether the store is at fault, and not one operation: it is full, damaged, locked or away."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, _OPERATION_S_OWN)


def _attempt(tx: "_Transaction", op: Op) -> Reply | RouterProblem:
    try:
        return ops.apply(tx, op)
    except RouterProblem as problem:
        return problem


class _Transaction:
    """Satisfies `router.store.tx.Tx`: SQLite has one writer, so nothing has to be locked, and nobody else be told."""

    lock: Final = ""
    skip_locked: Final = ""

    def __init__(self, connection: sqlite3.Connection, now: float) -> None:
        self._execute = connection.execute
        self.now = now

    def run(self, sql: str, parameters: Sequence[object] = ()) -> int:
        return self._execute(sql, parameters).rowcount

    def one(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        found: Any = self._execute(sql, parameters).fetchone()
        return found  # type: ignore[no-any-return]

    def all(self, sql: str, parameters: Sequence[object] = ()) -> Sequence[Row]:
        return self._execute(sql, parameters).fetchall()

    def tell(self, *keys: str) -> None:
        """The one process that serves knows what it did."""


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError("The store's folder does not allow write-ahead logging. Fix: put it on a local disk.")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    newest = len(schema.VERSIONS)
    if version > newest:
        raise StoreError(
            f"The store was written by a newer Router (layout {version}, this one knows {newest}). Fix: run that one."
        )
    for number in range(version + 1, newest + 1):
        script = ";".join(schema.statements(number, "sqlite"))
        connection.executescript(f"BEGIN IMMEDIATE;{script};PRAGMA user_version = {number};COMMIT;")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        name = getattr(error, "sqlite_errorname", None) or getattr(error, "strerror", None) or type(error).__name__
        if str(name).startswith(_DAMAGED):
            raise StoreError(f"The store's file is damaged ({name}). Fix: put a copy of it back.") from None
        raise StoreError(f"The store does not answer ({name}).") from None
