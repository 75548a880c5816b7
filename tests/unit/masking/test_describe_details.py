"""The description of a catalog, to its edges: the head, bands, keys, and rules beneath views of views."""

from dataclasses import replace
from typing import Any

import pytest

from agent.core.catalog import Catalog, Column, ForeignKey, Relation
from agent.dialects import DIALECTS
from agent.masking.describe import Asking, comment, countable, described, frequent
from agent.masking.policy import Policy

BASE = Relation(
    "s", "base",
    (Column("id", "INT"), Column("ssn", "TEXT"), Column("pay", "INT"), Column("mood", "TEXT", labels=("a", "b"))),
    primary_key=("id",), rows=100,
)  # fmt: skip


def view(name: str, columns: str, definition: str) -> Relation:
    return Relation("s", name, tuple(Column(one, "") for one in columns.split()), "view", definition)


VIEWS = (
    view("v1", "id who", "SELECT id, ssn AS who FROM s.base"),
    view("v2", "k w", "SELECT id AS k, who AS w FROM s.v1"),
    view("v3", "k w p", "SELECT v.k, v.w || 'x' AS w, b.pay + b.id AS p FROM s.v2 AS v JOIN s.base AS b ON b.id = v.k"),
    view("v4", "both", "SELECT ssn || pay AS both FROM s.base"),
)
CATALOG = Catalog("shop", "duckdb", "s", (BASE, *VIEWS))
RULES = [{"match": "*.*.base.ssn", "rule": "last4"}, {"match": "*.*.base.pay", "rule": {"round": 1}}]


def policy(**more: Any) -> Policy:
    return Policy.model_validate({"version": 1, "default": "keep", "rules": RULES, **more})


def told(given: Policy, catalog: Catalog = CATALOG, **asked: Any) -> dict[str, dict[str, Any]]:
    return {str(one["name"]): one for one in described(catalog, given, Asking(**asked), {})[1]}


def masks(given: Policy, name: str) -> list[str]:
    return [one["mask"] for one in told(given)[name]["columns"]]


@pytest.mark.parametrize("name", ["duckdb", "postgres", "oracle"])
def test_the_head_says_what_a_statement_may_be(name: str) -> None:
    dialect = DIALECTS[name]
    release = {"max_rows": 77, "require_aggregate": True}
    given = policy(release=release, subjects={"*.*.base": "id"}, min_group_size=5)
    head, _ = described(replace(CATALOG, dialect=name, relations=()), given, Asking(), {})
    assert head == {
        "version": 1,
        "source": "shop",
        "dialect": name,
        "default_schema": "s",
        "names": dialect.case,
        "parameters": ":name",
        "max_rows": 77,
        "min_group_size": 5,
        "require_aggregate": True,
        "may_use": {
            "statement": "one SELECT, WITH, VALUES or set operation",
            "functions": sorted(dialect.functions),
            "without_brackets": sorted(dialect.bare_functions),
            "table_functions": sorted(dialect.table_functions),
            "cast_targets": sorted(dialect.casts),
        },
    }


def test_rules_come_through_views_of_views() -> None:
    assert masks(policy(), "v1") == ["keep", "last4"]
    assert masks(policy(), "v2") == ["keep", "last4"]
    assert masks(policy(), "v3") == ["keep", "last4", "round"]
    assert masks(policy(), "v4") == ["last4"]


def test_the_strongest_of_the_views_own_rule_and_what_is_beneath_counts() -> None:
    own = [{"match": "*.*.v1.who", "rule": "redact"}, *RULES]
    assert masks(policy(rules=own), "v1") == ["keep", "redact"]
    assert masks(policy(rules=own), "v2") == ["keep", "redact"]
    assert masks(policy(rules=own), "v4") == ["last4"]
    weak = [{"match": "*.*.v1.who", "rule": {"round": 1}}, {"match": "*.*.base.ssn", "rule": "redact"}]
    assert masks(policy(rules=weak), "v1")[1] == "redact"


def test_rows_of_people_are_marked_also_through_views() -> None:
    people = policy(subjects={"*.*.base": "id"}, min_group_size=3)
    found = told(people)
    assert {name for name, one in found.items() if one.get("groups_only")} == {"base", "v1", "v2", "v3", "v4"}
    assert "groups_only" not in told(policy())["base"]


@pytest.mark.parametrize(
    ("share", "band"),
    [(0.0, "<1%"), (0.0099, "<1%"), (0.01, "1-10%"), (0.1, "10-50%"), (0.4999, "10-50%"), (0.5, "50-90%"), (0.9, ">90%"),
     (1.0, ">90%")],
)  # fmt: skip
def test_shares_of_nulls_are_bands(share: float, band: str) -> None:
    known = Catalog("shop", "duckdb", "s", (Relation("s", "t", (Column("a", "INT", nulls=share),)),))
    assert told(policy(), known)["t"]["columns"] == [{"name": "a", "type": "INT", "mask": "keep", "nulls": band}]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("enum('a(','b')", "enum"), ("varchar(20)", "varchar(20)"), ("decimal(1,(2))", "decimal(1,(2))"),
        ("set ('x') y('z')", "set "), ("'a'", "'a'"), ("x" * 400, "x" * 300), ("a\nb\u202ec", "a b c"),
    ],
)  # fmt: skip
def test_a_type_is_told_without_what_it_quotes(raw: str, shown: str) -> None:
    known = Catalog("shop", "duckdb", "s", (Relation("s", "t", (Column("a", raw),)),))
    assert told(policy(), known)["t"]["columns"][0]["type"] == shown


@pytest.mark.parametrize(("length", "shown"), [(199, 199), (200, 200), (201, 200), (1600, 200), (1700, 200)])
def test_a_comment_is_cut(length: int, shown: int) -> None:
    found = comment("x" * length)
    assert len(found) == shown
    assert found.endswith("…") == (length > 200)
    assert comment(" " * 1599 + "yz") == "y"


def test_keys_are_told_where_both_ends_are() -> None:
    key = ForeignKey(("base_id", "n"), "s", "base", ("id", "pay"))
    child = Relation(
        "s", "child", (Column("base_id", "INT"), Column("n", "INT")), primary_key=("base_id", "n"), foreign_keys=(key,),
        parents=(("s", "v1"), ("s", "base"), ("s", "gone")),
    )  # fmt: skip
    known = replace(CATALOG, relations=(*CATALOG.relations, child))
    one = told(policy(), known)["child"]
    assert one["primary_key"] == ["base_id", "n"]
    assert one["foreign_keys"] == [
        {"columns": ["base_id", "n"], "schema": "s", "relation": "base", "referenced": ["id", "pay"]}
    ]
    assert one["partition_of"] == [{"schema": "s", "relation": "base"}, {"schema": "s", "relation": "v1"}]
    for hidden in ("*.*.child.n", "*.*.base.pay"):
        rest = policy(default="refuse", rules=[{"match": f"*.*.{t}.{c}", "rule": "keep"} for t, c in (
            ("child", "base_id"), ("child", "n"), ("base", "id"), ("base", "pay")) if f"*.*.{t}.{c}" != hidden])  # fmt: skip
        found = told(rest, known)["child"]
        assert "foreign_keys" not in found
        assert ("primary_key" in found) == (hidden == "*.*.base.pay")


def test_values_are_counted_of_tables_that_are_asked_for() -> None:
    allowed = policy(catalog={"enum_values": True})
    more = Relation("S2", "Other One", (Column("plain", "TEXT"), Column("Mood", "TEXT", labels=("x",))))
    labelled = Relation("s", "v9", (Column("m", "", labels=("x",)),), "view", "SELECT mood FROM s.base")
    known = replace(CATALOG, relations=(VIEWS[0], labelled, Relation("s", "none", (Column("x", "INT"),)), BASE, more))
    found = list(countable(known, allowed, Asking()))
    assert [name for name, _, _ in found] == [("s", "base", "mood"), ("S2", "Other One", "Mood")]
    assert found[1][2] == 'SELECT "Mood", COUNT(*) FROM "S2"."Other One" GROUP BY "Mood"'
    assert [name[0] for name, _, _ in countable(known, allowed, Asking(relations=("s2.*",)))] == ["S2"]
    assert list(countable(known, policy(), Asking())) == []


@pytest.mark.parametrize(("least", "counted", "kept"), [(1, 9, False), (1, 10, True), (11, 10, False), (11, 11, True)])
def test_a_label_is_told_that_occurs_often_enough(least: int, counted: int, kept: bool) -> None:
    given = policy(min_group_size=least, subjects={"*.*.base": "id"}) if least > 1 else policy()
    column = Column("mood", "TEXT", labels=("b", "a", "7"))
    assert frequent(column, [("a", counted), (7, 99), ("b", "99"), ("z", 99)], given) == (
        ("a", "7") if kept else ("7",)
    )
