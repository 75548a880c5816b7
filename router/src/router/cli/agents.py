"""`router agents`: who is enrolled, who is there, and whose certificates count no more."""

from typing import Annotated, Any

import typer

from router.cli.site import DEFAULT, Folder, Json

app = typer.Typer(help=__doc__, no_args_is_help=True)


@app.command("list")
def list_(data: Folder = DEFAULT, *, tenant: str | None = None, as_json: Json = False) -> None:
    """Enrolled agents."""
    from dataclasses import asdict

    from router.cli.render import ago, put_json, put_table
    from router.cli.site import store_of

    with store_of(data) as store:
        found = store.agents(tenant)
    if as_json:
        put_json([asdict(one) for one in found])
        return
    rows: list[list[Any]] = [
        [one.tenant, one.name, one.pool, _state(one), ago(one.seen), ago(one.not_after), one.version or "-"]
        for one in found
    ]
    put_table(["TENANT", "AGENT", "POOL", "STATE", "SEEN", "CERTIFICATE ENDS", "VERSION"], rows)


@app.command()
def revoke(tenant: str, name: Annotated[str, typer.Argument(metavar="AGENT")], data: Folder = DEFAULT) -> None:
    """Within a second the agent's certificates count no more; its jobs are lost or queued again."""
    from router.cli.render import put
    from router.cli.site import done, store_of
    from router.core import ops

    with store_of(data) as store:
        done(store, ops.RevokeAgent(tenant, name))
    put(f"agent {name} of {tenant} revoked")


def _state(agent: Any) -> str:
    import time

    from router.core.agents import SILENT_SECONDS

    if agent.revoked is not None:
        return "revoked"
    if agent.session is None or (agent.seen or 0) + SILENT_SECONDS < time.time():
        return "offline"
    return "draining" if agent.draining else "online"
