"""One million rows of eight columns out of PostgreSQL, three of them masked, against the bare driver."""

import resource
import statistics
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as adbc

from agent.core.catalog import Catalog
from agent.core.job import SourceName, SqlTask
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare
from agent.sources.postgres import Config
from benchmarks.figures import Figure, interleaved, milliseconds
from tests.support import postgres as pg

ROWS = 1_000_000
ROUNDS = 5
OF_THE_SAME = 1.5
"""The most that the line may take, times the bare driver with the same masked statement."""
OF_THE_RAW = 5.0
"""The most that it may take, times the bare driver with the statement as it was asked."""
RSS_MB = 300
_STATEMENT = "SELECT id, name, card, customer, born, amount, city, active FROM facts"
_DATA = f"""
CREATE TABLE facts(id int, name text, card text, customer text, born date, amount numeric(12, 2),
  city text, active bool);
INSERT INTO facts SELECT i, 'name ' || i, lpad(i::text, 16, '4'), 'c' || i % 50000, date '1950-01-01' + i % 20000,
  i / 7.0, 'city ' || i % 500, i % 3 = 0 FROM generate_series(1, {ROWS}) i;
ANALYZE facts;
"""
_RULES = [
    {"match": "*.*.facts.card", "rule": "last4"},
    {"match": "*.*.facts.customer", "rule": {"token": {"domain": "customer"}}},
    {"match": "*.*.facts.born", "rule": "year"},
]
_KEY = b"a key of no secret, 32 bytes long"


def run(_: Path) -> Iterator[Figure]:
    """Ratios of medians, taken in one run, and this process's own peak."""
    with pg.running() as server:
        source = Config.model_validate(server.config(server.database("bench", _DATA)))
        with source.open("shop", Limits(rows=2 * ROWS)) as masked, adbc.connect(_address(server)) as raw:
            plan = _plan(masked.catalog())
            same = partial(_raw, raw, plan.sql, plan)
            calls = {"line": partial(_rows, masked, plan), "same": same, "raw": partial(_raw, raw, _STATEMENT, plan)}
            found = interleaved(calls, ROUNDS)
    middle = {name: statistics.median(seconds) for name, seconds in found.items()}
    detail = {name: milliseconds(seconds) for name, seconds in found.items()}
    group = "1 M x 8 rows of PostgreSQL"
    yield Figure(group=group, name="line", value=middle["line"], unit="s", detail=detail["line"])
    for name, title, limit in (
        ("same", "line / driver with the same statement", OF_THE_SAME),
        ("raw", "line / driver unmasked", OF_THE_RAW),
    ):
        ratio = middle["line"] / middle[name]
        yield Figure(group=group, name=title, value=ratio, unit="x", limit=limit, detail=detail[name])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Figure(group=group, name="peak memory of the process", value=peak, unit="MB", limit=RSS_MB)


def _plan(catalog: Catalog) -> MaskedPlan:
    task = SqlTask(source=SourceName("shop"), statement=_STATEMENT, parameters={})
    policy = Policy.model_validate({"version": 1, "default": "keep", "keys": {"token": "env:UNUSED"}, "rules": _RULES})
    return prepare(task, catalog, policy, roles=(), token_key=_KEY, tenant="bench")


def _rows(con: Any, plan: MaskedPlan) -> None:
    assert sum(batch.num_rows for batch in con.run(plan).batches) == ROWS


def _raw(con: Any, sql: str, plan: MaskedPlan) -> None:
    with con.cursor() as cursor:
        for name, pads in plan.variables.items():
            for end, pad in (("i", pads[:64]), ("o", pads[64:])):
                cursor.execute("SELECT set_config($1, $2, false)", (f"meridyen.{name}_{end}", pad.hex()))
                cursor.fetchall()
        cursor.execute(sql)
        assert sum(batch.num_rows for batch in cursor.fetch_record_batch()) == ROWS


def _address(server: pg.Postgres) -> str:
    return f"host={server.folder} port={server.port} dbname=bench user={pg.SUPERUSER}"
