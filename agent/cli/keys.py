"""`agent keys`: make keys, show fingerprints."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from agent.cli import links
from agent.cli.options import Config, Json

app = typer.Typer(help="Make keys and compare fingerprints.", no_args_is_help=True)


@app.command("new")
def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder for a submitter's keys and profile.")],
    *,
    user: Annotated[str, typer.Option(help="Name that results are asked for under.")],
    tenant: Annotated[str, typer.Option(help="Tenant to submit for.")],
    audience: Annotated[str, typer.Option(help="agent:NAME or pool:NAME.")],
    drop: Annotated[Path | None, typer.Option(help="The agent's drop folder, when jobs go by file.")] = None,
    router: Annotated[str | None, typer.Option(help="Address of the Task Router, when jobs go over one.")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="The Router's CA, PEM, where it has one of its own.")] = None,
    as_json: Json = False,
) -> None:
    """Make a submitter: a signing key, an opening key and profile.json. Nothing is overwritten."""
    from pydantic import ValidationError

    from agent.cli.render import put, put_json
    from agent.core.errors import ConfigError
    from agent.identity import keystore, profile
    from agent.wire.fields import explain
    from agent.wire.keys import fingerprint

    link = links.checked(router, ca_file)
    over: dict[str, Any] = {} if link.router is None else link.of_profile()
    if drop is not None:
        over["drop"] = str(drop.absolute())
    try:
        model = profile.ProfileModel(user=user, tenant=tenant, audience=audience, **over)
    except ValidationError as error:
        raise ConfigError("keys new", explain(error) + ".") from None
    made = profile.create(folder, model)
    links.copy_ca(link, folder)
    signing, opening = made.signing().public(), made.opening().public()
    keystore.save_public(folder / "signing.pub.jwk", signing)
    keystore.save_public(folder / "opening.pub.jwk", opening)
    shown = {"signing": fingerprint(signing.kid), "opening": fingerprint(opening.kid), "folder": str(folder)}
    if as_json:
        put_json(shown)
        return
    put(f"signing key  {shown['signing']}\nopening key  {shown['opening']}")
    put(f"Give {folder}/signing.pub.jwk and {folder}/opening.pub.jwk to the site's security officer, who runs")
    put("  agent trust add NAME --key signing.pub.jwk --opening-key opening.pub.jwk --source 'GLOB'")
    put("and pin the agent: agent keys pin RESULT_KEY.jwk --profile " + str(folder))
    if link.router is not None:
        put(f"The Router's people give you a token (router token create --submit): put it into {folder}/router.token")


@app.command("fingerprint")
def show(
    file: Annotated[Path | None, typer.Argument(help="A key file. Default: this agent's result key.")] = None,
    *,
    config: Config = None,
    export: Annotated[Path | None, typer.Option(help="Also write the agent's public result key here.")] = None,
    as_json: Json = False,
) -> None:
    """Show a fingerprint, to be compared over another channel."""
    from agent.cli.render import put, put_json
    from agent.cli.site import settings
    from agent.identity import keystore, state
    from agent.wire.keys import fingerprint

    if file is not None:
        use, kid = _public(file)
    else:
        found = settings(config)
        key = (found.shared_result_key() or state.load(found.state_dir).result).public()
        use, kid = "Ed25519", key.kid
        if export is not None:
            keystore.save_public(export, key)
    if as_json:
        put_json({"fingerprint": fingerprint(kid), "kid": kid, "crv": use})
    else:
        put(fingerprint(kid))


@app.command("pin")
def pin(
    key: Annotated[Path, typer.Argument(help="The agent's public result key, compared out of band.")],
    *,
    profile: Annotated[Path, typer.Option(help="The submitter's folder.")],
    name: Annotated[str, typer.Option(help="What to call the agent.")] = "agent",
) -> None:
    """Accept the results of an agent from now on."""
    from agent.cli.render import put
    from agent.identity import keystore
    from agent.identity import profile as profiles
    from agent.wire.keys import fingerprint

    public = keystore.load_verify(key)
    profiles.save(profiles.load(profile).pinned(name, public))
    put(f"results signed by {fingerprint(public.kid)} are accepted")


def _public(file: Path) -> tuple[Literal["Ed25519", "X25519"], str]:
    from agent.core.errors import ConfigError
    from agent.identity import keystore

    for use, load in (("Ed25519", keystore.load_verify), ("X25519", keystore.load_recipient)):
        try:
            return ("Ed25519" if use == "Ed25519" else "X25519"), load(file).kid
        except ConfigError:
            continue
    try:
        return "Ed25519", keystore.load_signing(file).kid
    except ConfigError:
        return "X25519", keystore.load_opening(file).kid
