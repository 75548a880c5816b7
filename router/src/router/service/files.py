"""What the Router keeps in its folder: the CA, its own certificate, the store, parts. Made by `router init`."""

import os
from dataclasses import dataclass
from pathlib import Path

from router.ca.authority import Authority, new_key, private_pem

_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Files:
    """Where everything lies below one folder."""

    folder: Path

    @property
    def ca(self) -> Path:
        """The CA's certificate."""
        return self.folder / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """The CA's key."""
        return self.folder / "ca.key"

    @property
    def certificate(self) -> Path:
        """The Router's own certificate."""
        return self.folder / "router.pem"

    @property
    def key(self) -> Path:
        """Its key."""
        return self.folder / "router.key"

    @property
    def store(self) -> Path:
        """The embedded store."""
        return self.folder / "router.db"

    @property
    def parts(self) -> Path:
        """Sealed parts."""
        return self.folder / "parts"


def init(files: Files, domain: str, hosts: tuple[str, ...], now: float) -> Authority:
    """Make what is missing: a CA, and a certificate of the Router for these hosts. Raises OSError, ValueError."""
    files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if files.ca_key.exists():
        authority = load(files, domain)
    else:
        authority = Authority.make(domain, now)
        _write(files.ca_key, authority.key_pem())
        _write(files.ca, authority.certificate_pem())
    if not files.certificate.exists():
        key = new_key()
        _write(files.key, private_pem(key))
        _write(files.certificate, authority.server(key, hosts, now).pem.encode())
    return authority


def load(files: Files, domain: str) -> Authority:
    """The CA. Raises OSError, ValueError."""
    return Authority.load(files.ca.read_bytes(), files.ca_key.read_bytes(), domain)


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, for this account only."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
