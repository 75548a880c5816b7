"""The bounded building blocks of every published model, and one way to say what is wrong with an object."""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.wire import ids, keys

NAME_PATTERN = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,126}$"
SOURCE_PATTERN = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$"
PARAMETER_PATTERN = "^[A-Za-z_][A-Za-z0-9_]{0,62}$"
# No control characters, line separators or marks that turn the direction of text: such a name could forge a line.
_NO_CONTROLS = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$"
_MAX_TIME = 253_402_300_799  # the end of the year 9999

Ulid = Annotated[str, Field(pattern=ids.PATTERN, min_length=26, max_length=26)]
Kid = Annotated[str, Field(pattern=keys.KID_PATTERN, min_length=43, max_length=43)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$", min_length=64, max_length=64)]
NoneOrSha256 = Annotated[str, Field(pattern="^([0-9a-f]{64})?$", max_length=64)]
Name = Annotated[str, Field(pattern=NAME_PATTERN, min_length=1, max_length=127)]
Audience = Annotated[str, Field(pattern="^(agent|pool):" + NAME_PATTERN.removeprefix("^"), max_length=133)]
SourceText = Annotated[str, Field(pattern=SOURCE_PATTERN, min_length=1, max_length=63)]
CodeText = Annotated[str, Field(pattern=r"^[a-z]+(\.[a-z_]+)?$", max_length=64)]
Line = Annotated[str, Field(pattern=_NO_CONTROLS, max_length=256)]
LongLine = Annotated[str, Field(pattern=_NO_CONTROLS, max_length=1024)]
UnixTime = Annotated[float, Field(ge=0, le=_MAX_TIME)]
Names = Annotated[tuple[Name, ...], Field(max_length=64, strict=False)]

_SHOWN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_PROBLEMS = {"extra_forbidden": "is not a known field", "missing": "is missing"}


class Model(BaseModel):
    """Base of the published objects: no unknown field, no coercion, no change, no input in an error's text."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        ser_json_inf_nan="null",
    )


def explain(error: ValidationError) -> str:
    """The first problem as `path is missing`, `path is not a known field` or `path is outside its bounds`; no value."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = ".".join(_step(step) for step in first["loc"] if not _is_label(step))
    if first["type"] in {"value_error", "program_input"}:
        problem = first["msg"].removeprefix("Value error, ")
        return f"{path}: {problem}" if path else problem
    return f"{path or 'the object'} {_PROBLEMS.get(first['type'], 'is of the wrong type or outside its bounds')}"


def _is_label(step: str | int) -> bool:
    """Pydantic puts its own labels for keys and union members into the path."""
    return isinstance(step, str) and (step == "[key]" or step.startswith("constrained-"))


def _step(step: str | int) -> str:
    if isinstance(step, int) or _SHOWN.fullmatch(step) or keys.is_kid(step):
        return str(step)
    return "(name)"
