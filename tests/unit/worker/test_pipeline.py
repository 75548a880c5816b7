"""The whole line over real sources: in this process, and in a real worker under its jail."""

import io
import json
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import pytest

from agent.core.errors import Fault, Refuse
from agent.core.job import Me, SourceName
from agent.core.limits import Limits
from agent.core.order import Order
from agent.core.outcome import Report
from agent.service.launcher import ProcessLauncher
from agent.sources.duckdb import Config as DuckDbConfig
from agent.sources.sqlite import Config as SqliteConfig
from agent.wire import frames
from agent.wire.ids import new_ulid
from agent.wire.keys import OpeningKey, SigningKey
from agent.wire.models import JobModel
from agent.wire.sealing import Opened, check_parts, manifest, open_result
from agent.wire.signing import sign_job
from agent.wire.trust import TrustStore
from agent.worker import pipeline
from tests.support import benches

NOW = 1_800_000_000.0
SIGNER, OPENER = SigningKey.generate(), OpeningKey.generate()
TRUST = TrustStore.model_validate(
    {
        "submitters": {
            SIGNER.kid: {
                "name": "tests",
                "key": SIGNER.public(),
                "tenants": ("acme",),
                "sources": ("*",),
                "kinds": ("*",),
                "recipients": (OPENER.kid,),
                "added": "2026-01-01T00:00:00Z",
            }
        },
        "recipients": {OPENER.kid: {"name": "tests", "key": OPENER.public()}},
    }
)
POLICY = """{"version": 1, "default": "redact", "rules": [{"match": "*.*.*.name", "rule": "redact"},
{"match": "*.*.*.*", "rule": "keep"}]}"""
PEOPLE = "CREATE TABLE people (id INTEGER, name TEXT); INSERT INTO people VALUES (1, 'canary-ada'), (2, 'canary-bob');"


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, str]:
    with duckdb.connect(tmp_path / "shop.duckdb") as shop:
        shop.execute(PEOPLE)
        shop.execute("CREATE TABLE numbers AS SELECT i, i % 97 AS j FROM range(300000) t(i)")
    ledger = sqlite3.connect(tmp_path / "ledger.sqlite")
    ledger.executescript(PEOPLE)
    ledger.close()
    return {
        "shop": DuckDbConfig(type="duckdb", path=tmp_path / "shop.duckdb", threads=2).model_dump_json(),
        "ledger": SqliteConfig(type="sqlite", path=tmp_path / "ledger.sqlite").model_dump_json(),
        "broken": '{"type": "duckdb", "path": 7, "password": "canary-password"}',
    }


MakeOrder = Callable[..., Order]


@pytest.fixture
def make(sources: dict[str, str]) -> MakeOrder:
    """`make(statement, source, limits=…, on_limit=…)` -> a signed job's order."""

    def make(statement: str, source: str = "shop", *, limits: Limits | None = None, **changed: Any) -> Order:
        task = {"kind": "sql", "source": source, "statement": statement, **changed.pop("task", {})}
        changed["limits"] = changed.pop("asked", {})
        job = JobModel.model_validate(
            {
                "id": new_ulid(NOW),
                "tenant": "acme",
                "audience": "agent:plant",
                "issued": NOW,
                "not_before": NOW,
                "expires": NOW + 60,
                "result_until": NOW + 600,
                "requested_by": {"user": "ada"},
                "reply_to": {"kid": OPENER.kid},
                "task": task,
                **changed,
            }
        )
        return Order(
            envelope=sign_job(job, SIGNER),
            trust=TRUST.reduced(SIGNER.kid).dump(),
            me=Me(tenant="acme", agent="plant", pool="default"),
            now=NOW,
            attempt=1,
            result_id=new_ulid(NOW),
            policy=POLICY,
            policy_sha256="a" * 64,
            token_key=None,
            sources={source: sources.get(source)},
            limits=limits or Limits(wall_seconds=30),
            isolation="landlock7+seccomp",
        )

    return make


def opened(report: Report, parts: BinaryIO) -> Opened:
    """What the recipient reads. Checks the parts as the service does first."""
    parts.seek(0)
    check_parts(report.parcel.parts, parts)
    parts.seek(0)
    return open_result(manifest(report.parcel, audit_seq=1, audit_hash="0" * 64), parts, OPENER)


def rows(result: Opened) -> list[list[Any]]:
    ((media_type, data),) = result.members.values()
    return frames.rows(frames.decode(media_type, data))[1]


def work(order: Order) -> tuple[Report, Opened]:
    parts = io.BytesIO()
    report = pipeline.work(order, parts)
    return report, opened(report, parts)


@pytest.mark.parametrize("source", ["shop", "ledger"])
def test_a_job_is_masked_and_sealed(make: MakeOrder, source: str) -> None:
    report, result = work(make("SELECT id, name FROM people WHERE id < 10 ORDER BY id", source))
    assert (report.parcel.outcome, report.parcel.code, result.outcome.rows) == ("completed", "ok", 2)
    assert rows(result) == [[1, "***"], [2, "***"]]
    assert result.outcome.disclosure.columns == {"main.people.id": "keep", "main.people.name": "redact"}


def test_the_facts_name_and_count_but_hold_no_value(make: MakeOrder) -> None:
    report, _ = work(make("SELECT id FROM people WHERE name <> 'canary' AND id < 4711"))
    facts = report.facts
    assert (facts.rows, facts.truncated, facts.relations) == (2, False, ("main.people",))
    assert facts.bytes > 0
    assert facts.engine_seconds > 0
    assert "?" in facts.statement
    assert "canary" not in facts.statement
    assert "4711" not in facts.statement
    assert len(facts.statement_sha256) == 64


@pytest.mark.parametrize(
    ("statement", "source", "code"),
    [
        ("SELECT * FROM read_csv('/etc/passwd')", "shop", "sql.table_function"),
        ("SELECT 1; SELECT 2", "shop", "sql.statements"),
        ("SELECT 1", "nowhere", "task.source"),
    ],
)
def test_a_refusal_is_sealed_like_a_result(make: MakeOrder, statement: str, source: str, code: str) -> None:
    report, result = work(make(statement, source))
    assert (report.parcel.outcome, report.parcel.code) == ("refused", code)
    assert (result.outcome.code, dict(result.members)) == (code, {})
    assert result.outcome.message


def test_a_limit_met_while_rows_stream_leaves_no_row(make: MakeOrder) -> None:
    """Parts were written before the limit was met: they are cut away."""
    order = make(
        "SELECT i, j, i AS k, i AS l, i AS m FROM numbers", limits=Limits(rows=200_000), task={"format": "json"}
    )
    order = replace(order, policy=POLICY.replace('"rules"', '"release": {"max_rows": 250000}, "rules"'))
    parts = io.BytesIO()
    report = pipeline.work(order, parts)
    assert (report.parcel.outcome, report.parcel.code) == ("failed", "limit.rows")
    assert len(parts.getvalue()) < 8192
    result = opened(report, parts)
    assert result.outcome.disclosure.relations == ("main.numbers",)
    assert (report.facts.rows, report.facts.bytes) == (0, 0)


def test_a_truncated_result_says_so(make: MakeOrder) -> None:
    report, result = work(make("SELECT i FROM numbers", limits=Limits(rows=7), on_limit="truncate"))
    assert len(rows(result)) == 7
    assert result.outcome.truncated
    assert report.facts.truncated


@pytest.mark.parametrize(("asked", "site"), [(5, 7), (7, 5)])
def test_the_job_may_tighten_the_limits_but_not_widen_them(make: MakeOrder, asked: int, site: int) -> None:
    order = make("SELECT i FROM numbers", limits=Limits(rows=site), on_limit="truncate", asked={"rows": asked})
    assert len(rows(work(order)[1])) == 5


def test_a_defect_is_sealed_without_its_text(make: MakeOrder, caplog: pytest.LogCaptureFixture) -> None:
    order = make("SELECT 1", "broken")
    assert pipeline.reads(order) == ()
    report, result = work(order)
    assert (report.parcel.outcome, report.parcel.code) == ("failed", "internal.error")
    assert "ValidationError at" in caplog.text
    assert "canary" not in caplog.text + result.outcome.model_dump_json()


def test_an_envelope_that_does_not_verify_is_answered_to_nobody(make: MakeOrder) -> None:
    order = make("SELECT 1")
    parts = io.BytesIO()
    with pytest.raises(Refuse, match=r".") as caught:
        pipeline.work(replace(order, me=Me(tenant="acme", agent="other", pool="other")), parts)
    assert (caught.value.code, parts.getvalue()) == ("envelope.audience", b"")


def test_only_the_source_is_read(make: MakeOrder, tmp_path: Path) -> None:
    assert pipeline.reads(make("SELECT 1")) == (tmp_path / "shop.duckdb",)
    assert pipeline.reads(make("SELECT 1", "nowhere")) == ()


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def shipped(anyio_backend: str) -> AsyncIterator[ProcessLauncher]:
    """The server that ships, with the pipeline that ships."""
    launcher = ProcessLauncher()
    await launcher.start()
    yield launcher
    await launcher.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize("source", ["shop", "ledger"])
async def test_a_job_in_its_jail(shipped: ProcessLauncher, make: MakeOrder, source: str) -> None:
    sealed_keys = set()
    for name in ("arrow", "parquet", "json", "csv"):
        order = make("SELECT id, name FROM people ORDER BY id", source, task={"format": name})
        with tempfile.TemporaryFile() as parts:
            ended = await shipped.work(order, order.limits, parts.fileno())
            assert ended.code == "ok"
            assert ended.report is not None
            result = opened(ended.report, parts)
        assert result.outcome.code == "ok"
        assert [[str(cell) for cell in row] for row in rows(result)] == [["1", "***"], ["2", "***"]]
        sealed_keys.add(ended.report.parcel.sealed_key)
    assert len(sealed_keys) == 4, "forks of one server share their randomness"


@pytest.mark.anyio
async def test_the_engine_is_ended_in_the_middle_of_a_statement(shipped: ProcessLauncher, make: MakeOrder) -> None:
    order = make("SELECT count(*) FROM numbers a, numbers b WHERE a.i + b.j > 5", limits=Limits(wall_seconds=1))
    with tempfile.TemporaryFile() as parts:
        assert (await shipped.work(order, order.limits, parts.fileno())).code == "limit.wall"


@pytest.mark.anyio
async def test_the_engines_memory_is_limited(shipped: ProcessLauncher, make: MakeOrder) -> None:
    order = make("SELECT list(a.i + b.i) FROM numbers a, numbers b", limits=Limits(wall_seconds=60, memory_mb=128))
    with tempfile.TemporaryFile() as parts:
        ended = await shipped.work(order, order.limits, parts.fileno())
        codes = {ended.code, ended.report.parcel.code if ended.report else ""}
    assert "limit.memory" in codes


@pytest.fixture
def full_disk() -> Iterator[BinaryIO]:
    with Path("/dev/full").open("wb", buffering=0) as full:
        yield full


@pytest.mark.anyio
async def test_a_full_disk_is_told_apart(shipped: ProcessLauncher, make: MakeOrder, full_disk: BinaryIO) -> None:
    order = make("SELECT id FROM people")
    assert (await shipped.work(order, order.limits, full_disk.fileno())).code == "spool.full"


@pytest.mark.anyio
async def test_a_servers_catalog_goes_from_jail_to_jail(
    shipped: ProcessLauncher, make: MakeOrder, sources: dict[str, str], postgres: Any
) -> None:
    sources["warehouse"] = json.dumps(postgres.config(postgres.database("jailed_catalog", PEOPLE)))
    order = make("SELECT id, name FROM people ORDER BY id", "warehouse")
    handed = []
    for catalog in (None, b"", b"not a catalog"):
        with tempfile.TemporaryFile() as parts:
            lent = handed[0] if catalog == b"" else catalog
            given = replace(order, catalogs={"warehouse": lent} if lent else {})
            ended = await shipped.work(given, given.limits, parts.fileno())
            assert ended.report is not None
            assert rows(opened(ended.report, parts)) == [[1, "***"], [2, "***"]]
            handed.append(ended.report.catalogs.get("warehouse", b""))
    assert b"people" in handed[0]
    assert b"canary" not in handed[0]
    assert handed[1:] == [b"", handed[0]], "used while it serves, asked for anew when it is none"


class _Listening:
    """A source that keeps what it is asked to end."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def cancel(self, handle: str) -> None:
        self.ended.append(handle)


def test_a_statement_is_ended_at_the_source_that_announced_it(make: MakeOrder, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, ledger = _Listening(), _Listening()
    monkeypatch.setattr(pipeline, "_sources", lambda _: {"shop": shop, "ledger": ledger})
    order = replace(make("SELECT 1", "shop"), errand="cancel", handles=("ledger:7@1 2:3", "shop:9"))
    assert pipeline.errand(order) == ()
    assert (shop.ended, ledger.ended) == (["9"], ["7@1 2:3"])
    with pytest.raises(Fault):
        pipeline.errand(replace(order, handles=("nowhere:1",)))


def test_a_handle_is_announced_with_its_source() -> None:
    said: list[str] = []
    session = benches.bench(benches.sql("SELECT 1"), None, announce=said.append).session(SourceName("ledger"))
    session.announce("7 1")
    session.announce("")
    assert said == ["ledger:7 1", ""]
