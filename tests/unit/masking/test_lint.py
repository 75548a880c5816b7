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


@pytest.mark.parametrize(
    ("first", "later", "covered"),
    [
        ({"match": "*.*.*.email"}, {"match": "*.*.*.email"}, True),
        ({"match": "*.*.*.*"}, {"match": "shop.*.t.email"}, True),
        ({"match": "*.*.*.*"}, {"match": "*.*.*.email", "type": "text"}, True),
        ({"match": "*.*.*.email", "type": "text"}, {"match": "*.*.*.email"}, False),
        ({"match": "*.*.*.email", "type": "text"}, {"match": "*.*.*.email", "type": "text"}, True),
        ({"match": "*.*.*.*", "tag": "t"}, {"match": "*.*.*.email"}, False),
        ({"type": "text"}, {"match": "*.*.*.email"}, False),
        ({"match": "*.*.*.*"}, {"type": "text"}, False),
        ({"match": {"regex": ".*"}}, {"match": "*.*.*.email"}, False),
        ({"match": "*.*.*.*"}, {"match": {"regex": ".*"}}, False),
        ({"match": "*.*.*.e*"}, {"match": "*.*.*.email"}, False),
        ({"match": "*.*.people.*"}, {"match": "*.*.*.email"}, False),
    ],
)
def test_a_line_covers_a_later_one_where_its_text_says_so(first, later, covered):
    found = said([{**first, "rule": "redact"}, {**later, "rule": "keep"}], catalogs=(), tags={"t": ["*.*.*.x"]})
    assert any(one[1] == 1 and "above it" in one[2] for one in found) == covered


def test_patterns_for_sources_that_were_not_looked_at_are_left_alone():
    rules = [EMAIL, {"match": "crm.*.*.email2", "rule": "redact"}]
    found = said(rules, tables={"allow": ["*.*.*", "crm.*.*", "shop.*.totals"], "deny": ["crm.x.y"]})
    assert found == []


def test_without_catalogs_only_the_policy_is_looked_at():
    assert [one[1] for one in said([KEEP, EMAIL, {"match": "*.*.*.nothing", "rule": "redact"}], catalogs=())] == [1, 2]


WHOLE = [
    ("note", None, "Groups of 2 people are small: sums and spreads together can tell their values.", "Set min_group_size to 5 or more."),
    ("note", None, "No rule uses the tag pii.", "Write a rule with it, or remove it."),
    ("note", None, "Tokens of the domain d are made with two keys: columns of one do not join those of the other.", "Move the rest of the columns to the current key."),
    ("warning", None, "tables.deny: shop.*.old matches no relation.", "Correct the pattern, or remove it."),
    ("note", None, "shop.main.totals holds rows of its own, and is not readable.", "To open it, name it in tables.allow, without a wildcard."),
    ("error", None, "subjects: shop.main.customers has no column nr: every statement over it is refused.", "Correct the column, or the pattern."),
    ("error", None, "subjects: *.*.people matches no relation: nobody is counted by it.", ""),
    ("warning", None, "tags: *.*.*.ssn of pii names no column.", "Correct it."),
    ("warning", 0, "token on shop.main.customers.vip, which has few values: how often each comes tells which it is.", "Use redact."),
    ("warning", 1, "No key of trust.json may assert aide, boss: nobody is exempt by it.", "Correct the role, or grant it with `agent trust add`."),
    ("warning", 3, "Never decides: match *.*.*.email above it names all that it names.", "Move it up, or remove it."),
    ("warning", 3, "Never decides: other rules come first for all that match *.*.*.EMAIL names.", "Move it up, or remove it."),
    ("warning", 4, "Never decides: other rules come first for all that match *.*.customers.em* and type varchar names.", "Move it up, or remove it."),
    ("warning", 5, "Never decides: a tag in a comment cannot open a column.", "Name the columns under tags, or by match."),
    ("warning", 5, "tag open names no column.", "Correct it, or remove it."),
]  # fmt: skip


def test_every_finding_says_what_and_what_to_do():
    previous = {"token": {"domain": "d", "key": "previous"}}
    rules = [
        {"match": "*.*.*.vip", "rule": TOKEN},
        {"match": "*.*.*.id", "rule": previous, "unless_roles": ["boss", "aide"]},
        EMAIL,
        {"match": "*.*.*.EMAIL", "rule": "keep"},
        {"match": "*.*.customers.em*", "type": "varchar", "rule": "null"},
        {"tag": "open", "rule": "keep"},
    ]
    policy = Policy.model_validate(
        {
            "version": 1,
            "default": "keep",
            "rules": rules,
            "keys": KEYS,
            "min_group_size": 2,
            "subjects": {"*.*.customers": "nr", "*.*.people": "id"},
            "tags": {"pii": ["*.*.*.ssn"]},
            "tags_from_comments": True,
            "tables": {"allow": ["*.*.*"], "deny": ["shop.*.old"]},
        }
    )
    assert [(one.level, one.rule, one.text, one.fix) for one in findings(policy, (CATALOG,), ["clerk"])] == WHOLE


@pytest.mark.parametrize(
    ("given", "text", "fix"),
    [
        ({}, "Nothing is masked: default is keep, without rules.", "Write rules."),
        (
            {"rules": [EMAIL], "subjects": {"*.*.customers": "id"}},
            "subjects counts nobody: min_group_size is 1.",
            "Set min_group_size to 5 or more, or remove subjects.",
        ),
        (
            {"rules": [{**EMAIL, "rule": TOKEN}], "keys": KEYS},
            "No rule uses the previous key of token.",
            "Remove keys.token_previous: the key need not live any longer.",
        ),
    ],
    ids=["nothing masked", "nobody counted", "unused key"],
)
def test_findings_about_the_whole(given, text, fix):
    policy = Policy.model_validate({"version": 1, "default": "keep", **given})
    first = findings(policy, ())[0]
    assert (first.rule, first.text, first.fix) == (None, text, fix)


@pytest.mark.parametrize("size", [5, 6])
def test_groups_of_five_are_not_small(size):
    assert said([EMAIL], catalogs=(), subjects={"*.*.customers": "id"}, min_group_size=size) == []


@pytest.mark.parametrize("type_text", ["BOOLEAN", "ENUM('a', 'b')"])
def test_a_token_over_few_values_is_named(type_text):
    few = Catalog("shop", "duckdb", "main", (Relation("main", "t", (Column("a", "TEXT"), Column("b", type_text))),))
    rules = [{"match": "*.*.*.*", "rule": TOKEN}]
    assert [one[2] for one in said(rules, catalogs=(few,), keys={"token": "env:A"})] == [
        "token on shop.main.t.b, which has few values: how often each comes tells which it is."
    ]


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ({"charts": "spec_only", "chart_formats": ["vega-lite", "png"]}, "names png, which do not leave"),
        ({"charts": "spec_only", "chart_formats": ["svg"]}, "No chart leaves"),
        ({"chart_formats": []}, "No chart leaves"),
        ({"charts": "spec_only"}, ""),
        ({"charts": "off"}, ""),
        ({}, ""),
    ],
)
def test_formats_of_charts_that_do_not_leave_are_told(release: dict[str, object], said: str) -> None:
    policy = Policy.model_validate({"version": 1, "default": "redact", "release": release})
    texts = [one.text for one in findings(policy, []) if "chart" in one.text]
    assert bool(texts) == bool(said)
    assert any(said in text for text in texts) or not said
