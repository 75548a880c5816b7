"""`agent policy test`: what the policy does to a task; nothing raw."""

from typing import Annotated

import typer

from agent.cli.options import Config, Json

app = typer.Typer(help="Try the policy.", no_args_is_help=True)
SAMPLE_ROWS = 10


@app.callback()
def group() -> None:
    """Try the policy."""


@app.command("test")
def try_out(
    task: Annotated[str, typer.Argument(help="A .sql file, a task .json, or - for standard input.")],
    *,
    source: Annotated[str | None, typer.Option(help="Source to ask.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="name=value. Repeatable.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="Role to assert. Repeatable.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> int:
    """Show the rewritten SQL, the rule of every column that the task touches, and a masked sample."""
    from agent.cli import tasks
    from agent.cli.execute import single
    from agent.cli.exits import FAILURE, complain
    from agent.cli.open_ import plain
    from agent.cli.render import put, put_json, put_table, safe
    from agent.cli.site import site

    settings, policy = site(config)
    terms = {"roles": tuple(role or ()), "on_limit": "truncate", "limits": {"rows": SAMPLE_ROWS}}
    found = single(settings, policy, tasks.read(task, source, param or ()), terms, reveal=True)
    shown = found if isinstance(found, dict) else plain(found)
    if as_json:
        put_json(shown)
        return 0 if shown["outcome"] == "completed" else FAILURE
    if shown["outcome"] != "completed":
        complain(f"agent: {shown['outcome']}: {shown['code']}: {safe(shown['message'])}\n  {safe(shown['hint'])}")
        return FAILURE
    disclosure = shown["disclosure"]
    put("what ran:")
    put(f"  {disclosure['statement']}\n")
    put_table(["column", "rule"], [[name, rule] for name, rule in disclosure["columns"].items()])
    put(f"\nmasked sample, at most {SAMPLE_ROWS} rows:")
    put_table([column["name"] for column in shown["columns"]], shown["rows"])
    return 0
