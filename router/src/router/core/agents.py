"""Agents, their sessions, and the tokens that admit agents and submitters."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SILENT_SECONDS = 60.0
"""A session that shows no sign of life for so long may be taken over, and its leases are lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentId:
    """`spiffe://DOMAIN/tenant/TENANT/agent/NAME`, from the certificate of a connection and from nothing else."""

    tenant: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """An enrolled agent. `seen`: Unix seconds of its last sign of life."""

    tenant: str
    name: str
    pool: str
    labels: Mapping[str, str] = field(default_factory=dict)
    enrolled: float
    not_after: float
    revoked: float | None = None
    seen: float | None = None
    session: str | None = None
    slots: Mapping[str, int] = field(default_factory=dict)
    version: str = ""
    draining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What an agent says when it opens a session."""

    agent: AgentId
    instance: str
    previous: str | None
    labels: Mapping[str, str]
    slots: Mapping[str, int]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """An open session and what the agent may lease: its own jobs and those of its pool."""

    id: str
    tenant: str
    agent: str
    pool: str
    instance: str
    draining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token as it is stored: only its hash. `pools` empty: every pool of the tenant."""

    id: str
    hash: str
    kind: str
    tenant: str
    pools: tuple[str, ...]
    labels: Mapping[str, str]
    uses: int | None
    expires: float | None
    created: float
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """A stored token, without its hash. `kind`: `enroll` admits agents, `submit` admits submitters."""

    id: str
    kind: str
    tenant: str
    pools: tuple[str, ...]
    labels: Mapping[str, str]
    uses_left: int | None
    expires: float | None
    created: float
    revoked: float | None
    note: str = ""
