"""PostgreSQL as the store: several Router processes over one database, each with one writing connection."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Final

import psycopg
from psycopg import errors
from psycopg.rows import dict_row
from typing_extensions import override

from router.core.ops import Op
from router.core.problem import RouterProblem
from router.store import ops, schema
from router.store.port import Reply, StoreError
from router.store.reads import Reads
from router.store.tx import Row

CHANNEL: Final = "meridyen_router"
_CONNECT_SECONDS: Final = 5
_AGAIN: Final = (errors.DeadlockDetected, errors.SerializationFailure)
_ATTEMPTS: Final = 4
_VERSION_TABLE: Final = "router_version"

Connection = psycopg.Connection[dict[str, Any]]


class PostgresStore(Reads):
    """Satisfies `router.store.port.Store`. A connection that broke is opened again by the next call."""

    def __init__(self, address: str) -> None:
        """Args: `address` is a libpq connection string. Raises StoreError, also when the tables are not up to date."""
        self._address = address
        self._writer: Connection | None = None
        self._readers = threading.local()
        self._opened: list[Connection] = []
        self._lock = threading.Lock()
        with _translated():
            self._writing()
            self._check_version()

    def apply(self, batch: Sequence[Op], now: float) -> list[Reply | RouterProblem]:
        """See `Store.apply`. Two Routers that got in each other's way try again."""
        with _translated():
            for attempt in range(_ATTEMPTS):
                try:
                    return self._together(batch, now)
                except _AGAIN:
                    if attempt == _ATTEMPTS - 1:
                        raise
                except psycopg.OperationalError:
                    self._forget_writer()
                    raise
                except Exception:
                    if len(batch) == 1:
                        raise
                    break
            return [self._alone(op, now) for op in batch]

    def close(self) -> None:
        """See `Store.close`."""
        with self._lock:
            for connection in (*([self._writer] if self._writer else []), *self._opened):
                with suppress(psycopg.Error):
                    connection.close()

    def listen(self, rung: Callable[[str], None], stop: threading.Event) -> None:
        """Call `rung` with each queue that another process said has work, until `stop`. Blocks; reconnects."""
        while not stop.is_set():
            with suppress(psycopg.Error), _connect(self._address, autocommit=True) as connection:
                connection.execute(f"LISTEN {CHANNEL}")
                while not stop.is_set():
                    for note in connection.notifies(timeout=1.0):
                        rung(note.payload)
            stop.wait(1.0)

    def _together(self, batch: Sequence[Op], now: float) -> list[Reply | RouterProblem]:
        connection = self._writing()
        with connection.transaction(), connection.cursor(binary=True) as cursor:
            tx = _Transaction(cursor, now)
            replies = [_attempt(tx, op) for op in batch]
            for queue in tx.woken:
                cursor.execute("SELECT pg_notify(%s, %s)", (CHANNEL, queue))
        return replies

    def _alone(self, op: Op, now: float) -> Reply | RouterProblem:
        for _ in range(_ATTEMPTS):
            try:
                return self._together([op], now)[0]
            except _AGAIN:
                continue
            except psycopg.OperationalError:
                self._forget_writer()
                raise
            except Exception:  # noqa: BLE001 - a defect of one operation is its caller's answer
                return RouterProblem("internal")
        return RouterProblem("store.unavailable", retry_after=1.0)

    def _writing(self) -> Connection:
        if self._writer is None or self._writer.closed:
            self._writer = _connect(self._address, autocommit=True)
        return self._writer

    def _forget_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(psycopg.Error):
                writer.close()

    def _check_version(self) -> None:
        connection = self._writing()
        found = connection.execute("SELECT to_regclass(%s) IS NOT NULL AS there", (_VERSION_TABLE,)).fetchone()
        version = 0
        if found and found["there"]:
            row = connection.execute(f"SELECT version FROM {_VERSION_TABLE}").fetchone()  # noqa: S608  constant
            version = row["version"] if row else 0
        newest = len(schema.VERSIONS)
        if version != newest:
            raise StoreError(
                f"The store's tables are of layout {version}, this Router knows {newest}. Fix: `router db upgrade`."
            )

    @override
    @contextmanager
    def _reading(self) -> Iterator[Callable[[str, Sequence[object]], Sequence[Row]]]:
        with _translated():
            connection: Connection | None = getattr(self._readers, "connection", None)
            if connection is None or connection.closed:
                connection = _connect(self._address, autocommit=True)
                self._readers.connection = connection
                with self._lock:
                    self._opened.append(connection)
            found = connection
            try:
                yield lambda sql, parameters: found.execute(_percent(sql), tuple(parameters)).fetchall()
            except psycopg.OperationalError:
                with suppress(psycopg.Error):
                    found.close()
                raise


def _attempt(tx: "_Transaction", op: Op) -> Reply | RouterProblem:
    try:
        return ops.apply(tx, op)
    except RouterProblem as problem:
        return problem


class _Transaction:
    """Satisfies `router.store.tx.Tx`."""

    lock: Final = " FOR UPDATE"
    skip_locked: Final = " FOR UPDATE SKIP LOCKED"

    def __init__(self, cursor: "psycopg.Cursor[dict[str, Any]]", now: float) -> None:
        self._cursor = cursor
        self.now = now
        self.woken: set[str] = set()

    def run(self, sql: str, parameters: Sequence[object] = ()) -> int:
        return self._cursor.execute(_percent(sql), parameters).rowcount

    def one(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        return self._cursor.execute(_percent(sql), parameters).fetchone()

    def all(self, sql: str, parameters: Sequence[object] = ()) -> Sequence[Row]:
        return self._cursor.execute(_percent(sql), parameters).fetchall()

    def wake(self, queue: str) -> None:
        self.woken.add(queue)


@cache
def _percent(sql: str) -> str:
    """The same statement with psycopg's placeholders. No statement of ours has a `?` or `%` of its own."""
    return sql.replace("?", "%s")


def _connect(address: str, *, autocommit: bool) -> Connection:
    connection: Connection = psycopg.connect(
        address,
        autocommit=autocommit,
        row_factory=dict_row,
        connect_timeout=_CONNECT_SECONDS,
        application_name="meridyen-router",
        prepare_threshold=1,
    )
    return connection


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        # Never the server's own text: it may quote a row.
        raise StoreError(f"The store does not answer ({error.sqlstate or type(error).__name__}).") from None
