"""What the link to a Router is told: where Routers are, where the agent keeps what it needs, and who it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from agent.core.lane import Lane


class Terms(BaseModel):
    """How the Router is reached."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    urls: tuple[str, ...] = Field(description="Addresses of the Router, tried in order.", min_length=1, max_length=16)
    ca_file: Path | None = Field(
        default=None,
        description="CA of the Router, PEM. Default: the one of enrolment. Those that the Router names when it renews "
        "a certificate count beside it, so that its CA can be replaced.",
    )
    proxy: str | None = Field(
        default=None,
        description="HTTP proxy, http://[user:password@]host:port. Default: HTTPS_PROXY of the environment.",
    )
    no_proxy: tuple[str, ...] = Field(
        default=(),
        description="Hosts that are reached without the proxy. Default: NO_PROXY, if the proxy is HTTPS_PROXY's.",
    )
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
