"""`agent drain` and `agent resume`: no new jobs, and new jobs again, while the agent goes on running."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.options import Config

_LOOK_SECONDS = 0.5


def drain(
    *,
    config: Config = None,
    wait: Annotated[
        float | None, typer.Option(help="Wait at most so many seconds until nothing runs and nothing waits.", min=0)
    ] = None,
) -> int:
    """Take no new jobs, and finish what runs, until `agent resume` or a restart. Exit 1 when --wait was too short."""
    from agent.cli.exits import FAILURE, complain
    from agent.cli.render import put
    from agent.service.orders import DRAIN

    folder = _ordered(config, DRAIN)
    put("No new jobs are taken. `agent resume` takes jobs again.")
    if wait is None:
        return 0
    deadline = time.monotonic() + wait
    while (left := _left(folder)) != (0, 0):
        if time.monotonic() >= deadline:
            running, results = left
            complain(f"agent: after {wait:g} s, {running} jobs run and {results} results wait to be delivered.")
            return FAILURE
        time.sleep(_LOOK_SECONDS)
    put("Nothing runs, and nothing waits to be delivered.")
    return 0


def resume(*, config: Config = None) -> int:
    """Take jobs again after `agent drain`."""
    from agent.cli.render import put
    from agent.service.orders import RESUME

    _ordered(config, RESUME)
    put("New jobs are taken.")
    return 0


def _ordered(config: Path | None, order: bytes) -> Path:
    """Give the order; the state folder. Raises NotRunningError, NotAllowedError."""
    from agent.service.statusclient import ask
    from agent.settings.locate import state_dir

    folder = state_dir(config, os.environ)
    ask(folder, request=order)
    return folder


def _left(folder: Path) -> tuple[int, int]:
    """How many jobs run, and how many results wait. Raises NotRunningError: an agent that ended has nothing running."""
    from agent.service.statusclient import ask

    status = ask(folder)
    return int(status["jobs"]["running"]), int(status["spool"]["results"])
