"""Guard, rewrite and re-check of three statements over the demo's schema: the pure part of an SQL job."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import yaml

from agent.cli.demo_data import build_lahman
from agent.core.catalog import Catalog
from agent.core.job import SourceName, SqlTask
from agent.core.limits import Limits
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare
from agent.sources.duckdb import Config
from benchmarks.figures import HERE, Figure, interleaved, milliseconds, text

LIMITS_MS = {"guard-119b.sql": 1.2, "guard-667b.sql": 4.4, "guard-6kb.sql": 39.0}
POLICY = HERE.parent / "config/demo/lahman.policy.yaml"
ROUNDS = 150


def run(folder: Path) -> Iterator[Figure]:
    """Medians in ms."""
    database = folder / "lahman.duckdb"
    if not database.exists():
        build_lahman(database)
    with Config(type="duckdb", path=database).open("lahman", Limits()) as connection:
        catalog = connection.catalog()
    policy = Policy.model_validate(yaml.safe_load(POLICY.read_text(encoding="utf-8")))
    statements = {name: text(f"statements/{name}") for name in LIMITS_MS}
    calls = {name: partial(_prepare, statement, catalog, policy) for name, statement in statements.items()}
    for name, seconds in interleaved(calls, ROUNDS).items():
        found = milliseconds(seconds)
        detail = found | {"bytes": len(statements[name].encode()), "relations": len(catalog.relations)}
        size = f"{detail['bytes']} bytes"
        yield Figure(
            group="guard + rewrite + re-check",
            name=size,
            value=found["median"],
            unit="ms",
            limit=LIMITS_MS[name],
            detail=detail,
        )


def _prepare(statement: str, catalog: Catalog, policy: Policy) -> None:
    task = SqlTask(source=SourceName("lahman"), statement=statement, parameters={})
    prepare(task, catalog, policy, roles=(), token_key=None, tenant="bench")
