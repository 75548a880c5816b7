"""A Python task is what the published schema says: names, depth and inline tables are bounded before anything runs."""

import json
from types import ModuleType
from typing import Any

import pytest

from agent.core.errors import Refuse
from agent.core.job import InlineTable, PythonTask, SqlTask, submitted
from agent.wire.models import KINDS, TaskLine
from agent.wire.signing import verify

SQL = {"kind": "sql", "source": "shop", "statement": "SELECT 1"}


def inline(*rows: list[Any], **types: str) -> dict[str, Any]:
    return {
        "kind": "inline",
        "columns": [{"name": name, "type": kind} for name, kind in types.items()],
        "rows": list(rows),
    }


def program(code: str = "result = df", **fields: Any) -> dict[str, Any]:
    return {"kind": "python", "code": code, **fields}


def parsed(task: dict[str, Any]) -> Any:
    return TaskLine.parse(json.dumps(task)).task


def refused(task: dict[str, Any]) -> Refuse:
    with pytest.raises(Refuse) as caught:
        parsed(task)
    return caught.value


def nested(depth: int) -> dict[str, Any]:
    """A program with so many others below it, one in the other."""
    return program(inputs={"df": nested(depth - 1) if depth else SQL})


def test_a_program_with_everything() -> None:
    feeding = program("result = a", inputs={"a": {**SQL, "source": "ledger"}}, variables={"k": 1})
    task = parsed(
        program(
            inputs={"df": SQL, "t": inline([1, "x"], a="BIGINT", b="text"), "p": feeding},
            variables={"limit": 3, "names": ["a", {"b": None}]},
            frames="polars",
            charts=["png", "vega-lite"],
            format="csv",
        )
    )
    assert isinstance(task, PythonTask)
    assert task.sources == ("shop", "ledger")
    assert [type(one) for one in task.inputs.values()] == [SqlTask, InlineTable, PythonTask]
    assert task.inputs["p"].frames == "polars", "what feeds a program meets its own inputs in the same way"
    assert (task.charts, task.format, task.variables["limit"]) == (("png", "vega-lite"), "csv", 3)
    assert submitted(task) == ("result = df", "SELECT 1", "result = a", "SELECT 1")


def test_the_key_needs_a_grant_for_every_source_however_deep() -> None:
    task = program(inputs={"df": SQL, "p": program(inputs={"a": {**SQL, "source": "secret"}})})
    assert KINDS["python"].model_validate(task).sources() == ("shop", "secret")
    explained = {"kind": "explain", "task": task}
    assert KINDS["explain"].model_validate(explained).sources() == ("shop", "secret")


@pytest.mark.parametrize(
    "name", ["class", "None", "result", "chart", "__builtins__", "_getattr_", "_x", "1a", "a b", "", "d-f", "ﬁ", "dé"]
)
def test_names_that_no_input_and_no_variable_has(name: str) -> None:
    for fields in ({"inputs": {name: SQL}}, {"variables": {name: 1}}):
        refusal = refused(program(**fields))
        assert refusal.code == "python.input"
        assert not name or name in {"class", "result", "chart"} or f" {name} " not in refusal.message


def test_an_input_and_a_variable_do_not_share_a_name() -> None:
    assert refused(program(inputs={"df": SQL}, variables={"df": 1})).code == "python.input"
    inner = program(inputs={"df": SQL}, variables={"df": 1})
    assert refused(program(inputs={"p": inner})).code == "python.input"


def test_programs_feed_one_another_three_deep_and_no_deeper() -> None:
    assert isinstance(parsed(nested(3)), PythonTask)
    assert "3 deep" in refused(nested(4)).message
    wide = {f"p{n}": program(inputs={}) for n in range(16)}
    assert "16 programs" in refused(program(inputs=wide)).message


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (inline([1], [1, 2], a="integer"), "row 1 has not as many"),
        (inline([1], ["x"], a="integer"), "row 1 holds a value"),
        (inline([True], a="integer"), "row 0 holds a value"),
        (inline([300], a="int8"), "row 0 holds a value"),
        (inline([1.5], a="bigint"), "row 0 holds a value"),
        (inline(["yes"], a="boolean"), "row 0 holds a value"),
        (inline([5], a="text"), "row 0 holds a value"),
        (inline(["2024-02-30"], a="date"), "row 0 holds a value"),
        (inline(["noon"], a="timestamp"), "row 0 holds a value"),
        (inline(["1.234"], a="decimal(4,2)"), "row 0 holds a value"),
        (inline(["123.4"], a="decimal(4,2)"), "row 0 holds a value"),
        (inline(["abc"], a="number"), "row 0 holds a value"),
        (inline([1], a="blob"), "type is not one"),
        (inline([1], a="list<int64>"), "type is not one"),
        ({**inline([1, 2]), "columns": [{"name": "a", "type": "int"}] * 2}, "two columns have one name"),
        (inline(*[["x" * 60]] * 10_000, a="text"), "512 KiB"),
    ],
)
def test_an_inline_table_is_whole_and_typed(table: dict[str, Any], said: str) -> None:
    refusal = refused(program(inputs={"df": table}))
    assert refusal.code == "python.input"
    assert said in refusal.message


@pytest.mark.parametrize(
    "change",
    [
        {"code": ...},
        {"code": 5},
        {"extra": 1},
        {"source": "shop"},
        {"frames": "spark"},
        {"charts": ["html"]},
        {"inputs": {"df": {"kind": "catalog", "source": "shop"}}},
        {"inputs": {"df": {**SQL, "format": "csv"}}},
        {"inputs": {"df": inline(*[[1]] * 10_001, a="integer")}},
        {"inputs": {"df": {"kind": "inline", "columns": [], "rows": []}}},
        {"inputs": {f"i{n}": SQL for n in range(33)}},
    ],
    ids=str,
)
def test_what_is_not_of_the_schema_is_malformed(change: dict[str, Any]) -> None:
    task = {name: value for name, value in program(**change).items() if value is not ...} if "code" not in change else {
        "kind": "python", **({} if change["code"] is ... else change)
    }  # fmt: skip
    assert refused(task).code == "task.malformed"


def test_a_job_over_a_source_that_is_not_granted_is_rejected_however_deep(make: ModuleType) -> None:
    store = make.trust()
    alice = store.submitters[make.ALICE.kid]
    granted = store.model_copy(
        update={"submitters": {**store.submitters, make.ALICE.kid: alice.model_copy(update={"kinds": ("python",)})}}
    )
    inner = program(inputs={"a": {**SQL, "source": "payroll"}})

    def verified(task: dict[str, Any], trust: Any = granted) -> Any:
        return verify(make.craft(make.payload(task=task)), trust, make.ME, make.NOW).task

    assert verified(program(inputs={"df": SQL})).sources == ("shop",)
    for task, trust, code in (
        (program(inputs={"df": SQL, "p": inner}), granted, "envelope.source"),
        (program(inputs={"df": SQL}), store, "envelope.kind"),
        (program(inputs={"class": SQL}), granted, "envelope.field"),
        (nested(4), granted, "envelope.field"),
    ):
        with pytest.raises(Refuse) as caught:
            verified(task, trust)
        assert caught.value.code == code
