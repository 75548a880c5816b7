"""(what an earlier run held, its ledger entry, its spooled result) -> what becomes of it. Pure."""

from enum import Enum

from agent.core.job import Job
from agent.spool.ledger import Entry
from agent.wire.signing import SKEW_SECONDS


class Fate(Enum):
    """What becomes of an envelope that an earlier run held and did not settle."""

    FRESH = "it was never claimed: treat it as new"
    DELIVER = "its result is in the spool: delivery settles it"
    SETTLE = "it is over: file it away"
    DUPLICATE = "it is another envelope or a second copy under a claimed id: reject it"
    RESUME = "it was claimed and has no result: run it again if it may, else state the failure"


def fate(ref: str, digest: str, entry: Entry | None, *, has_result: bool) -> Fate:
    """Decide by what is durable alone. `entry` is looked up by the id that the envelope claims, unverified.

    Only a digest of the ledger counts: it was taken from a verified envelope.
    """
    if entry is None:
        return Fate.FRESH
    if entry.digest != digest or entry.ref != ref:
        return Fate.DUPLICATE
    if entry.state in {"delivered", "failed"}:
        return Fate.SETTLE
    return Fate.DELIVER if has_result else Fate.RESUME


def may_rerun(job: Job, attempts: int, now: float) -> bool:
    """Whether a job whose attempt broke off may be claimed once more at `now` (Unix seconds)."""
    return job.idempotent and attempts < job.max_attempts and now <= job.expires + SKEW_SECONDS
