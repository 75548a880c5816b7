"""`spiffe://DOMAIN/tenant/TENANT/agent/NAME` and `…/submitter/NAME` <-> who that is, as certificates say."""

import re
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from router.core.agents import AgentId

# Names are those of `agent.wire.fields.Name`, case and all: `Acme` and `acme` are two tenants.
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,126}"
_IDENTITY: Final = re.compile(rf"spiffe://([a-z0-9.-]{{1,255}})/tenant/({_NAME})/(agent|submitter)/({_NAME})", re.ASCII)
_PLAIN: Final = re.compile(_NAME, re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitterId:
    """A submitter that shows a certificate instead of a token."""

    tenant: str
    name: str


def is_name(text: str) -> bool:
    """Whether a tenant, pool, agent or submitter may be called so."""
    return _PLAIN.fullmatch(text) is not None


def uri_of(who: AgentId | SubmitterId, domain: str) -> str:
    """The identity as a certificate names it. Raises ValueError for a name that does not fit."""
    kind = "agent" if isinstance(who, AgentId) else "submitter"
    uri = f"spiffe://{domain.lower()}/tenant/{who.tenant}/{kind}/{who.name}"
    if _IDENTITY.fullmatch(uri) is None:
        raise ValueError("a name has characters that an identity cannot have")
    return uri


def named(certificate: x509.Certificate, domain: str) -> AgentId | SubmitterId | None:
    """The identity that a certificate carries: its one URI name, of this domain. None for any other certificate."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    match = _IDENTITY.fullmatch(uris[0]) if len(uris) == 1 else None
    if match is None or match[1] != domain.lower():
        return None
    kind = AgentId if match[3] == "agent" else SubmitterId
    return kind(tenant=match[2], name=match[4])
