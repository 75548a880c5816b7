"""What a policy does not do, or does otherwise than it seems."""

import pytest

from agent.core.catalog import Catalog, Column, Relation
from agent.masking.lint import findings
from agent.masking.policy import Policy

CATALOG = Catalog(
    "shop",
    "duckdb",
    "main",
    (
        Relation("main", "customers", (Column("id", "INTEGER"), Column("vip", "BOOLEAN"), Column("email", "VARCHAR"))),
        Relation("main", "totals", (Column("n", "BIGINT"),), "materialized"),
    ),
)
KEEP = {"match": "*.*.*.*", "rule": "keep"}
EMAIL = {"match": "*.*.*.email", "rule": "redact"}
TOKEN = {"token": {"domain": "d"}}
KEYS = {"token": "env:A", "token_previous": "env:B"}


def said(rules=(), *, roles=None, catalogs=(CATALOG,), **more):
    policy = Policy.model_validate({"version": 1, "default": "keep", "rules": list(rules), **more})
    return [(one.level, one.rule, one.text) for one in findings(policy, catalogs, roles)]


@pytest.mark.parametrize(
    ("given", "level", "rule", "part"),
    [
        ({}, "warning", None, "Nothing is masked"),
        ({"rules": [KEEP, EMAIL]}, "warning", 1, "Never decides: match *.*.*.* above it"),
        ({"rules": [EMAIL, {"match": "*.*.*.EMAIL", "rule": "keep"}]}, "warning", 1, "above it"),
        ({"rules": [EMAIL, {"match": "*.*.*.em*", "rule": "keep"}]}, "warning", 1, "other rules come first"),
        ({"rules": [{"match": "*.*.*.nothing", "rule": "keep"}]}, "warning", 0, "names no column"),
        ({"rules": [{"match": "*.*.*.vip", "rule": TOKEN}], "keys": {"token": "env:A"}}, "warning", 0, "few values"),
        ({"rules": [{"match": "*.*.*.email", "rule": TOKEN}], "keys": KEYS}, "note", None, "previous key"),
        (
            {"rules": [{"match": "*.*.*.email", "rule": {"token": {"domain": "d", "key": "previous"}}},
                       {"match": "*.*.*.id", "rule": TOKEN}], "keys": KEYS},
            "note", None, "made with two keys",
        ),
        ({"rules": [EMAIL], "subjects": {"*.*.customers": "id"}}, "warning", None, "counts nobody"),
        ({"rules": [EMAIL], "subjects": {"*.*.customers": "nr"}, "min_group_size": 5}, "error", None, "no column nr"),
        ({"rules": [EMAIL], "subjects": {"*.*.people": "id"}, "min_group_size": 5}, "error", None, "matches no relation"),
        ({"rules": [EMAIL], "subjects": {"*.*.customers": "id"}, "min_group_size": 2}, "note", None, "are small"),
        ({"rules": [{**EMAIL, "unless_roles": ["boss", "clerk"]}], "roles": ["clerk"]}, "warning", 0, "may assert boss"),
        ({"rules": [EMAIL], "tables": {"allow": ["shop.*.custs"]}}, "warning", None, "shop.*.custs matches no relation"),
        ({"rules": [EMAIL]}, "note", None, "shop.main.totals holds rows of its own"),
        ({"rules": [EMAIL], "tags": {"pii": ["*.*.*.ssn"]}}, "warning", None, "names no column"),
        ({"rules": [EMAIL], "tags": {"pii": ["*.*.*.email"]}}, "note", None, "No rule uses the tag pii"),
        ({"rules": [{"tag": "open", "rule": "keep"}], "tags_from_comments": True}, "warning", 0, "cannot open"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_found(given, level, rule, part):
    assert any((one[0], one[1]) == (level, rule) and part in one[2] for one in said(**given)), said(**given)


def test_nothing_to_say():
    sound = {"rules": [EMAIL, {"match": "shop.*.*.*", "rule": "keep"}], "tables": {"allow": ["*.*.*", "shop.*.totals"]}}
    assert said(**sound, subjects={"*.*.customers": "id"}, min_group_size=5, roles=[]) == []


def test_patterns_for_sources_that_were_not_looked_at_are_left_alone():
    rules = [EMAIL, {"match": "crm.*.*.email2", "rule": "redact"}]
    found = said(rules, tables={"allow": ["*.*.*", "crm.*.*", "shop.*.totals"], "deny": ["crm.x.y"]})
    assert found == []


def test_without_catalogs_only_the_policy_is_looked_at():
    assert [one[1] for one in said([KEEP, EMAIL, {"match": "*.*.*.nothing", "rule": "redact"}], catalogs=())] == [1, 2]
