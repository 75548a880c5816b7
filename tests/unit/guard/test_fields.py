"""In PostgreSQL `t.f` may be a call of f: each thing in FROM has the fields that it has, and no other."""

import pytest

from agent.core.catalog import Catalog, Column, Relation
from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.guard.sql import admit

CATALOG = Catalog(
    "shop", "postgres", "public",
    (Relation("public", "a", (Column("x", "INT"), Column("y", "INT"))), Relation("public", "b", (Column("z", "INT"),))),
)  # fmt: skip
NO_COLUMNS = ("pg_sleep", "upper", "zzz")
"""Functions of one argument, and nothing at all."""
UNNAMED = ("+ 1", "upper(", "CASE")
"""Outputs that the engine names: by any function that may be called anyhow."""


def code(sql: str, dialect: str = "postgres") -> str | None:
    known = Catalog(CATALOG.source, dialect, CATALOG.default_schema, CATALOG.relations)
    try:
        admit(SqlTask(source=SourceName("shop"), statement=sql, parameters={}), known)
    except Refuse as refusal:
        return refusal.code
    return None


@pytest.mark.parametrize(
    ("source", "has", "lacks"),
    [
        ("a AS t", "x y", "z"),
        ("a AS t(p)", "p y", "z"),
        ("public.a AS t", "x y", "z"),
        ("b JOIN a AS t ON true", "x y", "z"),
        ("b CROSS JOIN a AS t", "x y", "z"),
        ("(SELECT x AS q FROM a) AS t", "q", "x z"),
        ("(SELECT x AS q FROM a) AS t(r)", "r q", "x z"),
        ("(SELECT * FROM a) AS t", "x y", "z"),
        ("(SELECT a.* FROM a, b) AS t", "x y", ""),
        ("(SELECT * FROM b) AS t", "z", "x y"),
        ("(SELECT * FROM a JOIN b ON true) AS t", "x y z", ""),
        ("(SELECT * FROM b, a) AS t", "x y z", ""),
        ("(SELECT * FROM (a JOIN b ON true)) AS t", "x y z", ""),
        ("(SELECT * FROM b LEFT JOIN (b AS c JOIN a ON true) ON true) AS t", "x y z", ""),
        ("(SELECT * FROM b, LATERAL (SELECT 1 AS w) AS l) AS t", "z w", "x"),
        ("(SELECT * FROM b JOIN LATERAL (SELECT 1 AS w) AS l ON true) AS t", "z w", "x"),
        ("(SELECT b.z, 1 AS w FROM a, b) AS t", "z w", "x y"),
        ("(a JOIN b ON true) AS t", "x y z", ""),
        ("((a JOIN b ON true)) AS t", "x y z", ""),
        ("((SELECT x FROM a)) AS t", "x", "y z"),
        ("(TABLE a) AS t", "x y", "z"),
        ("(VALUES (1, 2), (3, 4)) AS t", "column1 column2", "column3 column0 x"),
        ("(VALUES (1, 2)) AS t(v)", "v column2", "column3 x"),
        ("(SELECT x FROM a UNION SELECT z FROM b) AS t", "x", "z"),
        ("(SELECT x FROM a UNION SELECT z FROM b EXCEPT SELECT y FROM a) AS t", "x", "z y"),
        ("LATERAL (SELECT x AS l FROM a) AS t", "l", "x"),
        ("b, LATERAL (SELECT b.z AS l) AS t", "l", "x z"),
        ("generate_series(1, 2) AS t", "t", "x generate_series"),
        ("generate_series(1, 2) AS t(n)", "n", "t x"),
        ("b, unnest(ARRAY[1]) AS t", "t", "x unnest"),
        ("jsonb_each('{}') AS t", "key value", "x t"),
        ("jsonb_array_elements('[]') AS t", "value", "x t"),
        ("jsonb_object_keys('{}') AS t", "t", "x"),
        ("(SELECT count(*), 1 + 1 FROM a) AS t", "count", "x"),
        ("(SELECT CASE WHEN true THEN 1 END, y FROM a) AS t", "case y", ""),
        ("(SELECT upper('a') || y FROM a) AS t", "y", ""),
    ],
)
def test_a_thing_in_from_has_its_own_fields_only(source: str, has: str, lacks: str) -> None:
    for name in has.split():
        assert code(f"SELECT t.{name} FROM {source}") is None, name
        assert code(f"SELECT 1 FROM b AS o WHERE EXISTS (SELECT 1 FROM {source} ORDER BY t.{name})") is None, name
    for name in (*NO_COLUMNS, *lacks.split()):
        if not (name == "upper" and any(one in source for one in UNNAMED)):
            assert code(f"SELECT t.{name} FROM {source}") == "sql.column", name


@pytest.mark.parametrize(
    ("with_", "source", "has", "lacks"),
    [
        ("c AS (SELECT x FROM a)", "c", "c.x", "c.y c.c"),
        ("c(p) AS (SELECT x FROM a)", "c", "c.p c.x", "c.y"),
        ("c AS (SELECT * FROM a)", "c AS t", "t.x t.y", "t.z t.c"),
        ("c AS (SELECT x FROM a), d AS (SELECT * FROM c)", "d", "d.x", "d.y"),
        ("a AS (SELECT z FROM b)", "a", "a.z", "a.x a.y"),
        ("RECURSIVE c(n) AS (SELECT 1 AS one UNION ALL SELECT c.n + 1 FROM c)", "c", "c.n", "c.x"),
    ],
)
def test_a_cte_has_what_its_query_has(with_: str, source: str, has: str, lacks: str) -> None:
    for name in has.split():
        assert code(f"WITH {with_} SELECT {name} FROM {source}") is None, name
    for name in (*lacks.split(), *(f"{has.partition('.')[0]}.{none}" for none in NO_COLUMNS)):
        assert code(f"WITH {with_} SELECT {name} FROM {source}") == "sql.column", name


def test_a_name_without_an_alias_is_the_tables_own() -> None:
    assert code("SELECT a.x FROM a") is None
    assert code("SELECT public.a.x FROM a") is None
    assert code("SELECT a.z FROM a, b") == "sql.column"
    assert code("SELECT generate_series.generate_series FROM generate_series(1, 2)") is None
    assert code("SELECT generate_series.x FROM generate_series(1, 2), a") == "sql.column"
    assert code("SELECT nothing.key FROM jsonb_each('{}')") is None
    assert code("SELECT nothing.upper FROM a") == "sql.column"


def test_of_two_things_of_one_name_both_must_have_the_field() -> None:
    twice = "SELECT t.{0} FROM a AS t WHERE EXISTS (SELECT 1 FROM b AS t WHERE t.z = 1)"
    assert code(twice.format("x")) == "sql.column"
    assert code("SELECT t.x FROM a AS t WHERE EXISTS (SELECT 1 FROM a AS t WHERE t.y = 1)") is None


@pytest.mark.parametrize(
    ("sql", "refused"),
    [
        ("SELECT (t).x FROM a AS t", False),
        ("SELECT (t).z FROM a AS t, b", False),
        ("SELECT (t).pg_sleep FROM a AS t", True),
        ("SELECT (ROW(1, 2)).f1", False),
        ("SELECT (ROW(1, 2)).f12", False),
        ("SELECT (ROW(1, 2)).f12345", True),
        ("SELECT (ROW(1, 2)).f", True),
        ("SELECT (v).column2 FROM (VALUES (1, 2)) AS v", False),
        ("SELECT (v).column12345 FROM (VALUES (1, 2)) AS v", True),
        ("SELECT (jsonb_each('{}')).key", False),
        ("SELECT (jsonb_each('{}')).pg_sleep", True),
        ("SELECT (SELECT t FROM a AS t).x", False),
        ("SELECT (SELECT 1 AS pg_sleep).pg_sleep", True),
        ("SELECT (t).* FROM a AS t", False),
        ("SELECT t.* FROM a AS t", False),
        ("SELECT x, y FROM a", False),
    ],
)
def test_behind_brackets_only_what_is_a_column_somewhere(sql: str, refused: bool) -> None:
    assert code(sql) == ("sql.column" if refused else None)


def test_other_engines_know_no_such_call() -> None:
    assert code("SELECT t.zzz FROM a AS t", "duckdb") is None


@pytest.mark.parametrize(
    ("name", "shown"), [("y" * 64, "y" * 64), ("y" * 65, "(unprintable)"), ("\u202e", "(unprintable)")]
)
def test_the_field_is_named_where_it_can_be_shown(name: str, shown: str) -> None:
    with pytest.raises(Refuse) as caught:
        admit(SqlTask(source=SourceName("shop"), statement=f'SELECT t."{name}" FROM a AS t', parameters={}), CATALOG)
    assert caught.value.message == f"No relation here has a column {shown}."
    assert caught.value.hint == "Name a column of the table, as table.column; write f(x) for a function."


def test_sub_queries_without_end_are_refused() -> None:
    depth = 40
    inner = "SELECT x FROM a"
    for _ in range(depth):
        inner = f"SELECT * FROM ({inner}) AS t"
    assert code(f"SELECT t.x FROM ({inner}) AS t") is None
