"""`router pools`: what waits, and for whom."""

import typer

from router.cli.site import DEFAULT, Folder, Json

app = typer.Typer(help=__doc__, no_args_is_help=True)


@app.command("list")
def list_(data: Folder = DEFAULT, *, tenant: str | None = None, as_json: Json = False) -> None:
    """Queues with jobs or agents."""
    from dataclasses import asdict

    from router.cli.render import ago, put_json, put_table
    from router.cli.site import store_of

    with store_of(data) as store:
        found = store.pools(tenant)
    if as_json:
        put_json([asdict(one) for one in found])
        return
    rows = [[one.tenant, one.audience, one.queued, ago(one.oldest), one.held, one.agents] for one in found]
    put_table(["TENANT", "FOR", "QUEUED", "OLDEST", "HELD", "AGENTS"], rows)
