"""PostgreSQL: one read-only transaction of a role that may only read; rows stream over ADBC."""

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, Literal

from pydantic import Field

from agent.core.catalog import Catalog
from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.ports import NOBODY, Finding, Session
from agent.core.table import Table
from agent.sources import _postgres_catalog as spelling
from agent.sources import _postgres_role as role
from agent.sources._attempt import attempt, attempt_each, unavailable
from agent.sources._pads import halves
from agent.sources._postgres_catalog import literal
from agent.sources._postgres_faults import opening_fault, running_fault
from agent.sources._postgres_types import Converter, carried, wrapped
from agent.sources._server import Server, findings_of, statement_seconds, tls_findings

_MIB: Final = 2**20
_MAX_AHEAD_BYTES: Final = 64 * _MIB
_BATCH_BYTES: Final = 4 * _MIB
_CHECK_CLIENT: Final = {"client_connection_check_interval": "500ms"}
_IN_STORED_ORDER: Final = {"enable_indexscan": "off", "enable_indexonlyscan": "off"}
"""Indexes may find rows, by bitmaps, but not order them."""
_SCHEMAS: Final = "SELECT pg_catalog.array_to_json(pg_catalog.current_schemas(false))::text AS schemas"
_LOCKED: Final = (
    "SELECT current_setting('transaction_read_only') || ' ' || current_setting('search_path') || ' '"
    " || current_setting('standard_conforming_strings') AS held"
)
_HANDLE: Final = re.compile(r"(\d{1,10}) (\d{1,19})", re.ASCII)
_EXPLAIN: Final = re.compile(r"(?i)\s*EXPLAIN\b")
_MOST_NAME: Final = 63
_NOWHERE: Final = "/nonexistent"


class Config(Server):
    """A PostgreSQL database. Satisfies `agent.core.ports.Source`."""

    type: Literal["postgres"]
    port: int = Field(default=5432, ge=1, le=65_535, description="TCP port, or the number in the Unix socket's name.")

    @property
    def dialect(self) -> str:
        """The name of the dialect."""
        return "postgres"

    @contextmanager
    def open(
        self, name: str, limits: Limits, session: Session = NOBODY, catalog: Catalog | None = None
    ) -> Iterator["PostgresDb"]:
        """Connect, lock, and check the role.

        `session.announce` is told `PID START` of the server's process, and an empty text when that has nothing to do
        any more. Raises Fault(source.unavailable).
        """
        with self._session(limits, session) as (streams, facts):
            if self.writable_role == "refuse":
                role.check_reads_only(facts)
            yield PostgresDb(streams, name, facts, self.schemas, limits, catalog)

    def cancel(self, handle: str) -> None:
        """End the server's process of an announced handle, if it still is the one that it was then."""
        found = _HANDLE.fullmatch(handle)
        if found is None:
            return
        pid, started = found.groups()
        process = f"pg_catalog.pg_stat_get_activity({int(pid)})"
        same = f"(extract(epoch FROM backend_start) * 1000000)::bigint = {int(started)}"
        ending = f"SELECT pg_catalog.pg_terminate_backend(pid) AS ended FROM {process} WHERE {same}"  # noqa: S608
        with self._connected(NOBODY) as con:
            attempt(lambda: _value(con, ending, optional=True), opening_fault)

    def examine(self) -> tuple[Finding, ...]:
        """Whether it answers, how it is encrypted, what its role may do, whether it logs what `token` must not tell."""
        try:
            with self._session(Limits(), NOBODY) as (streams, facts):
                opened = PostgresDb(streams, "source", facts, self.schemas, Limits(), None)
                count = len(opened.catalog().relations)
                logging = attempt(lambda: _value(streams.con, role.LOGGING), opening_fault)
        except Fault as fault:
            return findings_of(fault)
        readable = Finding("catalog", "ok", f"{count} relations")
        if not count:
            fix = "GRANT USAGE ON SCHEMA and SELECT ON its tables."
            readable = Finding("catalog", "warning", "the role may read no relation", fix)
        return (
            Finding("connect", "ok", "connects, in a read-only transaction"),
            *role.server_findings(facts, time.time(), encrypted=self._encrypted),
            *tls_findings(self),
            *role.role_findings(facts, refuse=self.writable_role == "refuse"),
            *role.logging_findings(json.loads(logging)),
            readable,
        )

    @property
    def _encrypted(self) -> bool:
        return self.socket_path is None and self.tls.mode != "disable"

    @contextmanager
    def _session(self, limits: Limits, session: Session) -> Iterator[tuple["Streams", Mapping[str, Any]]]:
        """An open connection whose transaction is locked, and what it says of itself."""
        with self._connected(session) as con:
            facts, settings = attempt(lambda: self._locked(con, limits), opening_fault)
            session.announce(f"{facts['pid']} {facts['started']}")
            streams = Streams(con, partial(_set, con, settings))
            try:
                yield streams, facts
            finally:
                if streams.close():
                    session.announce("")

    @contextmanager
    def _connected(self, session: Session) -> Iterator[Any]:
        self.check_tls_files()
        text = self._address(session)
        con = attempt(lambda: _driver().connect(text, autocommit=False), opening_fault)
        try:
            yield con
        finally:
            with suppress(Exception):  # it is lost, or already closed
                con.close()

    def _address(self, session: Session) -> str:
        """The connection in libpq's words; all that it would otherwise look up in files and variables is given."""
        found = self.addresses()
        count = max(1, len(found))
        words: dict[str, str | int] = {
            "host": ",".join([self.host] * count),
            "port": ",".join([str(self.port)] * count),
            "dbname": self.database,
            "user": self.user,
            "password": self.secret(),
            "passfile": _NOWHERE,
            "options": "",
            "application_name": session.job[:_MOST_NAME] or "meridyen",
            "client_encoding": "UTF8",
            "connect_timeout": max(2, math.ceil(self.connect_timeout_seconds / count)),
            "target_session_attrs": "any",
            "gssencmode": "disable",
            "tcp_user_timeout": 30_000,
            "keepalives_idle": 30,
            **self._tls_words(),
        }
        if found:
            words["hostaddr"] = ",".join(found)
        return " ".join(f"{name}={_word(value)}" for name, value in words.items())

    def _tls_words(self) -> dict[str, str]:
        words = {
            "sslmode": self.tls.mode if self.socket_path is None else "disable",
            "sslrootcert": str(self.tls.authority() or _NOWHERE),
            "sslcrldir": "",
            "sslcertmode": "disable",
        }
        if self.tls.cert_file is not None and self.tls.key_file is not None and self.socket_path is None:
            words |= {"sslcertmode": "allow", "sslcert": str(self.tls.cert_file), "sslkey": str(self.tls.key_file)}
        if self.socket_path is None and not self.tls.verified:  # whoever answers may ask for anything
            words["require_auth"] = "!password,!gss,!sspi"
        return words

    def _locked(self, con: Any, limits: Limits) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        """Begin a transaction, and lock it; read back what must hold. What it says of itself, and what was set."""
        settings = self._settings(limits) | _CHECK_CLIENT
        schemas = json.loads(_value(con, _SCHEMAS))
        try:
            _set(con, settings)
        except _driver().Error:  # not every version and platform has it
            con.rollback()
            settings = self._settings(limits)
            _set(con, settings)
        if _value(con, _LOCKED) != f"on {settings['search_path']} on":
            raise unavailable("The session could not be locked down.", "Connect to the server itself, not to a pooler.")
        return {**json.loads(_value(con, role.FACTS)), "schemas": schemas}, settings

    def _settings(self, limits: Limits) -> dict[str, str]:
        return {
            # Nothing but the engine's own: a function or an operator of the database would stand in for a mask's.
            "search_path": "pg_catalog, pg_temp",
            "transaction_read_only": "on",
            "TimeZone": "UTC",
            "DateStyle": "ISO, YMD",
            "IntervalStyle": "iso_8601",
            "standard_conforming_strings": "on",
            "bytea_output": "hex",
            "statement_timeout": f"{int(statement_seconds(limits) * 1000)}ms",
            "lock_timeout": f"{max(1, int(self.lock_timeout_seconds * 1000))}ms",
            "idle_in_transaction_session_timeout": f"{int(statement_seconds(limits) * 1000) + 30_000}ms",
        }


class PostgresDb:
    """An open source: its catalog, and one running statement at a time. Satisfies `agent.core.ports.Connection`."""

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        streams: "Streams",
        source: str,
        facts: Mapping[str, Any],
        schemas: tuple[str, ...],
        limits: Limits,
        catalog: Catalog | None,
    ) -> None:
        """Args: a locked session and what it said of itself; `catalog` is one that was read before."""
        self._streams, self._source, self._facts, self._schemas = streams, source, facts, schemas
        self._catalog = catalog
        self._ahead = int(min(limits.bytes, _MAX_AHEAD_BYTES, limits.memory_mb * _MIB // 8))

    def catalog(self) -> Catalog:
        """All relations that the role may read. Raises Fault(source.unavailable)."""
        if self._catalog is None:
            path = self._schemas or tuple(self._facts["schemas"])
            text = attempt(lambda: _value(self._streams.con, spelling.query(self._schemas)), opening_fault)
            self._catalog = spelling.read(text, self._source, str(self._facts["database"]), path)
        return self._catalog

    def run(self, plan: MaskedPlan) -> Table:
        """Rows of `plan.sql`, which binds no parameters. A second run ends the first one.

        For each of `plan.variables`, a name and two pads of 64 bytes, the transaction holds the settings
        `meridyen.<name>_i` and `meridyen.<name>_o` in lower-case hex. Raises Fault(source.* | limit.*), also while
        rows stream.
        """
        if plan.parameters:
            raise ValueError("a plan for this engine holds its values as literals")
        pads = halves(plan.variables)
        if pads:
            logging = attempt(lambda: _value(self._streams.con, role.LOGGING), opening_fault)
            role.check_not_logged(json.loads(logging))
        converter = attempt(lambda: self._converter(plan, pads), running_fault)
        return Table(converter.schema, attempt_each(converter.batches(), running_fault))

    def _converter(self, plan: MaskedPlan, pads: Mapping[str, tuple[bytes, bytes]]) -> Converter:
        streams = self._streams
        streams.begin()
        if plan.unordered:
            _set(streams.con, _IN_STORED_ORDER)
        for name, (inner, outer) in pads.items():
            for end, pad in (("i", inner), ("o", outer)):
                _bind(streams.con, f"meridyen.{name}_{end}", pad.hex())
        explained = _EXPLAIN.match(plan.sql) is not None  # neither a sub-query nor COPY can hold that
        columns = [carried(field) for field in streams.described(plan.sql)]
        sql = plan.sql if explained else wrapped(plan.sql, columns)
        if sql != plan.sql:
            streams.described(sql)
        reader = streams.reader(sql, copy=not explained)
        return Converter(columns, reader, self._ahead)


class Streams:
    """The statements of one connection: one at a time, and none is left running."""

    def __init__(self, con: Any, lock: Callable[[], None]) -> None:
        """Args: an open connection, which `close` closes; `lock` locks a transaction that has just begun."""
        self.con, self._lock = con, lock
        self._used = False
        self._cursor: Any = None
        self._reader: Any = None
        self._done = True

    def begin(self) -> None:
        """End what ran before, and its transaction, which may have failed. Raises the driver's errors."""
        self.end()
        if self._used:
            self.con.rollback()
            self._lock()
        self._used = True

    def described(self, sql: str) -> Any:
        """The columns of exactly one query, prepared and not run. Raises the driver's errors and Fault."""
        schema: Any = ()
        if sql.strip():
            with self.con.cursor() as cursor:
                schema = cursor.adbc_execute_schema(sql)
        if not len(schema):
            raise Fault("source.binding", "The statement is not exactly one query.", "Send one SELECT.")
        return schema

    def reader(self, sql: str, *, copy: bool) -> Any:
        """Start the query, which was described before; its record batches."""
        options = _driver_options()
        self._done = False
        self._cursor = self.con.cursor()
        self._cursor.adbc_statement.set_options(
            **{options.USE_COPY.value: str(copy).lower(), options.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES)}
        )
        self._cursor.execute(sql)
        self._reader = self._cursor.fetch_record_batch()
        return _Counted(self._reader, self._finished)

    def close(self) -> bool:
        """End what runs, and the connection. Whether that is certain."""
        ended = self.end()
        try:
            self.con.close()
        except Exception:  # noqa: BLE001 - as in `end`
            return False
        return ended

    def _finished(self) -> None:
        self._done = True

    def end(self) -> bool:
        """End what runs. Whether that is certain."""
        if self._cursor is None:
            return True
        try:
            if not self._done:
                self._cursor.adbc_cancel()
            self._cursor.close()
        except Exception:  # noqa: BLE001 - whatever it was, others have to end it
            return False
        self._cursor = self._reader = None
        return True


class _Counted:
    """A reader's batches, with a word when it is exhausted."""

    def __init__(self, reader: Any, finished: Callable[[], None]) -> None:
        self.schema = reader.schema
        self._reader, self._finished = reader, finished

    def __iter__(self) -> Iterator[Any]:
        yield from self._reader
        self._finished()


def _driver() -> Any:
    import adbc_driver_postgresql.dbapi as driver  # noqa: PLC0415 - reading a Config must not load the driver

    return driver


def _driver_options() -> Any:
    from adbc_driver_postgresql import StatementOptions  # noqa: PLC0415 - as above

    return StatementOptions


def _value(con: Any, sql: str, *, optional: bool = False) -> Any:
    """The one value of one of this module's own statements."""
    with con.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone()
    if row is None and not optional:
        raise unavailable("The server did not answer as PostgreSQL does.", "Check what the source's address leads to.")
    return None if row is None else row[0]


def _set(con: Any, settings: Mapping[str, str]) -> None:
    """For this transaction, in one round trip."""
    calls = (
        f"pg_catalog.set_config({literal(name)}, {literal(value)}, true) AS c{number}"
        for number, (name, value) in enumerate(settings.items())
    )
    _value(con, f"SELECT {', '.join(calls)}")


def _bind(con: Any, name: str, value: str) -> None:
    """Set a custom setting for this transaction by bound values: its text stands in no statement."""
    with con.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.length(pg_catalog.set_config($1, $2, true)) AS set", (name, value))
        cursor.fetchall()


def _word(value: str | int) -> str:
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
