"""The proof over the text that runs: a table stands in exactly the sub-query that was made for it, or nothing runs."""

import pytest

from agent.core.errors import Refuse
from agent.dialects import DIALECTS
from agent.masking import rewrite as rewriting
from agent.masking.ddl import catalog_of
from agent.masking.policy import Policy
from agent.masking.subqueries import Builder
from agent.masking.visible import beneath_views

DUCKDB = DIALECTS["duckdb"]
CATALOG = catalog_of("CREATE TABLE t (id INTEGER, ssn VARCHAR)", dialect="duckdb", source="shop")
POLICY = Policy.model_validate({"version": 1, "default": "keep", "rules": [{"match": "*.*.t.ssn", "rule": "redact"}]})
MASKED = 'SELECT "id" AS "id", \'***\' AS "ssn" FROM "main"."t"'


def prove(text):
    builder = Builder(CATALOG, POLICY, (), DUCKDB, beneath_views(CATALOG, POLICY))
    builder.rewrite(DUCKDB.parse('SELECT "ssn", "id" FROM "t"')[0], CATALOG)
    assert builder.tables == {("main", "t"): {hash(DUCKDB.parse(MASKED)[0])}}
    rewriting._prove(DUCKDB.parse(text)[0], builder)


@pytest.mark.parametrize(
    "text",
    [
        f'SELECT "ssn" FROM ({MASKED}) AS "t"',
        f'SELECT "a"."ssn" FROM ({MASKED}) AS "a" CROSS JOIN ({MASKED}) AS "b"',
        f'SELECT 1 WHERE EXISTS(SELECT 1 FROM ({MASKED}) AS "t")',
        "SELECT 1",
        'SELECT "range" FROM RANGE(3)',
    ],
)
def test_enclosed(text):
    prove(text)


@pytest.mark.parametrize(
    "text",
    [
        'SELECT "ssn" FROM "main"."t"',
        MASKED,
        'SELECT "ssn" FROM (SELECT "id" AS "id", "ssn" AS "ssn" FROM "main"."t") AS "t"',
        f'SELECT "ssn" FROM ({MASKED} WHERE "ssn" = \'1\') AS "t"',
        f'SELECT "ssn" FROM ({MASKED} ORDER BY "ssn") AS "t"',
        f'SELECT "ssn" FROM ({MASKED} CROSS JOIN "main"."t" AS "x") AS "t"',
        f'SELECT "ssn" FROM ({MASKED}) AS "t" CROSS JOIN "main"."t" AS "x"',
        f'SELECT "ssn" FROM ({MASKED}) AS "t", "main"."t" AS "x"',
        f'SELECT "ssn" FROM ({MASKED.replace("main", "other")}) AS "t"',
        'SELECT "ssn" FROM (SELECT "id" AS "id", \'***\' AS "ssn" FROM "t") AS "t"',
        f'WITH "c" AS ({MASKED}) SELECT "ssn" FROM "c"',
        f'WITH "meridyen_cte_1" AS ({MASKED}) SELECT "ssn" FROM "meridyen_cte_1"',
        f"{MASKED} UNION ALL {MASKED}",
    ],
)
def test_not_enclosed(text):
    with pytest.raises(Refuse, match="not enclosed by its masks") as refusal:
        prove(text)
    assert refusal.value.code == "sql.rewrite"


def test_a_name_without_quotes_could_be_a_keyword():
    with pytest.raises(Refuse, match="keyword belongs") as refusal:
        prove(f'SELECT ssn FROM ({MASKED}) AS "t"')
    assert refusal.value.code == "sql.rewrite"


def test_everything_around_the_masks_is_guarded_again():
    with pytest.raises(Refuse, match="read_text"):
        prove(f'SELECT "ssn", READ_TEXT(\'x\') FROM ({MASKED}) AS "t"')
