"""What the guard lets through, and what it says when it does not."""

import pytest
from sqlglot import exp
from sqlglot.errors import SqlglotError

from agent.core.catalog import Catalog, Column, Relation
from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.dialects import DIALECTS
from agent.guard import scan
from agent.guard.sql import admit, check_words
from agent.guard.walk import walk

DUCKDB = DIALECTS["duckdb"]
COLUMNS = (Column("id", "INTEGER"), Column("name", "VARCHAR"))
CATALOG = Catalog(
    "shop",
    "duckdb",
    "main",
    (Relation("main", "customers", COLUMNS), Relation("sales", "orders", COLUMNS)),
    ("shopdb",),
)
SQLITE = Catalog("ledger", "sqlite", "main", (Relation("main", "customers", COLUMNS),))


def ask(sql, catalog=CATALOG, **parameters):
    return admit(SqlTask(source=SourceName("shop"), statement=sql, parameters=parameters), catalog)


def refusal(sql, catalog=CATALOG, **parameters):
    with pytest.raises(Refuse) as caught:
        ask(sql, catalog, **parameters)
    return caught.value


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("", "sql.statements"),
        (";", "sql.statements"),
        ("-- nothing", "sql.statements"),
        ("SELECT 1; SELECT 2", "sql.statements"),
        ("SELEC 1", "sql.parse"),
        ("SELECT (", "sql.parse"),
        ("SELECT 'open", "sql.parse"),
        ("SELECT '\0'", "sql.encoding"),
        ("SELECT '\ud800'", "sql.encoding"),
        ("SELECT 1 -- " + "x" * 70_000, "sql.size"),
        ("SELECT " + ",".join(["1"] * 10_000), "sql.size"),
        ("SELECT " + "(" * 201 + "1" + ")" * 201, "sql.depth"),
        ("SELECT " + "NOT " * 150 + "true", "sql.depth"),
        ("SELECT a" + "[1]" * 401, "sql.depth"),
        ("SELECT 1" + "::int" * 401, "sql.depth"),
        ("SELECT /*! 1 */ 2", "sql.node"),
        ("SELECT /*+ hint */ 2", "sql.node"),
        ("DELETE FROM customers", "sql.root"),
        ("SELECT * INTO x FROM customers", "sql.argument"),
        ("SELECT * FROM customers FOR UPDATE", "sql.argument"),
        ("SELECT md6(name) FROM customers", "sql.function"),
        ("SELECT main.upper(name) FROM customers", "sql.function"),
        ("SELECT name.upper() FROM customers", "sql.function"),
        ('SELECT "md6"(name) FROM customers', "sql.function"),
        ("SELECT * FROM read_csv('x')", "sql.table_function"),
        ("SELECT * FROM customers, glob('*')", "sql.table_function"),
        ("SELECT * FROM 'x.csv'", "sql.relation"),
        ("SELECT * FROM orders", "sql.relation"),
        ("SELECT * FROM otherdb.main.customers", "sql.relation"),
        ("SELECT name::regclass FROM customers", "sql.cast"),
        ("SELECT CAST(name AS mood) FROM customers", "sql.cast"),
        ("SELECT ?", "sql.parameter"),
        ("SELECT $1", "sql.parameter"),
        ("EXPLAIN ANALYZE SELECT 1", "sql.explain"),
        ("EXPLAIN (FORMAT json) SELECT 1", "sql.explain"),
        ("SELECT current_setting('x')", "sql.function"),
        ("SELECT getvariable('meridyen_email_i')", "sql.function"),
    ],
)
def test_refused(sql, code):
    found = refusal(sql)
    assert found.code == code
    assert found.message


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM customers",
        "SELECT * FROM CUSTOMERS AS c(a, b)",
        "SELECT * FROM main.customers",
        "SELECT * FROM shopdb.sales.orders",
        "SELECT * FROM sales.orders",
        "EXPLAIN SELECT 1",
        "/* a */ EXPLAIN SELECT 1",
        "SELECT :x + 1 FROM customers WHERE id > :y",
        "SELECT [1, 2][1:2], {'a': 1}",
        "VALUES (1), (2)",
        "(SELECT 1) UNION ALL (SELECT 2)",
    ],
)
def test_admitted(sql):
    assert ask(sql).dialect is DUCKDB


def test_parameters_are_found_by_name():
    assert ask("SELECT :a, $b FROM customers WHERE id > :c", a=1).names == {"a", "b", "c"}
    assert ask("SELECT {'a': 1}, x[1:2] FROM (SELECT [1] AS x)").names == frozenset()


def test_a_nul_in_a_parameter_is_refused():
    assert refusal("SELECT :a", a="x\0y").code == "sql.parameter"


def test_hints_say_what_to_write():
    assert "regexp_extract" in refusal("SELECT regexp_extrac(name, 'x') FROM customers").hint
    assert "customers" in refusal("SELECT * FROM customer").hint


def test_refusals_show_no_literal():
    for sql in (
        "SELECT md6('900-55-0001')",
        "SELECT * FROM read_csv('/secret/path')",
        "SELECT '900-55-0001' FROM nope",
    ):
        found = refusal(sql)
        assert not [word for word in ("900-55", "/secret") if word in found.message + found.hint]


def test_the_walk_sees_what_hides_in_nested_tuples():
    tree = exp.select("1")
    tree.set("expressions", [exp.Literal.number(1), (exp.Literal.number(2), [exp.Anonymous(this="load_extension")])])
    with pytest.raises(Refuse, match="load_extension"):
        walk(tree, DUCKDB)


def test_the_walk_refuses_unknown_bare_text():
    tree = exp.select("1").from_("customers")
    tree.args["joins"] = [exp.Join(this=exp.to_table("customers"), kind="CROSS JOIN read_csv('x'),")]
    with pytest.raises(Refuse) as caught:
        walk(tree, DUCKDB)
    assert caught.value.code == "sql.argument"


def test_numbers_are_numbers():
    tree = exp.select(exp.Literal.number("1 FROM secrets"))
    with pytest.raises(Refuse):
        walk(tree, DUCKDB)


def test_words_before_brackets_are_checked_in_the_text_that_runs():
    text = "SELECT read_text('/etc/passwd')"
    with pytest.raises(Refuse, match="read_text"):
        check_words(text, DUCKDB.tokens(text), DUCKDB, frozenset())


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u3000", "\ufeff"])
def test_unicode_spaces_cannot_hide_a_second_meaning(space):
    """DuckDB reads them as white space outside quotes: every identifier is written in quotes."""
    sql = f"SELECT x{space}FROM{space}secrets"
    try:
        plan = ask(sql)
    except Refuse:
        return
    assert f'"x{space}FROM{space}secrets"' in DUCKDB.generate(plan.tree)


@pytest.mark.parametrize(
    ("sql", "known"),
    [
        ("WITH a AS (SELECT 1 AS x) SELECT * FROM a", True),
        ("WITH a AS (SELECT * FROM b), b AS (SELECT 1 AS x) SELECT * FROM a", False),
        ("WITH a AS (SELECT * FROM a) SELECT * FROM a", False),
        ("WITH RECURSIVE a AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM a WHERE x < 3) SELECT * FROM a", True),
        ("SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a), a", False),
        ("SELECT (WITH a AS (SELECT 1 AS x) SELECT x FROM a), (SELECT x FROM a)", False),
        (
            "WITH a AS (SELECT 1 AS x) SELECT (SELECT max(x) FROM a), (WITH b AS (SELECT * FROM a) SELECT x FROM b)",
            True,
        ),
        ("WITH a AS (SELECT 1 AS x) SELECT * FROM main.a", False),
        ("WITH customers AS (SELECT * FROM customers) SELECT * FROM customers", True),
    ],
)
def test_ctes_are_resolved_by_scope(sql, known):
    if known:
        ask(sql)
    else:
        assert refusal(sql).code == "sql.relation"


def test_in_table_is_refused_in_sqlite():
    assert refusal("SELECT 1 WHERE 1 IN customers", SQLITE).code == "sql.argument"


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda d: d.name)
def test_every_listed_function_can_be_written_and_stays_listed(dialect):
    """A name that only parses into something the guard refuses would be a promise of docs/sql that is not kept."""
    kept = []
    for name in sorted(dialect.functions):
        for arguments in (
            "",
            "a",
            "a, b",
            "a, b, c",
            "a, b, c, d",
            "*",
            "'day', a, b",
            "a, b, c, d, e, f",
            "year FROM a",
            "day, a",
            "a, INTERVAL 1 DAY",
            "a, b, 'day'",
        ):
            try:
                (tree,) = dialect.parse(f"SELECT {name}({arguments})")
                text = dialect.generate(tree)
                walk(dialect.parse(text)[0], dialect)
                check_words(text, dialect.tokens(text), dialect, frozenset())
            except (Refuse, ValueError, TypeError, LookupError, SqlglotError):
                continue
            kept.append(name)
            break
    assert set(dialect.functions) - set(kept) == set()


def test_a_scan_counts_brackets_in_quotes_too():
    assert scan.MAX_DEPTH == 200
    assert refusal("SELECT '" + "(" * 300 + "'").code == "sql.depth"
