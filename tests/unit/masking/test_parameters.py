"""Values become literals that the engine reads back as the same values, whatever stands around them."""

from dataclasses import replace
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.catalog import Catalog
from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.core.plan import MaskedPlan
from agent.dialects import DIALECTS
from agent.guard.sql import admit, parse_one
from agent.masking.parameters import inlined
from agent.masking.policy import Policy
from agent.masking.rewrite import rewrite

INLINING = replace(DIALECTS["duckdb"], inline_parameters=True)
POLICY = Policy.model_validate_json('{"version": 1, "default": "redact"}')
NOTHING = Catalog("shop", "duckdb", "main", ())


def planned(statement: str, **parameters: Any) -> MaskedPlan:
    task = SqlTask(source=SourceName("shop"), statement=statement, parameters=parameters)
    plan = replace(admit(task, NOTHING), dialect=INLINING)
    return rewrite(plan, NOTHING, POLICY, roles=(), token_key=None, tenant="t")


def run(statement: str, **parameters: Any) -> Any:
    plan = planned(statement, **parameters)
    assert plan.parameters == {}
    return duckdb.sql(plan.sql).fetchall()[0]


@pytest.mark.parametrize(
    "text",
    ["it's", "\\' OR 1=1 --", "'; DROP TABLE t; --", "a\nb", "$$", ":x", "/* */", "é漢😀", "", "''", "\\"],
)
def test_a_text_stays_the_same_text(text: str) -> None:
    assert run("SELECT :a AS a", a=text) == (text,)


@pytest.mark.parametrize("value", [0, 1, -1, 2**53, -(2**53), True, False, None])
def test_other_values_stay_the_same(value: object) -> None:
    assert run("SELECT :a AS a", a=value) == (value,)


@pytest.mark.parametrize("value", [0.5, -0.5, 1e-9, 1.5e300, -0.0])
def test_numbers_with_fractions_stay_the_same(value: float) -> None:
    assert float(run("SELECT :a AS a", a=value)[0]) == value


def test_signs_are_not_taken_apart() -> None:
    assert run("SELECT 1-:a AS a, -:a AS b, :a ** 2 AS c, 2-:b AS d", a=-3, b=-0.5) == (4, 3, 9, 2.5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "a\0b", "\ud800", b"x"])
def test_what_no_literal_can_say_is_refused(value: object) -> None:
    with pytest.raises(Refuse, match="parameter a") as refused:
        inlined(parse_one("SELECT :a", DIALECTS["sqlite"]), {"a": value})  # type: ignore[dict-item]
    assert refused.value.code == "sql.parameter"


def test_a_name_without_a_value_is_refused() -> None:
    with pytest.raises(Refuse) as refused:
        planned("SELECT :a AS a, :b AS b", a=1)
    assert refused.value.code == "sql.parameter"


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_stays_one_literal(text: str) -> None:
    assert run("SELECT :a AS a, 2 AS b", a=text) == (text, 2)
