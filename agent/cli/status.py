"""`agent status` as a command."""

from typing import Annotated

import typer

from agent.cli.options import Config, Json


def status(
    *,
    config: Config = None,
    as_json: Json = False,
    healthcheck: Annotated[bool, typer.Option("--healthcheck", help="Print nothing; exit 0 when healthy.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it live until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(help="With --watch: seconds between two looks.", min=0.2, max=3600)] = 1.0,
) -> int:
    """State, jobs, sources and what to do. Exit 0 well, 3 not running, 4 degraded."""
    from agent.cli.status_report import report

    if watch:
        from agent.cli.exits import USAGE, complain
        from agent.cli.status_watch import watch as live

        if as_json or healthcheck:
            complain("agent: --watch is for people: leave out --json and --healthcheck.")
            return USAGE
        return live(config, every)
    return report(config, as_json=as_json, healthcheck=healthcheck)
