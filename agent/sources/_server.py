"""What all sources behind a network have in common: address, account, TLS, limits, and names looked up only once."""

import os
import socket
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.ports import Endpoint, Finding
from agent.sources._attempt import present, real, unavailable

WritableRole = Literal["warn", "refuse"]
TlsMode = Literal["disable", "require", "verify-ca", "verify-full"]

_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_MAX_NAME: Final = 63


def _plain(text: str) -> str:
    if not text.isprintable():
        raise ValueError("this holds characters that cannot be printed.")
    return text


Word = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_plain)]
"""A name as it goes to the server: not empty, one line."""


class Tls(BaseModel):
    """How the connection is encrypted, and whom it trusts. Nothing falls back to a weaker form."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    mode: TlsMode = Field(
        default="verify-full",
        description="`verify-full` checks certificate and host name, `verify-ca` the certificate alone, `require` "
        "encrypts to whoever answers, `disable` does not encrypt. A Unix socket needs none.",
    )
    ca_file: Path | None = Field(default=None, description="CA of the server, PEM. Default: the system's.")
    cert_file: Path | None = Field(default=None, description="Certificate of the agent, PEM, where the server asks.")
    key_file: Path | None = Field(default=None, description="Its private key, PEM, which only the agent may read.")

    @model_validator(mode="after")
    def _whole(self) -> "Tls":
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("`cert_file` and `key_file` go together.")
        if self.ca_file is not None and not self.verified:
            raise ValueError("`ca_file` is not looked at in this mode; use `verify-full` or `verify-ca`.")
        if self.mode == "verify-ca" and self.ca_file is None:
            raise ValueError("`verify-ca` needs `ca_file`: any certificate of a public CA would pass.")
        return self

    @property
    def verified(self) -> bool:
        """Whether the server has to prove who it is."""
        return self.mode in {"verify-ca", "verify-full"}

    def authority(self) -> Path | None:
        """The file of CAs that the server's certificate is checked against; None where it is not."""
        if not self.verified:
            return None
        if self.ca_file is not None:
            return real(self.ca_file)
        return next((real(Path(name)) for name in _BUNDLES if os.path.exists(name)), Path(_BUNDLES[0]))  # noqa: PTH110

    def reads(self) -> tuple[Path, ...]:
        """The files that a worker needs to be able to read: those that exist now."""
        named = (self.authority(), self.cert_file, self.key_file)
        return present(*(real(path) for path in named if path is not None))


class Server(BaseModel):
    """Base of every source behind a network.

    A concrete one adds `type`, the default of `port`, and the rest of `agent.core.ports.Source`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    host: Word = Field(description="Host name, IP address, or the absolute path of a Unix socket's folder or file.")
    port: int = Field(ge=1, le=65_535, description="TCP port.")
    database: Word = Field(description="Database.")
    user: Word = Field(description="Account that may only read.")
    password: SecretStr | None = Field(default=None, description="Its password, a secret reference.")
    tls: Tls = Field(default=Tls(), description="How the connection is encrypted.")
    schemas: Annotated[tuple[Word, ...], Field(max_length=256)] = Field(
        default=(), description="Schemas that jobs may read, in the order in which bare names are looked up."
    )
    connect_timeout_seconds: float = Field(default=10, ge=1, le=300, description="How long connecting may take.")
    lock_timeout_seconds: float = Field(default=10, gt=0, le=3600, description="How long a statement waits for a lock.")
    writable_role: WritableRole = Field(
        default="warn",
        description="What becomes of jobs when the account could write: `refuse` them, which is advised, or `warn` in "
        "`agent sources test` alone. Statements run read-only either way.",
    )

    @property
    def socket_path(self) -> Path | None:
        """The folder or file of the Unix socket; None for TCP."""
        return Path(self.host) if self.host.startswith("/") else None

    def reads(self) -> tuple[Path, ...]:
        """The files of TLS. A socket's path needs no right to be read."""
        return () if self.socket_path is not None else self.tls.reads()

    def connects(self) -> tuple[Endpoint, ...]:
        """The one server. Its name is looked up here, before a jail shuts name servers out."""
        if self.socket_path is None:
            known_addresses(self.host, self.port)
        return (Endpoint(self.host, self.port),)

    def addresses(self) -> tuple[str, ...]:
        """The host's IP addresses; empty for a Unix socket. Raises Fault(source.unavailable)."""
        if self.socket_path is not None:
            return ()
        found = known_addresses(self.host, self.port)
        if not found:
            raise unavailable(
                "The source's host name cannot be resolved.", "Check `host` of the source, and the name server."
            )
        return found

    def secret(self) -> str:
        """The password itself, for the driver's call alone. Raises Fault(source.unavailable) for an impossible one."""
        text = "" if self.password is None else self.password.get_secret_value()
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise unavailable("The source's password holds bytes that no server takes.", "Check the secret.")
        return text

    def check_tls_files(self) -> None:
        """Raises Fault(source.unavailable) that says which file of TLS is in the way."""
        if self.socket_path is not None:
            return
        files = (("CA", self.tls.authority()), ("certificate", self.tls.cert_file), ("key", self.tls.key_file))
        for what, path in files:
            if path is not None and not _readable(path):
                raise unavailable(
                    f"The {what} file of the source's TLS cannot be read.",
                    "Check the paths under `tls` of the source, and that the agent's account may read them.",
                )


def statement_seconds(limits: Limits) -> float:
    """When a server ends a statement by itself: a little after the job's own end, at least one second."""
    return max(1.0, limits.wall_seconds + 1.0)


@cache
def known_addresses(host: str, port: int) -> tuple[str, ...]:
    """The host's addresses, looked up once in a process: a worker does it before its jail. Empty: there are none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def findings_of(fault: Fault) -> tuple[Finding, ...]:
    """Why a source does not open, as the one finding."""
    return (Finding("connect", "error", fault.message, fault.hint),)


def tls_findings(server: Server) -> Sequence[Finding]:
    """What an operator should know of the encryption that is configured."""
    if server.socket_path is not None:
        return (Finding("tls", "ok", "Unix socket: nothing leaves the host"),)
    match server.tls.mode:
        case "verify-full":
            return (Finding("tls", "ok", "encrypted; certificate and host name are checked"),)
        case "verify-ca":
            return (Finding("tls", "ok", "encrypted; the certificate is checked against ca_file"),)
        case "require":
            found = "encrypted, but to whoever answers: the certificate is not checked"
            return (Finding("tls", "warning", found, "Set tls.mode to verify-full, and tls.ca_file."),)
        case "disable":
            local = server.host in {"localhost", "127.0.0.1", "::1"}
            found = "not encrypted" + (", on this host only" if local else "")
            return (Finding("tls", "note" if local else "warning", found, "Set tls.mode to verify-full."),)


def _readable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.R_OK)
