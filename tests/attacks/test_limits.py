"""Statements made to be slow, deep or large end soon, with a plan or a refusal."""

import time
from dataclasses import replace

import pytest

from agent.core.catalog import Catalog, Column, Relation
from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.dialects import DIALECTS
from agent.masking.ddl import catalog_of
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare

SECONDS = 4  # of processor time, on a slow machine; the heaviest takes a third
DDL = "CREATE TABLE a (id INTEGER, x VARCHAR, y DATE, z DECIMAL(12,2));"
MASKS = {"x": "last4", "y": "year", "z": {"bucket": 10}}

MADE = {
    "comments": "/**/" * 60 + "SELECT 1",
    "comments and no word": "/*a*/ " * 10_000,
    "spaces": " " * 65_000 + "x",
    "an exponent cut short": "SELECT " + "1" * 60_000 + "e+",
    "underscores": "SELECT " + "1_" * 30_000,
    "a long number": "SELECT 1 LIMIT " + "9" * 60_000,
    "a long name": "SELECT * FROM " + "a" * 65_000,
    "type words": "SELECT " + "DECIMAL(" * 190 + "1" + ")" * 190,
    "type words and square brackets": "SELECT " + "ARRAY[" * 190 + "1" + "]" * 190,
    "type words and both brackets": "SELECT " + "INT[DATE(" * 90 + "1" + ")]" * 90,
    "few type words and square brackets": "SELECT " + "ARRAY[" * 13 + "1" + "]" * 13,
    "struct words": "SELECT " + "STRUCT(a, " * 190 + "1" + ")" * 190,
    "type words among brackets": "SELECT " + "f(INT(" * 90 + "1" + "))" * 90,
    "many short nests of type words": "SELECT " + ", ".join(["INT(INT(INT(INT(INT(1)))))"] * 2_000),
    "angle brackets and names": "SELECT " + "STRUCT<a " * 6_000 + "INT" + ">" * 6_000 + "(1)",
    "angle brackets": "SELECT CAST(1 AS " + "ARRAY<" * 6_000 + "INT" + ">" * 6_000 + ")",
    "sums": "SELECT " + "+".join(["1"] * 8_000),
    "conditions": "SELECT 1 WHERE " + " AND ".join(["1 = 1"] * 4_000),
    "minuses": "SELECT " + "-a" * 8_000,
    "IS NULL": "SELECT 1" + " NOTNULL" * 7_000,
    "IN": "SELECT 1" + " IN (1)" * 1_900,
    "BETWEEN": "SELECT 1" + " BETWEEN 1 AND 2" * 3_500,
    "arrows": "SELECT x" + "->>'b'" * 7_000 + " FROM a",
    "subscripts": "SELECT a" + "[1]" * 390,
    "dots": "SELECT a" + ".b" * 5_900,
    "lambdas": "SELECT list_filter([1], " + "x -> " * 390 + "1)",
    "joins": "SELECT 1 FROM a" + " JOIN a ON 1 = 1" * 900,
    "joins nested": "SELECT 1 FROM a" + " JOIN a" * 900 + " ON 1 = 1" * 900,
    "tables": "SELECT 1 FROM " + ", ".join(["a"] * 8_000),
    "tables with masks": "SELECT x, y, z FROM " + ", ".join(["a"] * 8_000),
    "unions": " UNION ALL ".join(["SELECT x FROM a"] * 2_500),
    "common tables": "WITH " + ", ".join(f"c{n} AS (SELECT 1 FROM c{n - 1})" for n in range(1, 1_500)) + " SELECT 1",
    "sub-selects": "SELECT * FROM " + "(SELECT * FROM " * 190 + "a" + ")" * 190,
    "paths": "SELECT json_extract('{}', '$" + ".a" * 20_000 + "')",
    "strings": "SELECT " + "'a' " * 16_000,
    "semicolons": ";" * 16_000,
}


def ask(sql, catalog, rules=MASKS):
    lines = [{"match": f"*.*.*.{name}", "rule": rule} for name, rule in rules.items()]
    policy = Policy.model_validate({"version": 1, "default": "keep", "rules": lines})
    task = SqlTask(source=SourceName("shop"), statement=sql, parameters={})
    began = time.process_time()
    try:
        size = len(prepare(task, catalog, policy, roles=(), token_key=None, tenant="t").sql)
    except Refuse:
        size = 0
    assert time.process_time() - began < SECONDS
    return size


@pytest.mark.parametrize("dialect", ["duckdb", "sqlite", pytest.param("postgres", marks=pytest.mark.full)])
@pytest.mark.parametrize("sql", MADE.values(), ids=MADE.keys())
def test_ends_soon(sql, dialect):
    assert ask(sql[:65_536], catalog_of(DDL, dialect=dialect, source="shop")) < 2_000_000


@pytest.mark.parametrize("dialect", ["redshift", "bigquery"])
def test_grammars_that_copy_what_a_from_reads(dialect):
    catalog = catalog_of(DDL, dialect=dialect, source="shop")
    nested = "(SELECT * FROM " * 180 + "a" + ") AS x" * 180
    assert not ask(f"SELECT 1 FROM {', '.join([nested] * 16)}", catalog)
    wide = "(SELECT * FROM " * 40 + "(SELECT id FROM a) AS y" + ") AS x" * 40
    assert ask(f"SELECT 1 FROM {wide}", catalog)


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@pytest.mark.parametrize("word", ["ARRAY", "LIST", "INT", "DATE"])
def test_what_stands_in_square_brackets_behind_a_type_word_is_read_again(dialect, word):
    catalog = catalog_of(DDL, dialect=dialect, source="shop")
    for levels in (11, 40):
        ask("SELECT " + f"{word}[" * levels + "1" + "]" * levels + " FROM a", catalog)


@pytest.mark.parametrize("dialect", ["oracle", "tsql", "trino", "databricks"])
def test_types_in_angle_brackets_that_a_grammar_tries_again_at_each(dialect):
    catalog = catalog_of(DDL, dialect=dialect, source="shop")
    assert not ask("SELECT " + "STRUCT<a " * 6_000 + "INT" + ">" * 6_000 + "(1) FROM a", catalog)


@pytest.mark.parametrize("links", [8, 18, 300])
def test_a_grammar_that_writes_type_words_around_type_words(links):
    """BigQuery's generator makes TIMESTAMP(DATETIME(…)) of each AT TIME ZONE, which is read 4^links times."""
    catalog = catalog_of(DDL, dialect="bigquery", source="shop")
    assert not ask(f"SELECT id{' AT TIME ZONE $1' * links} FROM a".replace("$1", "'UTC'"), catalog)


def test_views_that_double_are_refused_before_they_fill_the_memory():
    script = DDL + "CREATE VIEW v0 AS SELECT * FROM a;"
    script += "".join(
        f"CREATE VIEW v{n} AS SELECT p.* FROM v{n - 1} AS p JOIN v{n - 1} AS q ON p.id = q.id;" for n in range(1, 15)
    )
    catalog = catalog_of(script, dialect="duckdb", source="shop")
    assert ask("SELECT * FROM v3", catalog)
    assert not ask("SELECT * FROM v14", catalog)


@pytest.mark.full
def test_a_wide_table_and_a_broad_catalog():
    wide = Relation("main", "wide", tuple(Column(f"c{n}", "VARCHAR") for n in range(2_000)))
    others = tuple(replace(wide, name=f"t{n}", columns=wide.columns[:20]) for n in range(2_000))
    catalog = Catalog("shop", "duckdb", "main", (wide, *others))
    assert ask("SELECT * FROM wide", catalog, {"c*": "last4"})
    assert not ask(" UNION ALL ".join(["SELECT * FROM wide"] * 50), catalog, {"c*": "last4"})
    assert ask("SELECT 1 FROM " + ", ".join(f"t{n}" for n in range(2_000)), catalog)
    assert not ask("SELECT 1 FROM nowhere", catalog)
