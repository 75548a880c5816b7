"""Dialects without an engine at hand: types, masks, names, scripts and literals, as far as their texts show them."""

import re
from dataclasses import replace

import pytest
from sqlglot import exp

from agent.core.catalog import Catalog, Column, Relation
from agent.core.errors import ConfigError, Refuse
from agent.core.job import SourceName, SqlTask
from agent.dialects import DIALECTS
from agent.masking.ddl import catalog_of
from agent.masking.policy import Policy
from agent.masking.rewrite import _prove, prepare
from agent.masking.subqueries import Builder

TYPES = {
    "tsql": """INT; BIGINT; TINYINT; BIT; DECIMAL(12,2); NUMERIC(38,10); MONEY; FLOAT; REAL; DATE; DATETIME; DATETIME2(7);
        SMALLDATETIME; DATETIMEOFFSET(7); TIME(7); CHAR(10); VARCHAR(50); VARCHAR(MAX); NVARCHAR(50); NVARCHAR(MAX);
        TEXT; NTEXT; BINARY(8); VARBINARY(MAX); IMAGE; UNIQUEIDENTIFIER; XML; SQL_VARIANT; HIERARCHYID; GEOGRAPHY;
        ROWVERSION; dbo.Phone""",
    "snowflake": """NUMBER; NUMBER(38,0); NUMBER(12,2); INT; FLOAT; DECFLOAT; VARCHAR; VARCHAR(20); CHAR(2); STRING;
        BINARY; VARBINARY(10); BOOLEAN; DATE; DATETIME; TIME; TIMESTAMP; TIMESTAMP_LTZ; TIMESTAMP_NTZ(9); TIMESTAMP_TZ;
        VARIANT; OBJECT; ARRAY; GEOGRAPHY; VECTOR(FLOAT, 3); MAP(VARCHAR, NUMBER)""",
    "bigquery": """INT64; NUMERIC; NUMERIC(12,2); BIGNUMERIC; FLOAT64; BOOL; STRING; STRING(10); BYTES; DATE; DATETIME;
        TIME; TIMESTAMP; INTERVAL; JSON; GEOGRAPHY; ARRAY<INT64>; STRUCT<a INT64, b STRING>;
        ARRAY<STRUCT<a INT64, b STRING>>; RANGE<DATE>""",
    "trino": """boolean; tinyint; integer; bigint; real; double; decimal(12,2); decimal(38,0); varchar; varchar(20);
        char(3); varbinary; json; date; time(6); time with time zone; timestamp(3); timestamp(6) with time zone;
        interval day to second; array(varchar); map(varchar, bigint); row(a integer, b varchar); uuid; ipaddress;
        hyperloglog""",
}
RULES = (
    "redact", "null", {"constant": "n/a"}, {"constant": 0}, "last4", {"partial": {"keep_first": 1, "keep_last": 2}},
    "email", "year", "month", {"bucket": 10_000}, {"bucket": 0.5}, {"round": 1}, {"round": -3},
)  # fmt: skip
DDL = "CREATE TABLE customers (id INT, ssn VARCHAR(11)); CREATE TABLE orders (id INT)"


def ask(sql, catalog, rule="redact", **parameters):
    rules = [{"match": "*.*.*.ssn*", "rule": rule}]
    policy = Policy.model_validate({"version": 1, "default": "keep", "keys": {"token": "env:K"}, "rules": rules})
    task = SqlTask(source=SourceName("shop"), statement=sql, parameters=parameters)
    return prepare(task, catalog, policy, roles=(), token_key=b"k" * 32, tenant="acme").sql


def simple(dialect):
    return catalog_of(DDL, dialect=dialect, source="shop")


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("dialect", TYPES)
def test_every_rule_can_be_written_for_every_type(dialect, rule):
    kinds = [kind.strip() for kind in TYPES[dialect].split(";")]
    columns = ", ".join(f"ssn{n} {kind}" for n, kind in enumerate(kinds))
    catalog = catalog_of(f"CREATE TABLE t ({columns})", dialect=dialect, source="shop")
    assert len(catalog.relations[0].columns) == len(kinds)
    (tree,) = DIALECTS[dialect].parse(ask("SELECT * FROM t", catalog, rule))
    (inner,) = (one for one in tree.find_all(exp.Select) if isinstance(one.parent, exp.Subquery))
    bare = [one.alias for one in inner.expressions if isinstance(one.this, exp.Column)]
    assert (len(inner.expressions), bare) == (len(kinds), [])


@pytest.mark.parametrize("dialect", TYPES)
def test_token_is_refused_and_never_replaced_by_a_weaker_mask(dialect):
    with pytest.raises(Refuse) as refusal:
        ask("SELECT ssn FROM customers", simple(dialect), {"token": {"domain": "person"}})
    assert refusal.value.code == "policy.mask"
    assert "token" in refusal.value.message


@pytest.mark.parametrize(
    ("dialect", "known", "unknown"),
    [
        ("tsql", ("customers", "CUSTOMERS", "[Customers]", "DBO.customers"), ("other.customers",)),
        ("snowflake", ("customers", "Customers", '"CUSTOMERS"', "PUBLIC.customers"), ('"customers"', '"Public".customers')),
        ("bigquery", ("customers", "`customers`", "dataset.customers"), ("other.customers", "`dataset.customers*`")),
        ("trino", ("customers", "CUSTOMERS", '"customers"', '"default".customers'), ('"CUSTOMERS"', "other.customers")),
    ],
)  # fmt: skip
def test_names_are_compared_as_the_engine_does(dialect, known, unknown):
    for name in known:
        assert "'***'" in ask(f"SELECT ssn FROM {name}", simple(dialect))
    for name in unknown:
        with pytest.raises(Refuse) as refusal:
            ask(f"SELECT ssn FROM {name}", simple(dialect))
        assert refusal.value.code == "sql.relation"


@pytest.mark.parametrize("dialect", ["tsql", "bigquery"])
def test_relations_that_differ_in_case_only_need_their_own_spelling(dialect):
    """BigQuery's tables, and T-SQL's under some collations, are told apart by case."""
    schema = DIALECTS[dialect].default_schema
    first = Relation(schema, "people", (Column("id", ""), Column("ssn", "")))
    catalog = Catalog("shop", dialect, schema, (first, replace(first, name="People")))
    assert "people" in ask("SELECT id FROM people", catalog)
    assert "People" in ask("SELECT id FROM People AS x", catalog)
    assert "People" in ask(f"SELECT id FROM {schema}.People AS x", catalog)
    with pytest.raises(Refuse, match="PEOPLE"):
        ask("SELECT id FROM PEOPLE", catalog)


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("tsql", "SELECT * FROM dbo.STRING_SPLIT('a', ',')"),
        ("bigquery", "SELECT * FROM dataset.UNNEST([1])"),
        ("trino", 'SELECT * FROM "default".unnest(ARRAY[1])'),
        ("snowflake", "SELECT * FROM PUBLIC.FLATTEN(1)"),
    ],
)
def test_a_qualified_table_function_is_somebodys_own(dialect, sql):
    with pytest.raises(Refuse) as refusal:
        ask(sql, simple(dialect))
    assert refusal.value.code == "sql.table_function"


@pytest.mark.parametrize("dialect", TYPES)
@pytest.mark.parametrize("value", ["it's", "back\\slash'", "a\nb", "''", "$$", "{{x}}", "ü 'İ'", "--", "/*", "\\"])
def test_parameters_become_literals_that_hold_the_same_text(dialect, value):
    text = ask("SELECT :value AS v FROM customers WHERE id > :least", simple(dialect), value=value, least=-1)
    (tree,) = DIALECTS[dialect].parse(text)
    assert tree.expressions[0].this.this == value
    assert tree.find(exp.Neg).this.this == "1"


def test_what_sqlglot_would_turn_into_something_else():
    tsql, snowflake = simple("tsql"), simple("snowflake")
    with pytest.raises(Refuse, match="datename"):
        ask("SELECT DATENAME(quarter, GETDATE())", tsql)
    assert "SQUARE(" in ask("SELECT SQUARE(id) FROM customers", tsql)
    assert "EOMONTH([x], 1)" in ask("SELECT EOMONTH(x, 1) FROM (SELECT GETDATE() AS x) AS t", tsql)
    assert "TO_TIMESTAMP_LTZ(1)" in ask("SELECT TO_TIMESTAMP_LTZ(1)", snowflake)
    assert "'aB'" in ask("SELECT {'aB': id} FROM customers", snowflake)


SCRIPTS = {
    "tsql": """USE [shop]
GO
SET ANSI_NULLS ON
GO
CREATE TABLE [dbo].[orders](
 [id] [int] IDENTITY(1,1) NOT NULL, [at] [datetime2](7) NULL, [a]]b] [nvarchar](max) COLLATE Latin1_General_CI_AS NULL,
 CONSTRAINT [PK_orders] PRIMARY KEY CLUSTERED ([id] ASC) WITH (PAD_INDEX = OFF) ON [PRIMARY]
) ON [PRIMARY]
GO
CREATE VIEW [dbo].[v] (a, b) WITH SCHEMABINDING AS SELECT id, at FROM dbo.orders
GO""",
    "snowflake": """create or replace table shop.public.orders (
 id number(38,0) not null autoincrement, at timestamp_ntz(9) default current_timestamp(), "aB" variant, primary key (id)
) cluster by (id) comment = 'x';
create or replace secure view v (a, b) as select id, at from orders;""",
    "bigquery": """CREATE TABLE `shop.sales.orders` (
 id INT64 NOT NULL OPTIONS(description="x"), at TIMESTAMP, items ARRAY<STRUCT<sku STRING, n INT64>>)
PARTITION BY DATE(at) CLUSTER BY id OPTIONS(description="orders");
CREATE OR REPLACE VIEW `shop.sales.v` AS SELECT id AS a, at AS b FROM `shop.sales.orders`;""",
    "trino": """CREATE TABLE hive.sales.orders (
 id bigint COMMENT 'x', at timestamp(3) with time zone, r row(a integer, b varchar))
WITH (format = 'ORC', partitioned_by = ARRAY['at']);
CREATE VIEW hive.sales.v SECURITY INVOKER AS SELECT id AS a, at AS b FROM hive.sales.orders;""",
}
READ = {
    "tsql": ("dbo", ["id", "at", "a]b"], ["a", "b"], (), "SELECT a, b FROM dbo.v"),
    "snowflake": ("PUBLIC", ["ID", "AT", "aB"], ["A", "B"], ("SHOP",), "SELECT a, b FROM shop.public.v"),
    "bigquery": ("sales", ["id", "at", "items"], ["a", "b"], ("shop",), "SELECT a, b FROM shop.sales.v"),
    "trino": ("sales", ["id", "at", "r"], ["a", "b"], ("hive",), "SELECT a, b FROM hive.sales.v"),
}


@pytest.mark.parametrize("dialect", SCRIPTS)
def test_scripts_as_they_are_exported(dialect):
    schema, columns, view, databases, sql = READ[dialect]
    catalog = catalog_of(SCRIPTS[dialect], dialect=dialect, source="shop")
    orders, v = catalog.relations
    assert (orders.schema, orders.name.lower(), v.name.lower()) == (schema, "orders", "v")
    assert [column.name for column in orders.columns] == columns
    assert [column.name for column in v.columns] == view
    assert catalog.databases == databases
    assert all(column.type for column in orders.columns)
    assert re.search(r"orders\W", ask(sql, catalog).lower())


def test_a_script_of_two_databases_is_refused():
    with pytest.raises(ConfigError, match="several databases"):
        catalog_of("CREATE TABLE a.s.t (id int); CREATE TABLE b.s.t (id int)", dialect="trino", source="shop")


def test_a_view_with_a_star_is_refused_where_columns_cannot_be_listed():
    script = "CREATE TABLE dataset.t (id INT64, ssn STRING); CREATE VIEW dataset.v AS SELECT * FROM dataset.t"
    with pytest.raises(Refuse) as refusal:
        ask("SELECT id FROM v", catalog_of(script, dialect="bigquery", source="shop"))
    assert refusal.value.code == "sql.view"


@pytest.mark.parametrize(("dialect", "kind"), [("bigquery", "BYTES"), ("bigquery", "JSON"), ("trino", "json")])
def test_what_may_have_no_text_is_never_read_as_text(dialect, kind):
    catalog = catalog_of(f"CREATE TABLE t (id INT, ssn {kind})", dialect=dialect, source="shop")
    assert "CAST(NULL AS " in ask("SELECT ssn FROM t", catalog, "last4")


@pytest.mark.parametrize("unit", ["`a b`", "'DAY\u00a0x'", "'DAY), (SELECT 1'", "`DAY) -- `"])
def test_a_part_of_a_date_is_a_plain_word(unit):
    """BigQuery's DATE_TRUNC writes its second argument as it is, without quotes."""
    with pytest.raises(Refuse) as refusal:
        ask(f"SELECT DATE_TRUNC(ssn, {unit}) FROM customers", simple("bigquery"))
    assert refusal.value.code == "sql.node"


def test_a_column_that_is_written_without_quotes_is_refused():
    builder = Builder(
        simple("bigquery"), Policy(version=1, default="keep"), (), DIALECTS["bigquery"], simple("bigquery")
    )
    _prove(DIALECTS["bigquery"].parse("SELECT `id`")[0], builder)
    with pytest.raises(Refuse) as refusal:
        _prove(DIALECTS["bigquery"].parse("SELECT id")[0], builder)
    assert refusal.value.code == "sql.rewrite"


@pytest.mark.parametrize("dialect", TYPES)
def test_pivot_is_a_clause_and_no_statement(dialect):
    with pytest.raises(Refuse) as refusal:
        ask("PIVOT customers ON ssn USING count(*)", simple(dialect))
    assert refusal.value.code in {"sql.root", "sql.parse", "sql.argument"}
