import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.core.codes import CODES
from agent.core.errors import Refuse
from agent.core.job import CatalogTask, SourceName, submitted
from agent.core.limits import Limits
from agent.wire import schemas, strictjson
from agent.wire.fields import CodeText, Model, explain
from agent.wire.models import (
    KINDS,
    PART_BYTES,
    TAG_BYTES,
    JobModel,
    LimitsModel,
    ManifestModel,
    OutcomeModel,
    ParcelModel,
    SqlTaskModel,
    TaskLine,
    jsonschemas,
)
from agent.wire.trust import TrustStore

ROOT = Path(__file__).parents[3]
NAMES = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,20}\Z")
PARAMETERS = st.dictionaries(
    NAMES,
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=50),
    max_size=5,
)


def same(value: Any, other: Any) -> bool:
    """Equal, and of the same types: 1, 1.0 and True are three values."""
    return json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True)


@given(
    statement=st.text(max_size=300), parameters=PARAMETERS, form=st.sampled_from(["arrow", "parquet", "json", "csv"])
)
def test_a_task_survives_the_wire(statement: str, parameters: dict[str, Any], form: str) -> None:
    task = {"kind": "sql", "source": "shop", "statement": statement, "parameters": parameters, "format": form}
    read = SqlTaskModel.model_validate(strictjson.loads(json.dumps(task), 1 << 20))
    plain = read.plain()
    assert same(read.model_dump(mode="json"), task)
    assert (plain.statement, plain.format, plain.kind) == (statement, form, "sql")
    assert same(dict(plain.parameters), parameters)


def test_a_job_survives_the_wire(make: ModuleType) -> None:
    model = JobModel.model_validate(make.payload())
    assert JobModel.model_validate(strictjson.loads(strictjson.dumps(model.model_dump(mode="json")), 1 << 20)) == model


def test_the_defaults_of_a_job_are_the_careful_ones(make: ModuleType) -> None:
    names = ("stream", "seq", "idempotent", "max_attempts", "priority", "limits", "on_limit")
    model = JobModel.model_validate(make.payload(**dict.fromkeys(names, ...)))
    assert (model.idempotent, model.max_attempts, model.on_limit) == (False, 1, "fail")
    assert model.limits.asked() == {}


def test_models_cannot_be_changed_or_coerced() -> None:
    limits = LimitsModel(rows=3)
    with pytest.raises(ValidationError):
        limits.rows = 4  # type: ignore[misc]
    for bad in ({"rows": "3"}, {"rows": 3.0}, {"rows": True}, {"wall_seconds": "1"}, {"wall_seconds": float("nan")}):
        with pytest.raises(ValidationError):
            LimitsModel.model_validate(bad)


def test_asked_limits_only_clamp() -> None:
    site = Limits(wall_seconds=10, rows=100)
    asked = LimitsModel(wall_seconds=20, rows=5).asked()
    clamped = site.clamped(asked)
    assert asked == {"wall_seconds": 20, "rows": 5}
    assert (clamped.wall_seconds, clamped.rows, clamped.memory_mb) == (10, 5, site.memory_mb)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_an_integer_that_no_engine_holds_is_refused_and_not_rounded(number: int) -> None:
    task = {"kind": "sql", "source": "s", "statement": "SELECT :a", "parameters": {"a": number}}
    with pytest.raises(ValidationError):
        SqlTaskModel.model_validate(task)


@pytest.mark.parametrize(("early", "late"), [("expires", "not_before"), ("result_until", "expires")])
def test_the_times_of_a_job_stand_in_order(make: ModuleType, early: str, late: str) -> None:
    with pytest.raises(ValidationError, match="order"):
        JobModel.model_validate(make.payload(**{early: make.payload()[late] - 1}))


def test_every_limit_of_the_core_can_be_asked_for() -> None:
    assert set(LimitsModel.model_fields) == set(Limits.__dataclass_fields__)


def models() -> list[type[Model]]:
    found, todo = [], [Model]
    while todo:
        for model in todo.pop().__subclasses__():
            found.append(model)
            todo.append(model)
    return [model for model in found if model.__module__.startswith("agent.wire")]


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_every_model_is_closed_frozen_and_silent(model: type[Model]) -> None:
    config = model.model_config
    assert config["extra"] == "forbid"
    assert config["frozen"]
    assert config["strict"]
    assert config["hide_input_in_errors"]
    assert not config["allow_inf_nan"]


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_every_text_and_list_is_bounded(model: type[Model]) -> None:
    unbounded = [where for where, part in walk(model.model_json_schema()) if is_unbounded(part)]
    # The agent's own words inside sealed parts: their sizes are bounded by the parts.
    own_words = {"message", "hint", "statement", "items", "additionalProperties"}
    assert [where for where in unbounded if where.rsplit("/", 1)[-1] not in own_words] == []
    if model is SqlTaskModel:
        assert unbounded == []


def walk(schema: Any, where: str = "") -> list[tuple[str, Any]]:
    if isinstance(schema, list):
        return [pair for i, item in enumerate(schema) for pair in walk(item, f"{where}/{i}")]
    if not isinstance(schema, dict):
        return []
    return [(where, schema)] + [pair for name, item in schema.items() for pair in walk(item, f"{where}/{name}")]


def is_unbounded(part: dict[str, Any]) -> bool:
    match part.get("type"):
        case "string":
            return not part.keys() & {"maxLength", "enum", "const", "pattern"}
        case "array":
            return not part.keys() & {"maxItems"}
        case "integer":
            return not part.keys() & {"maximum", "exclusiveMaximum"}
        case _:
            return False


def test_the_published_schemas_are_current(tmp_path: Path) -> None:
    schemas.write(tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    published = {path.name: path.read_text() for path in (ROOT / "docs" / "schema").glob("*.json")}
    assert made.keys() <= published.keys()
    stale = [name for name, text in made.items() if published[name] != text]
    assert stale == [], "run: python -m agent.wire.schemas docs/schema"


def test_the_schemas_close_every_object() -> None:
    assert set(jsonschemas()) == {f"{name}.schema.json" for name in ("job", "task", "manifest", "outcome", "trust")}
    for name, schema in jsonschemas().items():
        for where, part in walk(schema):
            if part.get("type") == "object" and "properties" in part:
                assert part["additionalProperties"] is False, f"{name}{where}"


def test_the_task_schema_names_ref_and_limits_beside_every_kind() -> None:
    schema: Any = jsonschemas()["task.schema.json"]
    own = {one["properties"]["kind"]["const"]: set(one["properties"]) for one in schema["oneOf"]}
    assert own == {
        "sql": {"kind", "source", "statement", "parameters", "format", "ref", "limits"},
        "catalog": {"kind", "source", "relations", "format", "ref", "limits"},
        "explain": {"kind", "task", "format", "ref", "limits"},
        "python": {"kind", "code", "inputs", "variables", "frames", "charts", "format", "ref", "limits"},
    }
    assert not any("ref" in one["required"] for one in schema["oneOf"])
    assert "ref" not in schema["$defs"]["SqlTaskModel"]["properties"], "a task inside a task takes none"
    for _, part in walk(schema):
        if reference := part.get("$ref"):
            assert reference.removeprefix("#/$defs/") in schema["$defs"]


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_fits_into_a_manifest(code: str) -> None:
    class Holder(Model):
        code: CodeText

    assert Holder(code=code).code == code


# task lines


def line(**changes: Any) -> str:
    task = {"kind": "sql", "source": "shop", "statement": "SELECT 1", **changes}
    return json.dumps({name: value for name, value in task.items() if value is not ...})


def test_a_line_is_a_task_with_ref_and_limits() -> None:
    read = TaskLine.parse(line(ref="a-1", limits={"rows": 5}, parameters={"x": 1}))
    assert (read.ref, read.limits, read.task.source) == ("a-1", {"rows": 5}, "shop")
    assert dict(read.task.parameters) == {"x": 1}
    assert TaskLine.parse(line()).ref is None
    assert TaskLine.parse(line(ref=7).encode()).ref == 7


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "task.malformed"),
        ("not json", "task.malformed"),
        ("[]", "task.malformed"),
        ("null", "task.malformed"),
        ('"sql"', "task.malformed"),
        ("{}", "task.malformed"),
        (line(statement=...), "task.malformed"),
        (line(kind=...), "task.malformed"),
        (line(kind=1), "task.malformed"),
        (line(kind="shell"), "task.kind"),
        (line(kind="python", code="1"), "task.malformed"),
        (line(extra=1), "task.malformed"),
        (line(ref=[1]), "task.malformed"),
        (line(ref="a\nb"), "task.malformed"),
        (line(ref=1.5), "task.malformed"),
        (line(limits={"rows": 0}), "task.malformed"),
        (line(limits=None), "task.malformed"),
        (line(parameters={"a": float("nan")}), "task.malformed"),
        (line(parameters={"a": [1]}), "task.malformed"),
        (line(parameters=None), "task.malformed"),
        (line() + line(), "task.malformed"),
        (line(statement="\ud800"), "task.malformed"),
        ('{"kind":"sql","kind":"sql","source":"s","statement":"SELECT 1"}', "task.malformed"),
    ],
)
def test_a_bad_line_is_refused_by_name(text: str, code: str) -> None:
    with pytest.raises(Refuse) as caught:
        TaskLine.parse(text)
    assert caught.value.code == code
    assert caught.value.hint


def test_the_ref_of_a_bad_line_is_still_found() -> None:
    assert TaskLine.ref_of(line(ref="a", extra=1)) == "a"
    assert TaskLine.ref_of(line(ref=3, kind="shell")) == 3
    assert TaskLine.ref_of(line(ref=[1])) is None
    assert TaskLine.ref_of(line()) is None
    assert TaskLine.ref_of("[]") is None
    assert TaskLine.ref_of("not json") is None
    assert TaskLine.ref_of(b"\xff") is None


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_line_is_a_task_or_a_refusal(text: bytes | str) -> None:
    try:
        TaskLine.parse(text)
    except Refuse as refusal:
        assert refusal.code in CODES  # noqa: PT017  both ends are right
    TaskLine.ref_of(text)


def test_every_kind_says_what_it_reads_and_gives_its_task() -> None:
    for kind, model in KINDS.items():
        assert callable(model.sources)
        assert callable(model.plain)
        assert model.model_fields["kind"].is_required()
        assert kind.isalpha()


# explain


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"note": 1}, "note is not a known field"),
        ({"id": ...}, "id is missing"),
        ({"seq": "secret"}, "seq is of the wrong type or outside its bounds"),
        ({"limits": {"rows": -5}}, "limits.rows is of the wrong type or outside its bounds"),
        ({"max_attempts": 2, "idempotent": False}, "max_attempts must be 1"),
        ({"secret \x1b[2J key": 1}, "(name) is not a known field"),
    ],
)
def test_explain_names_the_place_and_never_the_value(make: ModuleType, change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        JobModel.model_validate(make.payload(**change))
    text = explain(caught.value)
    assert text.startswith(says)
    assert "secret" not in text
    assert "\x1b" not in text
    assert "secret" not in str(caught.value) or "secret \x1b[2J key" in change


# manifests


def parcel(**changes: Any) -> dict[str, Any]:
    return {
        "job_id": "01HF7YAT00TESTVECTR0000001",
        "job_digest": "0" * 64,
        "result_id": "01HF7YAT00TESTVECTR0000002",
        "attempt": 1,
        "outcome": "completed",
        "code": "ok",
        "media_types": ["application/json"],
        "parts": [{"sha256": "1" * 64, "size": 1024 + TAG_BYTES}],
        "policy_version": 1,
        "policy_sha256": "",
        "isolation": "process",
        "disclosure_sha256": "",
        "recipient": "A" * 43,
        "sealed_key": "A" * 107,
        **changes,
    }


FULL = {"sha256": "1" * 64, "size": PART_BYTES + TAG_BYTES}


@pytest.mark.parametrize(
    "change",
    [
        {"parts": []},
        {"parts": [{"sha256": "1" * 64, "size": 1025 + TAG_BYTES}]},
        {"parts": [{"sha256": "1" * 64, "size": 1024}]},
        {"parts": [{"sha256": "1" * 64, "size": 512 + TAG_BYTES}]},
        {"parts": [{"sha256": "1" * 64, "size": PART_BYTES * 2 + TAG_BYTES}]},
        {"parts": [{"sha256": "1" * 64, "size": 1024 + TAG_BYTES, "note": 1}]},
        {"parts": [{"sha256": "X" * 64, "size": 1024 + TAG_BYTES}]},
        {"parts": [FULL, {"sha256": "1" * 64, "size": 1024 + TAG_BYTES}]},
        {"parts": [FULL] * 16_385},
        {"media_types": []},
        {"attempt": 0},
        {"outcome": "rejected"},
        {"code": "../x"},
        {"isolation": "None"},
        {"recipient": "A" * 42 + "B"},
        {"sealed_key": "A" * 106},
        {"job_digest": "0" * 63},
        {"policy_sha256": "0"},
        {"columns": []},
    ],
)
def test_a_parcel_outside_the_format_is_refused(change: dict[str, Any]) -> None:
    ParcelModel.model_validate(parcel())
    ParcelModel.model_validate(parcel(parts=[FULL, FULL]))
    with pytest.raises(ValidationError):
        ParcelModel.model_validate(parcel(**change))


def test_a_manifest_is_a_parcel_with_the_audit_head() -> None:
    with pytest.raises(ValidationError):
        ManifestModel.model_validate(parcel())
    ManifestModel.model_validate(parcel(audit_head={"seq": 0, "hash": "0" * 64}))


def test_a_manifest_names_no_column_row_or_text() -> None:
    assert not set(ManifestModel.model_fields) & {"columns", "rows", "message", "hint", "disclosure", "truncated"}
    assert {"columns", "rows", "message", "hint", "disclosure", "truncated"} <= set(OutcomeModel.model_fields)


def test_the_trust_schema_takes_the_vectors_keys(make: ModuleType) -> None:
    assert TrustStore.parse(make.trust().dump()) == make.trust()


def test_every_kind_of_task_names_its_source() -> None:
    catalog = TaskLine.parse(line(kind="catalog", statement=..., relations=["sales.*"]))
    assert catalog.task == CatalogTask(source=SourceName("shop"), relations=("sales.*",))
    inner = {"kind": "sql", "source": "shop", "statement": "SELECT :x", "parameters": {"x": 1}}
    explain = TaskLine.parse(line(kind="explain", source=..., statement=..., task=inner))
    assert (explain.task.sources, submitted(explain.task)) == (("shop",), ("SELECT :x",))
    assert KINDS["explain"].model_validate({"kind": "explain", "task": inner}).sources() == ("shop",)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "catalog"},
        {"kind": "catalog", "statement": ..., "relations": ["orders"]},
        {"kind": "catalog", "statement": ..., "relations": ["a.b.c"]},
        {"kind": "catalog", "statement": ..., "relations": ["s.*"] * 257},
        {"kind": "catalog", "statement": ..., "format": "csv"},
        {"kind": "explain"},
        {"kind": "explain", "source": ..., "statement": ..., "task": {"kind": "catalog", "source": "shop"}},
        {"kind": "explain", "source": ..., "statement": ..., "task": {"kind": "explain", "task": {}}},
    ],
)
def test_tasks_out_of_their_schema_are_malformed(change: dict[str, Any]) -> None:
    with pytest.raises(Refuse) as caught:
        TaskLine.parse(line(**change))
    assert caught.value.code == "task.malformed"


def test_the_tasks_in_the_documentation_are_tasks() -> None:
    docs = Path(__file__).parents[3] / "docs"
    text = (docs / "jobs.md").read_text() + (docs / "python/jobs.md").read_text()
    tasks = [block for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL) if block.startswith('{"kind"')]
    assert [TaskLine.parse(block).task.kind for block in tasks] == ["sql", "python", "catalog", "explain", "python"]
