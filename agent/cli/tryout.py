"""`agent policy test`: what the policy does to a task, explained, and a masked sample; nothing raw."""

from typing import Annotated, Any

import typer

from agent.cli.options import Config, Json

SAMPLE_ROWS = 10


def try_out(
    task: Annotated[str, typer.Argument(help="A .sql file, a task .json, or - for standard input.")],
    *,
    source: Annotated[str | None, typer.Option(help="Source to ask.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="name=value. Repeatable.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="Role to assert. Repeatable.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> int:
    """Show the rewritten SQL, the rule of every column with its reason, and a masked sample."""
    from agent.app import local_line
    from agent.cli import tasks
    from agent.cli.execute import Operator
    from agent.cli.exits import FAILURE
    from agent.cli.render import put_json
    from agent.cli.site import site

    settings, policy = site(config)
    wanted = tasks.read(task, source, param or ())
    terms = {"roles": tuple(role or ()), "on_limit": "truncate"}
    with Operator(settings, local_line(settings, policy, reveal=True)) as operator:
        shown = _plain(operator.run(wanted, {**terms, "limits": {"rows": SAMPLE_ROWS}}))
        told = _plain(operator.run(tasks.explained(wanted), terms))
    explained = told["result"]["value"] if told["outcome"] == "completed" else None
    if as_json:
        put_json({**shown, "explain": explained})
    else:
        _put(shown, explained)
    return 0 if shown["outcome"] == "completed" else FAILURE


def _plain(found: Any) -> dict[str, Any]:
    from agent.cli.open_ import plain

    return found if isinstance(found, dict) else plain(found)


def _put(shown: dict[str, Any], explained: dict[str, Any] | None) -> None:
    from agent.cli.documents import put_explained
    from agent.cli.exits import complain
    from agent.cli.render import put, put_table, safe

    if shown["outcome"] != "completed":
        complain(f"agent: {shown['outcome']}: {shown['code']}: {safe(shown['message'])}\n  {safe(shown['hint'])}")
        if explained is None or not explained["admitted"]:
            return
    if explained is not None:
        put_explained(explained)
    if shown["outcome"] == "completed":
        put(f"\nmasked sample, at most {SAMPLE_ROWS} rows:")
        put_table([column["name"] for column in shown["columns"]], shown["rows"])
