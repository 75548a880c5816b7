"""`router jobs`: where jobs stand. Nothing here can show what a job asked beyond its envelope, or any result."""

from typing import Annotated, Any

import typer

from router.cli.site import DEFAULT, Folder, Json

app = typer.Typer(help=__doc__, no_args_is_help=True)


@app.command("list")
def list_(
    data: Folder = DEFAULT,
    *,
    tenant: str | None = None,
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: Json = False,
) -> None:
    """Jobs, newest first."""
    from dataclasses import asdict

    from router.cli.render import ago, put_json, put_table
    from router.cli.site import store_of
    from router.store.port import JobFilter

    with store_of(data) as store:
        states: Any = (state,) if state else ()
        found = store.jobs(JobFilter(tenant=tenant, states=states, limit=limit))
    if as_json:
        put_json([asdict(one) for one in found])
        return
    rows: list[list[Any]] = [
        [one.id, one.tenant, one.audience, one.kind, one.state, one.code, one.agent, ago(one.changed)] for one in found
    ]
    put_table(["JOB", "TENANT", "FOR", "KIND", "STATE", "CODE", "AGENT", "CHANGED"], rows)


@app.command()
def show(tenant: str, job: str, data: Folder = DEFAULT, *, as_json: Json = False) -> None:
    """All that is known of one job."""
    from dataclasses import asdict

    from router.cli.render import put, put_json, safe
    from router.cli.site import SiteError, store_of

    with store_of(data) as store:
        found = store.job(tenant, job)
    if found is None:
        raise SiteError(f"There is no job {job} of {tenant}. Fix: `router jobs list`.")
    if as_json:
        put_json(asdict(found))
        return
    for name, value in asdict(found).items():
        put(f"{name:14} {safe(value)}")


@app.command()
def cancel(tenant: str, job: str, data: Folder = DEFAULT) -> None:
    """Ask for the end of a job."""
    from router.cli.render import put
    from router.cli.site import done, store_of
    from router.core import ops

    with store_of(data) as store:
        found = done(store, ops.Cancel(tenant, (), job))
    put(f"job {job}: {'its agent is told' if found.cancelling else found.state}")


@app.command()
def retry(tenant: str, job: str, data: Folder = DEFAULT) -> None:
    """Queue a dead letter again. The agents' own ledgers decide whether it may run twice."""
    from router.cli.render import put
    from router.cli.site import done, store_of
    from router.core import ops

    with store_of(data) as store:
        done(store, ops.Retry(tenant, job))
    put(f"job {job}: queued")
