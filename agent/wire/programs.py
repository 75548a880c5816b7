"""The published Python task: a program, its named inputs, and its variables."""

import keyword
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from agent.core.job import ChartFormat, Format, Frames, InlineTable, PythonTask
from agent.wire import strictjson
from agent.wire.columns import column_type, fits
from agent.wire.fields import PARAMETER_PATTERN, Model
from agent.wire.tasks import MAX_PAYLOAD_BYTES, ParameterModel, SqlInputModel

PROGRAM_INPUT = "program_input"
"""The type of errors that say what is wrong with the inputs or variables of a program."""

MAX_INLINE_ROWS = 10_000
MAX_INLINE_BYTES = 512 * 1024
MAX_DEPTH = 3
"""How many programs may stand one inside the other below the task."""
MAX_PROGRAMS = 16
"""Of one task, with all that feed it: each is run."""
_MAX_INPUTS = 32
_MAX_VARIABLES = 256
_RESERVED = frozenset({"result", "chart"})


def wrong(problem: str) -> PydanticCustomError:
    """What is wrong with an input, as a sentence without a value."""
    return PydanticCustomError(PROGRAM_INPUT, "{problem}", {"problem": problem})


def _name(name: str) -> str:
    if keyword.iskeyword(name):
        raise wrong("a name of an input or variable is a keyword of Python")
    if name in _RESERVED:
        raise wrong("result and chart are the program's to assign: name the input or variable otherwise")
    if not name.isascii() or not name.isidentifier() or name.startswith("_"):
        raise wrong("inputs and variables are named by ASCII identifiers that do not begin with an underscore")
    return name


# In the schema the pattern; what is wrong with a name is said in words.
InputName = Annotated[
    str, AfterValidator(_name), Field(max_length=63, json_schema_extra={"pattern": PARAMETER_PATTERN})
]
Code = Annotated[str, Field(max_length=MAX_PAYLOAD_BYTES)]
Variables = Annotated[dict[InputName, JsonValue], Field(max_length=_MAX_VARIABLES)]


class InlineColumnModel(Model):
    """A column of an inline table; `type` is one of Arrow's names, or a common one of SQL or JSON."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    type: Annotated[str, Field(min_length=1, max_length=128)]


class InlineModel(Model):
    """A small table that comes with the task: at most 10,000 rows and 512 KiB of JSON."""

    kind: Literal["inline"]
    columns: Annotated[tuple[InlineColumnModel, ...], Field(min_length=1, max_length=1024, strict=False)]
    rows: Annotated[
        tuple[Annotated[tuple[ParameterModel, ...], Field(strict=False)], ...],
        Field(max_length=MAX_INLINE_ROWS, strict=False),
    ]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        kinds = [column_type(column.type) for column in self.columns]
        if None in kinds:
            raise wrong("a column's type is not one that inline tables have")
        if len({column.name for column in self.columns}) != len(self.columns):
            raise wrong("two columns have one name")
        for number, row in enumerate(self.rows):
            if len(row) != len(kinds):
                raise wrong(f"row {number} has not as many values as there are columns")
            if not all(kind is not None and fits(kind, value) for kind, value in zip(kinds, row, strict=True)):
                raise wrong(f"row {number} holds a value that is not of its column's type")
        if len(strictjson.dumps(self.rows)) > MAX_INLINE_BYTES:
            raise wrong("the table is larger than 512 KiB")
        return self

    def sources(self) -> tuple[str, ...]:
        """None: the table came with the task."""
        return ()

    def plain(self) -> InlineTable:
        """The table as the line carries it."""
        return InlineTable(columns=tuple((column.name, column.type) for column in self.columns), rows=self.rows)


class PythonInputModel(Model):
    """A program whose frame feeds another one. It meets its own inputs as the task's program does."""

    kind: Literal["python"]
    code: Code
    inputs: "Inputs" = Field(default_factory=dict, max_length=_MAX_INPUTS)
    variables: Variables = Field(default_factory=dict)

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.inputs.keys() & self.variables.keys():
            raise wrong("an input and a variable have one name")
        return self

    def sources(self) -> tuple[str, ...]:
        """Every source of every input, once: the signing key needs a grant for each."""
        return tuple(dict.fromkeys(name for given in self.inputs.values() for name in given.sources()))

    def program(self, frames: Frames, charts: tuple[ChartFormat, ...] = (), format: Format = "arrow") -> PythonTask:  # noqa: A002
        """The program as the line carries it; those that feed it get the same kind of frames, and give no charts."""
        inputs = {
            name: given.program(frames) if isinstance(given, PythonInputModel) else given.plain()
            for name, given in self.inputs.items()
        }
        return PythonTask(
            code=self.code,
            inputs=inputs,
            variables=dict(self.variables),
            frames=frames,
            charts=charts,
            format=format,
        )


InputModel = Annotated[SqlInputModel | InlineModel | PythonInputModel, Field(discriminator="kind")]
Inputs = dict[InputName, InputModel]
PythonInputModel.model_rebuild()


class PythonTaskModel(PythonInputModel):
    """A program over named tables, which come masked. `result` and charts leave as the policy allows.

    `frames` is what inputs are as the program meets them. `charts` are the formats of charts that can be used, the
    preferred first; none of them leaves the choice to the policy. `format` is that of a frame's rows.
    """

    frames: Frames = "pandas"
    charts: Annotated[tuple[ChartFormat, ...], Field(max_length=4, strict=False)] = ()
    format: Format = "arrow"

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if _depth(self.inputs) > MAX_DEPTH:
            raise wrong(f"programs feed one another more than {MAX_DEPTH} deep")
        if _programs(self.inputs) >= MAX_PROGRAMS:
            raise wrong(f"there are more than {MAX_PROGRAMS} programs")
        return self

    def plain(self) -> PythonTask:
        """The task as the line carries it."""
        return self.program(self.frames, self.charts, self.format)


def _depth(inputs: Mapping[str, SqlInputModel | InlineModel | PythonInputModel]) -> int:
    nested = [one.inputs for one in inputs.values() if isinstance(one, PythonInputModel)]
    return 1 + max(map(_depth, nested)) if nested else 0


def _programs(inputs: Mapping[str, SqlInputModel | InlineModel | PythonInputModel]) -> int:
    return sum(1 + _programs(one.inputs) for one in inputs.values() if isinstance(one, PythonInputModel))
