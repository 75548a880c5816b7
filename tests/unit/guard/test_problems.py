"""What is told of a refused statement: every cause up to three, by name, with its place in the submitted text."""

import pytest

from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.core.problem import MOST
from agent.guard.sql import admit, unbound_columns
from agent.masking.ddl import catalog_of

DDL = "CREATE TABLE orders (id INTEGER, amount INTEGER); CREATE TABLE customers (id INTEGER, name TEXT)"
CATALOG = catalog_of(DDL, dialect="duckdb", source="shop")


def task(sql):
    return SqlTask(source=SourceName("shop"), statement=sql, parameters={})


def problems(sql):
    with pytest.raises(Refuse) as refusal:
        admit(task(sql), CATALOG)
    found = refusal.value.problems
    assert found[0].code == refusal.value.code
    assert found[0].message == refusal.value.message
    return found


def word_at(sql, problem):
    line = sql.splitlines()[problem.line - 1]
    return line[problem.column - 1 :]


@pytest.mark.parametrize(
    ("sql", "name", "starts"),
    [
        ("SELECT id,\n  read_csv('x') FROM orders", "read_csv", "read_csv("),
        ("SELECT amount FROM orders o\nJOIN custmers c ON true", "custmers", "custmers"),
        ("SELECT id FROM orders\nFOR UPDATE", "", "FOR UPDATE"),
        ("SELECT id INTO t2 FROM orders", "", "INTO"),
        ("SELECT id::regclass FROM orders", "regclass", "regclass"),
        ("SELECT current_user", "current_user", "current_user"),
        ("DELETE FROM orders", "DELETE", "DELETE"),
        ("SELECT 1;\n\n DROP TABLE orders", "DROP", "DROP"),
        ("EXPLAIN SELECT getenv('HOME')", "getenv", "getenv("),
        ("SELECT * FROM read_text('/etc/passwd')", "read_text", "read_text"),
        ("SELECT ? FROM orders", "?", "?"),
        ("SELECT 'ä', '\U0001f600', pg_sleep(1)", "pg_sleep", "pg_sleep"),
        ("/* comment\n over lines */ SELECT\n\tpg_sleep(1)", "pg_sleep", "pg_sleep"),
    ],
)
def test_the_name_and_the_place(sql, name, starts):
    first = problems(sql)[0]
    assert first.name == name
    assert word_at(sql, first).startswith(starts)


def test_a_text_that_does_not_parse_has_a_place_too():
    sql = "SELECT id\nFROM orders WHERE (amount >"
    (problem,) = problems(sql)
    assert problem.line == 2
    assert str(problem.column) in problem.message


def test_three_causes_at_once_in_their_order_and_not_more():
    sql = "SELECT foo(id), bar(id),\n baz(id), qux(id) FROM orders"
    found = problems(sql)
    assert len(found) == MOST
    first, *rest = found
    assert first.name in {"foo", "bar", "baz", "qux"}
    assert [(p.line, p.column) for p in rest] == sorted((p.line, p.column) for p in rest)
    assert len({p.name for p in found}) == MOST


def test_one_cause_that_shows_in_two_checks_is_told_once():
    assert len(problems("SELECT id FROM orders FOR UPDATE")) == 1


def test_what_to_write_instead():
    assert "FOR UPDATE" in problems("SELECT id FROM orders FOR UPDATE")[0].hint
    assert "customers" in problems("SELECT id FROM custmers")[0].hint
    assert ":name" in problems("SELECT ? FROM orders")[0].hint


@pytest.mark.parametrize(
    "sql", ["SELECT id FROM orders", "SELECT o.id FROM orders o", "SELECT id AS k FROM orders ORDER BY k"]
)
def test_columns_that_exist_are_no_problem(sql):
    assert unbound_columns(task(sql), CATALOG) is None


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT ammount FROM orders", ["ammount"]),
        ("SELECT o.name FROM orders o JOIN customers c ON c.id = o.id", ["name"]),
        ("SELECT id FROM orders WHERE zzz > 1 ORDER BY yyy", ["zzz", "yyy"]),
        ("WITH x AS (SELECT id AS k FROM orders) SELECT k, l FROM x", ["l"]),
    ],
)
def test_columns_that_do_not_exist_are_named(sql, names):
    refusal = unbound_columns(task(sql), CATALOG)
    assert refusal.code == "sql.column"
    assert [p.name for p in refusal.problems] == names
    assert all(word_at(sql, p).removeprefix("o.").startswith(p.name) for p in refusal.problems)


def test_hints_about_columns_tell_only_what_the_catalog_shows():
    shown = catalog_of("CREATE TABLE orders (id INTEGER)", dialect="duckdb", source="shop")
    refusal = unbound_columns(task("SELECT amounts FROM orders"), shown)
    assert "amount?" not in refusal.hint


@pytest.mark.parametrize(
    ("sql", "line", "column"),
    [
        ("\n\n  DROP TABLE orders", 3, 3),
        ("SELECT id\nFROM orders WHERE amount >> > 1", 2, 29),
        ("SELECT id FROM orders WHERE WHERE x", 1, 29),
        ("SELECT id FROM orders LIMITS 5 6", 1, 30),
    ],
)
def test_the_place_is_that_in_the_submitted_text(sql, line, column):
    first = problems(sql)[0]
    assert (first.line, first.column) == (line, column)
    assert first.code == "sql.root" or first.message == f"The statement does not parse at line {line}, column {column}."
