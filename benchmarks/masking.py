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

RULES = ("redact", "last4", "token")
STATEMENTS = {
    "masking-largest.sql": "largest value per group",
    "masking-grouped.sql": "grouped by the value",
    "masking-unused.sql": "value not used",
}
LIMITS: Mapping[str, float] = {"redact": 1.1, "last4": 2.5}
"""Times the raw statement. `token` has a limit in seconds a column instead."""
TOKEN_SECONDS = 1.0
ROUNDS = 21
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
        for file, title in STATEMENTS.items():
            yield from _statement(file, title, raw, masked)


def _statement(file: str, title: str, raw: duckdb.DuckDBPyConnection, masked: Connection) -> Iterator[Figure]:
    statement = text(f"statements/{file}")
    catalog = masked.catalog()
    calls = {rule: partial(_masked, masked, _plan(statement, rule, catalog)) for rule in RULES}
    found = interleaved({"raw": partial(_raw, raw, statement)} | calls, ROUNDS)
    middle = {name: statistics.median(seconds) for name, seconds in found.items()}
    yield Figure(
        group="1 M rows", name=f"{title}: raw", value=middle["raw"] * 1000, unit="ms", detail=milliseconds(found["raw"])
    )
    for rule in RULES:
        detail = milliseconds(found[rule]) | {"statement": file}
        name = f"{title}: {rule}"
        if rule == "token":
            yield Figure(group="1 M rows", name=name, value=middle[rule], unit="s", limit=TOKEN_SECONDS, detail=detail)
        else:
            ratio = middle[rule] / middle["raw"]
            yield Figure(group="1 M rows", name=name, value=ratio, unit="x", limit=LIMITS[rule], detail=detail)


def _plan(statement: str, rule: str, catalog: Catalog) -> MaskedPlan:
    policy = Policy.model_validate(yaml.safe_load(text(f"policies/{rule}.yaml")))
    task = SqlTask(source=SourceName("shop"), statement=statement, parameters={})
    return prepare(task, catalog, policy, roles=(), token_key=_KEY, tenant="bench")


def _raw(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    for _ in connection.sql(statement).to_arrow_reader(10_000):
        pass


def _masked(connection: Connection, plan: MaskedPlan) -> None:
    for _ in connection.run(plan).batches:
        pass
