"""PostgreSQL as the store: several Router processes over one database, each with one writing connection."""

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from psycopg import errors
from typing_extensions import override

from router.core.ops import Op
from router.core.problem import RouterProblem
from router.store import bulk, ops, schema
from router.store.bulk.wire import Wire
from router.store.connections import Connection, Connections, percent, translated
from router.store.order import FREQUENT, Run, arranged
from router.store.port import Reply, StoreError
from router.store.reads import Reads
from router.store.tx import Row

CHANNEL: Final = "meridyen_router"
_AGAIN: Final = (errors.DeadlockDetected, errors.SerializationFailure)
_ATTEMPTS: Final = 4
_VERSION_TABLE: Final = "router_version"
_PAYLOAD_BYTES: Final = 7000
"""PostgreSQL takes less than 8000 in one notification."""
_AGAIN_SECONDS: Final = 1.0
"""Until a lost connection to listen on is tried again."""


class PostgresStore(Reads):
    """Satisfies `router.store.port.Store`. A connection that broke is opened again by the next call."""

    def __init__(self, address: str) -> None:
        """Args: `address` is a libpq connection string. Raises StoreError, also when the tables are not up to date."""
        self._connections = Connections(address)
        self._name = secrets.token_hex(8)
        self._writer: Connection | None = None
        self._committing = False
        try:
            with translated():
                self._check_version(self._writing())
        except StoreError:
            self._connections.close()
            raise

    def apply(self, batch: Sequence[Op], now: float) -> list[Reply | RouterProblem]:
        """See `Store.apply`; in the order of `router.store.order`. Two Routers in each other's way try again."""
        with translated():
            return self._applied(batch, now)

    def _applied(self, batch: Sequence[Op], now: float) -> list[Reply | RouterProblem]:
        for _ in range(_ATTEMPTS):
            try:
                return self._together(batch, now)
            except _AGAIN:
                continue
            except psycopg.OperationalError:
                self._forget_writer()
                if self._committing:
                    raise  # it may have been done: only the callers know whether once more is the same
            except Exception:  # noqa: BLE001 - a defect of one operation is its caller's answer
                if len(batch) == 1:
                    return [RouterProblem("internal")]
                # One of them broke the transaction: the halves are done apart, until it breaks alone.
                half = len(batch) // 2
                return [*self._half(batch[:half], now), *self._half(batch[half:], now)]
        raise StoreError("The store does not answer.")

    def _half(self, batch: Sequence[Op], now: float) -> list[Reply | RouterProblem]:
        """A part of a batch, of which another part may be done already."""
        try:
            return self._applied(batch, now)
        except (psycopg.Error, StoreError):
            return [RouterProblem("store.unavailable", retry_after=1.0)] * len(batch)

    def close(self) -> None:
        """See `Store.close`."""
        self._connections.close()

    def listen(self, heard: Callable[[str], None], missed: Callable[[], None], stop: threading.Event) -> None:
        """Call `heard` with each key (`router.core.news`) that another process tells, until `stop`. Blocks.

        `missed` is called at the start and after each loss of the connection: something may have gone unheard.
        """
        while not stop.is_set():
            with suppress(psycopg.Error), self._connections.fresh() as connection:
                connection.execute(f"LISTEN {CHANNEL}")
                missed()
                while not stop.is_set():
                    for note in connection.notifies(timeout=0.5):
                        origin, *keys = note.payload.split("\n")
                        if origin != self._name:
                            for key in keys:
                                heard(key)
            stop.wait(_AGAIN_SECONDS)

    def _together(self, batch: Sequence[Op], now: float) -> list[Reply | RouterProblem]:
        self._committing = False
        connection = self._writing()
        replies: dict[int, Reply | RouterProblem] = {}
        told: set[str] = set()
        with connection.transaction(), connection.cursor(binary=True) as cursor:
            tx, wire = _Transaction(cursor, now, told), Wire(connection, now, told)
            for run in arranged(batch):
                replies.update(_done(tx, wire, run))
            if told:
                wire.do(*(("SELECT pg_notify(%s, %s)", (CHANNEL, one)) for one in _payloads(self._name, told)))
            self._committing = True
        return [replies[place] for place in range(len(batch))]

    def _writing(self) -> Connection:
        if self._writer is None or self._writer.closed:
            self._writer = self._connections.fresh()
        return self._writer

    def _forget_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(psycopg.Error):
                writer.close()

    @staticmethod
    def _check_version(connection: Connection) -> None:
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
        with translated():
            yield self._connections.run


def _done(tx: "_Transaction", wire: Wire, run: Run) -> Iterable[tuple[int, Reply | RouterProblem]]:
    """The answers to a run, each with its place."""
    operations = [op for _, op in run]
    answers = bulk.apply(wire, operations) if type(operations[0]) in FREQUENT else [_attempt(tx, operations[0])]
    return zip([place for place, _ in run], answers, strict=True)


def _attempt(tx: "_Transaction", op: Op) -> Reply | RouterProblem:
    try:
        return ops.apply(tx, op)
    except RouterProblem as problem:
        return problem


def _payloads(name: str, keys: Iterable[str]) -> Iterator[str]:
    """Keys -> notifications: the sender's name, then a key a line."""
    lines, size = [name], len(name)
    for key in sorted(keys):
        if size + len(key) + 1 > _PAYLOAD_BYTES:
            yield "\n".join(lines)
            lines, size = [name], len(name)
        lines.append(key)
        size += len(key) + 1
    yield "\n".join(lines)


class _Transaction:
    """Satisfies `router.store.tx.Tx`."""

    lock: Final = " FOR UPDATE"
    skip_locked: Final = " FOR UPDATE SKIP LOCKED"

    def __init__(self, cursor: "psycopg.Cursor[dict[str, Any]]", now: float, told: set[str]) -> None:
        self._cursor = cursor
        self.now = now
        self._told = told

    def run(self, sql: str, parameters: Sequence[object] = ()) -> int:
        return self._cursor.execute(percent(sql), parameters).rowcount

    def one(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        return self._cursor.execute(percent(sql), parameters).fetchone()

    def all(self, sql: str, parameters: Sequence[object] = ()) -> Sequence[Row]:
        return self._cursor.execute(percent(sql), parameters).fetchall()

    def tell(self, *keys: str) -> None:
        self._told.update(keys)
