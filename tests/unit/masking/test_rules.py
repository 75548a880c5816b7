"""Which mask each rule asks of a dialect for each kind of column, and with which literals."""

import pytest
from pydantic import TypeAdapter, ValidationError

from agent.masking.rules import AnyRule, Applied, spelled_out
from agent.masking.rules.base import REDACT

KINDS = ("text", "integer", "number", "date", "timestamp", "other")


def spelled(value):
    """A test's name, the same in every process: sets have no order."""
    return str(sorted(value) if isinstance(value, set) else value)


def rule(written):
    return TypeAdapter(AnyRule).validate_python(written)


def asked(written):
    return {kind: rule(written).applied(kind) for kind in KINDS}


@pytest.mark.parametrize("written", ["redact", "null", "keep"])
def test_some_rules_are_the_same_for_every_kind(written):
    assert asked(written) == dict.fromkeys(KINDS, Applied(written))


@pytest.mark.parametrize(
    ("written", "fits", "wanted"),
    [
        ({"bucket": 10}, {"integer", "number"}, Applied("bucket", {"width": 10})),
        ({"bucket": 0.5}, {"integer", "number"}, Applied("bucket", {"width": 0.5})),
        ({"round": 2}, {"integer", "number"}, Applied("round", {"digits": 2})),
        ({"round": 0}, {"integer", "number"}, Applied("round_to", {"unit": 1})),
        ({"round": -3}, {"integer", "number"}, Applied("round_to", {"unit": 1000})),
        ("email", {"text"}, Applied("email")),
    ],
    ids=spelled,
)
def test_a_rule_that_does_not_fit_the_kind_redacts(written, fits, wanted):
    for kind, applied in asked(written).items():
        assert applied == (wanted if kind in fits else REDACT), kind


@pytest.mark.parametrize("part", ["year", "month"])
def test_a_part_of_a_date_has_a_mask_for_each_kind_of_date(part):
    own = {"date": Applied(f"{part}_date"), "timestamp": Applied(f"{part}_timestamp")}
    assert asked(part) == dict.fromkeys(KINDS, REDACT) | own


@pytest.mark.parametrize("value", ["n/a", 1, 1.5, True])
def test_a_constant_is_the_same_literal_for_every_kind(value):
    assert asked({"constant": value}) == dict.fromkeys(KINDS, Applied("constant", {"value": value}))


@pytest.mark.parametrize(
    ("written", "mask", "literals", "domain"),
    [
        ({"partial": {"keep_first": 2, "keep_last": 3}}, "partial", {"first": 2, "last": 3, "least": 10}, None),
        ({"partial": {"keep_first": 2}}, "partial", {"first": 2, "last": 0, "least": 4}, None),
        ({"partial": {"keep_last": 3}}, "partial_last", {"keep": 3, "least": 6}, None),
        ("last4", "partial_last", {"keep": 4, "least": 8}, None),
        ({"token": {"domain": "email"}}, "token", {}, "email"),
        ({"token": {"domain": "email", "key": "previous"}}, "token", {}, "0email"),
    ],
    ids=spelled,
)
def test_these_rules_read_every_other_kind_as_text(written, mask, literals, domain):
    for kind, applied in asked(written).items():
        assert applied == Applied(mask, literals, as_text=kind != "text", domain=domain), kind


def test_a_width_of_whole_numbers_is_written_without_a_point():
    assert isinstance(rule({"bucket": 10.0}).applied("integer").literals["width"], int)


@pytest.mark.parametrize(
    "written",
    [
        {"partial": {}},
        {"partial": {"keep_first": 33}},
        {"partial": {"keep_first": -1}},
        {"bucket": 0},
        {"bucket": float("inf")},
        {"round": 13},
        {"token": {"domain": "Email"}},
        {"token": {}},
        {"redact": {"more": 1}},
        "shuffle",
    ],
    ids=spelled,
)
def test_rules_without_meaning_are_not_read(written):
    with pytest.raises(ValidationError):
        rule(written)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("redact", {"rule": "redact"}),
        (None, {"rule": "null"}),
        ({"bucket": 10}, {"rule": "bucket", "value": 10}),
        ({"token": {"domain": "a"}}, {"rule": "token", "domain": "a"}),
        ({"rule": "redact"}, {"rule": "redact"}),
        ({"rule": "bucket", "value": 10}, {"rule": "bucket", "value": 10}),
        ({"bucket": 10, "round": 1}, {"bucket": 10, "round": 1}),
        (7, 7),
    ],
    ids=spelled,
)
def test_shorthand_is_spelled_out(written, wanted):
    assert spelled_out(written) == wanted
