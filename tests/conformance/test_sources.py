"""What every source does, whatever it is made of: each one of the union runs through all of this."""

import importlib
import pkgutil
import sqlite3
import subprocess
import sys
import traceback
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pydantic import TypeAdapter, ValidationError

import agent.sources
from agent.core.catalog import Catalog
from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.ports import Connection, Source
from agent.core.table import Disclosure
from agent.sandbox import landlock

CANARY = "900-55-0001"
ROWS = 25_000
PEOPLE = f"SELECT range AS id, '{CANARY}' AS ssn, range / 4 AS pay, 'p' || range AS name FROM range({ROWS})"

UNION = typing.get_args(typing.get_args(agent.sources.Config)[0])
FILES = [config for config in UNION if "path" in config.model_fields]
READ = TypeAdapter(agent.sources.Config)


def duckdb_file(folder: Path) -> Path:
    with duckdb.connect(folder / "shop.duckdb") as con:
        con.execute(f"CREATE TABLE people AS {PEOPLE}")
        con.execute("CREATE VIEW names(who) AS SELECT name FROM people")
    return folder / "shop.duckdb"


def data_folder(folder: Path) -> Path:
    with duckdb.connect() as con:
        con.execute(f"COPY ({PEOPLE}) TO '{folder}/people.csv'")
        con.execute(f"COPY (SELECT name AS who FROM ({PEOPLE})) TO '{folder}/names.parquet'")
        con.execute(f"COPY (SELECT 1 AS a) TO '{folder}/other.json'")
    return folder


def sqlite_file(folder: Path) -> Path:
    con = sqlite3.connect(folder / "shop.sqlite")
    con.executescript(
        f"""CREATE TABLE people(id INTEGER PRIMARY KEY, ssn TEXT, pay REAL, name TEXT);
            WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r LIMIT {ROWS})
            INSERT INTO people SELECT n, '{CANARY}', n / 4.0, 'p' || n FROM r;
            CREATE VIEW names(who) AS SELECT name FROM people;"""
    )
    con.close()
    return folder / "shop.sqlite"


@dataclass(frozen=True)
class Kind:
    """How one kind of source is made, and statements whose words differ. `fails` fails while it runs."""

    type: str
    make: Callable[[Path], Path]
    named: str
    fails: str
    endless: str
    large_sort: str

    def config(self, path: Path) -> Source:
        source: Source = READ.validate_python({"type": self.type, "path": path})
        return source


DUCKDB_WORDS = {
    "named": "$",
    "fails": "SELECT CAST(ssn AS INTEGER) AS x FROM people",
    "endless": "SELECT range AS i FROM range(1000000000000)",
    "large_sort": "SELECT md5(range::VARCHAR) AS s FROM range({}) ORDER BY s",
}
SQLITE_WORDS = {
    "named": ":",
    "fails": "SELECT json_extract(ssn, '$.a') AS x FROM people",
    "endless": "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n AS i FROM r",
    "large_sort": "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT {}) SELECT hex(n * 7919 % 65536)"
    " || '--------------------------------' AS s FROM r ORDER BY s",
}
KINDS = [
    Kind("duckdb", duckdb_file, **DUCKDB_WORDS),
    Kind("duckdb", data_folder, **DUCKDB_WORDS),
    Kind("sqlite", sqlite_file, **SQLITE_WORDS),
]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.make.__name__)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture(scope="module")
def path(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source's data, made once; no test may change it."""
    return kind.make(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def con(kind: Kind, path: Path) -> Iterator[Connection]:
    with kind.config(path).open("shop", Limits()) as opened:
        yield opened


def plan(sql: str, **parameters: Any) -> MaskedPlan:
    return MaskedPlan(sql=sql, parameters=parameters, disclosure=Disclosure("shop", (), {}, 1, ""))


def rows(con: Connection, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    batches: Any = con.run(plan(sql, **parameters)).batches
    return [row for batch in batches for row in batch.to_pylist()]


def state(path: Path) -> dict[str, bytes]:
    folder = path if path.is_dir() else path.parent
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


# The union


def test_every_module_of_the_package_is_in_the_union() -> None:
    modules = {name for _, name, _ in pkgutil.iter_modules(agent.sources.__path__) if not name.startswith("_")}
    assert {config.__module__.rpartition(".")[2] for config in UNION} == modules
    assert {kind.type for kind in KINDS} | {"mysql", "postgres"} == modules  # servers: test_server_sources.py


def test_every_source_is_chosen_by_its_type_and_names_its_dialect(kind: Kind, path: Path) -> None:
    source = kind.config(path)
    module = importlib.import_module(f"agent.sources.{kind.type}")
    assert type(source) is module.Config
    assert source.dialect == kind.type


@pytest.mark.parametrize("config", FILES, ids=lambda config: config.__module__)
def test_a_config_tells_no_value_in_its_errors(config: Any) -> None:
    kind = config.__module__.rpartition(".")[2]
    for wrong in ({"path": {"x": CANARY}}, {"path": "x", CANARY[:3]: CANARY}, {"path": "x", "type": CANARY}):
        with pytest.raises(ValidationError) as caught:
            config.model_validate({"type": kind, **wrong})
        assert CANARY not in str(caught.value)
    frozen = config(type=kind, path="x")
    with pytest.raises(ValidationError):
        frozen.path = "y"


def test_configs_are_read_without_a_driver() -> None:
    program = (
        "import agent.sources, sys; print({'duckdb', '_duckdb', 'sqlite3', 'pyarrow', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


# The catalog


def test_the_catalog_has_the_relations_by_name(con: Connection, kind: Kind) -> None:
    found = con.catalog()
    assert isinstance(found, Catalog)
    assert (found.source, found.dialect, found.default_schema) == ("shop", kind.type, "main")
    relations = {relation.name: relation for relation in found.relations}
    assert {"people", "names"} <= set(relations)
    assert {relation.schema for relation in found.relations} == {"main"}
    assert [column.name for column in relations["people"].columns] == ["id", "ssn", "pay", "name"]
    assert [column.name for column in relations["names"].columns] == ["who"]
    for relation in found.relations:
        assert (relation.definition is None) == (relation.kind == "table")


def test_every_type_of_the_catalog_can_stand_in_a_cast(con: Connection) -> None:
    for relation in con.catalog().relations:
        for column in relation.columns:
            assert rows(con, f"SELECT CAST(NULL AS {column.type}) AS x") == [{"x": None}]


def test_every_relation_can_be_read_by_schema_and_name(con: Connection) -> None:
    for relation in con.catalog().relations:
        columns = ", ".join(f'"{column.name}"' for column in relation.columns)
        assert rows(con, f'SELECT {columns} FROM "{relation.schema}"."{relation.name}" LIMIT 1')
    for database in con.catalog().databases:
        assert rows(con, f'SELECT 1 AS a FROM "{database}"."main"."people" LIMIT 1')


def test_the_catalog_holds_no_value(con: Connection) -> None:
    assert CANARY not in repr(con.catalog())


# Statements


def test_rows_stream_in_batches_with_their_types(con: Connection) -> None:
    table = con.run(plan("SELECT id, ssn, pay FROM people ORDER BY id"))
    assert table.schema.names == ["id", "ssn", "pay"]
    assert table.schema.types == [pa.int64(), pa.string(), pa.float64()]
    batches: list[Any] = list(table.batches)
    assert [batch.num_rows for batch in batches] == [10_000, 10_000, 5_000]
    assert pa.Table.from_batches(batches, table.schema).column("id").to_pylist() == list(range(ROWS))
    assert batches[0].to_pylist()[1] == {"id": 1, "ssn": CANARY, "pay": 0.25}


def test_not_all_rows_are_held(con: Connection, kind: Kind, path: Path) -> None:
    with kind.config(path).open("shop", Limits(rows=1000)) as small:
        assert next(small.run(plan(kind.endless)).batches).num_rows == 10_000


def test_parameters_are_bound_and_names_may_repeat(con: Connection, kind: Kind) -> None:
    mark = kind.named
    found = rows(con, f"SELECT name FROM people WHERE id = {mark}id OR name = {mark}name", id=3, name="x' OR '1'='1")
    assert found == [{"name": "p3"}]
    table = con.run(plan(f"SELECT 1 AS a, {mark}x AS a", x="y"))
    assert table.schema.names == ["a", "a"]
    batch: Any = next(table.batches)
    assert [column.to_pylist() for column in batch.columns] == [[1], ["y"]]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO people VALUES (1, 'x', 1, 'x')",
        "UPDATE people SET ssn = 'x'",
        "DELETE FROM people",
        "DROP TABLE people",
        "CREATE TABLE x(a INTEGER)",
        "CREATE TEMP TABLE x(a INTEGER)",
        "ATTACH ':memory:' AS other",
        "BEGIN",
        "VACUUM",
        "SELECT 1; DROP TABLE people",
        "SELECT 1; SELECT 2",
        "",
        "SELECT 1 +",
        "SELECT nope FROM people",
        "SELECT 1 FROM nope",
    ],
)
def test_everything_but_one_query_that_binds_is_refused(con: Connection, path: Path, sql: str) -> None:
    before = state(path)
    with pytest.raises(Fault) as caught:
        rows(con, sql)
    assert caught.value.code == "source.binding"
    assert caught.value.hint
    assert state(path) == before


def test_errors_carry_no_value(con: Connection, kind: Kind) -> None:
    with pytest.raises(Fault) as caught:
        rows(con, kind.fails)
    fault = caught.value
    assert fault.code == "source.error"
    assert fault.__cause__ is None
    assert fault.__context__ is None
    assert CANARY not in "".join(traceback.format_exception(fault))
    assert rows(con, "SELECT 1 AS a") == [{"a": 1}]  # and the connection lives


def test_a_missing_path_is_said_with_a_remedy(kind: Kind, tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught, kind.config(tmp_path / "none").open("shop", Limits()):
        pass
    assert caught.value.code == "source.unavailable"
    assert "does not exist" in caught.value.message
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


# Processes: nothing is written, memory is kept, Landlock's files suffice

HEAD = """
import json, os, resource, sys
from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.table import Disclosure
from agent.sources import Config
from pydantic import TypeAdapter
kind, path, sql = sys.argv[1:4]
source = TypeAdapter(Config).validate_python({"type": kind, "path": path})
plan = MaskedPlan(sql=sql, parameters={}, disclosure=Disclosure("shop", (), {}, 1, ""))
"""
COUNT = """
try:
    with source.open("shop", Limits(memory_mb=int(sys.argv[4]))) as con:
        print(len(con.catalog().relations) and sum(batch.num_rows for batch in con.run(plan).batches), flush=True)
except Fault as fault:
    print(fault.code, flush=True)
os._exit(0)
"""
NO_WRITES = """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # also a file that is already deleted cannot be written
"""
JAILED = """
import pyarrow, pyarrow.compute, duckdb, sqlite3
from agent.sandbox import landlock
from agent.worker import jail
jail.lock(source.reads(), version=landlock.abi())
try:
    os.listdir("/etc")
except PermissionError:
    print("jailed")
"""
HELD = """
with source.open("shop", Limits()) as con:
    next(con.run(plan).batches)
    print("running", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """The working folder, the home and the folder for temporary files of a process."""
    return tmp_path


def program(empty: Path, text: str, *arguments: object) -> subprocess.Popen[str]:
    places = dict.fromkeys(("HOME", "TMPDIR", "SQLITE_TMPDIR", "XDG_CACHE_HOME"), str(empty))
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + text, *map(str, arguments)],
        cwd=empty,
        env=places | {"PYTHONPATH": str(Path(agent.sources.__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_large_sort_writes_no_file(kind: Kind, path: Path, empty: Path) -> None:
    before = state(path)
    with program(empty, NO_WRITES + COUNT, kind.type, path, kind.large_sort.format(400_000), 1024) as process:
        assert process.communicate()[0] == "400000\n"
    assert state(path) == before
    assert list(empty.iterdir()) == []


def test_what_needs_more_memory_than_its_limit_ends_cleanly(kind: Kind, path: Path, empty: Path) -> None:
    before = state(path)
    with program(empty, NO_WRITES + COUNT, kind.type, path, kind.large_sort.format(2_000_000), 64) as process:
        assert process.communicate()[0] == "limit.memory\n"
    assert state(path) == before
    assert list(empty.iterdir()) == []


def test_a_killed_process_leaves_no_file(kind: Kind, path: Path, empty: Path) -> None:
    before = state(path)
    with program(empty, HELD, kind.type, path, kind.endless) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.kill()
    assert state(path) == before
    assert list(empty.iterdir()) == []


@pytest.mark.skipif(landlock.abi() < 1, reason="this kernel has no Landlock")
def test_the_files_that_it_names_suffice(kind: Kind, path: Path, empty: Path) -> None:
    with program(empty, JAILED + COUNT, kind.type, path, "SELECT id FROM people", 1024) as process:
        assert process.communicate()[0] == f"jailed\n{ROWS}\n"
