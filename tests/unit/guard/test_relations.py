"""Which relation a table's name means, and what is said of a name that means none."""

import pytest

from agent.core.catalog import Catalog, Column, Relation
from agent.core.errors import Refuse
from agent.dialects import DIALECTS
from agent.guard.relations import unknown, uses

COLUMNS = (Column("id", "INTEGER"),)


def relation(name, schema="main"):
    return Relation(schema, name, COLUMNS)


def catalog(*relations, dialect="duckdb", **more):
    return Catalog("shop", dialect, "main", relations, ("shopdb",), **more)


def found(sql, shown):
    dialect = DIALECTS[shown.dialect]
    return [use.means for use in uses(dialect.parse(sql)[0], shown, dialect)]


def refused(sql, shown):
    with pytest.raises(Refuse) as refusal:
        found(sql, shown)
    assert refusal.value.code == "sql.relation"
    return refusal.value


def test_a_missing_relation_is_named():
    assert refused("SELECT * FROM nope", catalog()).message == "The relation nope does not exist or is not allowed."


def test_close_names_are_proposed_as_they_have_to_be_written():
    shown = catalog(relation("Customers"), relation("customer_log", "sales"), relation("unlike"))
    assert refused("SELECT * FROM customer", shown).hint == "Did you mean Customers, sales.customer_log?"
    assert refused("SELECT * FROM sales.customer", shown).hint == "Did you mean main.Customers, sales.customer_log?"


def test_the_search_path_says_what_needs_no_schema():
    shown = catalog(relation("orders", "sales"), relation("orderz"), search_path=("sales", "main"))
    assert refused("SELECT * FROM orderx", shown).hint == "Did you mean orderz, orders?"
    elsewhere = catalog(relation("orders", "sales"), relation("orderz"), search_path=("sales",))
    assert "main.orderz" in refused("SELECT * FROM orderx", elsewhere).hint


def test_at_most_three_names_are_proposed():
    shown = catalog(*(relation(f"order{n}") for n in range(9)))
    assert refused("SELECT * FROM orderx", shown).hint.count("order") == 3


def test_without_a_close_name_eight_relations_are_listed():
    eight = [relation(f"t{n}") for n in reversed(range(8))]
    wanted = "Relations that this source shows: t0, t1, t2, t3, t4, t5, t6, t7"
    assert refused("SELECT * FROM zzzzzz", catalog(*eight)).hint == f"{wanted}."
    assert refused("SELECT * FROM zzzzzz", catalog(*eight, relation("t8"))).hint == f"{wanted}, …."


def test_a_source_that_shows_nothing_says_so():
    assert refused("SELECT * FROM t", catalog()).hint == "This source shows no relation to this job."


@pytest.mark.parametrize(
    ("name", "shown"), [("x" * 64, "x" * 64), ("x" * 65, "(unprintable)"), ("a\u202eb", "(unprintable)")]
)
def test_only_short_printable_names_are_repeated(name, shown):
    assert f"The relation {shown} does" in refused(f'SELECT * FROM "{name}"', catalog()).message


@pytest.mark.parametrize(
    ("sql", "schema"),
    [
        ("SELECT * FROM orders", "main"),
        ("SELECT * FROM main.orders", "main"),
        ("SELECT * FROM SALES.Orders", "sales"),
        ("SELECT * FROM shopdb.sales.orders", "sales"),
    ],
)
def test_a_schema_is_looked_for_where_it_is_named(sql, schema):
    shown = catalog(relation("orders", "sales"), relation("orders"))
    assert [one.schema for one in found(sql, shown)] == [schema]


def test_the_first_of_the_search_path_that_has_the_name_is_meant():
    both = (relation("orders"), relation("orders", "sales"))
    assert [one.schema for one in found("SELECT * FROM orders", catalog(*both, search_path=("sales", "main")))] == [
        "sales"
    ]
    late = catalog(relation("orders"), search_path=("sales", "main"))
    assert [one.schema for one in found("SELECT * FROM orders", late)] == ["main"]
    refused("SELECT * FROM orders", catalog(relation("orders"), search_path=("sales",)))


def test_another_database_is_not_this_one():
    refused("SELECT * FROM other.main.orders", catalog(relation("orders")))


def test_of_twins_only_the_exact_spelling_is_meant():
    shown = catalog(relation("Orders"), relation("orders"), relation("ORDERS", "sales"))
    assert [one.name for one in found('SELECT * FROM "Orders"', shown)] == ["Orders"]
    assert [one.name for one in found("SELECT * FROM orders", shown)] == ["orders"]
    refused("SELECT * FROM oRDERS", shown)


def test_every_unknown_table_is_told_with_its_node():
    dialect = DIALECTS["duckdb"]
    tree = dialect.parse("SELECT * FROM orders, nope JOIN range(3) ON true JOIN gone ON true")[0]
    told = list(unknown(tree, catalog(relation("orders")), dialect))
    assert sorted(node.name for _, node in told) == ["gone", "nope"]
    assert {refusal.code for refusal, _ in told} == {"sql.relation"}


def test_the_inner_cte_of_a_name_is_meant():
    sql = "WITH a AS (SELECT 1 AS x) SELECT * FROM (WITH a AS (SELECT 2 AS y) SELECT * FROM a), a"
    names = [[item.alias for item in means.this.expressions] for means in found(sql, catalog())]
    assert sorted(names) == [["x"], ["y"]]


def test_a_cte_of_a_name_that_a_relation_has_reads_the_relation():
    sql = "WITH orders AS (SELECT * FROM orders) SELECT * FROM orders"
    kinds = sorted(type(means).__name__ for means in found(sql, catalog(relation("orders"))))
    assert kinds == ["CTE", "Relation"]


def test_an_earlier_cte_is_seen_by_a_later_one_only():
    shown = catalog()
    found("WITH a AS (SELECT 1 AS x), b AS (SELECT * FROM a) SELECT * FROM b", shown)
    refused("WITH b AS (SELECT * FROM a), a AS (SELECT 1 AS x) SELECT * FROM b", shown)
    refused("WITH RECURSIVE b AS (SELECT * FROM a), a AS (SELECT 1 AS x) SELECT * FROM b", shown)
