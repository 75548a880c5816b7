"""The nouns of the exchange."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from agent.core.job import ChartFormat, Frames
from agent.core.limits import Limits
from agent.core.problem import ProgramError

AnswerCode = Literal["ok", "python.error", "python.result", "limit.output", "sandbox.crashed"]
Kind = Literal["frame", "json", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What the child is to do. `rows` and `bytes` cap its result, `outputs` and `output_bytes` its charts.

    `inputs` names the tables that follow, in order. `charts` are the formats that may be given, the preferred first;
    none: no chart leaves. `imports` None: the default list.
    """

    code: str = field(repr=False)
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)
    inputs: tuple[str, ...] = ()
    frames: Frames = "pandas"
    charts: tuple[ChartFormat, ...] = ()
    imports: tuple[str, ...] | None = None
    rows: int = 100_000
    bytes: int = 67_108_864
    output_bytes: int = 4_194_304
    outputs: int = 20


@dataclass(frozen=True, slots=True)
class Input:
    """One table on its way in. `schema` is a `pyarrow.Schema`, `batches` are `pyarrow.RecordBatch`."""

    schema: Any
    batches: Iterable[Any]

    @classmethod
    def of(cls, table: Any) -> "Input":
        """A `pyarrow.Table` that is there already."""
        return cls(table.schema, table.to_batches())


@dataclass(frozen=True, slots=True)
class Caps:
    """How much printed text is kept, in bytes."""

    stdout_bytes: int
    stderr_bytes: int

    @classmethod
    def of(cls, limits: Limits) -> "Caps":
        """Each of the two may have what the limits allow for printed text."""
        return cls(limits.stdout_kb * 1024, limits.stdout_kb * 1024)


@dataclass(frozen=True, slots=True)
class Output:
    """One chart in one format."""

    name: str
    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a program gave back. `frame` is a `pyarrow.Table` when `result` is "frame", `value` JSON when it is "json".

    `withheld` names charts that have no format that may be given.
    """

    code: AnswerCode = "ok"
    result: Kind = "none"
    frame: Any = field(default=None, repr=False)
    value: Any = field(default=None, repr=False)
    outputs: tuple[Output, ...] = ()
    error: ProgramError | None = None
    withheld: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Printed:
    """What the program printed, made harmless. `*_cut`: there was more."""

    stdout: str = field(default="", repr=False)
    stderr: str = field(default="", repr=False)
    stdout_cut: bool = False
    stderr_cut: bool = False


class Pipe(Protocol):
    """One end of a pipe."""

    def fileno(self) -> int:
        """Its descriptor."""
        ...

    def close(self) -> None:
        """Give it up."""
        ...


class Running(Protocol):
    """A process that runs a program, as `agent.sandbox.hand` hands it out: the worker's ends of its pipes."""

    @property
    def input(self) -> Pipe:
        """Takes the program and its inputs."""
        ...

    @property
    def result(self) -> Pipe:
        """Gives the answer."""
        ...

    @property
    def stdout(self) -> Pipe:
        """Gives what is printed."""
        ...

    @property
    def stderr(self) -> Pipe:
        """Gives what is printed as errors."""
        ...

    @property
    def end(self) -> Pipe:
        """Gives one `Done` when no process of the job is left."""
        ...
