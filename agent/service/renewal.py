"""Keeps the agent's certificate young: renewed at half of its life or a little later, tried again until it holds."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, runtime_checkable

from anyio import to_thread

from agent.core.errors import ConfigError, TransportError
from agent.core.ports import Clock
from agent.identity import certificate
from agent.identity.certificate import Life, Tls
from agent.service.board import Board
from agent.service.health import Health
from agent.wire import calls

CHECK_SECONDS: Final = 60.0
_DAY: Final = 86_400.0
_LOGGER = logging.getLogger(__name__)


@runtime_checkable
class Certified(Protocol):
    """A transport whose other side certifies this agent's key."""

    async def renew(self, csr: str) -> calls.Certificate:
        """Have a new key certified, over the certificate in use. Raises TransportError."""
        ...


class Renewal:
    """A duty. The certificate before stays valid to its end, so that nothing has to happen at one moment."""

    def __init__(
        self, tls: Tls, name: str, renew: Callable[[str], Awaitable[calls.Certificate]], *, clock: Clock, board: Board
    ) -> None:
        """Args: `renew` has a CSR certified over the certificate in use."""
        self._tls, self._name, self._renew, self._clock, self._board = tls, name, renew, clock, board
        self._due: tuple[Life, float] | None = None

    async def check(self) -> None:
        """Renew when it is time. What fails is said on the board, and tried again at the next check."""
        if not self._tls.enrolled:
            self._say(None)  # the state says it: enrolling
            return
        try:
            life = await to_thread.run_sync(certificate.life, self._tls)
        except ConfigError as error:
            self._say(str(error))
            return
        now = self._clock.now()
        if self._due is None or self._due[0] != life:
            self._due = (life, life.renewal())
            self._board.renews = self._due[1]
        if now < self._due[1]:
            self._say(None)
            return
        try:
            await self._renewed()
        except (TransportError, ConfigError) as error:
            hours = max(0.0, life.ends - now) / 3600
            state = f"ends in {hours:.0f} h" if now < life.ends else "has ended: run `agent enroll` again"
            self._say(f"The certificate could not be renewed and {state}. {error}")
        else:
            self._say(None)

    async def _renewed(self) -> None:
        made = await to_thread.run_sync(certificate.request, self._name)
        issued = await self._renew(made.csr)
        await to_thread.run_sync(certificate.keep, self._tls, made, issued.certificate, issued.ca)
        _LOGGER.info("the certificate was renewed")

    def _say(self, problem: str | None) -> None:
        self._board.find("certificate", None if problem is None else _finding(problem))


def life_of(tls: Tls) -> Life | None:
    """The life of the certificate in use, for status. Blocks."""
    try:
        return certificate.life(tls)
    except ConfigError:
        return None


def _finding(problem: str) -> Health:
    sentence, _, fix = problem.partition(" Fix: ")
    return Health(sentence, fix or "`agent enroll` gets a new certificate.")
