"""SQLite: a database file, opened read-only behind an authorizer, without any file made beside it."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from agent.core.catalog import Catalog
from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.ports import NOBODY, Endpoint, Finding, Session
from agent.core.table import Table
from agent.sources import _sqlite_catalog as spelling
from agent.sources._attempt import attempt, attempt_each, examined, head, present, real, unavailable
from agent.sources._pads import halves
from agent.sources._sqlite_faults import binding_fault, opening_fault, running_fault
from agent.sources._storage_classes import tabled

if TYPE_CHECKING:
    import sqlite3

ROWS_PER_BATCH: Final = 10_000

_MIB: Final = 2**20
_MAX_AHEAD_BYTES: Final = 64 * _MIB
_BUSY_SECONDS: Final = 5.0
_QUERY: Final = re.compile(r"(?i)\s*(?:SELECT|VALUES|WITH|EXPLAIN)\b")
_EXPLAIN: Final = re.compile(r"(?i)\s*EXPLAIN\b")
_OLDEST: Final = (3, 37, 0)
"""The first version with `PRAGMA table_list`, which tells virtual tables and their shadows from plain ones."""

_MAGIC: Final = b"SQLite format 3\x00"
_READ_VERSION, _SCHEMA_FORMAT = 19, slice(44, 48)
_ROLLBACK, _WAL, _NEWEST_SCHEMA = 1, 2, 4

_PRAGMAS: Final = {
    "temp_store": 2,  # sorts in memory: no temporary file
    "query_only": 1,
    "trusted_schema": 0,
    "cell_size_check": 1,
    "mmap_size": 0,  # a file that another program cuts short must be an error, not a SIGBUS
}
_JSON_TABLES: Final = frozenset({"json_each", "json_tree"})
_OWN: Final = "meridyen_cte_"
"""What the names of the statement's own WITHs begin with: see `agent.masking.subqueries`."""
_NEVER: Final = frozenset({"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "sqlite_log"})


class Config(BaseModel):
    """A SQLite database file. Satisfies `agent.core.ports.Source`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    type: Literal["sqlite"]
    path: Path = Field(description="A SQLite database file.")

    @property
    def dialect(self) -> str:
        """The name of the dialect."""
        return "sqlite"

    def reads(self) -> tuple[Path, ...]:
        """The file with its journal and write-ahead log: those that exist now."""
        path = real(self.path)
        return present(path, *(_beside(path, end) for end in ("-wal", "-shm", "-journal")))

    def connects(self) -> tuple[Endpoint, ...]:
        """No server."""
        return ()

    def cancel(self, handle: str) -> None:
        """The engine runs in the worker: with the worker it is gone."""

    def examine(self) -> tuple[Finding, ...]:
        """Whether it opens."""
        return examined(self)

    @contextmanager
    def open(
        self,
        name: str,
        limits: Limits,
        session: Session = NOBODY,  # noqa: ARG002 - a statement that runs in this process ends with it
        catalog: Catalog | None = None,  # noqa: ARG002 - a file is cheap to ask, and may have been exchanged
    ) -> Iterator["SqliteDb"]:
        """Open and lock. The whole process keeps three quarters of `limits.memory_mb` as SQLite's heap limit.

        Raises Fault(source.unavailable).
        """
        path = real(self.path)
        way, still = _way_in(path)
        con = attempt(lambda: _connected(path, way), opening_fault)
        try:
            attempt(lambda: _lock(con, limits), opening_fault)
            yield SqliteDb(con, name, limits, still)
        finally:
            con.close()


class SqliteDb:
    """An open source: its catalog, and one running statement at a time. Satisfies `agent.core.ports.Connection`."""

    def __init__(self, con: "sqlite3.Connection", source: str, limits: Limits, still: Callable[[], None]) -> None:
        """Args: a locked connection; `still` raises Fault when the file is no longer what was opened."""
        self._con = con
        self._source = source
        self._limits = limits
        self._still = still
        self._catalog: Catalog | None = None
        self._cursor: sqlite3.Cursor | None = None

    def catalog(self) -> Catalog:
        """All relations; read once, in the same snapshot that statements see. Raises Fault(source.unavailable)."""
        if self._catalog is None:
            self._catalog = attempt(lambda: spelling.read(self._con, self._source), opening_fault)
        return self._catalog

    def run(self, plan: MaskedPlan) -> Table:
        """Rows of `plan.sql` in batches of 10,000. A second run ends the first one.

        Columns get the Arrow type of the values that they hold (see `tabled`). For each of `plan.variables`, a name and
        two pads of 64 bytes, the SQL function `<name>(value)` gives `tok_` and half of an HMAC-SHA256 in hex.
        Raises Fault(source.binding | source.error | limit.memory), also while rows stream.
        """
        pads = halves(plan.variables)
        readable = {relation.name.casefold() for relation in self.catalog().relations} | _JSON_TABLES
        attempt(lambda: self._bind(plan, pads, readable), binding_fault)
        table = attempt(lambda: self._table(plan), running_fault)
        return Table(table.schema, attempt_each(table.batches, running_fault))

    def _bind(self, plan: MaskedPlan, pads: Mapping[str, tuple[bytes, bytes]], readable: set[str]) -> None:
        """Compile only, so that an error of binding is told from one of running."""
        if self._cursor is not None:
            self._cursor.close()
        for name, (inner, outer) in pads.items():
            self._con.create_function(name, 1, _token(inner, outer), deterministic=True)
        self._con.set_authorizer(partial(_authorise, _driver(), readable))
        if not _QUERY.match(plan.sql):  # VACUUM does not ask the authorizer
            raise _no_query()
        sql = plan.sql if _EXPLAIN.match(plan.sql) else f"EXPLAIN {plan.sql}"
        self._con.execute(sql, dict(plan.parameters)).close()

    def _table(self, plan: MaskedPlan) -> Table:
        cursor = self._cursor = self._con.execute(plan.sql, dict(plan.parameters))
        if cursor.description is None:
            raise _no_query()
        return tabled(
            [column[0] for column in cursor.description],
            self._chunks(cursor),
            ahead_rows=self._limits.rows,
            ahead_bytes=min(self._limits.bytes, _MAX_AHEAD_BYTES, self._limits.memory_mb * _MIB // 4),
        )

    def _chunks(self, cursor: "sqlite3.Cursor") -> Iterator[Sequence[tuple[Any, ...]]]:
        while chunk := cursor.fetchmany(ROWS_PER_BATCH):
            self._still()
            yield chunk
        self._still()


def _no_query() -> Fault:
    return Fault("source.binding", "The statement is not exactly one query.", "Send one SELECT.")


def _driver() -> Any:
    import sqlite3  # noqa: PLC0415 - reading a Config must not load the driver

    return sqlite3


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _way_in(path: Path) -> tuple[str, Callable[[], None]]:
    """How to open the file, as URI parameters, so that nothing is written beside it; and a check that it holds still.

    In WAL mode SQLite would create `-wal` and `-shm` also for a reader. Where another process has made them they are
    used as they are; where there are none nobody writes, and the file is read as immutable: without locks, so that a
    writer who comes later must be noticed.
    """
    header = head(path)
    if header[: len(_MAGIC)] != _MAGIC or len(header) < _SCHEMA_FORMAT.stop:
        raise unavailable("The file is not a SQLite database.", "Check `type` and `path` of the source.")
    if header[_READ_VERSION] > _WAL or int.from_bytes(header[_SCHEMA_FORMAT]) > _NEWEST_SCHEMA:
        raise unavailable(
            "The SQLite file has a format that this agent's SQLite does not read.",
            "Run the agent with a newer Python, or rebuild the file with an older SQLite.",
        )
    wal, shm = _beside(path, "-wal"), _beside(path, "-shm")
    if header[_READ_VERSION] == _ROLLBACK:
        return "mode=ro", lambda: None
    if shm.exists():
        return "mode=ro&readonly_shm=1", lambda: None
    if wal.exists() and wal.stat().st_size:
        raise unavailable(
            "The SQLite file has a write-ahead log (-wal) without its index (-shm), which a reader cannot rebuild.",
            "Open and close the database once with the program that writes it, or run PRAGMA wal_checkpoint(TRUNCATE).",
        )
    return "mode=ro&immutable=1", partial(_unchanged, path, _state(path))


def _state(path: Path) -> tuple[int, int, int, bool]:
    status, wal = path.stat(), _beside(path, "-wal")
    return status.st_ino, status.st_size, status.st_mtime_ns, wal.exists() and wal.stat().st_size > 0


def _unchanged(path: Path, state: tuple[int, int, int, bool]) -> None:
    if _state(path) != state:
        raise Fault("source.error", "The database was written to while it was read.", "Run the job again.")


def _connected(path: Path, way: str) -> "sqlite3.Connection":
    uri = f"file:{quote(str(path))}?{way}"
    con: sqlite3.Connection = _driver().connect(uri, uri=True, isolation_level=None, timeout=_BUSY_SECONDS)
    # Text that is not UTF-8 would raise an error that quotes it.
    con.text_factory = partial(str, encoding="utf-8", errors="backslashreplace")
    return con


def _lock(con: "sqlite3.Connection", limits: Limits) -> None:
    """Set, read back, and begin the one read transaction: what is not as it was set keeps the source closed."""
    driver = _driver()
    if hasattr(con, "enable_load_extension"):  # not compiled into every Python
        con.enable_load_extension(False)
    con.setlimit(driver.SQLITE_LIMIT_ATTACHED, 0)
    con.setlimit(driver.SQLITE_LIMIT_WORKER_THREADS, 0)
    for name, value in _PRAGMAS.items():
        con.execute(f"PRAGMA {name} = {value}")
    heap = int(limits.memory_mb * _MIB * 3 // 4)
    con.execute(f"PRAGMA hard_heap_limit = {heap}")
    held = {name: con.execute(f"PRAGMA {name}").fetchall()[0][0] for name in (*_PRAGMAS, "hard_heap_limit")}
    always_files = ("TEMP_STORE=0",) in con.execute("PRAGMA compile_options").fetchall()
    if (
        driver.sqlite_version_info < _OLDEST
        or always_files
        or not 0 < held.pop("hard_heap_limit") <= heap
        or held != _PRAGMAS
    ):
        raise unavailable("The engine could not be locked down.", "Run the agent with SQLite 3.37 or newer.")
    with suppress(driver.OperationalError):  # not in every build
        con.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')").close()  # declares them, which is denied later
    con.execute("BEGIN")
    con.execute("SELECT 1 FROM sqlite_schema LIMIT 1").close()


def _authorise(  # noqa: PLR0917 - the driver's signature
    driver: Any,
    readable: set[str],
    action: int,
    first: str | None,
    second: str | None,
    database: str | None,
    _: str | None,
) -> int:
    """What a compiled statement may do: read the catalog's relations and call harmless functions."""
    match action:
        case driver.SQLITE_SELECT | driver.SQLITE_RECURSIVE:
            allowed = True
        case driver.SQLITE_FUNCTION:
            allowed = (second or "").casefold() not in _NEVER
        case driver.SQLITE_READ:
            name, of_table = (first or "").casefold(), database in {"main", None}
            counted = database is None and not second and name.startswith(_OWN)  # the rows of a WITH
            allowed = counted or (name in readable and of_table)
        case _:
            allowed = False
    return int(driver.SQLITE_OK if allowed else driver.SQLITE_DENY)


def _token(inner_pad: bytes, outer_pad: bytes) -> Callable[[object], str | None]:
    """HMAC-SHA256 from its two pads (RFC 2104), over UTF-8; numbers as Python writes them. NULL stays NULL."""
    inner, outer = hashlib.sha256(inner_pad), hashlib.sha256(outer_pad)

    def token(value: object) -> str | None:
        if value is None:
            return None
        first, second = inner.copy(), outer.copy()
        first.update(value if isinstance(value, bytes) else str(value).encode())
        second.update(first.digest())
        return "tok_" + second.hexdigest()[:32]

    return token
