"""`router ca`: the authority that issues certificates, and how it is replaced without a gap.

`next`, then wait until every agent has renewed (a day at most), `switch`, wait again, `drop`. A Router that runs
follows within a second.
"""

from pathlib import Path
from typing import Annotated

import typer

from router.cli.site import DEFAULT, Folder, Json

_SHOWN = 8

app = typer.Typer(help=__doc__, no_args_is_help=True)

Force = Annotated[bool, typer.Option("--force", help="Also while agents would be cut off: they must enrol again.")]


@app.command()
def show(data: Folder = DEFAULT, *, as_json: Json = False) -> None:
    """The authorities that count, which one issues, and until when."""
    from router.cli.render import put_json, put_table
    from router.cli.site import settings
    from router.service.files import Files, load

    authority = load(Files(data), settings(data).domain)
    rows = [
        {
            "subject": one.subject.rfc4514_string(),
            "issues": one is authority.certificate,
            "ends": one.not_valid_after_utc.isoformat(),
        }
        for one in (authority.certificate, *authority.others)
    ]
    if as_json:
        put_json(rows)
        return
    put_table(
        ["CA", "ISSUES", "ENDS"], [[row["subject"], "yes" if row["issues"] else "no", row["ends"]] for row in rows]
    )


@app.command("next")
def next_(data: Folder = DEFAULT) -> None:
    """Phase one: a second CA counts from now on; agents and submitters learn of it, nothing is issued by it yet."""
    import time

    from router.cli.render import put
    from router.cli.site import settings
    from router.service import roll
    from router.service.files import Files

    files = Files(data)
    roll.prepare(files, settings(data).domain, time.time())
    put(f"The next CA counts. Agents learn of it when they renew; give submitters {files.bundle} now.")
    put("Next: `router ca switch`, when it says that nobody is behind.")


@app.command()
def switch(data: Folder = DEFAULT, *, force: Force = False) -> None:
    """Phase two: the next CA issues, and the Router's own certificate is made anew by it."""
    import time

    from router.cli.render import put
    from router.cli.site import settings
    from router.service import roll
    from router.service.files import Files

    files, found = Files(data), settings(data)
    if files.ca_next.exists() and not force:
        _nobody_behind(data, files.ca_next)
    roll.switch(files, found.domain, found.hosts, time.time())
    put("The next CA issues. Next: `router ca drop`, when it says that nobody is behind.")


@app.command()
def drop(data: Folder = DEFAULT, *, force: Force = False) -> None:
    """Phase three: certificates of the former CA count no more, also on open connections."""
    from router.cli.render import put
    from router.cli.site import settings
    from router.service import roll
    from router.service.files import Files

    files = Files(data)
    if files.ca_old.exists() and not force:
        _nobody_behind(data, files.certificate)  # it was made at the switch or later
    roll.drop(files, settings(data).domain)
    put("One CA counts.")


def _nobody_behind(data: Path, since: Path) -> None:
    """Raises SiteError that names agents which have not renewed since a certificate was made."""
    import time

    from router.cli.site import SiteError, settings, store_of
    from router.service import roll

    life = settings(data).agent_hours * 3600
    with store_of(data) as store:
        late = roll.behind(store.agents(None), roll.begun(since.read_bytes()), life, time.time())
    if late:
        names = ", ".join(late[:_SHOWN]) + (", …" if len(late) > _SHOWN else "")
        raise SiteError(f"{len(late)} agents have not renewed since: {names}. Fix: wait for them, or use --force.")
