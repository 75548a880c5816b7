"""`agent run`: the service."""

from typing import Annotated

import typer

from agent.cli.options import Config


def run(
    *,
    config: Config = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more, on standard error.")] = False,
) -> int:
    """Serve until SIGTERM or Ctrl-C, then finish what runs and end. SIGHUP reads the configuration anew."""
    import faulthandler
    import os
    import signal
    import sys

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # told to end before it began
    faulthandler.enable()  # a watchdog's SIGABRT leaves where it hung, in lines of code and without values
    from agent.app import serve
    from agent.cli.site import settings
    from agent.service.notify import Manager

    return serve(settings(config), verbose=verbose, manager=Manager.of(os.environ, os.getpid()))
