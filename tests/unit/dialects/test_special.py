"""What single dialects need and no other has: pseudo columns, values with names, one spelling, text that is replaced."""

import pytest

from agent.core.catalog import Catalog, Column, Relation
from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.dialects import DIALECTS
from agent.masking.expressions import kind_of, masked
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare
from agent.masking.rules.bucket import Bucket
from agent.masking.rules.last4 import Last4
from agent.masking.rules.null import Null
from agent.masking.rules.redact import Redact
from agent.masking.rules.token import Token

CLICKHOUSE, ORACLE, DATABRICKS = (DIALECTS[name] for name in ("clickhouse", "oracle", "databricks"))


def text_of(dialect, sql, default="redact"):
    names = ("people", "id", "ssn", "manager")
    table, *columns = (name.upper() for name in names) if dialect.case == "upper" else names
    columns = tuple(Column(name, "INTEGER" if name.lower() != "ssn" else "VARCHAR(11)") for name in columns)
    schema = dialect.default_schema
    catalog = Catalog("s", dialect.name, schema, (Relation(schema, table, columns),))
    rules = [{"match": "*.*.*.ssn", "rule": "redact"}, {"match": "*.*.*.*", "rule": "keep"}]
    policy = Policy.model_validate({"version": 1, "default": default, "rules": rules})
    task = SqlTask(source=SourceName("s"), statement=sql, parameters={})
    return prepare(task, catalog, policy, roles=(), token_key=None, tenant="t").sql


def refused(dialect, sql):
    with pytest.raises(Refuse) as refusal:
        text_of(dialect, sql)
    return refusal.value


def mask(dialect, type_text, rule):
    return dialect.generate(masked(Column("c", type_text), rule, dialect))


@pytest.mark.parametrize("default", ["redact", "keep", "refuse"])
def test_dual_is_the_real_one_whatever_the_policy_says(default):
    text = text_of(ORACLE, "SELECT 1 FROM dual", default)
    assert text == 'SELECT 1 FROM (SELECT "DUMMY" AS "DUMMY" FROM "SYS"."DUAL") "DUAL"'


def test_dual_of_another_schema_is_no_dummy():
    assert refused(ORACLE, "SELECT 1 FROM app.dual").code == "sql.relation"
    assert refused(ORACLE, 'SELECT 1 FROM "dual"').code == "sql.relation"


def test_pseudo_columns_are_written_bare_and_quoted_ones_stay_columns():
    assert text_of(ORACLE, "SELECT rownum FROM people WHERE ROWNUM < 3").endswith('"PEOPLE" WHERE ROWNUM < 3')
    assert 'SELECT "LEVEL" FROM' in text_of(ORACLE, 'SELECT "LEVEL" FROM people')


def test_hierarchies_read_masks():
    text = text_of(ORACLE, "SELECT CONNECT_BY_ROOT ssn AS top FROM people CONNECT BY PRIOR id = manager")
    assert "'***' AS \"SSN\"" in text
    assert text.endswith('"PEOPLE" CONNECT BY PRIOR "ID" = "MANAGER"')


def test_oracle_words_are_oracles():
    assert " MINUS SELECT" in text_of(ORACLE, "SELECT id FROM people MINUS SELECT manager FROM people")
    lateral = text_of(ORACLE, "SELECT x.n FROM people p, LATERAL (SELECT p.id AS n FROM dual) x")
    assert lateral.endswith(') "X"')
    assert "LISTAGG(\"ID\", '')" in text_of(ORACLE, "SELECT LISTAGG(id) WITHIN GROUP (ORDER BY id) FROM people")
    kept = text_of(ORACLE, "SELECT MAX(id) KEEP (DENSE_RANK FIRST ORDER BY manager) FROM people")
    assert "KEEP (DENSE_RANK FIRST ORDER BY" in kept


@pytest.mark.parametrize("name", ["rowid", "user", "ora_rowscn"])
def test_an_alias_does_not_open_a_hidden_name(name):
    assert refused(ORACLE, f"SELECT {name} AS {name} FROM people").code == "sql.column"
    assert refused(ORACLE, f"SELECT {name}, id AS {name} FROM people").code == "sql.column"
    assert text_of(ORACLE, f"SELECT {name} FROM (SELECT id AS {name} FROM people) x")
    assert text_of(ORACLE, f"SELECT id AS {name} FROM people ORDER BY {name}")


def test_a_sequence_is_no_column():
    assert refused(ORACLE, "SELECT s.nextval AS nextval FROM dual").code == "sql.column"


def test_types_that_do_not_mix_with_texts_are_null():
    for kind in ("CLOB", "NVARCHAR2(10)", "BLOB"):
        assert kind_of(kind, ORACLE) == "other"
        assert "NULL" in mask(ORACLE, kind, Redact())
        assert '"c"' not in mask(ORACLE, kind, Last4())


def test_a_named_value_gets_a_name_that_no_column_has():
    text = text_of(CLICKHOUSE, "WITH upper(ssn) AS u SELECT u, id FROM people WHERE u > ''")
    assert 'WITH upper("ssn") AS "meridyen_value_1" SELECT "meridyen_value_1" AS "u", "id" FROM (SELECT' in text
    assert text.endswith("WHERE \"meridyen_value_1\" > ''")


def test_a_named_value_may_not_stand_for_a_column():
    assert refused(CLICKHOUSE, "WITH ssn AS id SELECT id FROM people").code == "sql.node"
    assert refused(CLICKHOUSE, "WITH 1 AS x, 2 AS x SELECT x FROM people").code == "sql.node"


def test_a_named_value_is_no_table():
    text = text_of(CLICKHOUSE, "WITH 1 AS people SELECT ssn FROM people")
    assert 'FROM (SELECT \'***\' AS "ssn" FROM "default"."people")' in text


@pytest.mark.parametrize("behind", ["people", "(people)", "((people))", "default.people", "(default.people)"])
def test_a_name_behind_in_would_be_a_table(behind):
    assert refused(CLICKHOUSE, f"SELECT id FROM people WHERE id IN {behind}").code in {"sql.node", "sql.argument"}
    assert text_of(CLICKHOUSE, "SELECT id FROM people WHERE id IN (id, 5) OR id IN (SELECT id FROM people)")


def test_functions_of_one_spelling():
    assert refused(CLICKHOUSE, "SELECT TOSTRING(id) FROM people").hint.startswith("Did you mean toString")
    assert 'SELECT cbrt("id"), count()' in text_of(CLICKHOUSE, "SELECT cbrt(id), Count() FROM people")


def test_endings_make_aggregates_of_aggregates_only():
    assert "sumOrNullIf(" in text_of(CLICKHOUSE, "SELECT sumOrNullIf(id, id > 1) FROM people")
    for call in ("sumState(id)", "toStringIf(id, 1)", "sumif(id, 1)", "sleepIf(1, 1)", "quantileState(0.5)(id)"):
        assert refused(CLICKHOUSE, f"SELECT {call} FROM people").code == "sql.function"


def test_names_are_compared_exactly():
    assert refused(CLICKHOUSE, "SELECT id FROM People").code == "sql.relation"


def test_nulls_have_a_type_that_can_hold_them():
    assert mask(CLICKHOUSE, "UInt64", Null()) == "CAST(NULL AS Nullable(UInt64))"
    assert mask(CLICKHOUSE, "LowCardinality(String)", Null()) == "CAST(NULL AS Nullable(String))"
    assert mask(CLICKHOUSE, "Array(String)", Null()) == "NULL"
    assert mask(CLICKHOUSE, "LowCardinality(Nullable(String))", Redact()) == "'***'"


@pytest.mark.parametrize("text", ["'${env:HOME}'", "'\\u0024{env:HOME}'", "r'${x}'", "id AS `${x}`"])
def test_what_spark_would_replace_is_refused(text):
    assert refused(DATABRICKS, f"SELECT {text} FROM people").code == "sql.node"


def test_steps_into_a_document_are_plain_names():
    assert "`ssn`:a.b[0]" in text_of(DATABRICKS, "SELECT ssn:a.b[0] FROM people")
    assert refused(DATABRICKS, "SELECT ssn:['a b'] FROM people").code == "sql.node"


def test_floor_cannot_overflow():
    assert "CAST(10 AS DOUBLE)" in mask(DATABRICKS, "BIGINT", Bucket(value=10))


@pytest.mark.parametrize("dialect", [CLICKHOUSE, ORACLE, DATABRICKS], ids=lambda one: one.name)
def test_a_mask_that_is_not_there_is_refused_not_weakened(dialect):
    with pytest.raises(Refuse) as refusal:
        masked(Column("c", "VARCHAR(10)"), Token(domain="d"), dialect)
    assert refusal.value.code == "policy.mask"
    assert dialect.name in refusal.value.message
