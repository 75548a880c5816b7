"""`agent trust`: which keys may ask for what. The security officer's command."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.options import Config, Json

app = typer.Typer(help="Which keys may ask this agent for what.", no_args_is_help=True)


@app.command("list")
def list_(*, config: Config = None, as_json: Json = False) -> None:
    """Every submitter with its grants and fingerprints."""
    from agent.cli.render import put, put_json, put_table
    from agent.cli.site import settings
    from agent.identity import trustfile
    from agent.wire.keys import fingerprint

    store = trustfile.load(settings(config).trust)
    if as_json:
        put_json(store.model_dump(mode="json"))
        return
    if not store.submitters:
        put("No key is trusted yet. Add one with `agent trust add`.")
        return
    put_table(
        ["name", "key", "tenants", "sources", "kinds", "roles", "state"],
        [
            [
                entry.name,
                fingerprint(kid),
                ", ".join(entry.tenants),
                ", ".join(entry.sources),
                ", ".join(entry.kinds),
                ", ".join(entry.roles) or "none",
                f"revoked {entry.revoked}" if entry.revoked else "trusted",
            ]
            for kid, entry in store.submitters.items()
        ],
    )


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Whose key this is.")],
    *,
    key: Annotated[Path, typer.Option(help="Public signing key (JWK).")],
    opening_key: Annotated[list[Path], typer.Option(help="Public key that results may be sealed to. Repeatable.")],
    source: Annotated[list[str], typer.Option(help="Source it may ask, or a glob. Repeatable.")],
    kind: Annotated[list[str] | None, typer.Option(help="Kind of task. Repeatable; default: sql.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="Role it may assert. Repeatable; default: none.")] = None,
    tenant: Annotated[list[str] | None, typer.Option(help="Tenant. Default: this agent's.")] = None,
    config: Config = None,
) -> None:
    """Trust a key, or change what a trusted key may ask."""
    import time

    from agent.cli.render import put
    from agent.cli.site import settings
    from agent.identity import keystore, trustfile
    from agent.wire.keys import fingerprint

    loaded = settings(config)
    public = keystore.load_verify(key)
    recipients = {
        path.name.split(".")[0] + f"-{n}": keystore.load_recipient(path) for n, path in enumerate(opening_key)
    }
    trustfile.ensure(loaded.trust)
    trustfile.update(
        loaded.trust,
        lambda store: trustfile.add(
            store,
            name=name,
            key=public,
            tenants=tenant or [loaded.tenant],
            sources=source,
            kinds=kind or ["sql"],
            roles=role or [],
            recipients=recipients,
            now=time.time(),
        ),
    )
    put(f"trusted: {name} {fingerprint(public.kid)}")
    for label, recipient in recipients.items():
        put(f"  results may be sealed to {label} {fingerprint(recipient.kid)}")
    put("Compare the fingerprints with their owner over another channel.")


@app.command("operator")
def operator(*, config: Config = None) -> None:
    """Let whoever has this agent's account ask here with `agent exec`: every source and kind, no role."""
    import time

    from agent.cli.render import put
    from agent.cli.site import settings
    from agent.core.errors import ConfigError
    from agent.identity import state, trustfile
    from agent.wire.keys import fingerprint

    loaded = settings(config)
    identity = state.ensure(loaded.state_dir)
    trustfile.ensure(loaded.trust)
    store = trustfile.update(
        loaded.trust, lambda store: trustfile.with_operator(store, identity, loaded.tenant, time.time())
    )
    if store.submitters[identity.operator.kid].revoked is not None:
        fix = f"Remove operator.jwk from {state.folder(loaded.state_dir)}: the next one is another key."
        raise ConfigError("trust.operator", "the local operator's key is revoked.", fix)
    put(f"trusted: local operator {fingerprint(identity.operator.kid)}")


@app.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(help="Fingerprint or kid of a signing key.")], *, config: Config = None
) -> None:
    """Refuse everything that this key signs, from the next job on."""
    import time

    from agent.cli.render import put
    from agent.cli.site import settings
    from agent.identity import trustfile

    trustfile.update(settings(config).trust, lambda store: trustfile.revoke(store, key, time.time()))
    put(f"revoked: {key}")
