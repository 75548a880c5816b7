"""From which columns each output column of a statement is made: exact where it is followed, too many where it is not."""

import pytest

from agent.core.job import SourceName, SqlTask
from agent.guard.sql import admit
from agent.masking.ddl import catalog_of
from agent.masking.lineage import Lineage
from agent.masking.policy import Policy
from agent.masking.subqueries import Builder
from agent.masking.visible import beneath_views, visible

DDL = """CREATE TABLE t (id INT, name VARCHAR, ssn VARCHAR); CREATE TABLE o (id INT, t_id INT, amount INT);
CREATE VIEW v AS SELECT id, upper(ssn) AS s FROM t; CREATE VIEW w AS SELECT s, 1 AS one FROM v"""
CATALOG = catalog_of(DDL, dialect="duckdb", source="shop")
POLICY = Policy.model_validate({"version": 1, "default": "keep", "rules": [{"match": "*.*.t.ssn", "rule": "redact"}]})

CASES: list[tuple[str, list[tuple[str, str]] | None]] = [
    ("SELECT id, ssn AS x FROM t", [("id", "t.id"), ("x", "t.ssn")]),
    ("SELECT name || ssn AS x, count(*) FROM t GROUP BY ALL", [("x", "t.name t.ssn"), ("", "")]),
    ("SELECT * FROM t", [("id", "t.id"), ("name", "t.name"), ("ssn", "t.ssn")]),
    ("SELECT * EXCLUDE (ssn) FROM t", [("id", "t.id"), ("name", "t.name")]),
    ("SELECT o.*, t.name FROM t, o", [("id", "o.id"), ("t_id", "o.t_id"), ("amount", "o.amount"), ("name", "t.name")]),
    (
        "SELECT * FROM t JOIN o USING (id)",
        [("id", "t.id"), ("name", "t.name"), ("ssn", "t.ssn"), ("t_id", "o.t_id"), ("amount", "o.amount")],
    ),
    ("SELECT id FROM t NATURAL JOIN o", [("id", "o.id t.id")]),
    ("WITH a AS (SELECT ssn AS z FROM t) SELECT z FROM a", [("z", "t.ssn")]),
    ("WITH a(q) AS (SELECT ssn FROM t), b AS (SELECT q || 'x' AS r FROM a) SELECT r FROM b", [("r", "t.ssn")]),
    ("WITH o AS (SELECT ssn FROM t) SELECT ssn FROM o", [("ssn", "t.ssn")]),
    ("SELECT x.s FROM (SELECT ssn AS s FROM t) AS x", [("s", "t.ssn")]),
    ("SELECT a FROM (SELECT ssn, id FROM t) AS x(a, b)", [("a", "t.ssn")]),
    ("SELECT name FROM t UNION ALL SELECT ssn FROM t", [("name", "t.name t.ssn")]),
    ("SELECT t FROM t", [("t", "t.id t.name t.ssn")]),
    ("SELECT ssn AS q, q || 'x' AS r FROM t", [("q", "t.ssn"), ("r", "t.ssn")]),
    ("SELECT (SELECT max(amount) FROM o WHERE o.t_id = t.id) AS m FROM t", [("m", "o.amount o.id o.t_id t.id")]),
    ("SELECT EXISTS (SELECT 1 FROM o WHERE o.t_id = t.id) AS e FROM t", [("e", "o.id o.t_id t.id")]),
    ("SELECT id IN (SELECT t_id FROM o) AS e FROM t", [("e", "o.id o.t_id t.id")]),
    ("SELECT row_number() OVER w AS n FROM t WINDOW w AS (ORDER BY ssn)", [("n", "t.ssn")]),
    ("SELECT sum(id) FILTER (WHERE ssn > 'x') OVER (PARTITION BY name) AS n FROM t", [("n", "t.id t.name t.ssn")]),
    ("SELECT CASE WHEN ssn = 'x' THEN 1 ELSE id END AS c FROM t", [("c", "t.id t.ssn")]),
    ("SELECT l.y FROM t, LATERAL (SELECT t.ssn AS y) AS l", [("y", "t.ssn")]),
    ("SELECT a.b FROM (SELECT {'b': ssn} AS a FROM t)", [("b", "t.ssn")]),
    ("SELECT a FROM t, unnest([t.ssn]) AS u(a)", [("a", "t.ssn")]),
    ("SELECT s FROM v", [("s", "v.s")]),
    ("SELECT * FROM w", [("s", "w.s"), ("one", "w.one")]),
    ("VALUES (1, 2)", [("", ""), ("", "")]),
    ("SELECT 1 AS x", [("x", "")]),
    ("SELECT o.id, c.name FROM (o AS o JOIN t AS c ON c.id = o.t_id)", [("id", "o.id"), ("name", "t.name")]),
    ("SELECT q.col0 FROM (VALUES (1)) AS q", [("col0", "")]),
    ('SELECT "max(ssn)" AS m FROM (SELECT max(ssn) FROM t)', [("m", "t.ssn")]),
    ("SELECT c.text FROM t AS c", [("text", "t.id")]),
    ("SELECT COLUMNS(*) FROM t", None),
    ("SELECT * REPLACE (1 AS ssn) FROM t", None),
    ("PIVOT o ON id USING sum(amount)", None),
]


def read(statement: str) -> tuple[Lineage, Builder, object]:
    shown = visible(CATALOG, POLICY)
    plan = admit(SqlTask(source=SourceName("shop"), statement=statement, parameters={}), shown)
    builder = Builder(CATALOG, POLICY, (), plan.dialect, beneath_views(CATALOG, POLICY))
    tree = builder.rewrite(plan.tree.copy(), shown)
    return Lineage(builder), builder, tree


@pytest.mark.parametrize(("statement", "expected"), CASES, ids=[statement for statement, _ in CASES])
def test_made_of(statement: str, expected: list[tuple[str, str]] | None) -> None:
    lineage, _, tree = read(statement)
    found = lineage.outputs(tree)
    if expected is None:
        assert found is None
        return
    assert found is not None
    assert [(one.name, " ".join(sorted(f"{o.relation}.{o.column}" for o in one.origins))) for one in found] == expected


@pytest.mark.parametrize(
    "statement", ["SELECT COLUMNS(*) FROM t", "SELECT s FROM (FROM t PIVOT (count(*) FOR id IN (1)))"]
)
def test_where_columns_are_not_told_apart_everything_counts(statement: str) -> None:
    try:
        lineage, _, tree = read(statement)
    except Exception:  # noqa: BLE001 - not admitted
        pytest.skip("this dialect refuses it")
    assert {f"{one.relation}.{one.column}" for one in lineage.everything(tree)} == {"t.id", "t.name", "t.ssn"}


def test_recursion_counts_everything() -> None:
    ask = (
        "WITH RECURSIVE r AS (SELECT id, ssn FROM t UNION ALL SELECT id + 1, ssn FROM r WHERE id < 5) SELECT id FROM r"
    )
    lineage, _, tree = read(ask)
    (output,) = lineage.outputs(tree) or ()
    assert {"id", "ssn"} <= {one.column for one in output.origins}


def test_a_view_is_followed_when_it_is_asked_for() -> None:
    lineage, builder, _ = read("SELECT * FROM w")
    made = {relation.name: lineage.beneath(relation) for relation in builder.touched if relation.definition is not None}
    assert {name: {one.column for one in origins} for name, origins in made["v"].items()}["s"] == {"ssn"}
    assert {name: {one.relation for one in origins} for name, origins in made["w"].items()} == {
        "s": {"v"},
        "one": set(),
    }


def test_a_column_that_nothing_has_is_told_apart_from_a_constant() -> None:
    lineage, _, tree = read("SELECT nope, 1 AS one FROM t")
    assert [(one.name, one.known) for one in lineage.outputs(tree) or ()] == [("nope", False), ("one", True)]
