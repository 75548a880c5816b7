"""A .py file with `--input` and `--var` -> a task object of the protocol."""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from agent.core.errors import ConfigError
from agent.core.job import ChartFormat

_INPUT: Final = re.compile(r"(?P<name>[^=@]*)(?:@(?P<source>[^=]*))?=(?P<what>.*)", re.DOTALL)
_INTEGER: Final = re.compile(r"-?(?:0|[1-9]\d{0,17})", re.ASCII)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
"""What a float holds without loss, and no number with a leading zero: that is a code."""
_BOOLEANS: Final = {"true": True, "false": False}
_EXAMPLE: Final = 'For example --input df="SELECT city FROM customers", or --input rates=@rates.csv.'


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `--input`, `--var`, `--frames` and `--chart-format` say, as they are written."""

    inputs: Sequence[str] = ()
    variables: Sequence[str] = ()
    frames: str | None = None
    charts: Sequence[str] = ()

    @property
    def given(self) -> bool:
        """Whether any of them was."""
        return bool(self.inputs or self.variables or self.frames or self.charts)


def program(code: str, source: str | None, options: Options) -> dict[str, Any]:
    """The task of running a program. Raises ConfigError for an input that cannot be read as one."""
    task: dict[str, Any] = {"kind": "python", "code": code}
    return completed(task, source, options)


def completed(task: dict[str, Any], source: str | None, options: Options) -> dict[str, Any]:
    """The task with the options' inputs and variables beside its own."""
    inputs = dict(input_of(written, source) for written in options.inputs)
    variables = dict(variable(written) for written in options.variables)
    if len(inputs) < len(options.inputs) or len(variables) < len(options.variables):
        raise ConfigError("--input", "two inputs or variables have one name.", "Name each otherwise.")
    if inputs:
        task["inputs"] = {**task.get("inputs", {}), **inputs}
    if variables:
        task["variables"] = {**task.get("variables", {}), **variables}
    if options.frames is not None:
        task["frames"] = options.frames
    unknown = [name for name in options.charts if name not in get_args(ChartFormat)]
    if unknown:
        raise ConfigError("--chart-format", "is not a format of charts.", f"One of {', '.join(get_args(ChartFormat))}.")
    if options.charts:
        task["charts"] = list(options.charts)
    return task


def input_of(written: str, source: str | None) -> tuple[str, dict[str, Any]]:
    """`name=SQL`, `name=@file.sql`, `name=@table.csv` or `.json`; `name@SOURCE=…` asks another source."""
    found = _INPUT.fullmatch(written)
    if found is None or not found["name"].isidentifier() or not found["what"]:
        raise ConfigError("--input", "an input is written name=SQL or name=@FILE.", _EXAMPLE)
    name, what, asked = found["name"], found["what"], found["source"] or source
    if not what.startswith("@"):
        return name, _sql(name, what, asked)
    path = Path(what[1:])
    text = _text(path)
    match path.suffix.lower():
        case ".sql":
            return name, _sql(name, text.strip(), asked)
        case ".csv":
            return name, table_of_csv(text, str(path))
        case ".json":
            return name, _json(text, str(path))
        case _:
            raise ConfigError(str(path), "is not an input.", "Name a .sql, .csv or .json file.")


def variable(written: str) -> tuple[str, Any]:
    """`name=value`: JSON where the value reads as such, else a text."""
    name, equals, value = written.partition("=")
    if not equals or not name.isidentifier():
        raise ConfigError("--var", "a variable is written name=value.", "For example --var year=2024.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def table_of_csv(text: str, name: str) -> dict[str, Any]:
    """An inline table of CSV with a head line; each column gets the plainest type that all its values have."""
    lines = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    if not lines or any(len(row) != len(lines[0]) for row in lines):
        raise ConfigError(name, "is not CSV with a head line and rows of one length.")
    heads, rows = lines[0], lines[1:]
    columns = [_typed([row[place] for row in rows]) for place in range(len(heads))]
    return {
        "kind": "inline",
        "columns": [{"name": head, "type": kind} for head, (kind, _) in zip(heads, columns, strict=True)],
        "rows": [list(row) for row in zip(*(values for _, values in columns), strict=True)] if rows else [],
    }


def table_of_records(records: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """An inline table of JSON objects."""
    heads = list(dict.fromkeys(key for record in records for key in record))
    columns = [{"name": head, "type": _kind([record.get(head) for record in records])} for head in heads]
    if not heads:
        raise ConfigError(name, "holds no columns.")
    return {"kind": "inline", "columns": columns, "rows": [[one.get(head) for head in heads] for one in records]}


def _sql(name: str, statement: str, source: str | None) -> dict[str, Any]:
    if source is None:
        raise ConfigError(
            "--source", f"the input {name} names no source.", "Add --source NAME, or write name@SOURCE=…."
        )
    return {"kind": "sql", "source": source, "statement": statement}


def _json(text: str, name: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        raise ConfigError(name, "is not JSON.") from None
    match found:
        case {"columns": list(), "rows": list(), **rest} if not rest.keys() - {"kind"}:
            return {**found, "kind": "inline"}
        case [dict(), *_] if all(isinstance(one, dict) for one in found):
            return table_of_records(found, name)
        case _:
            fix = 'Write a list of objects, or {"columns": […], "rows": […]}.'
            raise ConfigError(name, "is not a table.", fix)


def _typed(values: Sequence[str]) -> tuple[str, list[Any]]:
    filled = [value for value in values if value]
    if filled and all(_INTEGER.fullmatch(value) for value in filled):
        return "integer", [int(value) if value else None for value in values]
    if filled and all(_NUMBER.fullmatch(value) for value in filled):
        return "number", [float(value) if value else None for value in values]
    if filled and all(value.lower() in _BOOLEANS for value in filled):
        return "boolean", [_BOOLEANS[value.lower()] if value else None for value in values]
    return "text", [value or None for value in values]


def _kind(values: Sequence[Any]) -> str:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "integer"
    return "number" if kinds and kinds <= {int, float} else "text"


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(
            str(path), f"cannot be read ({error.strerror}).", "Name a .sql, .csv or .json file."
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), "is not UTF-8.", "Save it as UTF-8.") from None
