"""A cached catalog is used while it serves, and asked for anew, once, where it may be what is wrong."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import TypeAdapter

from agent import sources
from agent.core.errors import Refuse
from agent.sources.duckdb import Config
from agent.sources.duckdb import Config as DuckDbConfig
from agent.worker.catalogs import decode
from agent.worker.kinds import KINDS
from agent.worker.kinds.base import Notes
from tests.support import benches


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with duckdb.connect(tmp_path / "shop.duckdb") as con:
        con.execute("CREATE TABLE people (id INTEGER, name VARCHAR); INSERT INTO people VALUES (1, 'ada')")
    return tmp_path / "shop.duckdb"


@pytest.fixture
def server(path: Path) -> benches.Server:
    return benches.Server(Config(type="duckdb", path=path, threads=1))


def altered(path: Path, script: str) -> None:
    with duckdb.connect(path) as con:
        con.execute(script)


def run(server: Any, statement: str, catalog: bytes | None = None) -> tuple[list[dict[str, Any]], bytes]:
    """The rows of a statement, and the catalog to hand on."""
    notes = Notes()
    with ExitStack() as stack:
        made = KINDS["sql"](
            benches.bench(benches.sql(statement), server, catalogs={"shop": catalog} if catalog else {}), notes, stack
        )
        rows = [row for batch in made.batches for row in batch.to_pylist()]
    return rows, notes.catalogs.get("shop", b"")


def test_the_first_job_reads_and_hands_on_what_the_next_one_uses(server: benches.Server) -> None:
    rows, handed = run(server, "SELECT * FROM people")
    assert (rows, server.opened, server.asked) == ([{"id": 1, "name": "ada"}], 1, 1)
    read = decode(handed, source="shop", dialect="duckdb")
    assert read is not None
    assert [relation.name for relation in read.relations] == ["people"]
    again, nothing_new = run(server, "SELECT * FROM people", handed)
    assert (again, nothing_new, server.opened, server.asked) == (rows, b"", 2, 1)


def test_files_are_asked_each_time(path: Path) -> None:
    rows, handed = run(DuckDbConfig(type="duckdb", path=path), "SELECT id FROM people")
    assert (rows, handed) == ([{"id": 1}], b"")


@pytest.mark.parametrize(
    ("script", "statement", "rows"),
    [
        ("CREATE TABLE born AS SELECT 7 AS id", "SELECT id FROM born", [{"id": 7}]),
        ("ALTER TABLE people ADD COLUMN age INTEGER DEFAULT 36", "SELECT age FROM people", [{"age": 36}]),
        ("ALTER TABLE people DROP COLUMN name", "SELECT * FROM people", [{"id": 1}]),
        ("ALTER TABLE people RENAME name TO called", "SELECT called FROM people", [{"called": "ada"}]),
        (
            "ALTER TABLE people RENAME TO humans; CREATE VIEW people AS SELECT id + 1 AS id FROM humans",
            "SELECT id, count(*) AS n FROM humans GROUP BY id",
            [{"id": 1, "n": 1}],
        ),
    ],
)
def test_what_changed_meanwhile_is_noticed(
    server: benches.Server, path: Path, script: str, statement: str, rows: list[dict[str, Any]]
) -> None:
    _, old = run(server, "SELECT * FROM people")
    altered(path, script)
    found, fresh = run(server, statement, old)
    assert found == rows
    assert fresh not in {b"", old}
    assert (server.opened, server.asked) == (3, 2)


@pytest.mark.parametrize(
    ("statement", "error", "code"),
    [
        ("SELECT * FROM nowhere", Refuse, "sql.relation"),
        ("SELECT nothing FROM people", Refuse, "sql.column"),
    ],
)
def test_what_is_wrong_all_the_same_is_asked_once(
    server: benches.Server, statement: str, error: type[Exception], code: str
) -> None:
    _, old = run(server, "SELECT * FROM people")
    with pytest.raises(error) as caught:
        run(server, statement, old)
    assert (caught.value.code, server.opened, server.asked) == (code, 3, 2)


def test_other_refusals_ask_nobody(server: benches.Server) -> None:
    _, old = run(server, "SELECT * FROM people")
    with pytest.raises(Refuse) as caught:
        run(server, "SELECT * FROM people WHERE getenv('HOME') = ''", old)
    assert (caught.value.code, server.opened, server.asked) == ("sql.function", 2, 1)


@pytest.mark.parametrize("bad", [b"", b"{}", b"\xff" * 100, b'{"source":"other"}'])
def test_bad_bytes_are_dropped_and_the_source_is_asked(server: benches.Server, bad: bytes) -> None:
    rows, handed = run(server, "SELECT id FROM people", bad)
    assert (rows, server.asked) == ([{"id": 1}], 1)
    assert handed


def test_a_statement_without_tables_needs_no_catalog(server: benches.Server) -> None:
    assert run(server, "SELECT 1 AS x") == ([{"x": 1}], b"")
    assert server.asked == 0


def test_explain_and_catalog_share_it(server: benches.Server, path: Path) -> None:
    _, old = run(server, "SELECT * FROM people")
    altered(path, "CREATE TABLE born AS SELECT 7 AS id")
    seen = benches.document(benches.catalog(), server, catalogs={"shop": old})
    assert [one["name"] for one in seen["relations"]] == ["people"]
    told = benches.document(benches.explain("SELECT id FROM born"), server, catalogs={"shop": old})
    assert told["admitted"], "a fresh catalog was not asked for"


def test_a_server_whose_tables_change_between_jobs(postgres: Any) -> None:
    name = postgres.database("altered", "CREATE TABLE people (id int, name text); INSERT INTO people VALUES (1, 'ada')")
    source = TypeAdapter(sources.Config).validate_python(postgres.config(name))
    first, handed = run(source, "SELECT id, name FROM people")
    assert first == [{"id": 1, "name": "ada"}]
    assert decode(handed, source="shop", dialect="postgres") is not None
    assert run(source, "SELECT id, name FROM people", handed) == (first, b"")
    with postgres.admin(name) as con:
        con.execute("ALTER TABLE people ADD COLUMN age int DEFAULT 36")
        con.execute("ALTER TABLE people RENAME name TO called")
    for statement, rows in (
        ("SELECT age FROM people", [{"age": 36}]),
        ("SELECT called FROM people", [{"called": "ada"}]),
        ("SELECT * FROM people", [{"id": 1, "called": "ada", "age": 36}]),
    ):
        found, fresh = run(source, statement, handed)
        assert (found, fresh not in {b"", handed}) == (rows, True), statement
    with pytest.raises(Refuse) as caught:
        run(source, "SELECT nothing FROM people", handed)
    assert caught.value.code == "sql.column"
