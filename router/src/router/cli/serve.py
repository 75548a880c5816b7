"""`router serve`."""

from typing import Annotated

import typer

from router.cli.site import DEFAULT, Folder


def serve(
    data: Folder = DEFAULT,
    *,
    listen: Annotated[str | None, typer.Option(help="Address and port, instead of the settings'.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Run until SIGTERM or Ctrl-C. Logs go to standard error; nothing of a job stands in them."""
    import logging

    from router.cli.site import SiteError, settings
    from router.serve import run

    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    found = settings(data)
    host, _, port = (listen or found.listen).rpartition(":")
    if not host or not port.isdecimal():
        raise SiteError("--listen: write ADDRESS:PORT, for example 0.0.0.0:8443.")
    run(data, found, host.strip("[]"), int(port))
