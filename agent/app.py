"""Composition root: `Settings` -> the service, or the local line. No logic."""

import logging
import resource
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import anyio

from agent import __version__
from agent.audit.log import AuditLog
from agent.core.lane import Lane
from agent.core.order import PythonTerms
from agent.core.ports import Finding
from agent.identity import state, trustfile
from agent.identity.certificate import Tls
from agent.sandbox import process
from agent.service import journal
from agent.service.clock import SystemClock
from agent.service.doctor import Verdict, verdict
from agent.service.examine import examined
from agent.service.launcher import ProcessLauncher
from agent.service.livetrust import LiveTrust
from agent.service.local import LocalLine
from agent.service.notify import Manager
from agent.service.sandboxes import PythonSite
from agent.service.sandboxserver import Shape
from agent.service.supervisor import Supervisor, supervise
from agent.service.wiring import About, Options, Ports, Site, SourceAbout, Step, no_step
from agent.settings import load, load_policy
from agent.spool.ledger import Ledger
from agent.spool.store import SpoolStore
from agent.transport.filedrop import Config as FileDropConfig
from agent.transport.https import Place, Who
from agent.wire.keys import fingerprint
from agent.wire.trust import TrustStore

if TYPE_CHECKING:
    from agent.identity.state import Identity
    from agent.service.wiring import Carrier
    from agent.settings import LoadedPolicy, Settings
    from agent.wire.keys import SigningKey

MAX_SPOOL_BYTES: Final = 10 * 2**30
FILEDROP_BACKOFF_SECONDS: Final = 5.0
ROUTER_BACKOFF_SECONDS: Final = 60.0
_LOGGER = logging.getLogger(__name__)
_AT_START: Final = ("mode", "tenant", "agent", "state_dir", "transport", "trust", "audit.path", "limits.drain_seconds")
"""Settings that the service reads once."""


def serve(settings: "Settings", *, verbose: bool = False, step: Step = no_step, manager: Manager | None = None) -> int:
    """Run the service until it is told to stop; its exit code. Raises ConfigError.

    `manager` is the service manager that is told how it goes, if one started this process.
    """
    journal.begin(settings.state_dir, verbose=verbose)
    _LOGGER.info("the service starts: version %s, mode %s", __version__, settings.mode)
    process.forbid_dumps()  # this process holds keys
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return anyio.run(supervise, partial(_supervisor, settings, manager, step))


def _supervisor(settings: "Settings", manager: Manager | None, step: Step) -> Supervisor:
    policy = load_policy(settings)
    identity = state.ensure(settings.state_dir)
    trustfile.ensure(settings.trust)
    signs = settings.shared_result_key() or identity.result
    return Supervisor(
        ports=_ports(settings, identity, signs),
        site=site_of(settings, policy),
        about=_about(settings, signs),
        options=_options(settings),
        reload=partial(_reload, settings),
        manager=manager,
        step=step,
    )


def local_line(
    settings: "Settings",
    policy: "LoadedPolicy",
    *,
    reveal: bool = False,
    survey: int | None = None,
    python: bool = False,
) -> LocalLine:
    """The line for `agent exec`: its own warm server, its own audit chain. `python` is likely to be needed, if True."""
    identity = state.ensure(settings.state_dir)
    return LocalLine(
        launcher=ProcessLauncher(),
        site=site_of(settings, policy),
        trust=partial(_operators_trust, settings, identity),
        open_log=partial(AuditLog, settings.audit.path / "exec", identity.result.sign),
        result_key=identity.result,
        scratch=settings.state_dir / "spool",
        clock=SystemClock(),
        reveal=reveal,
        survey=survey,
        python=python,
    )


def examine(settings: "Settings", names: Sequence[str]) -> dict[str, tuple[Finding, ...]]:
    """What each of these sources says of itself, asked in a worker. Raises AgentError when no worker can be started."""
    asked = {name: partial(settings.source_json, name) for name in names}
    return anyio.run(examined, ProcessLauncher(), asked, settings.me)


def examine_sandbox(python: PythonSite) -> Verdict:
    """Which tier this machine has, by a sandbox server started for it."""
    return anyio.run(verdict, python)


def site_of(settings: "Settings", policy: "LoadedPolicy") -> Site:
    """What jobs run under, as the service keeps it."""
    return Site(
        me=settings.me,
        limits=settings.limits.of_job(),
        policy=policy.policy.model_dump_json(),
        policy_version=policy.policy.version,
        policy_sha256=policy.sha256,
        source=settings.source_json,
        token_key=policy.token_key,
        token_previous=policy.token_previous,
        sources=tuple(SourceAbout(name, config.type) for name, config in settings.sources.items()),
        catalog_ttl_seconds=settings.catalog_ttl_seconds,
        python=python_of(settings) if settings.python.enabled else None,
        config_path=str(settings.origin.file),
        config_sha256=settings.origin.sha256,
    )


def python_of(settings: "Settings") -> PythonSite:
    """How Python jobs run."""
    python, slots = settings.python, settings.agent.slots.python
    return PythonSite(
        min_tier=python.min_tier,
        outer="" if python.outer == "none" else python.outer,
        idle_seconds=python.idle_seconds,
        terms=PythonTerms(
            imports=None if python.imports == "default" else python.imports, scratch_mb=python.scratch_mb
        ),
        shape=Shape(
            at_once=slots,
            memory_mb=python.memory_mb or slots * (settings.limits.memory_mb + python.scratch_mb),
            preload=python.preload,
        ),
    )


def tls_of(settings: "Settings") -> Tls:
    """Where the agent's certificate for the Router lies."""
    return Tls(state.folder(settings.state_dir) / "tls")


def place_of(settings: "Settings") -> Place:
    """Where the agent keeps what it needs to speak to a Router."""
    tls = tls_of(settings)
    return Place(
        pair=tls.pair,
        ca=tls.ca,
        leases=settings.state_dir / "leases",
        instance=settings.state_dir / "identity" / "instance.json",
    )


def _carrier(settings: "Settings", clock: SystemClock) -> "Carrier":
    config = settings.carrier
    if isinstance(config, FileDropConfig):
        return config.open(clock)
    if config.proxy is not None:
        proxy = settings.resolve(config.proxy, "transport.https.proxy").decode("utf-8", "strict")
        config = config.model_copy(update={"proxy": proxy})
    place = place_of(settings)
    slots = settings.agent.slots
    lanes: dict[Lane, int] = {"sql": slots.sql, "python": slots.python if settings.python.enabled else 0}
    return config.open(place, Who(version=__version__, labels=settings.agent.labels, slots=lanes), clock)


def _ports(settings: "Settings", identity: "Identity", signs: "SigningKey") -> Ports:
    """The log is signed by the agent's own key, whatever key signs results: it tells one replica from another."""
    clock = SystemClock()
    return Ports(
        transport=_carrier(settings, clock),
        launcher=ProcessLauncher(),
        ledger=Ledger(settings.state_dir / "ledger.sqlite"),
        spool=SpoolStore(settings.state_dir / "spool", MAX_SPOOL_BYTES),
        open_log=partial(AuditLog.exclusive, settings.audit.path, identity.result.sign),
        trust=LiveTrust(settings.trust, finish=partial(_without_operator, identity)).current,
        result_key=signs,
        clock=clock,
    )


def _about(settings: "Settings", signs: "SigningKey") -> About:
    return About(
        version=__version__,
        mode=settings.mode,
        transport=settings.carrier.kind,
        address=str(config.path) if isinstance(config := settings.carrier, FileDropConfig) else ", ".join(config.urls),
        result_key=fingerprint(signs.kid),
    )


def _options(settings: "Settings") -> Options:
    return Options(
        state_dir=settings.state_dir,
        trust_file=settings.trust,
        slots=settings.agent.slots.sql,
        python_slots=settings.agent.slots.python,
        drain_seconds=settings.limits.drain_seconds,
        backoff_cap_seconds=FILEDROP_BACKOFF_SECONDS if settings.mode == "airgapped" else ROUTER_BACKOFF_SECONDS,
        reconnect_seconds=0.0 if isinstance(settings.carrier, FileDropConfig) else settings.carrier.reconnect_seconds,
        tls=None if settings.mode == "airgapped" else tls_of(settings),
        max_spool_bytes=MAX_SPOOL_BYTES,
    )


def _reload(settings: "Settings") -> Site:
    fresh = load(settings.origin.file, settings.origin.secrets.environ)
    later = tuple(key for key in _AT_START if attrgetter(key)(fresh) != attrgetter(key)(settings))
    return replace(site_of(fresh, load_policy(fresh)), me=settings.me, from_next_start=later)


def _without_operator(identity: "Identity", store: TrustStore) -> TrustStore:
    """The operator's key signs tasks on this host only: nothing that came over a transport may carry it."""
    others = {kid: entry for kid, entry in store.submitters.items() if kid != identity.operator.kid}
    return store.model_copy(update={"submitters": others})


def _operators_trust(settings: "Settings", identity: "Identity") -> TrustStore:
    """trust.json for the local line; a new one, when there is none, trusts the local operator."""
    if not settings.trust.exists():
        trustfile.save(settings.trust, trustfile.with_operator(TrustStore(), identity, settings.tenant, time.time()))
    return trustfile.load(settings.trust)
