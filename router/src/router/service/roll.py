"""The CA is rolled in phases, with no moment at which an agent and the Router do not trust each other.

`next`: a second CA is trusted beside the one that issues; agents learn of it at their next renewal. `switch`: it
issues from now on, and the Router's own certificate is its. `drop`: the first one counts no more. A running Router
sees each change within a second.
"""

from collections.abc import Iterable
from typing import Final

from cryptography import x509

from router.ca.authority import BACKDATED_SECONDS, SERVER_DAYS, Authority, new_key, private_pem
from router.core.agents import AgentView
from router.service.files import Files, load, write

_RENEW_BEFORE_SECONDS: Final = SERVER_DAYS * 86_400 / 3


class RollError(Exception):
    """The CA cannot be rolled like this; the text says why."""


def prepare(files: Files, domain: str, now: float) -> Authority:
    """Phase one: make the next CA and trust both. Raises RollError, OSError, ValueError."""
    if files.ca_next.exists():
        raise RollError("There is a next CA already. Fix: `router ca switch`.")
    if files.ca_old.exists():
        raise RollError("The last roll has not ended. Fix: `router ca drop`.")
    made = Authority.make(domain, now)
    write(files.ca_next_key, made.key_pem())
    write(files.ca_next, made.certificate_pem())
    return _published(files, domain)


def switch(files: Files, domain: str, hosts: tuple[str, ...], now: float) -> Authority:
    """Phase two: the next CA issues. Safe to repeat after a crash. Raises RollError, OSError, ValueError."""
    if not files.ca_next.exists():
        raise RollError("There is no next CA. Fix: `router ca next`, and wait until the agents have renewed.")
    if files.ca_next_key.exists():
        write(files.ca_old, files.ca.read_bytes())
        write(files.ca_key, files.ca_next_key.read_bytes())
        files.ca_next_key.unlink()
    write(files.ca, files.ca_next.read_bytes())
    files.ca_next.unlink()
    authority = _published(files, domain)
    reissue(files, authority, hosts, now)
    return authority


def drop(files: Files, domain: str) -> Authority:
    """Phase three: only one CA counts again. Raises RollError, OSError, ValueError."""
    if not files.ca_old.exists():
        raise RollError("There is no former CA that counts. Fix: nothing is left to do.")
    files.ca_old.unlink()
    return _published(files, domain)


def behind(agents: Iterable[AgentView], since: float, life_seconds: float, now: float) -> tuple[str, ...]:
    """Agents whose certificate still counts and was issued before `since`, by its end and the life it was given."""
    return tuple(
        f"{one.tenant}/{one.name}"
        for one in agents
        if one.revoked is None and one.not_after > now and one.not_after - life_seconds < since
    )


def begun(certificate: bytes) -> float:
    """When a CA was made, Unix seconds: authorities are dated back like all certificates. Raises ValueError."""
    return x509.load_pem_x509_certificate(certificate).not_valid_before_utc.timestamp() + BACKDATED_SECONDS


def renewed(files: Files, authority: Authority, now: float) -> bool:
    """Issue the Router's own certificate again when a third of its life is left; one from elsewhere is left alone.

    Raises OSError, ValueError.
    """
    current = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    if not authority.issued(current) or current.not_valid_after_utc.timestamp() - now > _RENEW_BEFORE_SECONDS:
        return False
    names = current.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    reissue(files, authority, tuple(str(name.value) for name in names), now)
    return True


def reissue(files: Files, authority: Authority, hosts: tuple[str, ...], now: float) -> None:
    """A new certificate of the Router over the key that it has: one rename. Raises OSError, ValueError."""
    if not files.key.exists():
        write(files.key, private_pem(new_key()))
    key = authority.load_key(files.key.read_bytes())
    write(files.certificate, authority.server(key, hosts, now).pem.encode())


def _published(files: Files, domain: str) -> Authority:
    authority = load(files, domain)
    write(files.bundle, authority.bundle_pem())
    return authority
