"""What the Router keeps in its folder: the CA, its own certificate, the store, parts. Made by `router init`."""

import errno
import os
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509

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
    def ca_next(self) -> Path:
        """The CA that will issue after the one in use; `ca_next_key` is its key."""
        return self.folder / "ca-next.pem"

    @property
    def ca_next_key(self) -> Path:
        """Its key."""
        return self.folder / "ca-next.key"

    @property
    def ca_old(self) -> Path:
        """The CA that issued before the one in use, as long as its certificates count."""
        return self.folder / "ca-old.pem"

    @property
    def bundle(self) -> Path:
        """All CAs that count, for agents and submitters."""
        return self.folder / "ca-bundle.pem"

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
        write(files.ca_key, authority.key_pem())
        write(files.ca, authority.certificate_pem())
        write(files.bundle, authority.bundle_pem())
    if not files.certificate.exists():
        key = new_key()
        write(files.key, private_pem(key))
        write(files.certificate, authority.server(key, hosts, now).pem.encode())
    return authority


def load(files: Files, domain: str) -> Authority:
    """The CA whose key is in use, and the others that count. Raises OSError, ValueError.

    A roll that was cut short between its two renames has the next CA's key beside the last one's certificate: the
    certificate that belongs to the key is the one in use.
    """
    every = [path.read_bytes() for path in (files.ca, files.ca_next, files.ca_old) if path.exists()]
    found = list(dict.fromkeys(every))  # a switch that was cut short has one of them twice
    key = files.ca_key.read_bytes()
    for number, certificate in enumerate(found):
        try:
            authority = Authority.load(certificate, key, domain)
        except ValueError:
            if number == len(found) - 1:
                raise
            continue
        others = (x509.load_pem_x509_certificate(one) for one in dict.fromkeys(found) if one != certificate)
        return replace(authority, others=tuple(others))
    raise FileNotFoundError(errno.ENOENT, "there is no CA", str(files.ca))


def stamp(files: Files) -> tuple[object, ...]:
    """Changes whenever one of the files of TLS does."""
    watched = (files.ca, files.ca_key, files.ca_next, files.ca_old, files.certificate, files.key)
    return tuple(_stamp(path) for path in watched)


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def write(path: Path, data: bytes) -> None:
    """Whole or not at all, for this account only."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
