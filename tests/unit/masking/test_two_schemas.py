"""Two relations of one name in different schemas: never one read as the other."""

import pytest

from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.masking.ddl import catalog_of
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare

DDL = "CREATE TABLE main.people (id INTEGER, ssn TEXT); CREATE TABLE hr.people (id INTEGER, ssn TEXT)"
POLICY = Policy.model_validate({"version": 1, "default": "keep", "rules": [{"match": "*.hr.*.ssn", "rule": "redact"}]})


def made(sql):
    task = SqlTask(source=SourceName("shop"), statement=sql, parameters={})
    catalog = catalog_of(DDL, dialect="duckdb", source="shop")
    return prepare(task, catalog, POLICY, roles=(), token_key=None, tenant="acme").sql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT main.people.ssn FROM main.people, hr.people",
        "SELECT (SELECT hr.people.ssn FROM main.people LIMIT 1) FROM hr.people",
    ],
)
def test_a_short_name_that_would_mean_another_table_is_refused(sql):
    with pytest.raises(Refuse, match="different schemas") as refusal:
        made(sql)
    assert refusal.value.code == "sql.relation"


def test_a_schema_that_is_not_read_stays_and_the_engine_finds_nothing_of_that_name():
    assert '"hr"."people"."ssn"' in made("SELECT hr.people.ssn FROM main.people")


def test_each_with_an_alias_runs():
    text = made("SELECT a.ssn, b.ssn FROM main.people AS a JOIN hr.people AS b ON a.id = b.id")
    assert text.count("'***'") == 1


def test_one_qualified_by_its_schema_runs():
    assert "'***'" in made("SELECT hr.people.ssn FROM hr.people")


def test_a_star_in_a_view_lists_the_columns_of_what_it_reads_only():
    ddl = (
        "CREATE TABLE a (x INTEGER, y INTEGER); CREATE TABLE b (z INTEGER);"
        " CREATE VIEW v AS SELECT * FROM a WHERE x IN (SELECT z FROM b)"
    )
    (view,) = [r for r in catalog_of(ddl, dialect="duckdb", source="shop").relations if r.name == "v"]
    assert [column.name for column in view.columns] == ["x", "y"]
