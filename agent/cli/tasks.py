"""What a person types as a task -> a task object of the protocol."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from agent.cli.programs import Options, completed, program
from agent.core.errors import ConfigError

NO_OPTIONS = Options()
_FIX = "Give a .sql or .py file, a task .json, or - for standard input."
MAX_LINE_BYTES = 4 * 1_048_576
"""A task line that is longer is malformed; twice what the largest payload could need."""


def wanted(
    kind: str,
    task: str | None,
    source: str | None,
    *,
    parameters: Sequence[str],
    relations: Sequence[str],
    options: Options = NO_OPTIONS,
) -> dict[str, Any]:
    """What `--kind` and its options ask for: `catalog` needs no TASK, `explain` describes the one that is given.

    Raises ConfigError.
    """
    if kind == "catalog" and task is None:
        if source is None:
            raise ConfigError("--source", "a catalog is of a source.", "Add --source NAME.")
        return catalog(source, relations)
    if task is None:
        raise ConfigError("TASK", "is missing.", _FIX)
    found = read(task, source, parameters, options, python=kind == "python")
    return explained(found) if kind == "explain" else found


def catalog(source: str, relations: Sequence[str]) -> dict[str, Any]:
    """The task of describing a source; `relations` are globs over `schema.relation`."""
    return {"kind": "catalog", "source": source, "relations": list(relations)}


def explained(task: dict[str, Any]) -> dict[str, Any]:
    """The task of describing what would become of a task."""
    return task if task.get("kind") == "explain" else {"kind": "explain", "task": task}


def read(
    task: str,
    source: str | None,
    parameters: Sequence[str],
    options: Options = NO_OPTIONS,
    *,
    python: bool = False,
) -> dict[str, Any]:
    """The task in a .sql or .py file, a task JSON file, or on standard input (`-`). Raises ConfigError.

    `--source` and `--param` complete the task; a task JSON that names its own source keeps it unless one is given.
    A program keeps its bytes as they are: what may not be in it is said with its line.
    """
    if python or task.endswith(".py"):
        if parameters:
            raise ConfigError("--param", "binds parameters of a statement.", "Give a program variables by --var.")
        return program(_text(task, "utf-8"), source, options)
    text = _text(task)
    if task.endswith(".json") or text.lstrip().startswith("{"):
        found = _object(text, task)
        found.setdefault("kind", "sql")
    else:
        found = {"kind": "sql", "statement": text.strip()}
    inner = found.get("task") if found["kind"] == "explain" else found
    if not isinstance(inner, dict):
        raise ConfigError(task, "is not a task object.", "Compare it with docs/schema/task.schema.json.")
    if inner.get("kind") == "python":
        completed(inner, source, options)
        return found
    if options.given:
        raise ConfigError("--input", "inputs and variables are a program's.", "Name a .py file as TASK.")
    if source is not None:
        inner["source"] = source
    if "source" not in inner:
        raise ConfigError("--source", "the task names no source.", "Add --source NAME.")
    if parameters:
        inner["parameters"] = {**inner.get("parameters", {}), **dict(parameter(one) for one in parameters)}
    return found


def parameter(written: str) -> tuple[str, object]:
    """`name=value`: a JSON scalar where the value reads as one (5, 1.5, true, null, "5"), else a text."""
    name, equals, value = written.partition("=")
    if not equals or not name.isidentifier():
        raise ConfigError("--param", "a parameter is written name=value.", "For example --param year=2024.")
    try:
        parsed = json.loads(value)
    except ValueError:
        return name, value
    return name, value if isinstance(parsed, (dict, list)) else parsed


@contextmanager
def lines(source: str) -> Iterator[Iterator[bytes]]:
    """The lines of a file, or of standard input (`-`), as they come. An over-long line is cut, and so malformed."""
    if source == "-":
        yield _lines(sys.stdin.buffer)
        return
    try:
        stream = Path(source).open("rb")  # noqa: SIM115 - closed below, where its errors are the caller's
    except OSError as error:
        raise ConfigError(source, f"cannot be read ({error.strerror}).") from None
    with stream:
        yield _lines(stream)


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(MAX_LINE_BYTES + 1):
        while not line.endswith(b"\n") and len(line) > MAX_LINE_BYTES:
            rest = stream.readline(MAX_LINE_BYTES + 1)  # what belongs to the same line is passed over
            if not rest or rest.endswith(b"\n"):
                break
        if line.strip():
            yield line


def _text(task: str, encoding: str = "utf-8-sig") -> str:
    try:
        data = sys.stdin.buffer.read() if task == "-" else Path(task).read_bytes()
    except OSError as error:
        raise ConfigError(task, f"cannot be read ({error.strerror}).", _FIX) from None
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise ConfigError(task, "is not UTF-8.", "Save it as UTF-8.") from None


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        raise ConfigError(name, "is not JSON.", "Compare it with docs/schema/task.schema.json.") from None
    if not isinstance(found, dict):
        raise ConfigError(name, "is not a task object.", "Compare it with docs/schema/task.schema.json.")
    return found
