"""A whole site on a temporary folder: real keys, ledger, spool, audit and filedrop. Only the worker is a stand-in."""

import io
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from typing_extensions import override

from agent.audit.log import AuditLog
from agent.audit.verify import verify as verify_audit
from agent.core.errors import Fault, TransportError
from agent.core.job import Me
from agent.core.lane import Lane
from agent.core.limits import Limits
from agent.core.order import Order
from agent.core.outcome import Facts, Refused, Report
from agent.core.ports import Ended, Offer, Sealed
from agent.identity import trustfile
from agent.service.board import State
from agent.service.clock import SystemClock
from agent.service.livetrust import LiveTrust
from agent.service.notify import Manager
from agent.service.sandboxes import PythonSite, Sandboxes
from agent.service.supervisor import Supervisor
from agent.service.wiring import About, Options, Ports, Site, SourceAbout, Step, no_step
from agent.spool.ledger import Ledger
from agent.spool.store import SpoolStore
from agent.transport.filedrop import Config, FileDrop
from agent.wire.container import read_mres
from agent.wire.ids import new_ulid
from agent.wire.keys import OpeningKey, SigningKey
from agent.wire.models import JobModel, ManifestModel
from agent.wire.sealing import Opened, SealContext, open_result, seal
from agent.wire.signing import sign_job, verify, verify_manifest
from agent.wire.trust import TrustStore

SANDBOXD = str(Path(__file__).parent / "sandboxd.py")
PATIENCE_SECONDS = 8.0
"""Far beyond what anything takes: a test that waits this long has failed."""


@pytest.fixture
def anyio_backend() -> str:
    """The service runs on asyncio."""
    return "asyncio"


class HandClock:
    """The machine's clocks, with a wall clock that a test can set."""

    def __init__(self) -> None:
        self.shift = 0.0
        self._clock = SystemClock()

    def now(self) -> float:
        return self._clock.now() + self.shift

    def monotonic(self) -> float:
        return self._clock.monotonic()


class Drop(FileDrop):
    """The real carrier, whose outbox a test can break for all results or for some."""

    def __init__(self, config: Config, clock: HandClock, broken: Callable[[str], bool]) -> None:
        super().__init__(config, clock)
        self._broken = broken
        self.repeat: list[Offer] = []
        self.offered: list[Offer] = []

    @override
    async def offers(self, free: Mapping[Lane, int]) -> Sequence[Offer]:
        again, self.repeat = self.repeat, []
        found = again or await super().offers(free)
        self.offered += found
        return found

    @override
    async def deliver(self, sealed: Sealed) -> None:
        if self._broken(sealed.job_id):
            raise TransportError("the folder outbox/new is read-only")
        await super().deliver(sealed)


Behaviour = Callable[[Order, int], Awaitable[Ended]]


async def refuse(order: Order, parts: int) -> Ended:
    """What a worker does with a source that is not configured: verify, seal, report."""
    trust = TrustStore.parse(order.trust)
    job = verify(order.envelope, trust, order.me, order.now)
    context = SealContext(
        job_id=job.id,
        job_digest=job.digest,
        result_id=order.result_id,
        attempt=order.attempt,
        policy_version=1,
        policy_sha256=order.policy_sha256,
        isolation=order.isolation,
        recipient=trust.recipient(job.reply_to),
    )
    sink = io.BytesIO()
    parcel = seal(Refused("task.source", "No source.", "Use another."), context=context, sink=sink)
    os.write(parts, sink.getvalue())
    return Ended("ok", Report(parcel, Facts(statement="select ?", rows=0)))


class Worker:
    """Stands in for the worker server. `behaviour` is what its workers do."""

    def __init__(self) -> None:
        self.behaviour: Behaviour = refuse
        self.orders: list[Order] = []
        self.sandboxes: list[int | None] = []
        self.down: str | None = None
        self.closed = False

    @property
    def isolation(self) -> str:
        return "stand-in"

    async def start(self) -> None:
        if self.down is not None:
            raise Fault("worker.crashed", self.down)

    async def aclose(self) -> None:
        self.closed = True

    async def work(self, order: Order, limits: Limits, parts: int, sandbox: int | None = None) -> Ended:
        self.orders.append(order)
        self.sandboxes.append(sandbox)
        return await self.behaviour(order, parts)


@dataclass
class Bench:
    """One site and its submitter."""

    root: Path
    clock: HandClock = field(default_factory=HandClock)
    agent_key: SigningKey = field(default_factory=SigningKey.generate)
    submitter: SigningKey = field(default_factory=SigningKey.generate)
    opening: OpeningKey = field(default_factory=OpeningKey.generate)
    worker: Worker = field(default_factory=Worker)
    me: Me = field(default_factory=lambda: Me(tenant="acme", agent="plant-7", pool="default"))
    limits: Limits = field(default_factory=lambda: Limits(wall_seconds=30, bytes=1 << 20))
    drain_seconds: float = 10.0
    max_spool_bytes: int = 1 << 30
    step: Step = no_step
    reload: Callable[[], Site] | None = None
    undeliverable: Callable[[str], bool] = lambda _: False
    python: PythonSite | None = None
    sandbox_says: str = "full"
    manager: Manager | None = None

    def __post_init__(self) -> None:
        for name in ("state", "drop", "state/identity"):
            (self.root / name).mkdir(exist_ok=True)
        self.trust_by(lambda store: self.with_submitter(store, self.submitter))

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def trust_file(self) -> Path:
        return self.state / "trust.json"

    def trust_by(self, change: Callable[[TrustStore], TrustStore]) -> None:
        trustfile.ensure(self.trust_file)
        trustfile.update(self.trust_file, change)

    def with_submitter(self, store: TrustStore, key: SigningKey) -> TrustStore:
        return trustfile.add(
            store,
            name="planner",
            key=key.public(),
            tenants=["acme"],
            sources=["*"],
            kinds=["sql", "python"],
            recipients={"planner": self.opening.public()},
            now=self.clock.now(),
        )

    def site(self, **changes: Any) -> Site:
        given = {
            "me": self.me,
            "limits": self.limits,
            "policy": "{}",
            "policy_version": 1,
            "policy_sha256": "ab" * 32,
            "source": lambda name: None,
            "sources": (SourceAbout("shop", "duckdb"),),
            "config_path": str(self.root / "sandbox.yaml"),
            "config_sha256": "cd" * 32,
            "python": self.python,
        }
        return Site(**{**given, **changes})

    def supervisor(self) -> Supervisor:
        """The service, composed as the composition root does it."""
        return Supervisor(
            ports=Ports(
                transport=Drop(
                    Config(path=self.root / "drop", poll_seconds=0.02, settle_seconds=0.1),
                    self.clock,
                    lambda job_id: self.undeliverable(job_id),  # noqa: PLW0108 - it changes
                ),
                launcher=self.worker,
                ledger=Ledger(self.state / "ledger.sqlite"),
                spool=SpoolStore(self.state / "spool", self.max_spool_bytes),
                open_log=lambda: AuditLog.exclusive(self.state / "audit", self.agent_key.sign),
                trust=LiveTrust(self.trust_file).current,
                result_key=self.agent_key,
                clock=self.clock,
                sandboxes=self._sandboxes,
            ),
            site=self.site(),
            about=About(
                version="0.1.0",
                mode="airgapped",
                transport="filedrop",
                address=str(self.root / "drop"),
                result_key=f"SHA256:{self.agent_key.kid}",
            ),
            options=Options(
                state_dir=self.state,
                trust_file=self.trust_file,
                slots=2,
                drain_seconds=self.drain_seconds,
                backoff_cap_seconds=0.1,
                max_spool_bytes=self.max_spool_bytes,
                retry_seconds=0.02,
                status_seconds=0.1,
            ),
            reload=self.reload,
            manager=self.manager,
            step=self.step,
        )

    def _sandboxes(self, python: Callable[[], PythonSite | None]) -> Sandboxes:
        """Over a real process that stands in for the sandbox server; `test_sandboxes` has it too."""
        log = str(self.root / "sandbox-servers")
        command = (sys.executable, "-I", SANDBOXD, "--say", self.sandbox_says, "--log", log)
        return Sandboxes(python, self.clock, command=command, settle_seconds=3600)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Supervisor]:
        """A service that runs inside, and is drained at the end."""
        supervisor = self.supervisor()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(supervisor.run)
            try:
                with anyio.fail_after(PATIENCE_SECONDS):
                    await until(lambda: supervisor._board.state is State.ONLINE)
                    yield supervisor
            except TimeoutError:
                raise AssertionError(
                    f"nothing happened for long: {supervisor._answer().decode()} {sorted(map(str, self.root.rglob('*')))}"
                ) from None
            supervisor.stop()

    def envelope(self, *, key: SigningKey | None = None, **changes: Any) -> tuple[str, bytes]:
        """A signed job and its id."""
        now = self.clock.now()
        fields = {
            "id": new_ulid(now),
            "tenant": "acme",
            "audience": "agent:plant-7",
            "issued": now,
            "not_before": now,
            "expires": now + 3600,
            "result_until": now + 7200,
            "requested_by": {"user": "ada"},
            "reply_to": {"kid": self.opening.kid},
            "task": {"kind": "sql", "source": "shop", "statement": "select 'canary-4711'"},
            **changes,
        }
        return str(fields["id"]), sign_job(JobModel.model_validate(fields), key or self.submitter)

    def submit_python(self, **changes: Any) -> str:
        return self.submit(task={"kind": "python", "code": "result = 1", "inputs": {}}, **changes)

    def put(self, envelope: bytes, name: str) -> None:
        """Hand a job file in as a submitter does: tmp, then rename."""
        tmp, new = self.root / "drop/inbox/tmp", self.root / "drop/inbox/new"
        for folder in (tmp, new):
            folder.mkdir(parents=True, exist_ok=True)
        (tmp / name).write_bytes(envelope)
        (tmp / name).rename(new / name)

    def submit(self, **changes: Any) -> str:
        job_id, envelope = self.envelope(**changes)
        self.put(envelope, f"{job_id}.mjob")
        return job_id

    def result_file(self, job_id: str) -> Path:
        return self.root / f"drop/outbox/new/{job_id}.mres"

    def archived(self, job_id: str) -> Path:
        return self.root / f"drop/archive/{job_id}.json"

    def reason_file(self, stem: str) -> Path:
        return self.root / f"drop/failed/{stem}.reason.json"

    async def done(self, job_id: str) -> Opened:
        """The result of a job, once it is delivered and its job filed away."""
        await until(self.archived(job_id).exists)
        return self.opened(job_id)

    def opened(self, job_id: str) -> Opened:
        with self.result_file(job_id).open("rb") as stream:
            manifest, parts = read_mres(stream)
            key = self.agent_key.public()
            return open_result(verify_manifest(manifest, {key.kid: key}), parts, self.opening)

    def manifest(self, job_id: str) -> ManifestModel:
        """What stands in the open on a result, checked."""
        with self.result_file(job_id).open("rb") as stream:
            key = self.agent_key.public()
            return verify_manifest(read_mres(stream)[0], {key.kid: key})

    async def rejected(self, stem: str) -> str:
        await until(self.reason_file(stem).exists)
        return str(json.loads(self.reason_file(stem).read_bytes())["code"])

    def records(self) -> list[dict[str, Any]]:
        """The audit log, which has to verify."""
        verdict = verify_audit(self.state / "audit", self.agent_key.public())
        assert verdict.ok, verdict
        files = sorted((self.state / "audit").glob("audit-*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def events(self, job_id: str) -> list[str]:
        return [record["event"] for record in self.records() if record.get("job") == job_id]

    def held(self, folder: str) -> list[str]:
        """Names in a folder of the site."""
        return sorted(path.name for path in (self.root / folder).iterdir())

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.state / "status.json").read_bytes())
        return found


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another task brings about; the test's own deadline bounds it."""
    while not condition():  # noqa: ASYNC110 - files and findings have no event
        await anyio.sleep(0.005)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(name="until")
def until_() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    return until


@pytest.fixture(name="refuse")
def refuse_() -> Behaviour:
    return refuse
