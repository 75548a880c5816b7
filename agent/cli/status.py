"""`agent status` as a command."""

from typing import Annotated

import typer

from agent.cli.options import Config, Json


def status(
    *,
    config: Config = None,
    as_json: Json = False,
    healthcheck: Annotated[bool, typer.Option("--healthcheck", help="Print nothing; exit 0 when healthy.")] = False,
) -> int:
    """State, jobs, sources and what to do. Exit 0 well, 3 not running, 4 degraded."""
    from agent.cli.status_report import report

    return report(config, as_json=as_json, healthcheck=healthcheck)
