"""Two databases that differ only in protected values, and the cases that must not tell them apart."""

import json
import re
import sqlite3
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from agent.core.catalog import Catalog
from agent.core.job import SourceName, SqlTask
from agent.core.plan import MaskedPlan
from agent.masking.ddl import catalog_of
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare

FOLDER = Path(__file__).parent / "sql"
SCHEMA = (FOLDER / "schema.sql").read_text()
CANARIES = ("900-55-00", "leak-test", "+1555", "4929000", "9135", "1903-02")
PROTECTED = [f"customers.{c}" for c in ("ssn", "email", "phone", "dob", "card_number")]
PROTECTED += [f"employees.{c}" for c in ("ssn", "email", "salary", "dob")]


@dataclass(frozen=True)
class Case:
    dialect: str
    sql: str
    why: str
    must_run: bool = True
    number: int = 0

    def __str__(self) -> str:
        """A test's id; what selects tests by id takes `::` for a separator."""
        return re.sub(r"[^\w ]+", ".", f"{self.number} {self.dialect} {self.sql[:48]}", flags=re.ASCII)


def cases(name: str) -> list[Case]:
    rows = (json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text().splitlines() if line.strip())
    return [Case(r["dialect"], r["sql"], r["why"], r.get("must_run", True), n) for n, r in enumerate(rows, 1)]


def schema(dialect: str) -> str:
    return re.sub(r"DATE '", "'", SCHEMA) if dialect == "sqlite" else SCHEMA


def other_world(script: str) -> str:
    """The same rows with other protected values of the same shape."""
    swaps = {
        "900-55-": "123-45-",
        "canary": "zebra0",
        "+1555019": "+4930555",
        "4929000000": "5555111100",
        "9135": "4127",
    }
    for old, new in swaps.items():
        script = script.replace(old, new)
    return re.sub(r"'1903-02-(\d\d)'", lambda m: f"'{1950 + int(m[1])}-07-{m[1]}'", script)


def world(dialect: str, script: str) -> Any:
    if dialect == "duckdb":
        con = duckdb.connect(config={"threads": 1})
        con.execute(script)
        return con
    con = sqlite3.connect(":memory:")
    con.executescript(script)
    return con


@cache
def catalog(dialect: str) -> Catalog:
    return catalog_of(schema(dialect), dialect=dialect, source="shop")


def policy(rule: Any = "redact", default: str = "keep") -> Policy:
    rules = [{"match": f"*.*.{path}", "rule": rule} for path in PROTECTED]
    return Policy.model_validate({"version": 1, "default": default, "keys": {"token": "env:KEY"}, "rules": rules})


def plan(case: Case, policy: Policy, **parameters: Any) -> MaskedPlan:
    if "$threshold" in case.sql:
        parameters["threshold"] = 50
    task = SqlTask(source=SourceName("shop"), statement=case.sql, parameters=parameters)
    return prepare(task, catalog(case.dialect), policy, roles=(), token_key=b"k" * 32, tenant="acme")


def run(con: Any, plan: MaskedPlan) -> tuple[object, ...]:
    """What a job's requester can see: columns and rows, or that it failed and in which class."""
    try:
        if isinstance(con, sqlite3.Connection):
            cursor = con.execute(plan.sql, dict(plan.parameters))
            return [column[0] for column in cursor.description], sorted(map(str, cursor.fetchall()))
        relation = con.sql(plan.sql, params=dict(plan.parameters)) if plan.parameters else con.sql(plan.sql)
        table = relation.to_arrow_table()
        columns = [str(column.to_pylist()) for column in table.columns]
        rows = sorted(map(str, zip(*(c.to_pylist() for c in table.columns), strict=True))) if columns else []
    except (duckdb.Error, sqlite3.Error) as error:
        return ("error", type(error).__name__)
    return (table.schema.names, [str(t) for t in table.schema.types], rows)
