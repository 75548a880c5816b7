"""What agents and the Router say to each other, as JSON. `agent.wire.calls` holds the agent's side of the same."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

# `\Z`, not `$`: that one would take a line's end with it. No controls: a store or a terminal may stumble over them.
Text = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,126}\Z")]
Id = Annotated[str, Meta(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")]
Value = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]
Labels = Annotated[dict[Name, Value], Meta(max_length=64)]
Slots = dict[Literal["sql", "python"], Annotated[int, Meta(ge=0, le=1024)]]
Fence = Annotated[int, Meta(ge=0, le=2**53)]
LeaseIds = Annotated[list[Id], Meta(max_length=4096)]
Phase = Literal["starting", "checking", "running", "masking", "sealing", "delivering"]
Rows = Annotated[str, Meta(pattern=r"^(0|<?10{1,12})\Z")]


class _In(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    pass


class _Out(msgspec.Struct, omit_defaults=True, frozen=True):
    pass


class EnrollIn(_In, frozen=True):
    """POST /v1/enroll. `csr`: PEM. `name` becomes the agent's within the token's tenant."""

    token: Annotated[str, Meta(min_length=16, max_length=256)]
    name: Name
    csr: Annotated[str, Meta(max_length=16_384)]
    labels: Labels = {}


class CertificateOut(_Out, frozen=True):
    """`certificate` and `ca` in PEM; renew between the two moments, Unix seconds."""

    certificate: str
    ca: str
    not_after: float
    tenant: str
    agent: str
    pool: str


class RenewIn(_In, frozen=True):
    """POST /v1/renew, over the current certificate."""

    csr: Annotated[str, Meta(max_length=16_384)]


class SessionIn(_In, frozen=True):
    """POST /v1/sessions. `instance` is random for each start; `previous` the one before, kept in state_dir."""

    instance: Id
    slots: Slots
    version: Text
    previous: Id | None = None
    labels: Labels = {}


class SessionOut(_Out, frozen=True):
    """An open session. `heartbeat_seconds` counts only while there are leases."""

    session: str
    tenant: str
    agent: str
    pool: str
    heartbeat_seconds: float
    lease_seconds: float


class LeaseIn(_In, frozen=True):
    """POST /v1/lease?wait=25."""

    session: Id
    free: Slots


class JobOut(_Out, frozen=True):
    """An offer. `envelope` is the job's JWS, byte for byte."""

    job: str
    envelope: str
    lease: str
    attempt: int
    fence: int
    offer_expires: float


class Order(_Out, frozen=True):
    """What an agent is told: end a lease's job, take no more, or stop asking for a while."""

    order: Literal["cancel", "drain", "pause"]
    lease: str | None = None
    seconds: float | None = None


class LeaseOut(_Out, frozen=True):
    """The answer to a poll; 204 instead when both would be empty."""

    jobs: list[JobOut] = []
    orders: list[Order] = []


class AcceptIn(_In, frozen=True):
    """POST /v1/jobs/{id}/accept."""

    session: Id
    lease: Id
    fence: Fence


class AcceptOut(_Out, frozen=True):
    """The attempt that is counted."""

    attempt: int


class HandBackIn(_In, frozen=True):
    """POST /v1/hand-back: offers that were not accepted and will not be."""

    leases: LeaseIds


class HeartbeatIn(_In, frozen=True):
    """POST /v1/heartbeat: all leases of a session at once."""

    session: Id
    leases: LeaseIds


class HeartbeatOut(_Out, frozen=True):
    """What becomes of each lease."""

    leases: dict[str, Literal["ok", "cancel", "lost"]]


class EventIn(_In, frozen=True):
    """POST /v1/jobs/{id}/events: all that leaves of a running job unsealed. `rows`: `0`, `<10`, `10`, `100`, …"""

    lease: Id
    fence: Fence
    phase: Phase
    rows: Rows | None = None


class RejectIn(_In, frozen=True):
    """POST /v1/jobs/{id}/reject: the envelope is not trusted here; `code` says why."""

    lease: Id
    fence: Fence
    code: Annotated[str, Meta(pattern=r"^(envelope|file)\.[a-z_]{1,40}\Z")]


class LandedOut(_Out, frozen=True):
    """Where the job stands after its result came."""

    state: str
    result: str


class ProblemOut(_Out, frozen=True):
    """Every answer that is an error."""

    code: str
    message: str
    hint: str = ""
