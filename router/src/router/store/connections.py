"""PostgreSQL connections of one process: one for each thread that reads, opened again when they broke."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from router.store.port import StoreError
from router.store.tx import Row

_CONNECT_SECONDS: Final = 5
_SOON_SECONDS: Final = 1.0
"""After a connection that failed: no other is tried, so that calls fail at once instead of one after the other."""
_SESSION: Final = (
    # A Router that stands still in the middle of a commit must not hold up the others for longer.
    "-c idle_in_transaction_session_timeout=10000 -c lock_timeout=20000 -c statement_timeout=60000"
)

Connection = psycopg.Connection[dict[str, Any]]


class Connections:
    """All to one address. Thread-safe."""

    def __init__(self, address: str) -> None:
        """Args: `address` is a libpq connection string."""
        self._address = address
        self._here = threading.local()
        self._opened: list[Connection] = []
        self._lock = threading.Lock()
        self._down_until = 0.0
        self._closed = False

    def fresh(self) -> Connection:
        """A new one, autocommit. Raises psycopg.Error."""
        if self._closed or time.monotonic() < self._down_until:
            raise psycopg.OperationalError("it was not there a moment ago")
        try:
            connection: Connection = psycopg.connect(
                self._address,
                autocommit=True,
                row_factory=dict_row,
                connect_timeout=_CONNECT_SECONDS,
                application_name="meridyen-router",
                prepare_threshold=1,
                options=_SESSION,
                keepalives_idle=10,
                tcp_user_timeout=20_000,
            )
        except psycopg.OperationalError:
            self._down_until = time.monotonic() + _SOON_SECONDS
            raise
        with self._lock:
            self._opened = [one for one in self._opened if not one.closed] + [connection]
        return connection

    def run(self, sql: str, parameters: Sequence[object]) -> Sequence[Row]:
        """One statement that may be done twice, with `?`; its rows. Tried again once over a new connection."""
        try:
            return _rows(self._mine(), sql, parameters)
        except psycopg.OperationalError:
            connection: Connection | None = getattr(self._here, "connection", None)
            if connection is None:
                raise
            with suppress(psycopg.Error):
                connection.close()
        return _rows(self._mine(), sql, parameters)

    def close(self) -> None:
        """All of them. Idempotent."""
        with self._lock:
            self._closed = True
            for connection in self._opened:
                with suppress(psycopg.Error):
                    connection.close()

    def _mine(self) -> Connection:
        connection: Connection | None = getattr(self._here, "connection", None)
        if connection is None or connection.closed:
            self._here.connection = None
            self._here.connection = connection = self.fresh()
        return connection


def _rows(connection: Connection, sql: str, parameters: Sequence[object]) -> Sequence[Row]:
    cursor = connection.cursor(binary=True).execute(percent(sql), tuple(parameters))
    return cursor.fetchall() if cursor.description else ()


@cache
def percent(sql: str) -> str:
    """The same statement with psycopg's placeholders. No statement of ours has a `?` or `%` of its own."""
    return sql.replace("?", "%s")


@contextmanager
def translated() -> Iterator[None]:
    """Errors of PostgreSQL as StoreError, never with the server's own text: it may quote a row."""
    try:
        yield
    except psycopg.Error as error:
        raise StoreError(f"The store does not answer ({error.sqlstate or type(error).__name__}).") from None
