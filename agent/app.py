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
from agent.core.ports import Finding
from agent.identity import state, trustfile
from agent.service.clock import SystemClock
from agent.service.examine import examined
from agent.service.launcher import ProcessLauncher
from agent.service.livetrust import LiveTrust
from agent.service.local import LocalLine
from agent.service.supervisor import Supervisor, supervise
from agent.service.wiring import About, Options, Ports, Site, SourceAbout, Step, no_step
from agent.settings import load, load_policy
from agent.spool.ledger import Ledger
from agent.spool.store import SpoolStore
from agent.wire.keys import fingerprint
from agent.wire.trust import TrustStore

if TYPE_CHECKING:
    from agent.identity.state import Identity
    from agent.settings import LoadedPolicy, Settings

MAX_SPOOL_BYTES: Final = 10 * 2**30
FILEDROP_BACKOFF_SECONDS: Final = 5.0


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
    settings: "Settings", policy: "LoadedPolicy", *, reveal: bool = False, survey: int | None = None
) -> LocalLine:
    """The line for `agent exec`: its own warm server, its own audit chain."""
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
    )


def examine(settings: "Settings", names: Sequence[str]) -> dict[str, tuple[Finding, ...]]:
    """What each of these sources says of itself, asked in a worker. Raises AgentError when no worker can be started."""
    asked = {name: partial(settings.source_json, name) for name in names}
    return anyio.run(examined, ProcessLauncher(), asked, settings.me)


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
        config_path=str(settings.origin.file),
        config_sha256=settings.origin.sha256,
    )


def _ports(settings: "Settings", identity: "Identity") -> Ports:
    clock = SystemClock()
    return Ports(
        transport=settings.carrier.open(clock),
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
        address=str(settings.carrier.path),
        result_key=fingerprint(identity.result.kid),
    )


def _options(settings: "Settings") -> Options:
    return Options(
        state_dir=settings.state_dir,
        trust_file=settings.trust,
        slots=settings.agent.slots.sql,
        drain_seconds=settings.limits.drain_seconds,
        backoff_cap_seconds=FILEDROP_BACKOFF_SECONDS,
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
    logging.getLogger("apscheduler").setLevel(logging.WARNING)


def _redacted(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    hidden = ("password", "secret", "token", "key", "authorization")
    return {name: "********" if any(word in name.lower() for word in hidden) else v for name, v in event.items()}
