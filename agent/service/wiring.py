"""What the service is composed of: plain values and ports, put together by the composition root."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from agent.core.job import Me
from agent.core.limits import Limits
from agent.core.ports import Clock, Launcher, Phase, Transport
from agent.identity.certificate import Tls
from agent.service.clock import SystemClock
from agent.service.record import Log
from agent.service.sandboxes import PythonSite, Sandboxes
from agent.spool.ledger import Ledger
from agent.spool.store import SpoolStore
from agent.wire.keys import SigningKey
from agent.wire.trust import TrustStore

STEPS = (
    "offered",
    "verified",
    "claimed",
    "started",
    "sealed",
    "ended",
    "signed",
    "committed",
    "delivered",
    "settled",
)
"""The named steps of a job, in order; each is named right after what it stands for is durable."""


class Carrier(Transport, Protocol):
    """A transport that can say what is wrong with it."""

    def problems(self) -> Sequence[str]:
        """Sentences for `agent status`, each with its fix. May block."""
        ...

    def waiting(self) -> tuple[int, float | None] | None:
        """How many jobs wait to be taken, and since when (Unix seconds) the oldest; None: not known. May block."""
        ...


class WorkerLauncher(Launcher, Protocol):
    """A launcher with a life of its own."""

    @property
    def isolation(self) -> str:
        """What keeps workers apart, as manifests name it; `none` when jobs will be refused or no server runs."""
        ...

    async def start(self) -> None:
        """Have a server running; nothing to do when one is. Raises AgentError, saying why not."""
        ...

    async def aclose(self) -> None:
        """End everything. Bounded."""
        ...


@dataclass(frozen=True, slots=True)
class SourceAbout:
    """A configured source, for status: its type, and whether the agent opens it read-only (None: not known)."""

    name: str
    type: str
    read_only: bool | None = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What jobs run under. Replaced as a whole on reload; a claimed job keeps the one it was claimed under.

    `policy` is the JSON of the policy, `source` gives the JSON of a source's Config with its secrets resolved (None: no
    such source), `token_key` and `token_previous` the keys of the `token` rule. All are called in a thread and may
    raise ConfigError.
    `catalog_ttl_seconds` is for how long what was read of a server's structure serves later jobs; 0: never.
    `python` is None where no Python job runs. `from_next_start` names settings whose change counts only then.
    """

    me: Me
    limits: Limits
    policy: str
    policy_version: int
    policy_sha256: str
    source: Callable[[str], str | None]
    token_key: Callable[[], bytes | None] = lambda: None
    token_previous: Callable[[], bytes | None] = lambda: None
    sources: tuple[SourceAbout, ...] = ()
    catalog_ttl_seconds: float = 300.0
    python: PythonSite | None = None
    config_path: str = ""
    config_sha256: str = ""
    from_next_start: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Who this agent is, for status. `transport`: its kind; `address`: folder or URL; `result_key`: fingerprint."""

    version: str
    mode: str
    transport: str
    address: str
    result_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The outside things. `open_log` opens the audit log for this process alone; `trust` reads trust.json as it is now.

    `open_log` may raise AuditError and `trust` ConfigError at any time: both are asked again.
    `sandboxes` makes the sandboxes, given how Python jobs run at each moment.
    """

    transport: Carrier
    launcher: WorkerLauncher
    ledger: Ledger
    spool: SpoolStore
    open_log: Callable[[], Log]
    trust: Callable[[], TrustStore]
    result_key: SigningKey
    clock: Clock = field(default_factory=SystemClock)
    sandboxes: Callable[[Callable[[], PythonSite | None]], Sandboxes] = Sandboxes


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Numbers of this service. `tls`: the certificate that is to be kept young, if there is one.

    `max_spool_bytes` is the spool's cap, for the sentence that names it.

    `slots` are those of all jobs but Python ones, which have `python_slots`.
    `reconnect_seconds`: the first attempt after a link was lost comes at a random moment within them.
    `retry_seconds` lie between attempts at local writes, `status_seconds` between writings of status.json.
    """

    state_dir: Path
    trust_file: Path
    tls: Tls | None = None
    slots: int = 4
    python_slots: int = 2
    drain_seconds: float = 60.0
    backoff_cap_seconds: float = 60.0
    reconnect_seconds: float = 0.0
    max_spool_bytes: int = 0
    retry_seconds: float = 1.0
    status_seconds: float = 2.0


class Progress(Protocol):
    """Told how far a job is, as it goes on."""

    def __call__(self, ref: str, phase: Phase, rows: str | None = None) -> None:
        """Args: the carrier's name for the job; `rows` in decades."""
        ...


def no_progress(ref: str, phase: Phase, rows: str | None = None) -> None:
    """Nobody wants to know."""


Step = Callable[[str], None]
"""Told each named step; for tests that end the process there."""


def no_step(_: str) -> None:
    """Nothing happens at a step but in tests, which end the process there."""
