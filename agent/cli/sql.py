"""`agent sql check`: would a statement be admitted, why not, and what would run; no database is touched."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.options import Config, Json

if TYPE_CHECKING:
    from agent.core.catalog import Catalog
    from agent.masking.policy import Policy

_NO_KEY = b"\0" * 32

app = typer.Typer(help="Check SQL against the guard and the policy.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Check SQL against the guard and the policy."""


@app.command("check")
def check(
    task: Annotated[str | None, typer.Argument(help="A .sql file, a task .json, or - for standard input.")] = None,
    *,
    dialect: Annotated[str, typer.Option(help="The source's dialect.")],
    catalog: Annotated[Path | None, typer.Option(help="CREATE statements (.sql) or a catalog (.json).")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="policy.yaml. Default: the configuration's, else all is kept.")
    ] = None,
    jsonl: Annotated[str | None, typer.Option(help="FILE or -: one task object per line, one answer per line.")] = None,
    source: Annotated[str, typer.Option(help="Name of the source, for the policy's globs.")] = "source",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Say whether a statement would be admitted, why not, and what would run. Exit 1 when it would not."""
    from agent.cli.exits import FAILURE, USAGE, complain

    if (task is None) == (jsonl is None):
        complain("agent: name one TASK, or --jsonl FILE|-.")
        raise typer.Exit(USAGE)
    checker = _Checker(_catalog(catalog, dialect, source), _policy(policy, config))
    if jsonl is not None:
        _stream(checker, jsonl)
    elif not _single(checker, task or "-", source, as_json=as_json):
        raise typer.Exit(FAILURE)


class _Checker:
    def __init__(self, catalog: "Catalog", policy: "Policy") -> None:
        self._catalog, self._policy = catalog, policy

    def answer(self, line: bytes) -> dict[str, Any]:
        from agent.core.errors import Refuse
        from agent.core.job import SqlTask
        from agent.guard.sql import admit
        from agent.masking.rewrite import check_bound, rewrite
        from agent.masking.visible import visible
        from agent.wire.models import TaskLine

        ref = TaskLine.ref_of(line)
        try:
            parsed = TaskLine.parse(_completed(line, self._catalog.source))
            if not isinstance(parsed.task, SqlTask):
                return _said(ref, Refuse("task.kind", "Only SQL is checked.", "Use the kind sql."))
            catalog = replace(self._catalog, source=parsed.task.source)  # what the policy's globs are matched against
            plan = admit(parsed.task, visible(catalog, self._policy))
            if plan.parameters:
                check_bound(plan)
            elif plan.dialect.inline_parameters:
                plan = replace(plan, parameters=dict.fromkeys(plan.names))  # shown as NULL
            # The check needs no key: tokens are shown by the variables that would hold their pads.
            made = rewrite(plan, catalog, self._policy, roles=(), token_key=_NO_KEY, token_previous=_NO_KEY, tenant="")
        except Refuse as refusal:
            return _said(ref, refusal)
        return {"ref": ref, "admitted": True, "code": "ok", "message": "", "hint": "", "sql": made.sql}


def _completed(line: bytes, source: str) -> bytes:
    """The line with what a check can do without: the kind and the source's name."""
    import json

    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(found, dict) or {"kind", "source"} <= set(found):
        return line
    return json.dumps({"kind": "sql", "source": source, **found}).encode()


def _said(ref: object, refusal: Any) -> dict[str, Any]:
    return {
        "ref": ref,
        "admitted": False,
        "code": refusal.code,
        "message": refusal.message,
        "hint": refusal.hint,
        "problems": [asdict(one) for one in refusal.problems],
        "sql": None,
    }


def _stream(checker: _Checker, jsonl: str) -> None:
    import sys

    from agent.cli.render import dump
    from agent.cli.tasks import lines

    with lines(jsonl) as found:
        for line in found:
            sys.stdout.write(dump(checker.answer(line)) + "\n")
            sys.stdout.flush()


def _single(checker: _Checker, task: str, source: str, *, as_json: bool) -> bool:
    from agent.cli import tasks
    from agent.cli.render import dump, put, put_json, safe

    answer = checker.answer(dump(tasks.read(task, source, ())).encode("utf-8", "surrogatepass"))
    if as_json:
        put_json(answer)
    elif answer["admitted"]:
        put("admitted; what would run:")
        put(answer["sql"])
    else:
        put(f"refused: {answer['code']}: {safe(answer['message'])}")
        put(f"  {safe(answer['hint'])}")
        for number, one in enumerate(answer["problems"]):
            if one["line"] is not None:
                more = f": {safe(one['message'])} {safe(one['hint'])}" if number else f": {safe(one['name'])}"
                put(f"  line {one['line']}, column {one['column']}{more.rstrip(': ')}")
    return bool(answer["admitted"])


def _catalog(path: Path | None, dialect: str, source: str) -> "Catalog":
    from agent.core.catalog import Catalog
    from agent.core.errors import ConfigError
    from agent.dialects import DIALECTS
    from agent.masking.ddl import catalog_from_json, catalog_of

    if dialect not in DIALECTS:
        raise ConfigError("--dialect", "is not known.", f"Use one of {', '.join(DIALECTS)}.")
    if path is None:
        return Catalog(source, dialect, DIALECTS[dialect].default_schema, ())
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise ConfigError("--catalog", f"{path} cannot be read as UTF-8 text.") from None
    if path.suffix == ".json":
        return catalog_from_json(text, dialect=dialect, source=source)
    return catalog_of(text, dialect=dialect, source=source)


def _policy(path: Path | None, config: Path | None) -> "Policy":
    import os

    from agent.cli.exits import complain
    from agent.cli.site import site
    from agent.masking.policy import Policy
    from agent.settings import SettingsError, find_config, read_policy

    if path is not None:
        return read_policy(path, os.environ).policy
    try:
        find_config(config)
    except SettingsError:
        complain("agent: no --policy: nothing is masked in what is shown.")
        return Policy(version=1, default="keep")
    return site(config)[1].policy
