"""`agent sources`: which databases there are, and whether each is as it should be."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.options import Config, Json

if TYPE_CHECKING:
    from agent.core.ports import Finding

app = typer.Typer(help="List the sources and test them.", no_args_is_help=True)


@app.command("list")
def list_(*, config: Config = None, as_json: Json = False) -> None:
    """The configured sources: name, type and address. Connects to none."""
    from agent.cli.render import put_json, put_table
    from agent.cli.site import settings

    found = [
        {"name": name, "type": source.type, "address": _address(source)}
        for name, source in settings(config).sources.items()
    ]
    if as_json:
        put_json({"sources": found})
    else:
        put_table(["name", "type", "address"], [list(line.values()) for line in found])


@app.command("test")
def try_(
    name: Annotated[str | None, typer.Argument(help="Source to test. Default: all.")] = None,
    *,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Connect as a job would, in an isolated worker, and say what was found and what to do. Exit 1 on errors."""
    from agent.app import examine
    from agent.cli.exits import FAILURE
    from agent.cli.render import put_json
    from agent.cli.site import settings
    from agent.core.errors import ConfigError

    loaded = settings(config)
    names = list(loaded.sources) if name is None else [name]
    if unknown := [wanted for wanted in names if wanted not in loaded.sources]:
        raise ConfigError(f"sources.{unknown[0]}", "there is no such source.", "See `agent sources list`.")
    found = examine(loaded, names)
    failed = any(finding.level == "error" for findings in found.values() for finding in findings)
    if as_json:
        put_json({"ok": not failed, "sources": {one: [_plain(item) for item in items] for one, items in found.items()}})
    else:
        for one, findings in found.items():
            _show(one, findings)
    if failed:
        raise typer.Exit(FAILURE)


def _address(source: Any) -> str:
    if hasattr(source, "path"):
        return str(source.path)
    host = f"[{source.host}]" if ":" in source.host else source.host
    return f"{host}:{source.port}/{source.database}"


def _plain(finding: "Finding") -> dict[str, str]:
    return {"check": finding.check, "level": finding.level, "found": finding.found, "fix": finding.fix}


def _show(name: str, findings: "tuple[Finding, ...]") -> None:
    from agent.cli.render import put, safe

    put(safe(name))
    width = max((len(finding.check) for finding in findings), default=0)
    for finding in findings:
        put(f"  {finding.level:<7}  {finding.check:<{width}}  {safe(finding.found)}")
        if finding.fix:
            put(f"  {'':<7}  {'':<{width}}  fix: {safe(finding.fix)}")
