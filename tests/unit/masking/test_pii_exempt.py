"""Which columns of a result the second net passes over: by where they come from, never by what they are called."""

import pytest

from agent.core.catalog import Catalog, Column, Relation
from agent.core.job import SourceName, SqlTask
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare

NOTES = (Column("id", "INTEGER"), Column("notes", "VARCHAR"), Column("ssn", "VARCHAR"))
VIEW = Relation(
    "main", "v", (Column("notes", "VARCHAR"),), kind="view", definition="SELECT ssn AS notes FROM customers"
)
CATALOG = Catalog("shop", "duckdb", "main", (Relation("main", "customers", NOTES), VIEW))
NET = {"action": "mask", "exempt": ["shop.*.customers.notes"]}


@pytest.mark.parametrize(
    ("statement", "exempt"),
    [
        ("SELECT notes FROM customers", {"notes"}),
        ("SELECT * FROM customers", {"notes"}),
        ("SELECT notes AS x, ssn FROM customers", {"x"}),
        ("WITH a AS (SELECT notes FROM customers) SELECT * FROM a", {"notes"}),
        ("SELECT ssn AS notes FROM customers", set()),
        ("SELECT notes, ssn AS notes FROM customers", set()),
        ("SELECT ssn AS NOTES, notes FROM customers", set()),
        ("SELECT upper(notes) AS notes FROM customers", set()),
        ("SELECT notes || ssn AS notes FROM customers", set()),
        ("SELECT notes FROM customers UNION ALL SELECT ssn FROM customers", set()),
        ("SELECT max(notes) AS notes FROM customers", set()),
        ("SELECT notes FROM v", set()),
        ("SELECT notes FROM (SELECT ssn AS notes FROM customers) AS customers", set()),
        ("SELECT '900-70-1234' AS notes", set()),
    ],
)
def test_only_the_column_itself_is_exempt(statement: str, exempt: set[str]) -> None:
    policy = Policy.model_validate({"version": 1, "default": "keep", "release": {"pii_net": NET}})
    task = SqlTask(source=SourceName("shop"), statement=statement, parameters={})
    assert prepare(task, CATALOG, policy, roles=(), token_key=None, tenant="t").exempt == exempt
