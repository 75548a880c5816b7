"""`:name` where the engine reads colons otherwise, and nowhere else."""

import pytest

from agent.core.catalog import Catalog, Column, Relation
from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.guard.sql import admit

ORDERS = Relation("main", "orders", (Column("id", "INTEGER"), Column("status", "VARCHAR")))


def names(sql, dialect="duckdb"):
    task = SqlTask(source=SourceName("shop"), statement=sql, parameters={})
    return admit(task, Catalog("shop", dialect, "main", (ORDERS,))).names


@pytest.mark.parametrize("dialect", ["duckdb", "sqlite"])
@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT id FROM orders WHERE status IN (:a,:b)", {"a", "b"}),
        ("SELECT coalesce(:a,:b,:a)", {"a", "b"}),
        ("SELECT '%'||:a||'%'", {"a"}),
        ("SELECT id FROM orders WHERE id>=:a AND id<>:b AND id-:c>0 AND id%:d=1", {"a", "b", "c", "d"}),
        ("SELECT CASE WHEN :a THEN:b END", {"a", "b"}),
        ("SELECT id FROM orders LIMIT :n OFFSET :m", {"n", "m"}),
        ("SELECT :_a", {"_a"}),
        ("SELECT ':a' -- :b\n, ':c'", set()),
    ],
)
def test_found(sql, found, dialect):
    assert names(sql, dialect) == found


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT [1, 2, 3][1:2]",
        "SELECT l[a:b] FROM (SELECT [1, 2] AS l, 1 AS a, 2 AS b)",
        "SELECT {'a':id}, {b:id} FROM orders",
        "SELECT MAP {'a':id} FROM orders",
        "SELECT a:1, b: 2",
        "SELECT list_transform([1], lambda x:x + 1)",
        "SELECT id::VARCHAR FROM orders",
    ],
)
def test_not_found(sql):
    assert names(sql) == frozenset()


@pytest.mark.parametrize("sql", ["SELECT ?", "SELECT $1", "SELECT :é", "SELECT id FROM :orders"])
def test_refused(sql):
    with pytest.raises(Refuse):
        names(sql)
