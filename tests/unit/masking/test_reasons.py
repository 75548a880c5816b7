"""What is said of each column: its rule, and the line of the policy that made it so."""

import pytest

from agent.core.catalog import Catalog, Column, Relation
from agent.dialects import DIALECTS
from agent.masking.coverage import advice, covered
from agent.masking.policy import Policy
from agent.masking.reasons import Reason, reasons, strongest

DUCKDB = DIALECTS["duckdb"]
COLUMNS = (Column("id", "INTEGER"), Column("email", "VARCHAR"), Column("blob", "BLOB"))
TABLE = Relation("main", "people", COLUMNS)
VIEW = Relation("main", "seen", COLUMNS[:2], "view", definition="SELECT id, email FROM people")
CATALOG = Catalog("shop", "duckdb", "main", (TABLE, VIEW))
RULES = [
    {"match": "*.*.people.email", "rule": "email", "unless_roles": ["boss"]},
    {"match": "*.*.*.blob", "type": "blob", "rule": {"round": 1}},
]


def policy(default="keep", rules=RULES, **more):
    return Policy.model_validate({"version": 1, "default": default, "rules": rules, **more})


def why(relation, given, roles=(), **more):
    return reasons(relation, CATALOG, given, roles, DUCKDB, **more)


def test_each_column_has_its_line_or_the_default():
    assert why(TABLE, policy()) == {
        "id": Reason("keep", "default: keep"),
        "email": Reason("email", "rules[0] (match)"),
        "blob": Reason("redact", "rules[1] (match, type), whose round has no meaning for the type"),
    }


def test_the_words_of_a_line_are_shown_to_the_operator_only():
    assert why(TABLE, policy(), reveal=True)["blob"].why.startswith("rules[1] (match *.*.*.blob, type blob)")


def test_a_role_that_lifts_a_rule_is_said():
    found = why(TABLE, policy(), ["boss"])["email"]
    assert found == Reason("keep", "rules[0] (match), whose email a role of the requester lifts")


def test_a_hidden_column_has_no_reason():
    assert set(why(TABLE, policy("refuse"))) == {"email", "blob"}


def test_a_views_columns_are_masked_beneath_it():
    assert why(VIEW, policy())["email"] == Reason("keep", "view: its columns are masked beneath it")
    line = [{"match": "*.*.seen.email", "rule": "redact"}]
    assert why(VIEW, policy(rules=line))["email"] == Reason("redact", "rules[0] (match)")


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        ([], "keep"),
        (["keep", "round"], "round"),
        (["round", "month", "keep"], "month"),
        (["bucket", "year"], "year"),
        (["year", "last4"], "last4"),
        (["email", "token"], "token"),
        (["token", "redact"], "redact"),
        (["token", "something"], "something"),
    ],
)
def test_the_strongest_rule_shows_least(rules, wanted):
    assert strongest(rules) == wanted
    assert strongest(reversed(rules)) == wanted


def test_every_readable_column_is_covered_with_its_line():
    found = {one.path: (one.rule, one.line) for one in covered(policy(), CATALOG)}
    assert found == {
        "main.people.id": ("keep", None),
        "main.people.email": ("email", 0),
        "main.people.blob": ("round", 1),
        "main.seen.id": ("as beneath", None),
        "main.seen.email": ("as beneath", None),
    }


def test_hidden_columns_and_relations_are_covered_as_such():
    hidden = policy("refuse", tables={"allow": ["*.*.*"], "deny": ["*.*.seen"]})
    assert {one.path: one.rule for one in covered(hidden, CATALOG)} == {
        "main.people.id": None,
        "main.people.email": "email",
        "main.people.blob": "round",
    }


def test_a_sensitive_name_that_is_shown_is_told_with_a_rule_for_it():
    (found,) = advice("shop", covered(policy(rules=[]), CATALOG))
    assert found.line is None
    assert found.text.startswith("shop.main.people.email is shown, and its name looks like ")
    assert found.fix == "Give it a rule before the one that keeps it, such as email."
    kept = [{"match": "*.*.*.email", "rule": "keep"}]
    assert [one.line for one in advice("shop", covered(policy(rules=kept), CATALOG))] == [0]
    assert list(advice("shop", covered(policy(), CATALOG))) == []
