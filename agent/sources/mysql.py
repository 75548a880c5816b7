"""MySQL and MariaDB: one connection a job, in one read-only snapshot, its rows streamed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal

from pydantic import Field

from agent.core.catalog import Catalog
from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.ports import NOBODY, Finding, Session
from agent.core.table import Table
from agent.sources import _mysql_catalog
from agent.sources._attempt import attempt, attempt_each, unavailable
from agent.sources._mysql_examine import examined, writable
from agent.sources._mysql_faults import is_answer, opening_fault, running_fault
from agent.sources._mysql_session import Pinned, ask, connect, drop, end, handle_of, interrupt, pin, unlogged
from agent.sources._mysql_types import Reader, Row, sized
from agent.sources._pads import halves
from agent.sources._server import Server, statement_seconds

ROWS_PER_BATCH: Final = 10_000
_BYTES_PER_BATCH: Final = 8 << 20
_READ_GRACE_SECONDS: Final = 5.0


class Config(Server):
    """A MySQL or MariaDB server. Satisfies `agent.core.ports.Source`."""

    type: Literal["mysql"]
    port: int = Field(default=3306, ge=1, le=65_535, description="TCP port.")

    @property
    def dialect(self) -> str:
        """The name of the dialect."""
        return "mysql"

    def cancel(self, handle: str) -> None:
        """Kill the announced connection with what it runs. Raises Fault(source.unavailable)."""
        end(self, handle)

    def examine(self) -> tuple[Finding, ...]:
        """Whether it answers, which server it is, and what its account may do. Raises nothing."""
        return examined(self)

    @contextmanager
    def open(
        self, name: str, limits: Limits, session: Session = NOBODY, catalog: Catalog | None = None
    ) -> Iterator["MySql"]:
        """Connect, lock down and begin the one read-only snapshot.

        `session.announce` is told `THREAD@START` of the server, and an empty text when that has nothing to do any more.
        Raises Fault(source.unavailable).
        """
        con = connect(self, read_seconds=statement_seconds(limits) + _READ_GRACE_SECONDS, job=session.job)
        opened: MySql | None = None
        try:
            handle = attempt(lambda: handle_of(con), opening_fault)
            session.announce(handle)
            pinned = attempt(lambda: pin(con, self, limits), opening_fault)
            if self.writable_role == "refuse" and attempt(lambda: writable(pinned), opening_fault):
                raise unavailable(
                    "The source's account may do more than read.",
                    "Give it SELECT and SHOW VIEW only, or set writable_role to warn: `agent sources test` says more.",
                )
            opened = MySql(pinned, self, name, catalog)
            yield opened
        finally:
            drop(con)
            if opened is None or not opened.running or self._ended(handle):
                session.announce("")

    def _ended(self, handle: str) -> bool:
        """End what runs on: the end of its connection alone would leave it at work until it sends a row."""
        with suppress(Fault):
            end(self, handle)
            return True
        return False


class MySql:
    """An open source: its catalog, and one running statement at a time. Satisfies `agent.core.ports.Connection`."""

    def __init__(self, pinned: Pinned, server: Server, source: str, catalog: Catalog | None) -> None:
        """Args: a pinned session, what its catalog calls the source, and the catalog when it is known already."""
        self._pinned = pinned
        self._server = server
        self._source = source
        self._catalog = catalog
        self.running = False
        """Whether the server may still be at work on a statement."""

    def catalog(self) -> Catalog:
        """All relations that the account sees; read once. Raises Fault(source.unavailable)."""
        if self._catalog is None:
            con, server = self._pinned.connection, self._server
            self._catalog = attempt(
                lambda: _mysql_catalog.read(
                    lambda statement: ask(con, statement), self._source, server.database, server.schemas
                ),
                opening_fault,
            )
        return self._catalog

    def run(self, plan: MaskedPlan) -> Table:
        """Rows of `plan.sql` in batches of at most 10,000. A second run ends the first one.

        For each of `plan.variables`, a name and two pads of 64 bytes, the session holds the user variables
        `@<name>_i` and `@<name>_o`. The text holds its parameters as literals. Raises Fault(source.binding |
        source.error | source.unavailable | limit.memory | limit.wall), also while rows stream.
        """
        if plan.parameters:
            raise ValueError("the driver cannot bind: parameters stand in the text")
        pads = halves(plan.variables)
        if pads:
            unlogged(self._pinned)
        if self.running:
            attempt(lambda: interrupt(self._server, self._pinned.connection), running_fault)
        reader, rows = attempt(lambda: self._started(plan.sql, pads), self._ended)
        lists = sized(rows, most_rows=ROWS_PER_BATCH, most_bytes=_BYTES_PER_BATCH)
        return Table(reader.schema, attempt_each((reader.batch(held) for held in lists), self._ended))

    def _started(self, sql: str, pads: Mapping[str, tuple[bytes, bytes]]) -> tuple[Reader, Iterator[Row]]:
        con = self._pinned.connection
        self.running = True
        for name, (inner, outer) in pads.items():
            ask(con, f"SET @{name}_i = x'{inner.hex()}', @{name}_o = x'{outer.hex()}'")
        # A cursor would read to the end of the result when it is closed or forgotten, however far that is.
        con.query(sql, unbuffered=True)
        result: Any = con._result  # noqa: SLF001 - as above
        if result is None or result.description is None:
            self.running = False
            raise Fault("source.binding", "The statement returns no rows.", "Send one SELECT.")
        return Reader(result.fields), self._rows(result)

    def _ended(self, error: Exception) -> Fault:
        """Why the statement failed. Where the server said so, it is done with it; else it may still be at work."""
        self.running = not is_answer(error)
        return running_fault(error)

    def _rows(self, result: Any) -> Iterator[Row]:
        while (row := result._read_rowdata_packet_unbuffered()) is not None:  # noqa: SLF001 - as above
            yield row
        self.running = False
