"""Composition root: `Settings` -> the service, or the local line. No logic."""

import logging
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import structlog

from agent import __version__
from agent.audit.log import AuditLog
from agent.core.lane import Lane
from agent.core.order import PythonTerms
from agent.core.ports import Finding
from agent.identity import state, trustfile
from agent.identity.certificate import Tls
from agent.service.clock import SystemClock
from agent.service.doctor import Verdict, verdict
from agent.service.examine import examined
from agent.service.launcher import ProcessLauncher
from agent.service.livetrust import LiveTrust
from agent.service.local import LocalLine
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

MAX_SPOOL_BYTES: Final = 10 * 2**30
FILEDROP_BACKOFF_SECONDS: Final = 5.0
ROUTER_BACKOFF_SECONDS: Final = 60.0


def serve(settings: "Settings", *, verbose: bool = False, step: Step = no_step) -> int:
    """Run the service until it is told to stop; its exit code. Raises ConfigError."""
    _log_to_stderr(verbose=verbose)
    return anyio.run(supervise, partial(_supervisor, settings, step))


def _supervisor(settings: "Settings", step: Step) -> Supervisor:
    policy = load_policy(settings)
    identity = state.ensure(settings.state_dir)
    trustfile.ensure(settings.trust)
    return Supervisor(
        ports=_ports(settings, identity),
        site=site_of(settings, policy),
        about=_about(settings, identity),
        options=_options(settings),
        reload=partial(_reload, settings),
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


def _carrier(settings: "Settings", clock: SystemClock) -> "Carrier":
    config = settings.carrier
    if isinstance(config, FileDropConfig):
        return config.open(clock)
    if config.proxy is not None:
        proxy = settings.resolve(config.proxy, "transport.https.proxy").decode("utf-8", "strict")
        config = config.model_copy(update={"proxy": proxy})
    tls = tls_of(settings)
    place = Place(
        pair=tls.pair,
        ca=tls.ca,
        leases=settings.state_dir / "leases",
        instance=settings.state_dir / "identity" / "instance.json",
    )
    slots = settings.agent.slots
    lanes: dict[Lane, int] = {"sql": slots.sql, "python": slots.python if settings.python.enabled else 0}
    return config.open(place, Who(version=__version__, labels=settings.agent.labels, slots=lanes), clock)


def _ports(settings: "Settings", identity: "Identity") -> Ports:
    clock = SystemClock()
    return Ports(
        transport=_carrier(settings, clock),
        launcher=ProcessLauncher(),
        ledger=Ledger(settings.state_dir / "ledger.sqlite"),
        spool=SpoolStore(settings.state_dir / "spool", MAX_SPOOL_BYTES),
        open_log=partial(AuditLog.exclusive, settings.audit.path, identity.result.sign),
        trust=LiveTrust(settings.trust, finish=partial(_without_operator, identity)).current,
        result_key=identity.result,
        clock=clock,
    )


def _about(settings: "Settings", identity: "Identity") -> About:
    return About(
        version=__version__,
        mode=settings.mode,
        transport=settings.carrier.kind,
        address=str(config.path) if isinstance(config := settings.carrier, FileDropConfig) else ", ".join(config.urls),
        result_key=fingerprint(identity.result.kid),
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
    return site_of(fresh, load_policy(fresh))


def _without_operator(identity: "Identity", store: TrustStore) -> TrustStore:
    """The operator's key signs tasks on this host only: nothing that came over a transport may carry it."""
    others = {kid: entry for kid, entry in store.submitters.items() if kid != identity.operator.kid}
    return store.model_copy(update={"submitters": others})


def _operators_trust(settings: "Settings", identity: "Identity") -> TrustStore:
    """trust.json for the local line; a new one, when there is none, trusts the local operator."""
    if not settings.trust.exists():
        trustfile.save(settings.trust, trustfile.with_operator(TrustStore(), identity, settings.tenant, time.time()))
    return trustfile.load(settings.trust)


def _log_to_stderr(*, verbose: bool) -> None:
    """One JSON object a line. Nothing that is logged holds a value; what looks like a secret is dropped anyway."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _redacted,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    for name in ("apscheduler", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _redacted(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    hidden = ("password", "secret", "token", "key", "authorization")
    return {name: "********" if any(word in name.lower() for word in hidden) else v for name, v in event.items()}
