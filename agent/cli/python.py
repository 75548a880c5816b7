"""`agent python check`: would a program be admitted, and if not, why, where, and what to write; nothing is run."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.options import Config, Json

if TYPE_CHECKING:
    from agent.core.errors import Refuse
    from agent.core.job import PythonTask
    from agent.guard.python import Imports

app = typer.Typer(help="Check programs against the guard.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Check programs against the guard."""


@app.command("check")
def check(
    program: Annotated[str | None, typer.Argument(help="A .py file, a task .json, or - for standard input.")] = None,
    *,
    jsonl: Annotated[
        str | None,
        typer.Option(help='FILE or -: one task object per line ({"code": …} is enough), one answer per line.'),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Say whether a program would be admitted, and if not, why, where, and what to write. Exit 1 when it would not.

    What it may import is what the configuration says under python.imports, else the default list.
    """
    from agent.cli.exits import FAILURE, USAGE, complain

    if (program is None) == (jsonl is None):
        complain("agent: name one PROGRAM, or --jsonl FILE|-.")
        raise typer.Exit(USAGE)
    imports = _imports(config)
    if jsonl is not None:
        _stream(jsonl, imports)
    elif not _single(program or "-", imports, as_json=as_json):
        raise typer.Exit(FAILURE)


def _imports(config: Path | None) -> "Imports":
    from agent.cli.site import settings
    from agent.guard.python import Imports
    from agent.settings import SettingsError, find_config

    if config is None:
        try:
            find_config(None)
        except SettingsError:
            return Imports.default()
    named = settings(config).python.imports
    return Imports.default() if named == "default" else Imports.of(named)


def _stream(jsonl: str, imports: "Imports") -> None:
    import sys

    from agent.cli.render import dump
    from agent.cli.tasks import lines

    with lines(jsonl) as found:
        for line in found:
            sys.stdout.write(dump(_line(line, imports)) + "\n")
            sys.stdout.flush()


def _line(line: bytes, imports: "Imports") -> dict[str, Any]:
    from agent.core.errors import Refuse
    from agent.core.job import PythonTask
    from agent.wire.models import TaskLine

    ref = TaskLine.ref_of(line)
    try:
        task = TaskLine.parse(_completed(line)).task
        if not isinstance(task, PythonTask):
            return _said(ref, Refuse("task.kind", "Only programs are checked.", "Use the kind python."))
    except Refuse as refusal:
        return _said(ref, refusal)
    answers = (_answer(ref, program, imports) for program in _programs(task))
    return next((one for one in answers if not one["admitted"]), _said(ref))


def _programs(task: "PythonTask") -> "Iterator[PythonTask]":
    """The task, and the programs that its inputs are after it."""
    yield task
    for given in task.inputs.values():
        if given.kind == "python":
            yield from _programs(given)


def _completed(line: bytes) -> bytes:
    """The line with what a check can do without: the kind."""
    import json

    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(found, dict):
        return line
    return json.dumps({"kind": "python", **found}).encode("utf-8", "surrogatepass")


def _answer(ref: object, program: "PythonTask", imports: "Imports") -> dict[str, Any]:
    from agent.core.errors import Refuse
    from agent.guard.python import admit, nameable

    try:
        admit(program.code, imports)
    except Refuse as refusal:
        return _said(ref, refusal)
    if all(map(nameable, (*program.inputs, *program.variables))):
        return _said(ref)
    message = "An input or a variable has a name that programs do not find."
    return _said(ref, Refuse("python.input", message, "Name it as a variable of Python is named."))


def _said(ref: object, refusal: "Refuse | None" = None) -> dict[str, Any]:
    return {
        "ref": ref,
        "admitted": refusal is None,
        "code": "ok" if refusal is None else refusal.code,
        "message": "" if refusal is None else refusal.message,
        "hint": "" if refusal is None else refusal.hint,
        "problems": [] if refusal is None else [asdict(one) for one in refusal.problems],
    }


def _single(program: str, imports: "Imports", *, as_json: bool) -> bool:
    from agent.cli.exits import complain_of
    from agent.cli.render import put, put_json
    from agent.core.job import PythonTask
    from agent.core.problem import Problem

    data = _read(program)
    if program.endswith(".json"):
        answer = _line(data, imports)
    else:
        text = data.decode("utf-8", "surrogateescape")  # what is no UTF-8 is refused as such
        answer = _answer(None, PythonTask(code=text, inputs={}), imports)
    if as_json:
        put_json(answer)
    elif answer["admitted"]:
        put("admitted")
    else:
        problems = [Problem(**one) for one in answer["problems"]]
        complain_of("refused", answer["code"], answer["message"], answer["hint"], problems)
    return bool(answer["admitted"])


def _read(program: str) -> bytes:
    import sys

    from agent.core.errors import ConfigError

    try:
        return sys.stdin.buffer.read() if program == "-" else Path(program).read_bytes()
    except OSError as error:
        fix = "Give a .py file, a task .json, or - for standard input."
        raise ConfigError(program, f"cannot be read ({error.strerror}).", fix) from None
