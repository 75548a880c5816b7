"""What keeps a statement inside its database, beneath the guard: each test fails when its setting is removed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.ports import Connection
from agent.sources import duckdb as source
from agent.sources.duckdb import Config

Plans = Callable[..., MaskedPlan]
Files = Callable[..., Path]

CANARY = "900-55-0001"


@pytest.fixture(scope="module")
def path(shared_duck: Files) -> Path:
    return shared_duck(f"CREATE TABLE people AS SELECT 1 AS id, '{CANARY}' AS ssn", "CREATE SEQUENCE sq")


@pytest.fixture(scope="module")
def con(path: Path) -> Iterator[Connection]:
    with Config(type="duckdb", path=path).open("shop", Limits()) as opened:
        yield opened


def refused(con: Connection, plan: Plans, sql: str) -> str:
    with pytest.raises(Fault) as caught:
        list(con.run(plan(sql)).batches)
    assert CANARY not in f"{caught.value} {caught.value.hint}"
    return caught.value.code


@pytest.mark.parametrize(
    "sql",
    [
        "FROM '{path}'",
        "FROM read_blob('{path}')",
        "FROM read_duckdb('{path}')",
        "FROM glob('{path}')",
        "FROM read_blob('{path}.wal')",
        "FROM read_text('{folder}/other.txt')",
        "FROM '{folder}/other.csv'",
        "FROM glob('{folder}/*')",
        "FROM sniff_csv('{folder}/other.csv')",
        "FROM parquet_metadata('{folder}/x.parquet')",
        "WITH x AS (COPY (SELECT 1) TO '{folder}/new.csv') SELECT 1",
        "WITH x AS (INSERT INTO people VALUES (2, 'x') RETURNING id) SELECT id FROM x",
        "SELECT nextval('sq')",
    ],
)
def test_no_file_is_read_or_written_by_name(con: Connection, plan: Plans, path: Path, sql: str) -> None:
    folder = path.parent
    (folder / "other.txt").write_text(CANARY)
    (folder / "other.csv").write_text(f"a\n{CANARY}\n")
    before = {p: p.read_bytes() for p in folder.iterdir()}
    assert refused(con, plan, sql.format(path=path, folder=folder)).startswith("source.")
    assert {p: p.read_bytes() for p in folder.iterdir()} == before


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "SELECT 1; SELECT 2",
        "ATTACH '{path}' AS again (READ_ONLY)",
        "ATTACH ':memory:' AS m",
        "SET threads = 1",
        "SET VARIABLE meridyen_x_i = 1",
        "SET schema = 'main'",
        "SET search_path = 'shop.main'",
        "USE shop",
        "RESET temp_directory",
        "PRAGMA storage_info('people')",
        "CALL pragma_version()",
        "CREATE TEMP TABLE x AS SELECT 1",
        "CREATE TEMP MACRO upper(x) AS 'y'",
        "PREPARE p AS SELECT 1",
        "COPY people TO 'x'",
        "EXPORT DATABASE 'x'",
        "CHECKPOINT",
        "LOAD httpfs",
        "INSTALL httpfs",
        "BEGIN",
    ],
)
def test_only_one_query_runs(con: Connection, plan: Plans, path: Path, sql: str) -> None:
    assert refused(con, plan, sql.format(path=path)) == "source.binding"


@pytest.mark.parametrize("sql", ["EXPLAIN SELECT 1", "VALUES (1)", "FROM people", "PIVOT people ON ssn", "SHOW people"])
def test_everything_that_the_guard_may_admit_runs(con: Connection, plan: Plans, sql: str) -> None:
    assert sum(batch.num_rows for batch in con.run(plan(sql)).batches) >= 1


def test_python_variables_are_no_tables(con: Connection, plan: Plans) -> None:
    import pyarrow as pa

    people_frame = pa.table({"a": [1]})
    assert people_frame.num_rows
    assert refused(con, plan, "SELECT * FROM people_frame") == "source.binding"


MACROS = (
    "CREATE MACRO upper(x) AS (SELECT max(ssn) FROM people)",
    """CREATE MACRO "||"(a, b) AS (SELECT max(ssn) FROM people)""",
    "CREATE MACRO sha256(x) AS (SELECT max(ssn) FROM people)",
    "CREATE MACRO sum(x) AS (SELECT max(ssn) FROM people)",
    "CREATE MACRO range(n) AS TABLE SELECT ssn FROM people",
)


def test_macros_of_the_database_do_not_stand_in_for_functions(duck: Files, plan: Plans) -> None:
    """The guard admits functions by name, and believes that they are the engine's."""
    path = duck(f"CREATE TABLE people AS SELECT 1 AS id, '{CANARY}' AS ssn", *MACROS)
    sql = "SELECT upper('a') AS a, 'b' || 'c' AS b, left(sha256('x'), 4) AS c, sum(range) AS d FROM range(4)"
    with Config(type="duckdb", path=path).open("shop", Limits()) as con:
        (batch,) = con.run(plan(sql)).batches
    assert batch.to_pylist() == [{"a": "A", "b": "bc", "c": "2d71", "d": 6}]


class Deaf:
    """A connection that ignores one setting, as another version of the engine might."""

    def __init__(self, con: Any, word: str) -> None:
        self._con, self._word = con, word

    def execute(self, sql: str) -> Any:
        return None if sql.startswith("SET") and self._word in sql else self._con.execute(sql)

    def sql(self, sql: str) -> Any:
        return self._con.sql(sql)


@pytest.mark.parametrize("name", source._AT_START)
def test_a_setting_that_does_not_hold_keeps_the_source_closed(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    value = str(tmp_path / "spill") if name == "temp_directory" else "true"
    real = Config._settings
    monkeypatch.setattr(Config, "_settings", lambda self, limits: real(self, limits) | {name: value})
    with pytest.raises(Fault, match="could not be locked down"), Config(type="duckdb", path=path).open("x", Limits()):
        pass


@pytest.mark.parametrize("name", source._LOCKED)
def test_a_lock_that_does_not_hold_keeps_the_source_closed(name: str) -> None:
    with duckdb.connect(config=source._texts(source._AT_START)) as con:
        closing = Deaf(con, name)
        closing.execute("SET enable_external_access = false")
        with pytest.raises(Fault, match="could not be locked down"):
            source._lock(closing)


def test_a_file_system_that_stays_open_keeps_the_source_closed(path: Path) -> None:
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{path}' (READ_ONLY)")
        with pytest.raises(Fault, match="could not be locked down"):
            source._forget_files(Deaf(con, "disabled_filesystems"), path)


def test_a_database_that_is_not_read_only_keeps_the_source_closed(duck: Files) -> None:
    path = duck("CREATE TABLE t(i INTEGER)")

    class Eager(Deaf):
        def execute(self, sql: str) -> Any:
            return super().execute(sql.replace("READ_ONLY, ", ""))

    with duckdb.connect() as con, pytest.raises(Fault, match="could not be opened read-only"):
        source._attach(Eager(con, "nothing"), path)
