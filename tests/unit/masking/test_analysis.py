"""What a program gave back is capped, looked at, and stripped as the policy says, whatever the program is."""

import json
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest

from agent.core.errors import Fault, Refuse
from agent.core.limits import Limits
from agent.core.table import Analysis, Disclosure, Masked
from agent.masking import analysis
from agent.masking.analysis import Terms, analysed, chart_formats
from agent.masking.policy import Policy

VEGA = "application/vnd.vegalite.v6+json"
MAIL = "ada@example.org"


@dataclass
class Chart:
    media_type: str
    data: bytes


@dataclass
class Said:
    stdout: str = ""
    stderr: str = ""
    stdout_cut: bool = False
    stderr_cut: bool = False


@dataclass
class Given:
    result: str = "none"
    frame: Any = None
    value: Any = None
    outputs: list[Chart] = field(default_factory=list)
    withheld: tuple[str, ...] = ()


def released(
    given: Given, said: Said | None = None, *, on_limit: str = "fail", limits: Any = None, **release: Any
) -> Analysis:
    policy = Policy.model_validate({"version": 1, "default": "keep", "release": release})
    terms = Terms(
        policy=policy,
        limits=limits or Limits(),
        on_limit=on_limit,
        format="arrow",
        disclosure=Disclosure("shop", (), {}, 1, "a" * 64, ("a note",)),
    )
    return analysed(given, said or Said(), terms)


def frame(rows: int = 3, **columns: Any) -> Given:
    return Given("frame", pa.table(columns or {"n": list(range(rows)), "m": [MAIL] * rows}))


def rows(found: Analysis) -> list[Any]:
    assert isinstance(found.result, Masked)
    return [row for batch in found.result.batches for row in batch.to_pylist()]


def chart(points: int = 1, **more: Any) -> Chart:
    return Chart(VEGA, json.dumps({"data": {"values": [{"x": n} for n in range(points)]}, **more}).encode())


def leave(given: Given, said: Said | None = None, **terms: Any) -> None:
    found = released(given, said, **terms)
    assert isinstance(found.result, Masked)
    for _ in found.result.batches:
        pass


def code(given: Given, said: Said | None = None, **terms: Any) -> str:
    with pytest.raises((Fault, Refuse)) as caught:
        leave(given, said, **terms)
    return caught.value.code


def test_a_frame_goes_the_way_of_rows() -> None:
    found = released(frame(), pii_net="mask")
    assert rows(found) == [{"n": n, "m": "[email]"} for n in range(3)]
    assert found.result.tally.pii == {"m: email": 3}
    assert code(frame(), max_rows=2) == "limit.rows"
    assert code(frame(), pii_net="refuse") == "policy.pii"
    assert code(frame(2000), max_bytes=1024) == "limit.bytes"
    assert code(frame(), limits=Limits(rows=2)) == "limit.rows"
    cut = released(frame(), max_rows=2, on_limit="truncate")
    assert (len(rows(cut)), cut.result.tally.truncated) == (2, True)


def test_json_has_the_same_caps() -> None:
    found = released(Given("json", value={"a": [1, 2], "m": MAIL}), pii_net="mask")
    assert json.loads(found.result) == {"a": [1, 2], "m": "[email]"}
    assert found.pii == {"result: email": 1}
    for value in ([1, 2, 3], {"a": {"b": [1, 2, 3]}}, {str(n): n for n in range(3)}, [[[1, 2, 3]]]):
        assert code(Given("json", value=value), max_rows=2) == "limit.rows"
    assert code(Given("json", value="x" * 2000), max_bytes=1024) == "limit.bytes"
    cut = released(Given("json", value=[1, 2, 3]), max_rows=2, on_limit="truncate")
    assert (json.loads(cut.result), cut.truncated) == ([1, 2], True)
    assert code(Given("json", value={"a": [1, 2, 3]}), max_rows=2, on_limit="truncate") == "limit.rows"


def test_printed_text_is_looked_at() -> None:
    found = released(Given(), Said(f"to {MAIL}", MAIL, stdout_cut=True), pii_net="mask")
    assert (found.printed.stdout, found.printed.stderr) == ("to [email]", "[email]")
    assert (found.printed.stdout_cut, found.printed.stderr_cut, found.result) == (True, False, None)
    assert code(Given(), Said(stderr=MAIL), pii_net="refuse") == "policy.pii"
    policy = Policy.model_validate({"version": 1, "default": "keep", "release": {"pii_net": "mask"}})
    assert analysis.printed(Said(MAIL), policy).stdout == "[email]"
    assert analysis.message(f"no {MAIL}", policy) == "no [email]"


def test_charts_follow_the_policy() -> None:
    assert [one.name for one in released(Given(outputs=[chart(), chart()])).outputs] == [
        "chart-1.vl.json",
        "chart-2.vl.json",
    ]
    for release in ({"charts": "off"}, {"chart_formats": ["png"]}):
        found = released(Given(outputs=[chart()]), **release)
        assert found.outputs == ()
        assert "Chart 1 was left out: its media type may not leave." in found.disclosure.notes
        assert not found.truncated
    thin = released(Given(outputs=[chart(5)]), charts="spec_only", chart_points=1)
    assert json.loads(thin.outputs[0].data) == {"data": {}}
    assert code(Given(outputs=[chart(5)]), chart_points=4) == "limit.output"
    left = released(Given(outputs=[chart(5), chart(2)]), chart_points=4, on_limit="truncate")
    assert ([one.name for one in left.outputs], left.truncated) == (["chart-2.vl.json"], True)
    assert code(Given(outputs=[chart()] * 21)) == "limit.output"
    assert code(Given(outputs=[chart(title="x" * 2000)]), max_bytes=1024) == "limit.output"


@pytest.mark.parametrize("media_type", ["text/html", "application/javascript", "application/x-python-pickle", ""])
def test_what_is_no_chart_is_left_out_and_said(media_type: str) -> None:
    found = released(Given(outputs=[Chart(media_type, b"<script>1</script>"), chart()]))
    assert [one.name for one in found.outputs] == ["chart-2.vl.json"]
    assert found.disclosure.notes[0] == "a note"
    assert "Chart 1 was left out" in found.disclosure.notes[1]


def test_withheld_charts_are_told() -> None:
    assert released(Given(withheld=("a",))).disclosure.notes[-1] == "A chart had no format that may leave."
    assert released(Given(withheld=("a", "b"))).disclosure.notes[-1] == "2 charts had no format that may leave."


def test_formats_are_those_asked_for_or_all_that_may_leave() -> None:
    def formats(*asked: str, **release: Any) -> tuple[str, ...]:
        return chart_formats(Policy.model_validate({"version": 1, "default": "keep", "release": release}), asked)

    assert formats() == ("vega-lite", "plotly", "png")
    assert formats("svg", "png") == ("png",)
    assert formats("png", charts="spec_only") == ()
    assert formats(charts="spec_only", chart_formats=["png", "plotly"]) == ("plotly",)
    assert formats(charts="off") == ()
