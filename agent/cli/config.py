"""`agent config`: check, show and describe the configuration."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agent.cli.options import Config, Json

if TYPE_CHECKING:
    from agent.settings import Settings

app = typer.Typer(help="Check, show and describe the configuration.", no_args_is_help=True)


@app.command("check")
def check(
    *,
    config: Config = None,
    connect: Annotated[bool, typer.Option("--connect", help="Also open every source.")] = False,
    as_json: Json = False,
) -> None:
    """Read configuration and policy, and say what is wrong with them. Exit 78 on errors; warnings do not fail."""
    from agent.cli.exits import CONFIGURATION
    from agent.cli.render import put, put_json
    from agent.cli.site import settings
    from agent.settings import SettingsError, find_config
    from agent.settings import check as inspect

    try:
        loaded = settings(config)
        findings = list(inspect(loaded, connect=_probe(loaded) if connect else None))
    except SettingsError as error:
        findings = list(error.findings)
    errors = [finding for finding in findings if finding.level == "error"]
    if as_json:
        listed = [{"level": f.level, "key": f.key, "where": f.where, "line": f.line, "problem": f.problem, "fix": f.fix} for f in findings]  # fmt: skip  # noqa: E501
        put_json({"ok": not errors, "findings": listed})
    else:
        for finding in findings:
            put(f"{finding.level}: {finding}")
        if not errors:
            put(f"ok: {find_config(config)}" + (f", {len(findings)} warnings" if findings else ""))
    if errors:
        raise typer.Exit(CONFIGURATION)


def _probe(loaded: "Settings") -> "Callable[[str], tuple[str, str] | None]":
    """Opens a source where jobs open it: in a worker."""
    from agent.cli.execute import single
    from agent.settings import load_policy

    def probe(name: str) -> tuple[str, str] | None:
        task = {"kind": "sql", "source": name, "statement": "SELECT 1 AS one"}
        found = single(loaded, load_policy(loaded), task, {})
        if isinstance(found, dict):
            return found["message"], found["hint"]
        outcome = found.outcome
        return None if outcome.outcome == "completed" else (outcome.message, outcome.hint)

    return probe


@app.command("show")
def show(
    *,
    config: Config = None,
    redacted: Annotated[bool, typer.Option("--redacted", help="Hide secrets (always on).")] = True,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value came from.")] = False,
    as_json: Json = False,
) -> None:
    """The configuration that is in force, with defaults and overrides; secrets are never shown."""
    import yaml

    from agent.cli.render import put, put_json, put_table
    from agent.cli.site import settings

    assert redacted, "there is no other way"
    shown = settings(config).redacted(origin=origin)
    if as_json:
        put_json(shown)
    elif origin:
        put_table(["key", "value", "origin"], [[key, item["value"], item["origin"]] for key, item in shown.items()])
    else:
        put(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True).rstrip())


@app.command("schema")
def schema(
    which: Annotated[Literal["sandbox", "policy"], typer.Argument(help="Which file's JSON Schema.")] = "sandbox",
) -> None:
    """The JSON Schema of sandbox.yaml or policy.yaml, for editors."""
    import json

    from agent.cli.render import put
    from agent.settings import policy_schema
    from agent.settings import schema as sandbox_schema

    put(json.dumps(sandbox_schema() if which == "sandbox" else policy_schema(), indent=2))
