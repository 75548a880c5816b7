"""`router serve`."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from router.cli.site import DEFAULT, Folder

_MAX_PORT: Final = 65_535


def serve(
    data: Folder = DEFAULT,
    *,
    listen: Annotated[
        str | None, typer.Option(help="ADDRESS:PORT, or unix:PATH behind a proxy, instead of the settings'.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Run until SIGTERM or Ctrl-C, exit 0. Logs go to standard error; nothing of a job stands in them."""
    import logging
    import signal

    from router.cli.site import SiteError, settings
    from router.serve import run

    for number in (signal.SIGTERM, signal.SIGINT):  # the server ends in order first, and raises the signal again then
        signal.signal(number, lambda *_: sys.exit(0))
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    found = settings(data)
    try:
        run(data, found, place(listen or found.listen))
    except OSError as error:
        about = f"{error.filename}: " if error.filename else ""
        raise SiteError(f"{about}{error.strerror or error}. Fix: check the address, the folder and its mode.") from None
    except ValueError as error:
        raise SiteError(f"The CA's files cannot be used ({error}). Fix: put back the copy that you kept.") from None


def place(written: str) -> "tuple[str, int] | Path":
    """`ADDRESS:PORT` or `unix:PATH`. Raises SiteError."""
    from router.cli.site import SiteError

    if written.startswith("unix:/"):
        return Path(written.removeprefix("unix:"))
    host, _, port = written.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or int(port) > _MAX_PORT:
        raise SiteError("--listen: write ADDRESS:PORT, for example 0.0.0.0:8443, or unix:/run/router.sock.")
    return host.strip("[]"), int(port)
