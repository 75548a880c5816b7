"""`router init`: a folder with a CA, a certificate of the Router's own, and settings."""

from pathlib import Path
from typing import Annotated

import typer

from router.cli.site import DEFAULT, SETTINGS, Folder


def init(
    data: Folder = DEFAULT,
    *,
    host: Annotated[
        list[str] | None, typer.Option(help="Name or address that agents and submitters use. Repeatable.")
    ] = None,
    domain: Annotated[str, typer.Option(help="Trust domain of the identities that the CA gives.")] = "meridyen.local",
    listen: Annotated[str, typer.Option(help="Address and port to listen on.")] = "127.0.0.1:8443",
) -> None:
    """Make what is missing; nothing that exists is overwritten."""
    import re
    import time

    from router.ca.authority import AGENT_HOURS
    from router.cli.render import put
    from router.cli.site import Settings, SiteError, settings
    from router.service import files

    if re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,253}[a-z0-9])?", domain, re.ASCII) is None:
        raise SiteError("--domain: write a name in lower case, for example router.example.org.")
    hosts = tuple(host or ("localhost", "127.0.0.1"))
    path = data / SETTINGS
    place = files.Files(data)
    if path.exists():
        found = settings(data)
        domain, hosts = found.domain, found.hosts
    try:
        files.init(place, domain, hosts, time.time())
    except OSError as error:
        raise SiteError(f"{data} cannot be written ({error.strerror}). Fix: name a folder of this account's.") from None
    except ValueError as error:
        raise SiteError(f"The CA's files cannot be used ({error}). Fix: put back the copy that you kept.") from None
    if not path.exists():
        Settings(domain=domain, hosts=hosts, listen=listen, agent_hours=AGENT_HOURS).write(path)
    put(f"The Router's folder is {_shown(data)}.")
    put(f"  settings   {_shown(path)}")
    put(f"  CA         {_shown(place.bundle)}   agents and submitters need it: --ca-file")
    put(f"  CA key     {_shown(place.ca_key)}   keep a copy offline; who has it can admit agents, but open no result")
    put("Next:")
    put(f"  router token create --data {data} --tenant ACME --submit        a submitter's token")
    put(f"  router token create --data {data} --tenant ACME --pool default  a one-time token for an agent")
    put(f"  router serve --data {data}")


def _shown(path: Path) -> str:
    return str(path)
