"""What `agent init` and `agent keys new` write so that jobs come over a Task Router: no JSON is edited by hand."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

CA_NAME: Final = "router-ca.pem"
TOKEN_NAME: Final = "router.token"  # noqa: S105 - a file's name
_ADDRESS: Final = re.compile(r"https://[\w.:\[\]/~%-]{1,1024}", re.ASCII)
_MAX_PEM_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where jobs come from: the Router at `router`, else a folder. `ca` is the Router's own CA, PEM.

    `replicas`: the folder configures several agents of the pool.
    """

    pool: str
    router: str | None = None
    ca: bytes | None = None
    replicas: bool = False

    @property
    def mode(self) -> str:
        """Of sandbox.yaml."""
        if self.router is None:
            return "airgapped"
        return "cloud" if self.replicas else "hybrid"

    def transport(self) -> str:
        """The line below `transport:` in sandbox.yaml."""
        if self.router is None:
            return "filedrop: {path: ./drop}"
        ca = "" if self.ca is None else f", ca_file: ./{CA_NAME}"
        return f"https: {{urls: [{json.dumps(self.router)}]{ca}}}"

    def of_profile(self) -> dict[str, Any]:
        """The keys of the first submitter's profile.json."""
        if self.router is None:
            return {"drop": "../drop"}
        return {"router": self.router, "token_file": TOKEN_NAME, "ca_file": None if self.ca is None else CA_NAME}


def checked(router: str | None, ca_file: Path | None, *, pool: str = "default", replicas: bool = False) -> Link:
    """The link that options ask for. Raises ConfigError."""
    from agent.core.errors import ConfigError

    if router is None:
        if replicas:
            raise ConfigError("--replicas", "share the jobs of a Router.", "Add --router https://….")
        if ca_file is not None:
            raise ConfigError("--ca-file", "is the CA of a Router.", "Add --router https://….")
        return Link(pool=pool)
    if _ADDRESS.fullmatch(router) is None:
        raise ConfigError("--router", "is not an https:// address.", "For example https://router.example:8443.")
    return Link(pool=pool, router=router, ca=None if ca_file is None else _pem(ca_file), replicas=replicas)


def copy_ca(link: Link, *folders: Path) -> None:
    """The Router's CA beside what names it: both folders can be moved apart."""
    from agent.identity import files

    for folder in folders:
        if link.ca is not None:
            files.create(folder / CA_NAME, link.ca, 0o644)


def next_steps(link: Link, folder: Path) -> Iterator[str]:
    """What is left to do, each a command."""
    run = f"agent run --config {folder}/sandbox.yaml"
    if link.replicas:
        yield "give each agent a MERIDYEN_STATE_DIR; its name is its host's, or MERIDYEN_AGENT__NAME. Then"
    if link.router is None:
        yield run
        return
    yield f"agent enroll --config {folder}/sandbox.yaml --token-file TOKEN   (router token create --pool {link.pool})"
    yield run
    yield f"put the submitter's token into {folder}/submitter/{TOKEN_NAME}   (router token create --submit)"
    yield f"router submit QUERY.sql --source NAME --profile {folder}/submitter"


def _pem(path: Path) -> bytes:
    from agent.core.errors import ConfigError

    try:
        with path.open("rb") as file:
            data = file.read(_MAX_PEM_BYTES)
    except OSError as error:
        fix = "Name the CA that `router init` made."
        raise ConfigError(str(path), f"cannot be read ({error.strerror}).", fix) from None
    if b"-----BEGIN CERTIFICATE-----" not in data or b"PRIVATE KEY-----" in data:
        raise ConfigError(str(path), "is not a certificate, or holds a private key.", "Name the Router's CA, PEM.")
    return data
