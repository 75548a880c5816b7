"""What the Router answers to an agent, as far as the agent relies on it. Nothing is trusted: sizes are bounded."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.wire.fields import Ulid
from agent.wire.signing import MAX_ENVELOPE_BYTES

MAX_OFFERS = 256


class Reply(BaseModel):
    """An answer. A newer Router may say more than this agent knows: unknown members are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, allow_inf_nan=False)


class Session(Reply):
    """An open session. Seconds."""

    session: Ulid
    heartbeat_seconds: Annotated[float, Field(ge=0.05, le=3600)] = 15.0
    lease_seconds: Annotated[float, Field(ge=1, le=86_400)] = 60.0


class Offered(Reply):
    """A job that may be accepted. `envelope` is the JWS, byte for byte."""

    job: Ulid
    envelope: Annotated[str, Field(max_length=MAX_ENVELOPE_BYTES)]
    lease: Ulid
    attempt: Annotated[int, Field(ge=1, le=1000)]
    fence: Annotated[int, Field(ge=1, le=2**53)]


class Order(Reply):
    """What the Router asks for. An order that this agent does not know is passed over."""

    order: Annotated[str, Field(max_length=64)]
    lease: Ulid | None = None
    seconds: Annotated[float, Field(ge=0, le=3600)] | None = None


class Leased(Reply):
    """The answer to a poll."""

    jobs: Annotated[tuple[Offered, ...], Field(max_length=MAX_OFFERS)] = ()
    orders: Annotated[tuple[Order, ...], Field(max_length=4096)] = ()


class Accepted(Reply):
    """The attempt that the Router counted."""

    attempt: Annotated[int, Field(ge=1, le=1000)]


class Beaten(Reply):
    """What becomes of each lease."""

    leases: Annotated[dict[Ulid, Literal["ok", "cancel", "lost"]], Field(max_length=4096)]


class Landed(Reply):
    """Where the job stands after its result, or the refusal of its envelope, came."""

    state: Annotated[str, Field(max_length=32)]


class PartsHeld(Reply):
    """Which parts of a result the Router has, by index: SHA-256 of each."""

    parts: Annotated[dict[str, str], Field(max_length=16_384)]


class Certificate(Reply):
    """A certificate that was issued to this agent, and the CA, in PEM. `not_after`: Unix seconds."""

    certificate: Annotated[str, Field(max_length=65_536)]
    ca: Annotated[str, Field(max_length=65_536)]
    not_after: float
    tenant: Annotated[str, Field(max_length=127)]
    agent: Annotated[str, Field(max_length=127)]
    pool: Annotated[str, Field(max_length=127)]


class Problem(Reply):
    """Every answer that is an error."""

    code: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=1024)] = ""
    hint: Annotated[str, Field(max_length=1024)] = ""
