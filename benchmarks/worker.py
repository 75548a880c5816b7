"""The round trip of one job through the warm server: fork, isolate, verify, open, guard, run, mask, seal, report."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import duckdb

from agent.cli.jobs import Wanted, job_of
from agent.core.job import Me
from agent.core.limits import Limits
from agent.core.order import Order
from agent.identity import trustfile
from agent.masking.policy import Policy
from agent.service.launcher import ProcessLauncher
from agent.sources.duckdb import Config
from agent.wire.ids import new_ulid
from agent.wire.keys import OpeningKey, SigningKey
from agent.wire.signing import sign_job
from agent.wire.trust import TrustStore
from benchmarks.figures import Figure, milliseconds, text

LIMIT_MS = 30.0
ROUNDS = 150
WARM = 10
ME = Me(tenant="bench", agent="bench", pool="default")


def run(folder: Path) -> Iterator[Figure]:
    """The median in ms."""
    path = folder / "empty.duckdb"
    duckdb.connect(path).close()
    seconds = anyio.run(_rounds, path)
    detail = milliseconds(seconds)
    yield Figure(
        group="worker, warm", name="SELECT 1", value=detail["median"], unit="ms", limit=LIMIT_MS, detail=detail
    )


async def _rounds(path: Path) -> list[float]:
    signing, opening = SigningKey.generate(), OpeningKey.generate()
    now = time.time()
    trust = trustfile.add(
        TrustStore(),
        name="bench",
        key=signing.public(),
        tenants=[ME.tenant],
        sources=["*"],
        kinds=["*"],
        recipients={"bench": opening.public()},
        now=now,
    )
    launcher = ProcessLauncher()
    await launcher.start()
    try:
        orders = [_order(path, signing, opening, trust, launcher.isolation) for _ in range(WARM + ROUNDS)]
        return [await _round(launcher, order) for order in orders][WARM:]
    finally:
        await launcher.aclose()


async def _round(launcher: ProcessLauncher, order: Order) -> float:
    with tempfile.TemporaryFile() as parts:
        started = time.perf_counter()
        ended = await launcher.work(order, order.limits, parts.fileno())
        seconds = time.perf_counter() - started
    if ended.report is None or ended.report.parcel.outcome != "completed":
        code = ended.code if ended.report is None else ended.report.parcel.code
        raise SystemExit(f"the job did not complete: {code}")
    return seconds


def _order(path: Path, signing: SigningKey, opening: OpeningKey, trust: TrustStore, isolation: str) -> Order:
    task = {"kind": "sql", "source": "empty", "statement": text("statements/worker-select-1.sql")}
    job = job_of(
        Wanted(task=task),
        tenant=ME.tenant,
        audience=f"agent:{ME.agent}",
        user="bench",
        reply_to=opening.public().kid,
    )
    return Order(
        envelope=sign_job(job, signing),
        trust=trust.reduced(signing.kid).dump(),
        me=ME,
        now=time.time(),
        attempt=1,
        result_id=new_ulid(time.time()),
        policy=Policy(version=1, default="redact").model_dump_json(),
        policy_sha256="0" * 64,
        token_key=None,
        sources={"empty": Config(type="duckdb", path=path).model_dump_json()},
        limits=Limits(),
        isolation=isolation,
    )
