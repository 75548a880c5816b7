"""`router token`: what admits agents and submitters. A token is shown once; the store keeps its hash."""

from pathlib import Path
from typing import Annotated, Any

import typer

from router.cli.site import DEFAULT, Folder, Json

app = typer.Typer(help=__doc__, no_args_is_help=True)


@app.command()
def create(
    data: Folder = DEFAULT,
    *,
    tenant: Annotated[str, typer.Option(help="Whose.")],
    pool: Annotated[
        list[str] | None, typer.Option(help="The agent's pool; of a submitter, the pools it may use. Repeatable.")
    ] = None,
    submit: Annotated[bool, typer.Option("--submit", help="For a submitter instead of an agent.")] = False,
    uses: Annotated[int, typer.Option(min=1, max=1000, help="How many agents it admits.")] = 1,
    hours: Annotated[
        float | None, typer.Option(min=0.01, help="How long it counts. Agents: at most 24, default 1.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="name=value that the agent gets. Repeatable.")] = None,
    note: Annotated[str, typer.Option(help="What it is for, for the list.")] = "",
    output: Annotated[Path | None, typer.Option(help="Write it to this new file (mode 0600) instead.")] = None,
    as_json: Json = False,
) -> None:
    """Make a token."""
    import secrets
    import time

    from agent.wire.ids import new_ulid
    from router.cli.render import put, put_json
    from router.cli.site import SiteError, done, is_named, store_of
    from router.core import ops
    from router.core.agents import NewToken
    from router.server.enroll import MAX_TOKEN_HOURS, token_hash

    now, pools = time.time(), tuple(is_named("--pool", one) for one in pool or ())
    is_named("--tenant", tenant)
    granted = dict(_label(one) for one in label or ())
    if not submit and len(pools) != 1:
        raise SiteError("An agent's token is for one pool. Fix: add --pool NAME.")
    lasts = hours if hours is not None else None if submit else 1.0
    if not submit and lasts is not None and lasts > MAX_TOKEN_HOURS:
        raise SiteError(f"An agent's token lasts at most {MAX_TOKEN_HOURS} hours. Fix: lower --hours.")
    secret = ("mrs_" if submit else "mre_") + secrets.token_urlsafe(32)
    token = NewToken(
        id=new_ulid(now),
        hash=token_hash(secret),
        kind="submit" if submit else "enroll",
        tenant=tenant,
        pools=pools,
        labels=granted,
        uses=None if submit else uses,
        expires=None if lasts is None else now + lasts * 3600,
        created=now,
        note=note,
    )
    with store_of(data) as store:
        if output is not None:
            write_new(output, secret + "\n")
        done(store, ops.PutToken(token))
    if output is not None:
        put(f"token {token.id} written to {output}")
    elif as_json:
        put_json({"id": token.id, "token": secret, "expires": token.expires})
    else:
        put(secret)


@app.command()
def certificate(
    data: Folder = DEFAULT,
    *,
    tenant: Annotated[str, typer.Option(help="Whose.")],
    name: Annotated[str, typer.Option(help="The submitter's.")],
    output: Annotated[Path, typer.Option(help="New file (mode 0600) for key and certificate.")],
    pool: Annotated[list[str] | None, typer.Option(help="The pools it may use; none: all. Repeatable.")] = None,
    days: Annotated[float, typer.Option(min=0.01, max=825, help="How long it counts.")] = 90.0,
    note: Annotated[str, typer.Option(help="What it is for, for the list.")] = "",
) -> None:
    """Make a submitter's certificate, which stands in for a token. `router token revoke` ends it."""
    import time

    from agent.wire.ids import new_ulid
    from router.ca.authority import new_key, private_pem
    from router.ca.names import SubmitterId
    from router.cli.render import put
    from router.cli.site import SiteError, done, is_named, settings, store_of
    from router.core import ops
    from router.core.agents import NewToken
    from router.server.enroll import certified
    from router.service.files import Files, load

    now, key = time.time(), new_key()
    who = SubmitterId(tenant=is_named("--tenant", tenant), name=is_named("--name", name))
    pools = tuple(is_named("--pool", one) for one in pool or ())
    authority = load(Files(data), settings(data).domain)
    issued = authority.submitter(key, who, now, days=days)
    token = NewToken(
        id=new_ulid(now),
        hash=certified(who, authority.domain),
        kind="submit",
        tenant=tenant,
        pools=pools,
        labels={},
        uses=None,
        expires=issued.not_after,
        created=now,
        note=note or f"certificate of {name}",
    )
    with store_of(data) as store:
        if store.token(token.hash) is not None:
            raise SiteError(f"{name} has a certificate. Fix: `router token revoke` it first, or use another name.")
        write_new(output, private_pem(key).decode() + issued.pem)
        done(store, ops.PutToken(token))
    put(f"certificate {token.id} written to {output}")


@app.command("list")
def list_(data: Folder = DEFAULT, *, tenant: str | None = None, as_json: Json = False) -> None:
    """All tokens, without what makes them tokens."""
    from dataclasses import asdict

    from router.cli.render import put_json, put_table
    from router.cli.site import store_of

    with store_of(data) as store:
        found = store.tokens(tenant)
    if as_json:
        put_json([asdict(one) for one in found])
        return
    rows: list[list[Any]] = [
        [
            one.id,
            one.kind,
            one.tenant,
            ",".join(one.pools) or "all",
            one.uses_left,
            _end(one.expires),
            _state(one),
            one.note,
        ]
        for one in found
    ]
    put_table(["ID", "FOR", "TENANT", "POOLS", "USES", "ENDS", "STATE", "NOTE"], rows)


@app.command()
def revoke(token_id: Annotated[str, typer.Argument(metavar="ID")], data: Folder = DEFAULT) -> None:
    """The token counts no more. Agents that it admitted stay: `router agents revoke`."""
    from router.cli.render import put
    from router.cli.site import SiteError, done, store_of
    from router.core import ops

    with store_of(data) as store:
        if not done(store, ops.RevokeToken(token_id)):
            raise SiteError(f"There is no token {token_id} that still counts. Fix: `router token list`.")
    put(f"token {token_id} revoked")


def _label(written: str) -> tuple[str, str]:
    from router.cli.site import SiteError

    name, equals, value = written.partition("=")
    if not equals or not name:
        raise SiteError("A label is written name=value.")
    return name, value


def write_new(path: Path, secret: str) -> None:
    """A new file for this account only. Raises SiteError."""
    import os

    from router.cli.site import SiteError

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SiteError(f"{path} cannot be made ({error.strerror}). Fix: name a new file.") from None
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)


def _end(moment: float | None) -> str:
    from router.cli.render import ago

    return "never" if moment is None else ago(moment)


def _state(token: Any) -> str:
    import time

    if token.revoked is not None:
        return "revoked"
    if token.expires is not None and token.expires < time.time():
        return "expired"
    return "used up" if token.uses_left == 0 else "counts"
