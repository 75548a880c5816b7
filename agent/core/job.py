"""What is asked for. Plain data: no I/O, no third-party imports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NewType

JobId = NewType("JobId", str)
SourceName = NewType("SourceName", str)
Digest = NewType("Digest", str)
"""Lower-case hexadecimal SHA-256."""

Format = Literal["arrow", "parquet", "json", "csv"]
OnLimit = Literal["fail", "truncate"]
ParameterValue = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlTask:
    """One statement against one source. `statement` is untrusted text; `parameters` bind `:name`."""

    source: SourceName
    statement: str
    parameters: Mapping[str, ParameterValue]
    format: Format = "arrow"
    kind: Literal["sql"] = "sql"

    @property
    def sources(self) -> tuple[SourceName, ...]:
        """The one source that is asked."""
        return (self.source,)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogTask:
    """What a source holds, as the requester may see it. `relations` are globs over `schema.relation`; empty: all."""

    source: SourceName
    relations: tuple[str, ...] = ()
    kind: Literal["catalog"] = "catalog"

    @property
    def sources(self) -> tuple[SourceName, ...]:
        """The one source that is described."""
        return (self.source,)


Frames = Literal["pandas", "arrow", "polars"]
"""What an input is, as the program meets it."""

ChartFormat = Literal["vega-lite", "plotly", "png", "svg"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineTable:
    """A small table that the submitter sends along. `columns` are (name, type); `rows` hold plain JSON values."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[ParameterValue, ...], ...] = field(repr=False)
    kind: Literal["inline"] = "inline"


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonTask:
    """A program over named tables. `code` is untrusted text; an input that is a program has to yield a frame.

    `variables` are JSON values that the program finds by name. `charts` are the formats that the requester can use, the
    preferred first; none of them leaves the choice to the policy. `format` is that of a frame's rows.
    """

    code: str
    inputs: "Mapping[str, SqlTask | InlineTable | PythonTask]"
    variables: Mapping[str, Any] = field(default_factory=dict)
    frames: Frames = "pandas"
    charts: tuple[ChartFormat, ...] = ()
    format: Format = "arrow"
    kind: Literal["python"] = "python"

    @property
    def sources(self) -> tuple[SourceName, ...]:
        """The sources of all inputs, those of nested programs too, each once."""
        return tuple(dict.fromkeys(name for given in self.inputs.values() for name in _sources(given)))


def _sources(given: SqlTask | InlineTable | PythonTask) -> tuple[SourceName, ...]:
    return () if isinstance(given, InlineTable) else given.sources


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainTask:
    """What would become of `task`; no row is read."""

    task: SqlTask | PythonTask
    kind: Literal["explain"] = "explain"

    @property
    def sources(self) -> tuple[SourceName, ...]:
        """The sources that the explained task asks."""
        return self.task.sources


Task = SqlTask | CatalogTask | ExplainTask | PythonTask


def submitted(task: Task) -> tuple[str, ...]:
    """The untrusted texts of a task: statements and programs, those of inputs after the program that they feed."""
    match task:
        case SqlTask():
            return (task.statement,)
        case CatalogTask():
            return ()
        case ExplainTask():
            return submitted(task.task)
        case PythonTask():
            inner = (submitted(given) for given in task.inputs.values() if not isinstance(given, InlineTable))
            return (task.code, *(text for texts in inner for text in texts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """Who asked, as the signing key asserts it. Roles were checked against trust.json."""

    user: str
    roles: tuple[str, ...] = ()
    purpose: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """The agent that a job must be addressed to."""

    tenant: str
    agent: str
    pool: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A verified request. Made only by `agent.wire.signing.verify`. Times are Unix seconds, UTC."""

    id: JobId
    digest: Digest
    kid: str
    tenant: str
    audience: str
    stream: str
    seq: int | None
    issued: float
    not_before: float
    expires: float
    result_until: float
    requested_by: Requester
    reply_to: str
    idempotent: bool
    max_attempts: int
    priority: int
    limits: Mapping[str, float]
    on_limit: OnLimit
    task: Task
