"""The service's notice board: phrases of the loops, findings, and the figures that `agent status` shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from agent.core.codes import CODES
from agent.service.health import Health

DRAINED: Final = "drained"
"""Key of the finding that an operator's order to drain puts up."""

_MOST_TROUBLES: Final = 16


class State(StrEnum):
    """The agent in one word. `enrolling` and `offline` belong to transports with a far side."""

    STARTING = "starting"
    ENROLLING = "enrolling"
    ONLINE = "online"
    DEGRADED = "degraded"
    OFFLINE = "offline"
    DRAINING = "draining"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class SourceSeen:
    """What the last job over a source told about it. Times are Unix seconds, `seconds` the engine's time."""

    ok: bool
    at: float
    seconds: float | None


@dataclass(slots=True)
class Contact:
    """The last words with the carrier. Unix seconds; `error` is the class of the last failure and its text."""

    ok_at: float | None = None
    error: str | None = None
    error_at: float | None = None
    failing: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """An outcome code other than `ok` that jobs ended with since the start: how often, and last when (Unix seconds)."""

    code: str
    count: int
    last: float


@dataclass(slots=True)
class Board:
    """Written by the loops, read by the status. One event loop only: no locks."""

    state: State = State.STARTING
    phrases: dict[str, str] = field(default_factory=dict)
    findings: dict[str, Health] = field(default_factory=dict)
    sources: dict[str, SourceSeen] = field(default_factory=dict)
    contact: Contact = field(default_factory=Contact)
    dropped: int = 0
    crashes: int = 0
    enrolled: bool = True
    met: bool = True
    """Whether the carrier's far side, where there is one, has answered since the start."""
    renews: float | None = None
    phases_of_jobs: dict[str, str] = field(default_factory=dict)
    troubles: dict[str, Trouble] = field(default_factory=dict)

    def say(self, loop: str, phrase: str) -> None:
        """What `loop` is doing now."""
        self.phrases[loop] = phrase

    def find(self, key: str, health: Health | None) -> None:
        """Put up a finding under `key`, or take it down with None."""
        if health is None:
            self.findings.pop(key, None)
        else:
            self.findings[key] = health

    def replace(self, prefix: str, found: Mapping[str, Health]) -> None:
        """Make `found` the only findings whose keys start with `prefix`."""
        for key in [key for key in self.findings if key.startswith(prefix)]:
            del self.findings[key]
        self.findings.update({prefix + key: health for key, health in found.items()})

    def ended(self, code: str, now: float) -> None:
        """A job, or an envelope, ended with `code`. The newest kinds of trouble are kept, newest last."""
        if code not in CODES or CODES[code].outcome == "completed":
            return
        before = self.troubles.pop(code, None)
        self.troubles[code] = Trouble(code, 1 if before is None else before.count + 1, now)
        if len(self.troubles) > _MOST_TROUBLES:
            del self.troubles[next(iter(self.troubles))]

    def blocked(self, *, but: str = "") -> Health | None:
        """The first finding that forbids taking jobs. Keys that start with `but` do not count when it is given."""
        return next(
            (health for key, health in self.findings.items() if health.blocks and not (but and key.startswith(but))),
            None,
        )

    def word(self) -> State:
        """The state to show: running with findings other than notes is degraded, without its carrier offline."""
        if self.state is not State.ONLINE:
            return self.state
        if not self.enrolled:
            return State.ENROLLING
        if self.contact.failing:
            return State.OFFLINE
        if any(not health.note for health in self.findings.values()):
            return State.DEGRADED
        if DRAINED in self.findings:
            return State.DRAINING
        return State.ONLINE if self.met else State.STARTING
