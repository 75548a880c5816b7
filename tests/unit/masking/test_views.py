"""Views in the rewrite: their definitions over masked tables, and what is said when that cannot be."""

import pytest

from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.masking.ddl import catalog_of
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare
from agent.masking.subqueries import MAX_VIEWS

TABLE = "CREATE TABLE t (id INTEGER, ssn VARCHAR)"


def prepared(ddl, sql, rules=(), dialect="duckdb"):
    catalog = catalog_of(";".join((TABLE, *ddl)), dialect=dialect, source="shop")
    policy = Policy.model_validate({"version": 1, "default": "keep", "rules": list(rules)})
    task = SqlTask(source=SourceName("shop"), statement=sql, parameters={})
    return prepare(task, catalog, policy, roles=(), token_key=None, tenant="t")


def refused(*given):
    with pytest.raises(Refuse) as refusal:
        prepared(*given)
    return refusal.value


def chain(length):
    return ["CREATE VIEW v1 AS SELECT id FROM t"] + [
        f"CREATE VIEW v{n} AS SELECT id FROM v{n - 1}" for n in range(2, length + 1)
    ]


def test_views_are_nested_so_deep_and_no_deeper():
    assert '"main"."t"' in prepared(chain(MAX_VIEWS), f"SELECT id FROM v{MAX_VIEWS}").sql
    found = refused(chain(MAX_VIEWS + 1), f"SELECT id FROM v{MAX_VIEWS + 1}")
    assert found.code == "sql.view"
    assert found.message == "The view v1 refers to itself, or views are nested too deeply."


def test_a_view_of_itself_is_refused():
    loop = ["CREATE VIEW a AS SELECT id FROM b", "CREATE VIEW b AS SELECT id FROM a"]
    assert "refers to itself" in refused(loop, "SELECT id FROM a").message


def test_a_view_may_be_read_many_times_beside_itself():
    assert prepared(chain(2), "SELECT a.id FROM v2 AS a, v2 AS b, v1 AS c").sql.count('"main"."t"') == 3


@pytest.mark.parametrize(
    ("definition", "cause"),
    [
        ("SELECT read_text('/etc/passwd') AS x", "sql.function"),
        ("SELECT 1 AS x FROM read_csv('/etc/passwd')", "sql.table_function"),
        ("SELECT id FROM elsewhere", "sql.relation"),
        ("SELECT id::regclass AS x FROM t", "sql.cast"),
    ],
)
def test_a_definition_that_would_be_refused_is_told_by_its_code_alone(definition, cause):
    found = refused([f"CREATE VIEW v AS {definition}"], "SELECT * FROM v")
    assert found.code == "sql.view"
    assert found.message == f"The definition of the view v cannot be masked ({cause})."
    assert found.hint == "Query its base tables, or have the security officer simplify the view."
    assert found.__cause__ is None


def test_the_innermost_view_that_cannot_be_masked_is_named():
    ddl = ["CREATE VIEW odd AS SELECT read_text('x') AS id", "CREATE VIEW over AS SELECT id FROM odd"]
    assert "view odd" in refused(ddl, "SELECT * FROM over").message


def test_what_a_view_filters_by_is_masked():
    rules = [{"match": "*.*.t.ssn", "rule": "redact"}]
    made = prepared(["CREATE VIEW v AS SELECT id FROM t WHERE ssn = '1'"], "SELECT id FROM v", rules)
    assert "'***' AS \"ssn\"" in made.sql
    assert made.disclosure.columns == {"main.t.id": "keep", "main.t.ssn": "redact", "main.v.id": "keep"}


def test_a_views_own_line_adds_a_mask():
    rules = [{"match": "*.*.v.ssn", "rule": "redact"}]
    made = prepared(["CREATE VIEW v AS SELECT ssn FROM t"], "SELECT ssn FROM v", rules)
    assert made.disclosure.columns == {"main.t.ssn": "keep", "main.v.ssn": "redact"}


@pytest.mark.parametrize("dialect", ["duckdb", "sqlite"])
def test_a_views_columns_are_called_as_its_list_says(dialect):
    made = prepared(["CREATE VIEW v (k) AS SELECT id FROM t"], "SELECT k FROM v", (), dialect)
    assert made.disclosure.columns == {"main.t.id": "keep", "main.v.k": "keep"}
    assert '"k" AS "k"' in made.sql.replace("`", '"')


def test_a_view_without_a_readable_column_does_not_exist():
    rules = [{"match": "*.*.t.*", "rule": "keep"}]
    catalog = catalog_of(f"{TABLE};CREATE VIEW v AS SELECT id FROM t", dialect="duckdb", source="shop")
    hidden = Policy.model_validate(
        {"version": 1, "default": "keep", "rules": rules, "tables": {"allow": ["*.*.*"], "deny": ["*.*.t"]}}
    )
    task = SqlTask(source=SourceName("shop"), statement="SELECT id FROM v", parameters={})
    with pytest.raises(Refuse, match="view v"):
        prepare(task, catalog, hidden, roles=(), token_key=None, tenant="t")
