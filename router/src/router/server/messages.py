"""What agents and the Router say to each other, as JSON. `agent.wire.calls` holds the agent's side of the same."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

JSON: Final = "application/json"
JOSE: Final = "application/jose"
"""A signed job, or the signed manifest of a result."""
MRES: Final = "application/vnd.meridyen.mres"
"""A whole sealed result."""

# `\Z`, not `$`: that one would take a line's end with it. No controls: a store or a terminal may stumble over them.
Text = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,126}\Z")]
Id = Annotated[str, Meta(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")]
Value = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]
Labels = Annotated[dict[Name, Value], Meta(max_length=64)]
Slots = Annotated[
    dict[Literal["sql", "python"], Annotated[int, Meta(ge=0, le=1024)]],
    Meta(extra_json_schema={"propertyNames": {"enum": ["sql", "python"]}}),
]
Fence = Annotated[int, Meta(ge=0, le=2**53)]
LeaseIds = Annotated[list[Id], Meta(max_length=4096)]
Phase = Literal["starting", "checking", "running", "masking", "sealing", "delivering"]
Rows = Annotated[str, Meta(pattern=r"^(0|<?10{1,12})\Z")]


class In(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What an agent says."""


class Out(msgspec.Struct, omit_defaults=True, frozen=True):
    """What it is told."""


class EnrollIn(In, frozen=True):
    """POST /v1/enroll. `csr`: PEM. `name` becomes the agent's within the token's tenant."""

    token: Annotated[str, Meta(min_length=16, max_length=256)]
    name: Name
    csr: Annotated[str, Meta(max_length=16_384)]
    labels: Labels = {}


class CertificateOut(Out, frozen=True):
    """`certificate` and `ca` in PEM; renew between the two moments, Unix seconds."""

    certificate: str
    ca: str
    not_after: float
    tenant: str
    agent: str
    pool: str


class RenewIn(In, frozen=True):
    """POST /v1/renew, over the current certificate."""

    csr: Annotated[str, Meta(max_length=16_384)]


class SessionIn(In, frozen=True):
    """POST /v1/sessions. `instance` is random for each start; `previous` the one before, kept in state_dir."""

    instance: Id
    slots: Slots
    version: Text
    previous: Id | None = None
    labels: Labels = {}


class SessionOut(Out, frozen=True):
    """An open session. `heartbeat_seconds` counts only while there are leases."""

    session: str
    tenant: str
    agent: str
    pool: str
    heartbeat_seconds: float
    lease_seconds: float


class LeaseIn(In, frozen=True):
    """POST /v1/lease?wait=25."""

    session: Id
    free: Slots


class JobOut(Out, frozen=True):
    """An offer. `envelope` is the job's JWS, byte for byte."""

    job: str
    envelope: str
    lease: str
    attempt: int
    fence: int
    offer_expires: float


class Order(Out, frozen=True):
    """What an agent is told: end a lease's job, take no more, or stop asking for a while."""

    order: Literal["cancel", "drain", "pause"]
    lease: str | None = None
    seconds: float | None = None


class LeaseOut(Out, frozen=True):
    """The answer to a poll; 204 instead when both would be empty."""

    jobs: list[JobOut] = []
    orders: list[Order] = []


class AcceptIn(In, frozen=True):
    """POST /v1/jobs/{id}/accept."""

    session: Id
    lease: Id
    fence: Fence


class AcceptOut(Out, frozen=True):
    """The attempt that is counted."""

    attempt: int


class HandBackIn(In, frozen=True):
    """POST /v1/hand-back: offers that were not accepted and will not be."""

    leases: LeaseIds


class HeartbeatIn(In, frozen=True):
    """POST /v1/heartbeat: all leases of a session at once."""

    session: Id
    leases: LeaseIds


class HeartbeatOut(Out, frozen=True):
    """What becomes of each lease."""

    leases: dict[str, Literal["ok", "cancel", "lost"]]


class EventIn(In, frozen=True):
    """POST /v1/jobs/{id}/events: all that leaves of a running job unsealed. `rows`: `0`, `<10`, `10`, `100`, …"""

    lease: Id
    fence: Fence
    phase: Phase
    rows: Rows | None = None


class RejectIn(In, frozen=True):
    """POST /v1/jobs/{id}/reject: the envelope is not trusted here; `code` says why."""

    lease: Id
    fence: Fence
    code: Annotated[str, Meta(pattern=r"^(envelope|file)\.[a-z_]{1,40}\Z")]


class LandedOut(Out, frozen=True):
    """Where the job stands after its result came."""

    state: str
    result: str


class PartsOut(Out, frozen=True):
    """Parts that have arrived: SHA-256 in hexadecimal by the part's number."""

    parts: dict[str, str]


class HealthOut(Out, frozen=True):
    """The Router answers, and its store takes writes."""

    status: Literal["ok"]
    version: str


class ProblemOut(Out, frozen=True):
    """Every answer that is an error."""

    code: str
    message: str
    hint: str = ""
