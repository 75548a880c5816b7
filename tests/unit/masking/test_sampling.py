"""The statement of a survey: some rows of some columns of one table, as they are."""

import pytest

from agent.core.catalog import Catalog, Column, Relation
from agent.core.errors import Refuse
from agent.masking.policy import Policy
from agent.masking.sampling import sample

TABLE = Relation("Sales", "Some Table", (Column("Id", "INT"), Column("e-mail", "TEXT"), Column("n", "INT")))


def catalog(dialect):
    return Catalog("shop", dialect, "main", (TABLE, Relation("main", "Some Table", (Column("x", "INT"),))))


@pytest.mark.parametrize(
    ("dialect", "written"),
    [
        ("duckdb", ('SELECT "e-mail", "Id" FROM (SELECT "Id" AS "Id", "e-mail" AS "e-mail" FROM "Sales"."Some Table")'
                   ' AS "Some Table" LIMIT 7')),
        ("mysql", ("SELECT `e-mail`, `Id` FROM (SELECT `Id` AS `Id`, `e-mail` AS `e-mail` FROM `Sales`.`Some Table`)"
                  " AS `Some Table` LIMIT 7")),
    ],
)  # fmt: skip
def test_it_reads_what_was_asked_for_and_nothing_else(dialect, written):
    made = sample(TABLE, ["e-mail", "Id"], 7, catalog(dialect))
    assert made.sql == written
    assert (made.parameters, made.variables) == ({}, {})
    assert made.disclosure.source == "shop"
    assert made.disclosure.relations == ("Sales.Some Table",)
    assert made.disclosure.columns == {"Sales.Some Table.Id": "keep", "Sales.Some Table.e-mail": "keep"}


def test_the_dialect_limits_rows_in_its_own_words():
    assert "TOP 3" in sample(TABLE, ["n"], 3, catalog("tsql")).sql


def test_a_table_that_is_not_in_the_catalog_is_not_read():
    with pytest.raises(Refuse):
        sample(Relation("other", "t", TABLE.columns), ["n"], 3, catalog("duckdb"))


RULES = [
    {"match": "shop.main.t.a", "rule": "redact", "unless_roles": ["boss"]},
    {"match": "*.*.*.b", "type": "varchar*", "rule": "last4"},
    {"match": "*.Other.*.*", "rule": "null"},
]


@pytest.mark.parametrize(
    ("path", "roles", "type_text", "rule"),
    [
        (("shop", "main", "t", "a"), (), "", "redact"),
        (("SHOP", "Main", "T", "A"), (), "", "redact"),
        (("shop", "main", "t", "a"), ("boss",), "", "keep"),
        (("shop2", "main", "t", "a"), (), "", None),
        (("shop", "main2", "t", "a"), (), "", None),
        (("shop", "main", "t2", "a"), (), "", None),
        (("shop", "main", "t", "b"), (), "VARCHAR(3)", "last4"),
        (("shop", "main", "t", "b"), (), "INTEGER", None),
        (("shop", "other", "main", "x"), (), "", "null"),
        (("shop", "x", "other", "x"), (), "", None),
    ],
)
def test_the_rule_of_a_column_by_its_path(path, roles, type_text, rule):
    policy = Policy.model_validate({"version": 1, "default": "refuse", "rules": RULES})
    found = policy.rule_for(path, roles, type_text)
    assert (None if found is None else found.rule) == rule
