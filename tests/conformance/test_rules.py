"""Every masking rule, in every dialect, over every kind of column, on the real engine."""

import pkgutil
import sqlite3
import typing

import duckdb
import pytest

import agent.masking.rules as package
from agent.core.catalog import Column
from agent.dialects import DIALECTS
from agent.masking.expressions import kind_of, masked
from agent.masking.policy import Policy
from agent.masking.rules import AnyRule
from agent.masking.tokens import pads

MODELS = typing.get_args(typing.get_args(AnyRule)[0])
SHARED = {"base"}
WRITTEN = {
    "keep": ["keep"],
    "redact": ["redact"],
    "null": ["null"],
    "constant": [{"constant": "n/a"}, {"constant": 0}],
    "last4": ["last4"],
    "partial": [{"partial": {"keep_last": 2}}, {"partial": {"keep_first": 1, "keep_last": 1}}],
    "email": ["email"],
    "year": ["year"],
    "month": ["month"],
    "bucket": [{"bucket": 10_000}, {"bucket": 0.5}],
    "round": [{"round": 1}, {"round": -3}, {"round": 0}],
    "token": [{"token": {"domain": "person"}}],
}
ONE_FOR_ALL = {"redact", "null", "constant"}
DUCKDB_COLUMNS = {
    "VARCHAR": ["''", "'a'", "'ann@example.org'", "'@'", "'a@b@c'", "'ünïcödé 😀 text'", "chr(10) || 'x'", "NULL"],
    "INTEGER": ["0", "-2147483648", "2147483647", "NULL"],
    "HUGEINT": ["170141183460469231731687303715884105727", "-170141183460469231731687303715884105727", "NULL"],
    "UTINYINT": ["255", "0", "NULL"],
    "DECIMAL(12,2)": ["9999999999.99", "-9999999999.99", "0", "NULL"],
    "DECIMAL(38,10)": ["9999999999999999999999999999.9999999999", "NULL"],
    "DOUBLE": ["'inf'", "'-inf'", "'nan'", "1e308", "-0.0", "NULL"],
    "DATE": ["'infinity'", "'-infinity'", "'0001-01-01'", "'5877642-06-25 (BC)'", "'2024-02-29'", "NULL"],
    "TIMESTAMP": ["'infinity'", "'290309-12-22 (BC) 00:00:00'", "'1969-12-31 23:59:59.999999'", "NULL"],
    "TIMESTAMPTZ": ["'infinity'", "'290309-12-22 (BC) 00:00:00+00'", "'2024-02-29 12:00:00+02'", "NULL"],
    "TIMESTAMP_NS": ["'infinity'", "'1677-09-22 00:00:00'", "'2024-02-29 12:00:00.123456789'", "NULL"],
    "TIMESTAMP_S": ["'2024-02-29 12:00:00'", "NULL"],
    "TIME": ["'23:59:59'", "NULL"],
    "TIMETZ": ["'00:00:00+15:59:59'", "NULL"],
    "INTERVAL": ["'1 month'", "NULL"],
    "BOOLEAN": ["true", "NULL"],
    "UUID": ["'123e4567-e89b-12d3-a456-426614174000'", "NULL"],
    "BLOB": ["'\\xAA\\x00'", "NULL"],
    "JSON": ["'{\"a\": 1}'", "NULL"],
    "STRUCT(a INTEGER, c VARCHAR)": ["{'a': 1, 'c': 'x'}", "NULL"],
    "INTEGER[]": ["[1, NULL]", "NULL"],
    "MAP(VARCHAR, INTEGER)": ["MAP {'k': 1}", "NULL"],
    "BIT": ["'0101'", "NULL"],
}
SQLITE_COLUMNS = ["TEXT", "INTEGER", "REAL", "DATE", "TIMESTAMP", "NUMERIC", "VARCHAR(20)", "BLOB", ""]
SQLITE_VALUES = [
    "''",
    "'a@b@c'",
    "'long enough text'",
    "1",
    "-9223372036854775808",
    "1e308",
    "-0.5",
    "x'00ff'",
    "x'fffe4078797a'",
]
SQLITE_VALUES += ["'2024-02-29'", "'2024-02-29 10:11:12'", "'not a date'", "NULL"]


def rule_of(written):
    line = {"match": "*.*.*.*", "rule": written}
    return (
        Policy.model_validate({"version": 1, "default": "redact", "keys": {"token": "env:K"}, "rules": [line]})
        .rules[0]
        .rule
    )


def test_every_file_is_listed_and_tried():
    files = {module.name for module in pkgutil.iter_modules(package.__path__)} - SHARED
    assert {model.__module__.rsplit(".", 1)[1] for model in MODELS} == files == set(WRITTEN)


CASES = [(name, written) for name, all_ in WRITTEN.items() for written in all_]


@pytest.fixture(scope="module")
def engine():
    with duckdb.connect() as con:
        for variable, both in pads(b"k" * 32, "t", ["person"]).items():
            con.execute(f"SET VARIABLE {variable}_i = $v", {"v": both[:64]})
            con.execute(f"SET VARIABLE {variable}_o = $v", {"v": both[64:]})
        for table, (type_text, values) in enumerate(DUCKDB_COLUMNS.items()):
            rows = ", ".join(f"({number}, CAST({value} AS {type_text}))" for number, value in enumerate(values))
            con.execute(f'CREATE TABLE t{table} AS SELECT * FROM (VALUES {rows}) AS v(n, "c")')
        yield con


@pytest.mark.parametrize(("name", "written"), CASES, ids=str)
def test_duckdb(name, written, engine):
    dialect = DIALECTS["duckdb"]
    for table, type_text in enumerate(DUCKDB_COLUMNS):
        rule = rule_of(written)
        mask = dialect.generate(masked(Column("c", type_text), rule, dialect))
        ask = f"SELECT CAST({mask} AS VARCHAR), c IS NULL, typeof({mask}) = typeof(c) FROM t{table} ORDER BY n"
        shown = engine.execute(ask).fetchall()
        applied = rule.applied(kind_of(type_text, dialect)).mask
        _check(applied, [row[0] for row in shown], [row[1] for row in shown])
        if applied not in {"constant", "partial", "partial_last", "token"}:
            assert {row[2] for row in shown} == {True}, type_text


@pytest.mark.parametrize("type_text", ["ENUM('ann', 'bob')", "ENUM('ann', 'bob')[]", "UNION(n INTEGER, s VARCHAR)"])
@pytest.mark.parametrize(("name", "written"), CASES, ids=str)
def test_a_type_that_tells_values_does_not_show(name, written, type_text):
    dialect = DIALECTS["duckdb"]
    if name == "keep":
        return
    mask = dialect.generate(masked(Column("c", type_text), rule_of(written), dialect))
    assert "ENUM" not in mask
    assert "ann" not in mask
    with duckdb.connect() as con:
        for variable, both in pads(b"k" * 32, "t", ["person"]).items():
            con.execute(f"SET VARIABLE {variable}_i = $v", {"v": both[:64]})
            con.execute(f"SET VARIABLE {variable}_o = $v", {"v": both[64:]})
        con.execute(f"CREATE TABLE t (c {type_text})")
        con.execute("INSERT INTO t VALUES (NULL)" if "[]" in type_text else "INSERT INTO t VALUES ('ann'), (NULL)")
        assert "ENUM" not in str(con.execute(f"SELECT typeof({mask}) FROM t").fetchall())


@pytest.mark.parametrize("type_text", SQLITE_COLUMNS)
@pytest.mark.parametrize(("name", "written"), CASES, ids=str)
def test_sqlite(name, written, type_text):
    con = sqlite3.connect(":memory:")
    con.create_function("meridyen_person", 1, lambda value: None if value is None else "tok_x", deterministic=True)
    con.text_factory = lambda text: text.decode(errors="replace")
    con.execute(f"CREATE TABLE t (n INTEGER, c {type_text})")
    for number, value in enumerate(SQLITE_VALUES):
        con.execute(f"INSERT INTO t VALUES ({number}, {value})")
    mask = DIALECTS["sqlite"].generate(masked(Column("c", type_text), rule_of(written), DIALECTS["sqlite"]))
    shown = con.execute(f"SELECT {mask}, c IS NULL FROM t ORDER BY n").fetchall()
    con.close()
    applied = rule_of(written).applied(kind_of(type_text, DIALECTS["sqlite"])).mask
    _check(applied, [row[0] for row in shown], [bool(row[1]) for row in shown])


def _check(applied, values, nulls):
    """Masks are total; those of one value for all hide null-ness, the others keep a null a null."""
    if applied in ONE_FOR_ALL:
        assert len({str(value) for value in values}) == 1
    else:
        assert all(value is None for value, null in zip(values, nulls, strict=True) if null)


@pytest.mark.parametrize(
    ("written", "value", "shown"),
    [
        ("last4", "4929000000000001", "***0001"),
        ("last4", "1234567", "***"),
        ({"partial": {"keep_first": 2, "keep_last": 2}}, "abcdefgh", "ab***gh"),
        ({"partial": {"keep_first": 2, "keep_last": 2}}, "abcdefg", "***"),
        ({"partial": {"keep_first": 3}}, "abcdefgh", "abc***"),
        ("email", "ann@example.org", "***@example.org"),
        ("email", '"a@b"@c.org', "***@c.org"),
        ("email", "no address", "***"),
    ],
    ids=str,
)
@pytest.mark.parametrize("dialect", ["duckdb", "sqlite"])
def test_texts(dialect, written, value, shown):
    mask = DIALECTS[dialect].generate(masked(Column("c", "VARCHAR"), rule_of(written), DIALECTS[dialect]))
    con = duckdb.connect() if dialect == "duckdb" else sqlite3.connect(":memory:")
    con.execute("CREATE TABLE t (c VARCHAR)")
    con.execute("INSERT INTO t VALUES (?)", [value])
    assert con.execute(f"SELECT {mask} FROM t").fetchall() == [(shown,)]
    con.close()


@pytest.mark.parametrize(
    ("written", "value", "shown"),
    [
        ({"bucket": 10_000}, 913511.25, 910_000),
        ({"bucket": 10}, -1.5, -10),
        ({"round": -3}, 913511.25, 914_000),
        ({"round": 1}, 2.25, 2.3),
    ],
    ids=str,
)
@pytest.mark.parametrize("dialect", ["duckdb", "sqlite"])
def test_numbers(dialect, written, value, shown):
    mask = DIALECTS[dialect].generate(masked(Column("c", "DOUBLE"), rule_of(written), DIALECTS[dialect]))
    con = duckdb.connect() if dialect == "duckdb" else sqlite3.connect(":memory:")
    con.execute("CREATE TABLE t (c DOUBLE)")
    con.execute("INSERT INTO t VALUES (?)", [value])
    assert con.execute(f"SELECT {mask} FROM t").fetchone()[0] == pytest.approx(shown)
    con.close()
