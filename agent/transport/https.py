"""A Task Router over mTLS, outbound only: where it is, and what the agent needs to speak to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.core.lane import Lane
from agent.core.ports import Clock
from agent.wire.calls import Certificate

if TYPE_CHECKING:
    from agent.transport._https import Https


class Config(BaseModel):
    """How the Router is reached in the modes `hybrid` and `cloud`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    kind: Literal["https"] = Field(default="https", description="Jobs come from a Task Router.")
    urls: tuple[str, ...] = Field(description="Addresses of the Router, tried in order.", min_length=1, max_length=16)
    ca_file: Path | None = Field(default=None, description="CA of the Router, PEM. Default: the one of enrolment.")
    proxy: str | None = Field(default=None, description="HTTP proxy, http://[user:password@]host:port.")
    no_proxy: tuple[str, ...] = Field(default=(), description="Hosts that are reached without the proxy.")
    pins: tuple[str, ...] = Field(
        default=(), description="SHA-256 of the Router's public key (RFC 7469), and of a spare one.", max_length=8
    )
    wait_seconds: float = Field(default=25, gt=0, le=60, description="Length of one long poll.")
    reconnect_seconds: float = Field(
        default=15,
        ge=0,
        le=300,
        description="Agents that lost their link together come back spread over this time.",
    )

    def open(self, place: "Place", who: "Who", clock: Clock) -> "Https":
        """The transport. Its libraries are loaded here: most commands need none of them. Touches nothing yet."""
        from agent.transport._https import Https  # noqa: PLC0415 - see above

        return Https(self, place, who, clock)

    async def enroll(self, *, token: str, name: str, csr: str, labels: Mapping[str, str]) -> Certificate:
        """Have a fresh key certified under a one-time token. Raises TransportError.

        `ca_file` has to be the Router's CA, or None where its certificate is one that the system trusts.
        """
        from agent.transport._https import enroll  # noqa: PLC0415 - see above

        return await enroll(self, token=token, name=name, csr=csr, labels=labels)


class Place(BaseModel):
    """Where the agent keeps what it needs to speak to a Router. Paths are absolute."""

    model_config = ConfigDict(frozen=True)

    pair: Path
    ca: Path
    leases: Path
    instance: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """What the agent says of itself when it opens a session."""

    version: str
    labels: Mapping[str, str]
    slots: Mapping[Lane, int]
