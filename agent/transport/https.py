"""A Task Router over mTLS, outbound only: where it is, and what the agent needs to speak to it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from agent.core.ports import Clock, Finding
from agent.transport._terms import Place, Terms, Who
from agent.wire.calls import Certificate

if TYPE_CHECKING:
    from agent.transport._https import Https


class Config(Terms):
    """How the Router is reached in the modes `hybrid` and `cloud`."""

    kind: Literal["https"] = Field(default="https", description="Jobs come from a Task Router.")

    def open(self, place: Place, who: Who, clock: Clock) -> "Https":
        """The transport. Its libraries are loaded here: most commands need none of them. Touches nothing yet."""
        from agent.transport._https import Https  # noqa: PLC0415 - see above

        return Https(self, place, who, clock)

    def examine(self, place: Place) -> tuple[Finding, ...]:
        """The way to each address of the Router, tried step by step. Blocks for seconds."""
        from agent.transport._examine import examine  # noqa: PLC0415 - see above

        return examine(self, place)

    async def enroll(self, *, token: str, name: str, csr: str, labels: Mapping[str, str]) -> Certificate:
        """Have a fresh key certified under a one-time token. Raises TransportError.

        `ca_file` has to be the Router's CA, or None where its certificate is one that the system trusts.
        """
        from agent.transport._https import enroll  # noqa: PLC0415 - see above

        return await enroll(self, token=token, name=name, csr=csr, labels=labels)


__all__ = ["Config", "Place", "Who"]
