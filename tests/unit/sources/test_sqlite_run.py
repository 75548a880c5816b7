import hashlib
import hmac
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.ports import Connection
from agent.sources.sqlite import Config

Plans = Callable[..., MaskedPlan]

CANARY = "900-55-0001"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "shop.db"
    con = sqlite3.connect(path)
    con.executescript(
        f"""CREATE TABLE people(id INTEGER PRIMARY KEY, ssn TEXT, pay DECIMAL(10,2), note);
            WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r LIMIT 25000)
            INSERT INTO people SELECT n, '{CANARY}', n / 4.0, NULL FROM r;
            CREATE TABLE hidden_words(body);
            CREATE VIRTUAL TABLE words USING fts5(body);
            INSERT INTO words VALUES ('{CANARY}');
            CREATE VIEW v AS SELECT id FROM people WHERE id < 3;
            CREATE VIEW of_words AS SELECT body FROM words;
            CREATE TABLE bad(t TEXT);
            INSERT INTO bad VALUES (CAST(x'ff{CANARY.encode().hex()}' AS TEXT));"""
    )
    con.close()
    return path


@pytest.fixture(scope="module")
def con(path: Path) -> Iterator[Connection]:
    with Config(type="sqlite", path=path).open("shop", Limits()) as opened:
        yield opened


def rows(table: Any) -> list[dict[str, Any]]:
    return [row for batch in table.batches for row in batch.to_pylist()]


def test_rows_stream_in_batches_with_the_types_that_they_hold(con: Connection, plan: Plans) -> None:
    table = con.run(plan("SELECT id, ssn, pay, note, x'01' AS b FROM people"))
    assert table.schema.equals(
        pa.schema(
            [("id", pa.int64()), ("ssn", pa.string()), ("pay", pa.float64()), ("note", pa.null()), ("b", pa.binary())]
        )
    )
    assert [batch.num_rows for batch in table.batches] == [10_000, 10_000, 5_000]


def test_rows_come_before_the_statement_has_ended(plan: Plans, path: Path) -> None:
    endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r"
    with Config(type="sqlite", path=path).open("shop", Limits(rows=25_000)) as con:
        assert next(con.run(plan(endless)).batches).num_rows == 10_000
        assert rows(con.run(plan("SELECT 1 AS a"))) == [{"a": 1}]  # a second run ends the first


def test_parameters_are_bound_by_name(con: Connection, plan: Plans) -> None:
    values = {"a": "x' OR 1=1", "b": 7, "c": 1.5, "d": True, "e": None}
    table = con.run(plan("SELECT :a AS a, :b AS b, :c AS c, :d AS d, :e AS e", values))
    assert rows(table) == [{**values, "d": 1}]


def test_names_may_repeat(con: Connection, plan: Plans) -> None:
    table = con.run(plan("SELECT 1 AS a, 'x' AS a, 2.5 AS a"))
    assert table.schema.names == ["a", "a", "a"]
    assert [column.to_pylist() for column in next(table.batches).columns] == [[1], ["x"], [2.5]]


def test_no_rows(con: Connection, plan: Plans) -> None:
    table = con.run(plan("SELECT id, ssn FROM people WHERE id < 0"))
    assert table.schema.names == ["id", "ssn"]
    assert rows(table) == []


def test_text_that_is_not_utf_8_is_shown_escaped(con: Connection, plan: Plans) -> None:
    assert rows(con.run(plan("SELECT t FROM bad"))) == [{"t": f"\\xff{CANARY}"}]


PADS = (bytes(byte ^ 0x36 for byte in bytes(64)), bytes(byte ^ 0x5C for byte in bytes(64)))


@pytest.mark.parametrize(("sql", "seen"), [("'ünï'", "ünï"), ("5", "5"), ("1.5", "1.5"), ("x'6162'", "ab"), ("''", "")])
def test_a_variable_is_a_function_that_makes_tokens(con: Connection, plan: Plans, sql: str, seen: str) -> None:
    wanted = "tok_" + hmac.new(bytes(64), seen.encode(), hashlib.sha256).hexdigest()[:32]
    made = con.run(
        plan(f"SELECT meridyen_x({sql}) AS t, meridyen_x(NULL) AS n", variables={"meridyen_x": b"".join(PADS)})
    )
    assert rows(made) == [{"t": wanted, "n": None}]


def test_tokens_of_broken_text_are_total(con: Connection, plan: Plans) -> None:
    made = con.run(plan("SELECT meridyen_x(CAST(t AS BLOB)) AS t FROM bad", variables={"meridyen_x": b"".join(PADS)}))
    assert rows(made)[0]["t"].startswith("tok_")


@pytest.mark.parametrize("variables", [{"a b": bytes(128)}, {"x": bytes(127)}, {"": bytes(128)}])
def test_variables_of_another_shape_are_a_defect(con: Connection, plan: Plans, variables: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match="plain name"):
        con.run(plan("SELECT 1", variables=variables))


REFUSED = [
    "",
    "SELECT 1; SELECT 2",
    "INSERT INTO people(id) VALUES (-1)",
    "UPDATE people SET ssn = ''",
    "DELETE FROM people",
    "WITH x AS (SELECT -9 AS n) INSERT INTO people(id) SELECT n FROM x",
    "WITH x AS (SELECT 1) UPDATE people SET ssn = ''",
    "WITH x AS (SELECT 1) DELETE FROM people",
    "EXPLAIN DELETE FROM people",
    "EXPLAIN ATTACH 'x' AS m",
    "EXPLAIN PRAGMA query_only = 0",
    "DROP TABLE people",
    "CREATE TABLE x(a)",
    "CREATE TEMP TABLE x(a)",
    "CREATE TEMP VIEW x AS SELECT 1",
    "ATTACH ':memory:' AS m",
    "PRAGMA query_only = 0",
    "PRAGMA table_info(people)",
    "VACUUM",
    "VACUUM INTO 'x'",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "REINDEX",
    "ANALYZE",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM sqlite_schema",
    "SELECT * FROM sqlite_temp_schema",
    "SELECT * FROM pragma_table_info('people')",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM dbstat",
    "SELECT * FROM sqlite_stmt",
    "SELECT * FROM words",
    "SELECT * FROM words_content",
    "SELECT body FROM of_words",
    "SELECT load_extension('x')",
    "SELECT fts3_tokenizer('simple')",
    "SELECT nope FROM people",
    "SELECT * FROM nope",
    "SELECT abs(1, 2)",
    "SELECT 1 +",
    "SELECT :a",
    "SELECT '\ud800'",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_only_queries_over_the_catalog_run(con: Connection, plan: Plans, path: Path, sql: str) -> None:
    before = path.read_bytes()
    with pytest.raises(Fault) as caught:
        rows(con.run(plan(sql)))
    assert caught.value.code == "source.binding"
    assert caught.value.hint
    assert caught.value.__context__ is None
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM v",
        "EXPLAIN QUERY PLAN SELECT id FROM people",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 3) SELECT n FROM r",
        "WITH people AS (SELECT 1 AS one) SELECT one FROM people",
        "SELECT value FROM json_each('[1, 2]')",
        "SELECT count(*) FROM people",
        "SELECT row_number() OVER (ORDER BY pay) FROM people LIMIT 1",
        "VALUES (1)",
        "SELECT 1; -- the end",
    ],
)
def test_everything_that_the_guard_may_admit_runs(con: Connection, plan: Plans, sql: str) -> None:
    assert rows(con.run(plan(sql)))


FAILS = [
    "SELECT json_extract(ssn, '$.a') FROM people",
    "SELECT sum(9223372036854775807 + id * 0) FROM people",
    "SELECT abs(-9223372036854775807 - 1)",
    "SELECT 1 LIKE :pattern",
    "SELECT meridyen_x(t) FROM bad",
]


@pytest.mark.parametrize("sql", FAILS)
def test_errors_carry_no_value(con: Connection, plan: Plans, sql: str) -> None:
    parameters = {"pattern": "%" * 60_000} if ":pattern" in sql else {}
    with pytest.raises(Fault) as caught:
        rows(con.run(plan(sql, parameters, {"meridyen_x": bytes(128)})))
    fault = caught.value
    assert fault.code == "source.error"
    assert fault.hint
    assert fault.__cause__ is None
    assert fault.__context__ is None
    assert CANARY not in "".join(traceback.format_exception(fault)).replace(sql, "")


def test_an_error_while_rows_stream(plan: Plans, path: Path) -> None:
    sql = "SELECT CASE WHEN id < 24000 THEN 1 ELSE json_extract(ssn, '$.a') END AS x FROM people"
    with Config(type="sqlite", path=path).open("shop", Limits(rows=100)) as con:
        table = con.run(plan(sql))
        with pytest.raises(Fault) as caught:
            rows(table)
    assert caught.value.code == "source.error"
    assert caught.value.__context__ is None


def test_a_parameter_that_is_too_large_is_not_bound(con: Connection, plan: Plans) -> None:
    with pytest.raises(Fault) as caught:
        con.run(plan("SELECT :a", {"a": 2**70}))
    assert caught.value.code == "source.binding"
