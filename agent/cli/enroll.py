"""`agent enroll`: have this agent's own key certified by a Router, under a one-time token."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.options import Config

if TYPE_CHECKING:
    from agent.identity.certificate import Tls
    from agent.settings import Settings
    from agent.transport.https import Config as HttpsConfig

MAX_TOKEN_BYTES = 1024


def enroll(
    url: Annotated[str | None, typer.Argument(help="The Router's address; default: transport.https.urls.")] = None,
    *,
    token_file: Annotated[str, typer.Option(help="File with the one-time token, or - for standard input.")],
    ca_file: Annotated[
        Path | None, typer.Option(help="The Router's CA, PEM; default: transport.https.ca_file.")
    ] = None,
    if_needed: Annotated[
        bool, typer.Option("--if-needed", help="Leave a certificate that has not ended as it is; then needs no token.")
    ] = False,
    config: Config = None,
) -> int:
    """Make a key, which never leaves this host, and have it certified. A running agent uses it at its next call."""
    import anyio

    from agent.app import tls_of
    from agent.cli.render import put
    from agent.cli.site import settings as find_settings
    from agent.core.errors import AgentError, TransportError
    from agent.identity import certificate

    settings = find_settings(config)
    tls, name = tls_of(settings), settings.agent.name
    if if_needed and _lasts(tls):
        put(f"{name} has a certificate that has not ended: nothing was done.")
        return 0
    transport, token = _transport(settings, url, ca_file), _token(token_file)
    made = certificate.request(name)

    ask = partial(transport.enroll, token=token, name=name, csr=made.csr, labels=settings.agent.labels)
    try:
        issued = anyio.run(ask)
    except TransportError as error:
        raise AgentError(f"The agent was not enrolled. {error}") from None
    if issued.tenant != settings.tenant:
        raise AgentError(
            f"The token is for the tenant {issued.tenant}, this agent is of {settings.tenant}. Nothing was kept. "
            "Fix: ask for a token of the right tenant."
        )
    life = certificate.keep(tls, made, issued.certificate, issued.ca)
    put(f"{name} is enrolled: tenant {issued.tenant}, pool {issued.pool}.")
    if issued.pool != settings.agent.pool:
        put(
            f"NOTE: the token's pool is {issued.pool}; set agent.pool: {issued.pool}, or jobs for the pool are refused."
        )
    put(f"The certificate is valid for {(life.ends - life.begins) / 3600:.0f} h; a running agent renews it by itself.")
    return 0


def _lasts(tls: "Tls") -> bool:
    import time

    from agent.core.errors import ConfigError
    from agent.identity import certificate

    try:
        return not certificate.expired(certificate.life(tls), time.time())
    except ConfigError:  # there is none, or nothing that could be read
        return False


def _transport(settings: "Settings", url: str | None, ca_file: Path | None) -> "HttpsConfig":
    from agent.core.errors import ConfigError
    from agent.transport.https import Config as HttpsConfig

    known = settings.transport.https
    if url is None and known is None:
        raise ConfigError("URL", "is missing.", "Name the Router's address, or set transport.https.urls.")
    if url is not None and not url.startswith("https://"):
        raise ConfigError("URL", "is not an https:// address.", "For example https://router.example:8443.")
    base = known or HttpsConfig(urls=(str(url),))
    changes: dict[str, object] = {"urls": (url,)} if url is not None else {}
    if ca_file is not None:
        if not ca_file.is_file():
            raise ConfigError(str(ca_file), "cannot be read.", "Name the Router's ca.pem.")
        changes["ca_file"] = ca_file
    if base.proxy is not None:
        changes["proxy"] = settings.resolve(base.proxy, "transport.https.proxy").decode()
    return base.model_copy(update=changes)


def _token(source: str) -> str:
    import sys

    from agent.core.errors import ConfigError

    try:
        data = sys.stdin.buffer.read(MAX_TOKEN_BYTES) if source == "-" else Path(source).read_bytes()[:MAX_TOKEN_BYTES]
        token = data.decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError("--token-file", "cannot be read, or is not text.", "Name the file with the token.") from None
    if not token:
        raise ConfigError("--token-file", "is empty.", "Name the file with the token.")
    return token
