"""Aggregates over one million rows in DuckDB, masked at the source, against the same statement on the same engine."""

import statistics
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import duckdb
import yaml

from agent.core.catalog import Catalog
from agent.core.job import SourceName, SqlTask
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.ports import Connection
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare
from agent.sources.duckdb import Config
from benchmarks.figures import Figure, interleaved, milliseconds, text

RATIOS: Mapping[str, float] = {"redact": 1.1, "last4": 2.5}
"""Rule -> the most that it may cost, times the raw statement."""
TOKEN_SECONDS = 1.0
"""The most that one million tokens may take."""
WORKLOADS = (
    ("masking-largest.sql", "largest value per group", RATIOS),
    ("masking-grouped.sql", "grouped by the value", RATIOS),
    ("masking-unused.sql", "value not used", dict.fromkeys(RATIOS)),
)
TOKENS = "masking-largest.sql"
ROUNDS = 31
TOKEN_ROUNDS = 5
THREADS = 2
_KEY = b"a key of no secret, 32 bytes long"


def run(folder: Path) -> Iterator[Figure]:
    """Ratios of medians, taken in one run."""
    path = folder / "shop.duckdb"
    with duckdb.connect(path) as database:
        database.execute(text("statements/masking-data.sql"))
    # A masked statement and a raw one may not share a connection: the source locks its own.
    source = Config(type="duckdb", path=path, threads=THREADS)
    with duckdb.connect(config={"threads": str(THREADS)}) as raw, source.open("shop", Limits()) as masked:
        raw.execute(f"ATTACH '{path}' AS shop (READ_ONLY)")
        raw.execute("USE shop")
        for file, title, limits in WORKLOADS:
            yield from _ratios(file, title, limits, raw, masked)
        yield _tokens(masked)


def _ratios(
    file: str, title: str, limits: Mapping[str, float | None], raw: duckdb.DuckDBPyConnection, masked: Connection
) -> Iterator[Figure]:
    calls = {rule: partial(_masked, masked, _plan(file, rule, masked.catalog())) for rule in limits}
    found = interleaved({"raw": partial(_raw, raw, text(f"statements/{file}"))} | calls, ROUNDS)
    detail = {name: milliseconds(seconds) | {"statement": file} for name, seconds in found.items()}
    middle = {name: statistics.median(seconds) for name, seconds in found.items()}
    name, value = f"{title}: raw", middle["raw"] * 1000
    yield Figure(group="1 M rows", name=name, value=value, unit="ms", detail=detail["raw"])
    for rule, limit in limits.items():
        ratio = middle[rule] / middle["raw"]
        name = f"{title}: {rule}"
        yield Figure(group="1 M rows", name=name, value=ratio, unit="x", limit=limit, detail=detail[rule])


def _tokens(masked: Connection) -> Figure:
    call = partial(_masked, masked, _plan(TOKENS, "token", masked.catalog()))
    detail = milliseconds(interleaved({"token": call}, TOKEN_ROUNDS)["token"])
    value = detail["median"] / 1000
    return Figure(group="1 M rows", name="token", value=value, unit="s", limit=TOKEN_SECONDS, detail=detail)


def _plan(file: str, rule: str, catalog: Catalog) -> MaskedPlan:
    policy = Policy.model_validate(yaml.safe_load(text(f"policies/{rule}.yaml")))
    task = SqlTask(source=SourceName("shop"), statement=text(f"statements/{file}"), parameters={})
    return prepare(task, catalog, policy, roles=(), token_key=_KEY, tenant="bench")


def _raw(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    for _ in connection.sql(statement).to_arrow_reader(10_000):
        pass


def _masked(connection: Connection, plan: MaskedPlan) -> None:
    for _ in connection.run(plan).batches:
        pass
