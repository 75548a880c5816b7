"""`agent catalog`: what a source holds, as a catalog job would tell it."""

from typing import Annotated

import typer

from agent.cli.options import Config, Json


def catalog(
    source: Annotated[str, typer.Argument(help="A configured source.")],
    *,
    relation: Annotated[
        list[str] | None, typer.Option(help="Glob over schema.relation, such as 'sales.*'. Repeatable; default: all.")
    ] = None,
    role: Annotated[list[str] | None, typer.Option(help="Role to assert; granted in trust.json. Repeatable.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> int:
    """Show relations, columns, types, keys and masks, as far as the policy tells them. Reads no row."""
    from agent.cli import tasks
    from agent.cli.execute import single
    from agent.cli.exits import FAILURE, complain_of
    from agent.cli.open_ import show
    from agent.cli.site import site

    settings, policy = site(config)
    task = tasks.catalog(source, relation or ())
    found = single(settings, policy, task, {"roles": tuple(role or ()), "on_limit": "truncate"})
    if isinstance(found, dict):
        complain_of("refused", found["code"], found["message"], found["hint"])
        return FAILURE
    return show(found, "json" if as_json else "table")
