"""DuckDB: a database file, or a folder of Parquet, CSV and JSON files, opened read-only and locked down."""

import glob
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.core.catalog import Catalog
from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.ports import NOBODY, Endpoint, Finding, Session
from agent.core.table import Table
from agent.sources import _duckdb_catalog as spelling
from agent.sources import _duckdb_details
from agent.sources._attempt import attempt, attempt_each, examined, head, present, real, unavailable
from agent.sources._duckdb_catalog import carried, literal, quoted
from agent.sources._duckdb_faults import folder_fault, opening_fault, running_fault
from agent.sources._folder import FileTable, tables
from agent.sources._pads import halves

ROWS_PER_BATCH: Final = 10_000

_MAGIC: Final = slice(8, 12)
_READERS: Final = {"parquet": "read_parquet", "csv": "read_csv", "json": "read_json"}

_AT_START: Final[dict[str, object]] = {
    "temp_directory": "",  # a read-only database would spill beside the client's file, and leave it after a kill
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_unsigned_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,  # a table name that does not exist would read a Python variable
}
_LOCKED: Final[dict[str, object]] = {"enable_external_access": False, "lock_configuration": True}

_QUERIES: Final = frozenset({"SELECT", "EXPLAIN", "MULTI"})
_READING: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_WRITING_WORD: Final = re.compile(r"(?i)\b(?:COPY|INSERT|UPDATE|DELETE|MERGE)\b")
_EXPLAIN: Final = re.compile(r"(?i)\s*EXPLAIN\b")


_THREADLESS: Final[dict[str, object]] = {"threads": 1, "async_threads": 0}
"""An engine without threads of its own, which alone survives a fork."""


@dataclass(slots=True)
class _Warm:
    """An empty engine that was opened before a fork, by the process `pid`; each fork may take it over, once."""

    pid: int = 0
    connection: Any = None

    def take(self) -> Any:
        """The engine of the process that this one was forked from; None when there is none."""
        if self.pid == os.getpid():
            return None
        taken, self.connection = self.connection, None
        return taken


_warm: Final = _Warm()


def warm() -> None:
    """Keep an empty engine open for the forks of this process: to open one takes longer than a small job.

    No statement of a job ever runs in this process. Where the engine cannot do without threads, none is kept.
    """
    driver = _driver()
    try:
        con = driver.connect(":memory:", config=_texts(_AT_START | _THREADLESS))
    except driver.Error:
        driver.connect(":memory:", config=_texts(_AT_START)).close()
        return
    _go_through(con)
    _warm.pid, _warm.connection = os.getpid(), con


def rehearse() -> None:
    """In a fork that has no job yet: have the engine touch what it touches for any job. Starts no thread."""
    if _warm.connection is not None and _warm.pid != os.getpid():
        _go_through(_warm.connection)


def _go_through(con: Any) -> None:
    con.execute("SET TimeZone = 'UTC'")
    for function in ("duckdb_databases", "duckdb_schemas", "duckdb_tables", "duckdb_views", "duckdb_columns"):
        con.execute(f"FROM {function}()").fetchall()


class Config(BaseModel):
    """A DuckDB file or a folder of data files. Satisfies `agent.core.ports.Source`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    type: Literal["duckdb"]
    path: Path = Field(description="A DuckDB database file, or a folder of Parquet, CSV and JSON files.")
    threads: int | None = Field(default=None, ge=1, le=256, description="Threads of one statement; null: the engine's.")

    @property
    def dialect(self) -> str:
        """The name of the dialect."""
        return "duckdb"

    def reads(self) -> tuple[Path, ...]:
        """The file with its write-ahead logs, or the folder: those that exist now."""
        path = real(self.path)
        return present(path, *(path.with_name(path.name + end) for end in (".wal", ".wal.checkpoint", ".wal.recovery")))

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
    ) -> Iterator["DuckDb"]:
        """Open and lock. `limits.memory_mb` is kept by a quarter below. Raises Fault(source.unavailable)."""
        inherited = _warm.take()
        con = attempt(lambda: self._connected(inherited, limits), opening_fault)
        try:
            yield attempt(lambda: self._locked(con, name), opening_fault)
        finally:
            if inherited is None:  # else the process ends with it
                con.close()

    def _connected(self, inherited: Any, limits: Limits) -> Any:
        settings = self._settings(limits)
        if inherited is None:
            return _driver().connect(":memory:", config=settings)
        inherited.execute(f"SET memory_limit = {literal(settings['memory_limit'])}")
        inherited.execute(f"SET threads = {settings.get('threads', len(os.sched_getaffinity(0)))}")
        return inherited

    def _settings(self, limits: Limits) -> dict[str, str]:
        threads = {} if self.threads is None else {"threads": self.threads}
        return _texts(_AT_START | threads | {"memory_limit": f"{int(limits.memory_mb * 3 // 4)}MiB"})

    def _locked(self, con: Any, name: str) -> "DuckDb":
        path = real(self.path)
        con.execute("SET TimeZone = 'UTC'")
        con.execute("SET enable_progress_bar = false")  # it would be drawn on the standard output
        if _is_folder(path):
            opened = DuckDb(con, name, "memory", folder=True)
            _show(con, tables(path))
            con.execute("SET enable_external_access = false")
        else:
            opened = DuckDb(con, name, _attach(con, path), folder=False)
            con.execute("SET enable_external_access = false")
            _forget_files(con, path)
        _lock(con)
        return opened


class DuckDb:
    """An open source: its catalog, and one running statement at a time. Satisfies `agent.core.ports.Connection`."""

    def __init__(self, con: Any, source: str, database: str, *, folder: bool) -> None:
        """Args: a connection to be locked by the caller, and what its catalog calls the source and the database."""
        self._con = con
        self._source = source
        self._database = database
        self._folder = folder
        self._reader: Any = None

    def catalog(self) -> Catalog:
        """All relations. Raises Fault(source.unavailable)."""
        read = spelling.read_folder if self._folder else spelling.read
        return attempt(lambda: read(self._con, self._source, self._database), opening_fault)

    def detailed(self) -> Catalog:
        """The catalog with comments, keys, labels and estimates of rows. Raises Fault(source.unavailable)."""
        catalog = self.catalog()
        return attempt(lambda: _duckdb_details.detailed(self._con, catalog, self._database), opening_fault)

    def run(self, plan: MaskedPlan) -> Table:
        """Rows of `plan.sql` in batches of 10,000. A second run ends the first one.

        For each of `plan.variables`, a name and two pads of 64 bytes, the session holds the BLOB variables `<name>_i`
        and `<name>_o`. Raises Fault(source.binding | source.error | limit.memory), also while rows stream.
        """
        pads = halves(plan.variables)
        reader = attempt(lambda: self._reader_of(plan, pads), running_fault)
        return Table(reader.schema, attempt_each(iter(reader), running_fault))

    def _reader_of(self, plan: MaskedPlan, pads: Mapping[str, tuple[bytes, bytes]]) -> Any:
        if self._reader is not None:
            self._reader.close()
        self._check(plan.sql)
        for name, (inner, outer) in pads.items():
            self._con.execute(f"SET VARIABLE {name}_i = $1", [inner])
            self._con.execute(f"SET VARIABLE {name}_o = $1", [outer])
        relation = self._con.sql(plan.sql, params=dict(plan.parameters) or None)
        self._reader = _carriable(relation).to_arrow_reader(ROWS_PER_BATCH)
        return self._reader

    def _check(self, sql: str) -> None:
        """Exactly one query. A folder's database is in memory and writable, and a CTE may hold COPY: look inside."""
        statements = self._con.extract_statements(sql)
        kinds = [statement.type.name for statement in statements]
        if len(kinds) != 1 or kinds[0] not in _QUERIES or (self._folder and self._writes(sql, kinds[0])):
            raise Fault("source.binding", "The statement is not exactly one query.", "Send one SELECT.")

    def _writes(self, sql: str, kind: str) -> bool:
        if kind == "MULTI":  # a PIVOT that looks up its columns first has no tree to look at: its words have to do
            return _WRITING_WORD.search(sql) is not None
        query = _EXPLAIN.sub("", sql, count=1) if kind == "EXPLAIN" else sql
        tree = json.loads(self._con.execute("SELECT json_serialize_sql($1::VARCHAR)", [query]).fetchall()[0][0])
        return bool(tree["error"]) or _has_other_nodes(tree)


def _driver() -> Any:
    import duckdb  # noqa: PLC0415 - the service reads this module's Config and must not load the driver

    return duckdb


def _texts(settings: dict[str, object]) -> dict[str, str]:
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in settings.items()}


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _attach(con: Any, path: Path) -> str:
    """Attach the file read-only as the only database. Its name is the engine's choice, unless a schema has it too."""
    if head(path)[_MAGIC] != b"DUCK":
        raise unavailable("The file is not a DuckDB database.", "Check `type` and `path` of the source.")
    attach, options = f"ATTACH {literal(str(path))}", "(READ_ONLY, TYPE duckdb)"
    con.execute(f"{attach} {'AS memory_db' if path.stem.casefold() == 'memory' else ''} {options}")
    database, schemas = _attached(con)
    if database.casefold() in {schema.casefold() for schema in schemas}:  # "shop"."t" would be ambiguous
        con.execute(f"DETACH {quoted(database)}")
        con.execute(f"{attach} AS {quoted(f'{database}_db')} {options}")
        database, schemas = _attached(con)
    con.execute(f"USE {quoted(database)}")
    con.execute("DETACH memory")
    # The engine's own schema first: else a macro of the database stands in for a function, an operator, even a mask.
    found_in = ["system.main", *(f"{quoted(database)}.{quoted(schema)}" for schema in schemas)]
    con.execute(f"SET search_path = {literal(','.join(found_in))}")
    return database


def _attached(con: Any) -> tuple[str, list[str]]:
    rows = con.execute(
        "SELECT d.database_name, s.schema_name FROM duckdb_databases() d JOIN duckdb_schemas() s USING (database_name) "
        "WHERE NOT d.internal AND d.readonly ORDER BY s.schema_name <> 'main', s.schema_name"
    ).fetchall()
    if len({database for database, _ in rows}) != 1:
        raise unavailable("The database could not be opened read-only.", "Report it; nothing was read.")
    return rows[0][0], [schema for _, schema in rows]


def _show(con: Any, found: tuple[FileTable, ...]) -> None:
    """Make each table of the folder a view over its files, and allow exactly those files."""
    for table in found:
        # The engine reads a path as a pattern.
        patterns = ", ".join(literal(glob.escape(str(path))) for path in table.files)
        reading = f"{_READERS[table.type]}([{patterns}], union_by_name = true)"
        attempt(partial(con.execute, f"CREATE VIEW {quoted(table.name)} AS FROM {reading}"), folder_fault)
    files = [path for table in found for path in table.files]
    allowed = sorted({text for path in files for text in (str(path), glob.escape(str(path)), str(path.resolve()))})
    con.execute(f"SET allowed_paths = [{', '.join(map(literal, allowed))}]")


def _forget_files(con: Any, path: Path) -> None:
    """The attached file stays readable by its handle only: else `read_blob` and ATTACH could still read it raw."""
    con.execute("SET disabled_filesystems = 'LocalFileSystem'")
    try:
        con.sql(f"FROM glob({literal(str(path))})").fetchall()
    except Exception as error:
        if "has been disabled" in str(error):  # this setting cannot be read back
            return
        raise
    raise _not_locked()


def _lock(con: Any) -> None:
    """Lock and read back: what is not as it was set keeps the source closed."""
    con.execute("SET lock_configuration = true")
    wanted = _AT_START | _LOCKED
    asked = ", ".join(f"current_setting({literal(name)})" for name in wanted)
    if con.execute(f"SELECT {asked}").fetchall() != [tuple(wanted.values())]:
        raise _not_locked()


def _not_locked() -> Fault:
    return unavailable("The engine could not be locked down.", "Report it; nothing was read.")


def _carriable(relation: Any) -> Any:
    """The relation with a cast around each column whose type Arrow would change; the statement itself is untouched."""
    if relation is None:
        raise Fault("source.binding", "The statement returns no rows.", "Send one SELECT.")
    types = relation.types
    casts = [carried(kind) for kind in types]
    if casts == list(map(str, types)):
        return relation
    items = [
        f"#{at} AS {quoted(name)}" if cast == str(kind) else f"CAST(#{at} AS {cast}) AS {quoted(name)}"
        for at, (name, kind, cast) in enumerate(zip(relation.columns, types, casts, strict=True), start=1)
    ]
    return relation.project(", ".join(items))


def _has_other_nodes(tree: object) -> bool:
    if isinstance(tree, list):
        return any(map(_has_other_nodes, tree))
    if not isinstance(tree, dict):
        return False
    kind = tree.get("type")
    odd = isinstance(kind, str) and kind.endswith("_NODE") and kind not in _READING
    return odd or any(map(_has_other_nodes, tree.values()))
