"""Agents are admitted by a one-time token, and renew over the certificate they have."""

import hashlib
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from router.ca.authority import Issued
from router.ca.names import SubmitterId, uri_of
from router.core import ops
from router.core.agents import AgentId
from router.core.problem import RouterProblem
from router.server import messages
from router.server.calls import admitting, answer, answered, peer, read
from router.service.hub import Hub

MAX_TOKEN_HOURS: Final = 24


def token_hash(token: str) -> str:
    """How tokens are stored: they hold 256 bits of chance, so that a plain SHA-256 cannot be turned back."""
    return hashlib.sha256(token.encode()).hexdigest()


def certified(who: SubmitterId, domain: str) -> str:
    """Under which key a submitter's certificate is recorded. No hash of a token is spelt like it."""
    return uri_of(who, domain)


class EnrollCalls:
    """Enrolment and renewal over one hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self) -> list[Route]:
        """Where each call is."""
        return [
            Route("/v1/enroll", answered(self.enroll), methods=["POST"]),
            Route("/v1/renew", answered(self.renew), methods=["POST"]),
        ]

    async def enroll(self, request: Request) -> Response:
        """POST /v1/enroll: needs no certificate. The private key never leaves the agent's host."""
        said = await read(request, messages.EnrollIn)
        hashed = token_hash(said.token)
        with admitting(request, self._hub):
            token = self._hub.store.token(hashed)
            if token is None or token.kind != "enroll":
                raise RouterProblem("enroll.token")
            agent = AgentId(tenant=token.tenant, name=said.name)
            issued = self._issue(said.csr, agent)
            asked = ops.Enroll(hashed, said.name, said.labels, issued.serial, issued.not_after)
            pool = await self._hub.writer.do(asked)
        return self._certificate(issued, agent, pool)

    async def renew(self, request: Request) -> Response:
        """POST /v1/renew: the certificate in use says for whom."""
        agent, said = peer(request, self._hub), await read(request, messages.RenewIn)
        known = self._hub.store.agent(agent.tenant, agent.name)
        if known is None or known.revoked is not None:
            raise RouterProblem("auth.invalid", "The agent is not enrolled here, or it was revoked.")
        issued = self._issue(said.csr, agent)
        await self._hub.writer.do(ops.Renewed(agent, issued.serial, issued.not_after))
        return self._certificate(issued, agent, known.pool)

    def _issue(self, csr: str, agent: AgentId) -> Issued:
        try:
            return self._hub.authority.agent(csr.encode(), agent, self._hub.now(), hours=self._hub.terms.agent_hours)
        except ValueError:
            raise RouterProblem("enroll.request") from None

    def _certificate(self, issued: Issued, agent: AgentId, pool: str) -> Response:
        return answer(
            messages.CertificateOut(
                certificate=issued.pem,
                ca=self._hub.authority.bundle_pem().decode(),
                not_after=issued.not_after,
                tenant=agent.tenant,
                agent=agent.name,
                pool=pool,
            ),
            201,
        )
