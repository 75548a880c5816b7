"""What a source's description tells, and what it keeps to itself."""

import json
from dataclasses import replace
from typing import Any

import pytest

from agent.core.catalog import Catalog, Column, ForeignKey, Relation
from agent.masking.describe import Asking, comment, countable, described, frequent, rows_about, stamped
from agent.masking.policy import Policy

KEY = ForeignKey(("customer_id",), "sales", "customers", ("id",))
CUSTOMERS = Relation(
    "sales",
    "customers",
    (
        Column("id", "INTEGER", nullable=False),
        Column("ssn", "VARCHAR", comment="canary-comment", nulls=0.3),
        Column("city", "VARCHAR", comment="where they live", nulls=0.05),
        Column("mood", "VARCHAR", labels=("sad", "ok", "canary-label")),
    ),
    comment="people",
    primary_key=("id",),
    rows=4321,
)
ORDERS = Relation(
    "sales",
    "orders",
    (Column("id", "INTEGER"), Column("customer_id", "INTEGER"), Column("amount", "DECIMAL(10,2)")),
    primary_key=("id",),
    foreign_keys=(KEY,),
    rows=7,
)
HISTORY = Relation("sales", "salary_history", (Column("salary", "INTEGER"),), comment="canary-denied", rows=99)
PART = Relation("sales", "orders_2024", ORDERS.columns, parents=(("sales", "orders"), ("sales", "gone")))
HIDDEN = Relation("sales", "canary_part", HISTORY.columns, parents=(("sales", "salary_history"),))
VIEW = Relation(
    "sales",
    "loud",
    (Column("id", "INTEGER"), Column("who", "VARCHAR")),
    "view",
    "SELECT id, upper(ssn) AS who FROM sales.customers WHERE ssn <> 'canary-literal'",
)
BROKEN = Relation("sales", "broken", (Column("x", "INTEGER"),), "view", "SELECT salary AS x FROM sales.salary_history")
CATALOG = Catalog("shop", "duckdb", "sales", (ORDERS, CUSTOMERS, HISTORY, PART, HIDDEN, VIEW, BROKEN))


def policy(**more: Any) -> Policy:
    rules = [
        {"match": "*.*.customers.ssn", "rule": "redact", "unless_roles": ["officer"]},
        {"match": "*.*.*.*", "rule": "keep"},
    ]
    given = {"version": 1, "default": "redact", "rules": rules, "tables": {"deny": ["*.*.salary_history"]}, **more}
    return Policy.model_validate(given)


def told(policy: Policy, catalog: Catalog = CATALOG, **asked: Any) -> dict[str, dict[str, Any]]:
    values = asked.pop("values", {})
    head, relations = described(catalog, policy, Asking(**asked), values)
    whole = stamped(head, relations, cut=False)
    return {one["name"]: one for one in json.loads(json.dumps(whole))["relations"]}


def test_names_types_keys_and_masks_are_told_in_order() -> None:
    found = told(policy())
    assert list(found) == ["customers", "loud", "orders", "orders_2024"]
    assert found["customers"] == {
        "schema": "sales",
        "name": "customers",
        "kind": "table",
        "comment": "people",
        "rows": "1k-10k",
        "primary_key": ["id"],
        "columns": [
            {"name": "id", "type": "INTEGER", "mask": "keep", "nullable": False},
            {"name": "ssn", "type": "VARCHAR", "mask": "redact", "comment": "canary-comment"},
            {"name": "city", "type": "VARCHAR", "mask": "keep", "comment": "where they live", "nulls": "1-10%"},
            {"name": "mood", "type": "VARCHAR", "mask": "keep"},
        ],
    }
    assert found["orders"]["foreign_keys"] == [
        {"columns": ["customer_id"], "schema": "sales", "relation": "customers", "referenced": ["id"]}
    ]
    assert found["orders_2024"]["partition_of"] == [{"schema": "sales", "relation": "orders"}]


def test_what_is_denied_or_inside_views_is_not_there() -> None:
    text = json.dumps(told(policy()))
    for secret in ("salary", "broken", "canary-denied", "canary_part", "canary-literal", "canary-label", "upper"):
        assert secret not in text


def test_a_views_columns_have_the_rules_beneath_it() -> None:
    assert [one["mask"] for one in told(policy())["loud"]["columns"]] == ["keep", "redact"]
    assert [one["mask"] for one in told(policy(), roles=["officer"])["loud"]["columns"]] == ["keep", "keep"]


def test_a_role_changes_what_is_told_of_masks() -> None:
    ssn = told(policy(), roles=["officer"])["customers"]["columns"][1]
    assert (ssn["mask"], ssn["nulls"]) == ("keep", "10-50%")


def test_hidden_columns_take_their_keys_along() -> None:
    rules = [{"match": "*.*.orders.*", "rule": "keep"}, {"match": "*.*.customers.city", "rule": "keep"}]
    found = told(policy(default="refuse", rules=rules))
    assert [one["name"] for one in found["customers"]["columns"]] == ["city"]
    assert "primary_key" not in found["customers"]
    assert "foreign_keys" not in found["orders"]
    assert "ssn" not in json.dumps(found)


def test_a_rule_that_does_not_fit_the_type_is_told_as_what_it_becomes() -> None:
    rules = [{"match": "*.*.customers.city", "rule": {"bucket": 10}}, {"match": "*.*.*.*", "rule": "keep"}]
    assert told(policy(rules=rules))["customers"]["columns"][2]["mask"] == "redact"


@pytest.mark.parametrize("switch", ["comments", "row_counts", "null_fractions"])
def test_each_extra_can_be_switched_off(switch: str) -> None:
    word = {"comments": "comment", "row_counts": "rows", "null_fractions": "nulls"}[switch]
    assert f'"{word}"' in json.dumps(told(policy()))
    assert f'"{word}"' not in json.dumps(told(policy(catalog={switch: False})))


def test_relations_are_picked_by_globs() -> None:
    assert list(told(policy(), relations=["SALES.ord*", "*.loud"])) == ["loud", "orders", "orders_2024"]
    assert told(policy(), relations=["*.salary*", "other.*"]) == {}


@pytest.mark.parametrize(
    ("count", "least", "shown"),
    [
        (None, 1, None), (0, 1, None), (9, 1, None), (10, 1, "10-100"), (99, 1, "10-100"), (100, 1, "100-1k"),
        (49, 50, None), (50, 50, "10-100"), (1_234_567, 1, "1M-10M"), (10**12, 1, "1T-10T"), (10**18, 1, "1000000T-10000000T"),
    ],
)  # fmt: skip
def test_counts_are_powers_of_ten(count: int | None, least: int, shown: str | None) -> None:
    made = policy(min_group_size=least, subjects={"*.*.x": "id"}) if least > 1 else policy()
    assert rows_about(count, made) == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand\x1b[31m colour\x00", "two lines and [31m colour"),
        ("right\u202eto left\u2028new", "right to left new"),
        ("  ", ""),
        ("x" * 5000, "x" * 199 + "…"),
    ],
    ids=["plain", "controls", "marks", "blank", "long"],
)
def test_comments_are_data(raw: str, shown: str) -> None:
    assert comment(raw) == shown


def test_a_type_does_not_quote_values() -> None:
    column = Column("m", "enum('canary-a','canary-b')")
    catalog = replace(CATALOG, relations=(Relation("sales", "t", (column, Column("n", "int\x1b[2J(3)"))),))
    types = [one["type"] for one in told(policy(), catalog)["t"]["columns"]]
    assert types == ["enum", "int [2J(3)"]


def test_values_are_counted_only_where_policy_and_rule_allow_it() -> None:
    assert list(countable(CATALOG, policy(), Asking())) == []
    allowed = policy(catalog={"enum_values": True})
    ((name, column, statement),) = countable(CATALOG, allowed, Asking())
    assert name == ("sales", "customers", "mood")
    assert statement == 'SELECT "mood", COUNT(*) FROM "sales"."customers" GROUP BY "mood"'
    assert frequent(column, [("ok", 10), ("sad", 9), (None, 50), ("other", 50)], allowed) == ("ok",)
    found = told(allowed, values={name: ("ok",)})
    assert found["customers"]["columns"][3]["values"] == ["ok"]
    rules = [{"match": "*.*.*.mood", "rule": "redact"}, {"match": "*.*.*.*", "rule": "keep"}]
    masked = policy(catalog={"enum_values": True}, rules=rules)
    assert list(countable(CATALOG, masked, Asking())) == []
    assert "values" not in json.dumps(told(masked, values={name: ("ok",)})["customers"])


def test_the_digest_names_exactly_what_is_told() -> None:
    def digest(catalog: Catalog) -> object:
        return stamped(*described(catalog, policy(), Asking(), {}), cut=False)["digest"]

    def changed(old: Relation, **change: Any) -> Catalog:
        return replace(CATALOG, relations=tuple(replace(r, **change) if r is old else r for r in CATALOG.relations))

    same = digest(CATALOG)
    assert digest(changed(HISTORY, rows=5, comment="other")) == same
    assert digest(changed(VIEW, definition="SELECT id, lower(ssn) AS who FROM sales.customers")) == same
    assert digest(changed(CUSTOMERS, rows=4322)) == same
    assert digest(changed(CUSTOMERS, comment="other")) != same
