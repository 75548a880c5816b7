"""The published objects: jobs, tasks, manifests, outcomes; unknown fields refused, every size bounded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from agent.core.errors import Refuse
from agent.core.job import ExplainTask, OnLimit, Requester, Task
from agent.wire import strictjson
from agent.wire.errors import JsonError
from agent.wire.fields import (
    Audience,
    CodeText,
    Kid,
    Line,
    LongLine,
    Model,
    Name,
    Names,
    NoneOrSha256,
    Sha256,
    Ulid,
    UnixTime,
    explain,
)
from agent.wire.programs import PROGRAM_INPUT, PythonTaskModel
from agent.wire.tasks import MAX_PAYLOAD_BYTES, CatalogTaskModel, SqlTaskModel
from agent.wire.trust import TrustStore

PART_BYTES = 4 * 1024 * 1024
MIN_PART_BYTES = 1024
TAG_BYTES = 16
MAX_PARTS = 16_384
_MAX_COUNT = 2**53
_COMPARE = "Compare it with docs/schema/task.schema.json."

Count = Annotated[int, Field(ge=0, le=_MAX_COUNT)]
Ref = Line | Annotated[int, Field(ge=-_MAX_COUNT, le=_MAX_COUNT)] | None


class LimitsModel(Model):
    """What a job asks to be limited to; the site's limits clamp it. Seconds, MiB, rows, bytes, KiB of printed text."""

    wall_seconds: Annotated[float, Field(gt=0, le=86_400)] | None = None
    cpu_seconds: Annotated[int, Field(ge=1, le=86_400)] | None = None
    memory_mb: Annotated[int, Field(ge=1, le=16_777_216)] | None = None
    rows: Annotated[int, Field(ge=1, le=_MAX_COUNT)] | None = None
    bytes: Annotated[int, Field(ge=1, le=_MAX_COUNT)] | None = None
    stdout_kb: Annotated[int, Field(ge=0, le=1_048_576)] | None = None

    def asked(self) -> dict[str, float]:
        """Only the limits that were named, for `agent.core.limits.Limits.clamped`."""
        return self.model_dump(exclude_none=True)


class ExplainTaskModel(Model):
    """What would become of another task: described, not run."""

    kind: Literal["explain"]
    task: Annotated[SqlTaskModel | PythonTaskModel, Field(discriminator="kind")]
    format: Literal["json"] = "json"

    def sources(self) -> tuple[str, ...]:
        """Every source that the explained task would read."""
        return self.task.sources()

    def plain(self) -> ExplainTask:
        """The task as the line carries it."""
        return ExplainTask(task=self.task.plain())


# The kinds of task. A new kind is its class (with `kind`, `sources`, `plain`) and `| ItsModel` here.
TaskModel = SqlTaskModel | CatalogTaskModel | ExplainTaskModel | PythonTaskModel

KINDS: Mapping[str, type[TaskModel]] = {
    get_args(model.model_fields["kind"].annotation)[0]: model for model in (get_args(TaskModel) or (TaskModel,))
}
_BY_KIND = Field(discriminator="kind") if len(KINDS) > 1 else Field()
TaskField = Annotated[TaskModel, _BY_KIND]
_TASKS: TypeAdapter[TaskModel] = TypeAdapter(TaskField)


class RequesterModel(Model):
    """Who asked, as the signer says."""

    user: Annotated[Line, Field(min_length=1)]
    roles: Names = ()
    purpose: LongLine = ""

    def plain(self) -> Requester:
        """The requester as the line carries it."""
        return Requester(user=self.user, roles=self.roles, purpose=self.purpose)


class ReplyToModel(Model):
    """The recipient's opening key, by its kid."""

    kid: Kid


class JobModel(Model):
    """The payload of a job. Times are Unix seconds: `expires` the latest start, `result_until` the latest delivery."""

    id: Ulid
    tenant: Name
    audience: Audience
    stream: Annotated[str, Field(pattern="^[A-Za-z0-9_.:-]*$", max_length=64)] = ""
    seq: Count | None = None
    issued: UnixTime
    not_before: UnixTime
    expires: UnixTime
    result_until: UnixTime
    requested_by: RequesterModel
    reply_to: ReplyToModel
    idempotent: bool = False
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 1
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    limits: LimitsModel = LimitsModel()
    on_limit: OnLimit = "fail"
    task: TaskField

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.idempotent and self.max_attempts != 1:
            raise ValueError("max_attempts must be 1 when the job is not idempotent")
        if not self.not_before <= self.expires <= self.result_until:
            raise ValueError("not_before, expires and result_until must stand in this order")
        return self


@dataclass(frozen=True, slots=True)
class TaskLine:
    """One line of `--jsonl`: a task object with optional `ref` (to be echoed) and `limits`."""

    ref: str | int | None
    task: Task
    limits: Mapping[str, float]

    @classmethod
    def parse(cls, line: bytes | str) -> "TaskLine":
        """Raises Refuse(task.malformed | task.kind); `TaskLine.ref_of` still finds what to echo."""
        members = _members(line)
        extras = {name: members.pop(name) for name in ("ref", "limits") if name in members}
        kind = members.get("kind")
        if isinstance(kind, str) and kind not in KINDS:
            raise Refuse("task.kind", "This agent does not run this kind of task.", "Use one of: " + ", ".join(KINDS))
        try:
            extra = _LineExtras.model_validate(extras)
            task = _TASKS.validate_python(members)
        except ValidationError as error:
            raise _refused(error) from None
        return cls(ref=extra.ref, task=task.plain(), limits=extra.limits.asked())

    @staticmethod
    def ref_of(line: bytes | str) -> str | int | None:
        """The `ref` of a line that may be anything; None when it has none that can be echoed."""
        try:
            return _LineExtras.model_validate({"ref": _members(line).get("ref")}).ref
        except (Refuse, ValidationError):
            return None


class _LineExtras(Model):
    ref: Ref = None
    limits: LimitsModel = LimitsModel()


def _members(line: bytes | str) -> dict[str, object]:
    try:
        value = strictjson.loads(line, MAX_PAYLOAD_BYTES)
    except JsonError as error:
        raise _malformed(str(error)) from None
    if not isinstance(value, dict):
        raise _malformed("not an object")
    return value


def _refused(error: ValidationError) -> Refuse:
    """What is wrong with the inputs of a program has a code of its own."""
    if error.errors(include_url=False, include_context=False, include_input=False)[0]["type"] == PROGRAM_INPUT:
        return Refuse("python.input", f"An input or variable is not as it has to be: {explain(error)}.", _COMPARE)
    return _malformed(explain(error))


def _malformed(problem: str) -> Refuse:
    message = f"The task is not an object of the published schema: {problem}."
    return Refuse("task.malformed", message, _COMPARE)


class ColumnModel(Model):
    """A column of the result; `type` is Arrow's name for it."""

    name: Annotated[str, Field(max_length=65_536)]
    type: Annotated[str, Field(max_length=MAX_PAYLOAD_BYTES)]


class DisclosureModel(Model):
    """What the result discloses: `columns` maps `schema.relation.column` to the rule that was applied.

    `statement` is the text that ran; only the local operator is told. `pii` counts what the second net found in the
    rows, by `column: kind`; `suppressed` are rows that it left out.
    """

    source: Annotated[str, Field(max_length=256)]
    relations: Annotated[tuple[str, ...], Field(max_length=65_536, strict=False)]
    columns: Annotated[dict[str, str], Field(max_length=65_536)]
    policy_version: Count
    policy_sha256: NoneOrSha256
    notes: Annotated[tuple[str, ...], Field(max_length=65_536, strict=False)] = ()
    statement: str = ""
    pii: Annotated[dict[str, Count], Field(default_factory=dict, max_length=65_536)]
    suppressed: Count = 0


class PolicyModel(Model):
    """The policy that a result was made under."""

    version: Count
    sha256: NoneOrSha256


class ProblemModel(Model):
    """One thing that is wrong with the submitted statement; `line` and `column` count from 1, in characters."""

    code: CodeText
    message: str = ""
    hint: str = ""
    name: Annotated[str, Field(max_length=256)] = ""
    line: Annotated[int, Field(ge=1, le=1_048_576)] | None = None
    column: Annotated[int, Field(ge=1, le=1_048_576)] | None = None


class ResultModel(Model):
    """What a program's `result` was: a frame in `rows.FORMAT`, another value in `result.json`, or nothing."""

    kind: Literal["frame", "json", "none"]


class PrintedModel(Model):
    """What a program printed stands in `stdout.txt` and `stderr.txt`; whether more was printed than may leave."""

    stdout_truncated: bool = False
    stderr_truncated: bool = False


class OutcomeModel(Model):
    """The readable outcome, inside the sealed parts. `rows` counts the rows of the data member.

    `result` and `printed` are there for programs; charts are the members `chart-N`, of which `N` counts from 1.
    """

    outcome: Literal["completed", "refused", "failed"]
    code: CodeText
    message: str = ""
    hint: str = ""
    problems: Annotated[tuple[ProblemModel, ...], Field(max_length=16, strict=False)] = ()
    columns: Annotated[tuple[ColumnModel, ...], Field(max_length=65_536, strict=False)] = ()
    rows: Count = 0
    truncated: bool = False
    result: ResultModel | None = None
    printed: PrintedModel | None = None
    disclosure: DisclosureModel | None = None
    policy: PolicyModel


class PartModel(Model):
    """SHA-256 over a part's ciphertext, and the ciphertext's size in bytes (tag included)."""

    sha256: Sha256
    size: Annotated[int, Field(ge=MIN_PART_BYTES + TAG_BYTES, le=PART_BYTES + TAG_BYTES)]


class AuditHeadModel(Model):
    """The end of the audit chain when the result was signed."""

    seq: Count
    hash: Sha256


class ParcelModel(Model):
    """A sealed result as the worker hands it over: all that the service sees of it."""

    job_id: Ulid
    job_digest: Sha256
    result_id: Ulid
    attempt: Annotated[int, Field(ge=1, le=100)]
    outcome: Literal["completed", "refused", "failed"]
    code: CodeText
    media_types: Annotated[tuple[Line, ...], Field(min_length=1, max_length=64, strict=False)]
    parts: Annotated[tuple[PartModel, ...], Field(min_length=1, max_length=MAX_PARTS, strict=False)]
    policy_version: Count
    policy_sha256: NoneOrSha256
    isolation: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9+._-]*$", max_length=64)]
    disclosure_sha256: NoneOrSha256
    recipient: Kid
    sealed_key: Annotated[str, Field(pattern="^[A-Za-z0-9_-]+$", min_length=107, max_length=107)]

    @model_validator(mode="after")
    def _sized(self) -> Self:
        plain = [part.size - TAG_BYTES for part in self.parts]
        if len(plain) == 1 and plain[0] & (plain[0] - 1):
            raise ValueError("the size of the only part is not a size class")
        if len(plain) > 1 and set(plain) != {PART_BYTES}:
            raise ValueError("the parts of a result of several parts must be full")
        return self


class ManifestModel(ParcelModel):
    """What the agent signs about a result: the parcel, and where the audit chain stood."""

    audit_head: AuditHeadModel


def jsonschemas() -> dict[str, dict[str, object]]:
    """File name -> JSON Schema, as docs/schema/ holds them."""
    models: dict[str, type[Model]] = {"job": JobModel, "manifest": ManifestModel, "outcome": OutcomeModel}
    models["trust"] = TrustStore
    schemas = {name: model.model_json_schema() for name, model in models.items()}
    return {f"{name}.schema.json": schema for name, schema in sorted({**schemas, "task": _task_schema()}.items())}


def _task_schema() -> dict[str, object]:
    """A task object as a line of `--jsonl` holds it: any kind, with `ref` and `limits` beside its own fields."""
    extras = _LineExtras.model_json_schema()
    definitions = {**_TASKS.json_schema().pop("$defs", {}), **extras["$defs"]}
    lines: dict[str, dict[str, object]] = {}
    for kind, model in KINDS.items():
        own = definitions[model.__name__]
        lines[kind] = {**own, "properties": own["properties"] | extras["properties"]}
    return {"title": "Task", "oneOf": list(lines.values()), "$defs": definitions}
