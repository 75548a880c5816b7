"""The texts by which SQLite calls the columns of a result."""

import sqlite3

import pytest

from agent.core.catalog import Catalog, Column, Relation
from agent.core.job import SourceName, SqlTask
from agent.dialects import DIALECTS
from agent.guard.outputs import output_texts
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare

SQLITE = DIALECTS["sqlite"]
CATALOG = Catalog("s", "sqlite", "main", (Relation("main", "t", (Column("id", "INTEGER"), Column("name", "TEXT"))),))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id+1, id + 1 AS x, count (*) FROM t",
        "SELECT substr(name,2), ifnull(name, 'x'), 5/2, (id), upper( name ) FROM t",
        "SELECT DISTINCT id % 2, name FROM t",
        "SELECT id IS DISTINCT FROM 1, id IS NOT NULL FROM t",
        "SELECT (SELECT max(id) FROM t), 2 FROM t",
        "WITH a AS (SELECT id + 1 AS y FROM t) SELECT y+1, y FROM a UNION ALL SELECT 1+1, 2",
        "SELECT CASE WHEN id IN (1,2) THEN 'a,b' ELSE 'from' END, \"name\" || 'x' FROM t ORDER BY 1",
        "SELECT *, id*2 FROM t",
        "SELECT t.*, -id FROM t",
        "SELECT 1",
        "SELECT 1 WHERE 1=1;",
        "VALUES (1, 2)",
    ],
)
def test_columns_are_called_as_the_engine_would(sql):
    con = sqlite3.connect(":memory:")
    con.execute("CREATE TABLE t (id INTEGER, name TEXT)")
    task = SqlTask(source=SourceName("s"), statement=sql, parameters={})
    policy = Policy.model_validate({"version": 1, "default": "keep"})
    made = prepare(task, CATALOG, policy, roles=(), token_key=None, tenant="t")
    wanted = [column[0] for column in con.execute(sql).description]
    assert [column[0] for column in con.execute(made.sql).description] == wanted
    con.close()


def test_no_select_has_no_texts():
    assert output_texts("VALUES (1)", SQLITE.tokens("VALUES (1)")) == ()
