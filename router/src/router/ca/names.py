"""`spiffe://DOMAIN/tenant/TENANT/agent/NAME` <-> AgentId, and where it stands in a certificate."""

import re

from cryptography import x509

from router.core.agents import AgentId

_NAME = r"[a-z0-9][a-z0-9._-]{0,62}"
_AGENT = re.compile(rf"spiffe://([a-z0-9.-]{{1,255}})/tenant/({_NAME})/agent/({_NAME})", re.ASCII | re.IGNORECASE)


def uri_of(agent: AgentId, domain: str) -> str:
    """The identity as a certificate names it. Raises ValueError for a name that does not fit."""
    uri = f"spiffe://{domain}/tenant/{agent.tenant}/agent/{agent.name}"
    if _AGENT.fullmatch(uri) is None:
        raise ValueError("a name has characters that an identity cannot have")
    return uri


def agent_of(certificate: x509.Certificate, domain: str) -> AgentId | None:
    """The identity that a certificate carries: its one URI name, of this domain. None for any other certificate.

    The chain was verified by TLS; this reads the name, and nothing else of the certificate counts.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    match = _AGENT.fullmatch(uris[0]) if len(uris) == 1 else None
    if match is None or match[1].lower() != domain.lower():
        return None
    return AgentId(tenant=match[2], name=match[3])
