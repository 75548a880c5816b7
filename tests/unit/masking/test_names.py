"""Which columns a tree may read: those it names, or all where it can read them without naming them."""

import pytest

from agent.dialects import DIALECTS
from agent.masking.names import names_read

DUCKDB = DIALECTS["duckdb"]


def read(sql, dialect=DUCKDB):
    return names_read(dialect.parse(sql)[0], dialect)


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT Name FROM t", {"name", "t"}),
        ("SELECT a FROM t WHERE b = 1 ORDER BY c", {"a", "b", "c", "t"}),
        ("SELECT count(*) FROM t", {"t"}),
        ("SELECT x.a AS k FROM t AS x JOIN u ON u.b = x.c", {"x", "a", "k", "t", "u", "b", "c"}),
        ("SELECT a FROM t CROSS JOIN u", {"a", "t", "u"}),
        ("SELECT a FROM t JOIN u USING (b)", {"a", "t", "u", "b"}),
        ("WITH c(k) AS (SELECT a FROM t) SELECT k FROM c", {"c", "k", "a", "t"}),
        ("SELECT my_own(a) FROM t", {"a", "t"}),
    ],
)
def test_what_is_named_is_read(sql, names):
    assert read(sql) == names


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM t",
        "SELECT t.* FROM t",
        "SELECT a FROM (SELECT * FROM t) AS x",
        "SELECT a FROM t NATURAL JOIN u",
        "SELECT COLUMNS('a.*') FROM t",
        "SELECT a FROM t AS x(a, b)",
        "SELECT a FROM (SELECT 1, 2) AS x(a, b)",
        "SELECT t FROM t",
        "SELECT X FROM t AS x",
        "SELECT count(x) FROM t AS x",
        "PIVOT t ON a USING count(*)",
    ],
)
def test_what_reads_columns_without_their_names_reads_all(sql):
    assert read(sql) is None


def test_names_are_compared_as_the_engine_does():
    folded = DIALECTS["duckdb"].fold("Name", quoted=True)
    assert read('SELECT "Name" FROM t') == {folded, "t"}
    assert read('SELECT "Name" FROM "T"') == {folded, "t"}
