"""MySQL's own corpus: refused, admitted and run, or the same in two worlds, on a real MariaDB through the real source."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from agent.core.catalog import Catalog
from agent.core.errors import Fault, Refuse
from agent.core.job import SourceName, SqlTask
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.table import Disclosure
from agent.masking.ddl import catalog_of
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare
from agent.sources import mysql
from agent.sources._mysql_session import ask
from tests.support.mariadb import MariaDb

FOLDER = Path(__file__).parent / "sql"
VIEWS = """
CREATE VIEW v_filtered AS SELECT id FROM customers WHERE ssn > '900-55-0002';
CREATE VIEW v_union AS SELECT ssn AS a FROM customers UNION SELECT email FROM customers ORDER BY a;
CREATE VIEW v_renamed (a, b) AS SELECT ssn, email FROM customers;
"""
SCRIPT = (FOLDER / "schema.sql").read_text().replace("'tel:' || phone", "CONCAT('tel:', phone)") + VIEWS
CANARIES = ("900-55-00", "leak-test", "+1555", "4929000", "9135", "1903-02")
PROTECTED = [f"customers.{c}" for c in ("ssn", "email", "phone", "dob", "card_number")]
PROTECTED += [f"employees.{c}" for c in ("ssn", "email", "salary", "dob")]
MYSQL_ONLY = ("ANY_VALUE",)


def other(script: str) -> str:
    """The same rows with other protected values, of other order, sign and size."""
    swaps = {"900-55-": "123-45-", "canary": "zebra0", "+1555019": "+4930555", "4929000000": "5555111100"}
    swaps |= {"913511.25": "4127.75", "913512.25": "99999999.5", "913513.25": "-3", "913514.25": "0"}
    for old, new in swaps.items():
        script = script.replace(old, new)
    for day in range(1, 15):
        script = script.replace(f"1903-02-{day:02}", f"{2000 - day}-07-{day:02}")
    return script


def cases(name: str) -> list[tuple[str, str]]:
    rows = [json.loads(line) for line in (FOLDER / "mysql" / f"{name}.jsonl").read_text().splitlines()]
    return [(row["sql"], row["why"]) for row in rows]


def named(value: Any) -> str:
    return str(value)[:60]


def policy(rule: Any) -> Policy:
    rules = [{"match": f"*.*.{path}", "rule": rule} for path in PROTECTED]
    return Policy.model_validate({"version": 1, "default": "keep", "keys": {"token": "env:KEY"}, "rules": rules})


def masked(sql: str, catalog: Catalog, rule: Any) -> MaskedPlan:
    statement = sql.replace("shop.", f"{catalog.default_schema}.")
    task = SqlTask(source=SourceName("shop"), statement=statement, parameters={})
    return prepare(task, catalog, policy(rule), roles=(), token_key=b"k" * 32, tenant="acme")


@dataclass
class World:
    """A database, and one session that runs everything: an error must leave it usable."""

    catalog: Catalog
    connection: mysql.MySql

    def run(self, plan: MaskedPlan) -> tuple[Any, ...]:
        try:
            found = self.connection.run(plan)
            batches: Any = list(found.batches)
        except Fault as fault:
            return ("error", fault.code, fault.message)
        table = pa.Table.from_batches(batches, found.schema)
        rows = sorted(map(str, zip(*(column.to_pylist() for column in table.columns), strict=True)))
        return (table.schema.names, [str(kind) for kind in table.schema.types], rows)

    def raw(self, sql: str) -> tuple[Any, ...]:
        """The statement as it was submitted, in its own database."""
        con = self.connection._pinned.connection
        ask(con, f"USE {self.catalog.default_schema}")
        try:
            statement = sql.replace("shop.", f"{self.catalog.default_schema}.")
            return self.run(MaskedPlan(sql=statement, parameters={}, disclosure=Disclosure("shop", (), {}, 1, "")))
        finally:
            ask(con, "USE information_schema")


@pytest.fixture(scope="module")
def worlds(mariadb: MariaDb) -> Iterator[tuple[World, World]]:
    with ExitStack() as stack:
        made = []
        for name, script in (("shop_a", SCRIPT), ("shop_b", other(SCRIPT))):
            config = mysql.Config.model_validate(mariadb.config(mariadb.database(name, script), schemas=(name,)))
            connection = stack.enter_context(config.open("shop", Limits(wall_seconds=120)))
            made.append(World(connection.catalog(), connection))
        yield made[0], made[1]


def test_the_two_worlds_really_differ(worlds: tuple[World, World]) -> None:
    for column in PROTECTED:
        table, name = column.split(".")
        first, second = (world.raw(f"SELECT {name} FROM shop.{table}") for world in worlds)
        assert set(first[2]).isdisjoint(second[2])


@pytest.mark.parametrize(("sql", "why"), cases("deny"), ids=named)
def test_refused(sql: str, why: str) -> None:
    catalog = catalog_of(SCRIPT, dialect="mysql", source="shop")
    relations = tuple(replace(relation, schema="shop") for relation in catalog.relations)
    with pytest.raises(Refuse) as refusal:
        masked(sql, replace(catalog, relations=relations, default_schema="shop"), "redact")
    assert refusal.value.code.startswith("sql.")
    assert refusal.value.message
    assert "900-55" not in str(refusal.value)


@pytest.mark.parametrize(("sql", "why"), cases("allow"), ids=named)
def test_allowed_runs_and_means_the_same_as_raw(sql: str, why: str, worlds: tuple[World, World]) -> None:
    first, second = worlds
    plan = masked(sql, first.catalog, "keep")
    got = first.run(plan)
    if any(word in sql for word in MYSQL_ONLY):
        assert got[1] == "source.binding"
        return
    assert got[0] != "error", (got, plan.sql)
    if "->" not in sql and sql != "TABLE orders":  # MariaDB has no such text
        assert got[2] == first.raw(sql)[2], plan.sql
    for rule in ("redact", "null"):
        both = [world.run(masked(sql, world.catalog, rule)) for world in (first, second)]
        assert both[0] == both[1], plan.sql


@pytest.mark.parametrize("rule", ["redact", "null", {"constant": 1}], ids=str)
@pytest.mark.parametrize(("sql", "why"), cases("leak"), ids=named)
def test_no_leak_and_no_interference(sql: str, why: str, rule: Any, worlds: tuple[World, World]) -> None:
    plans = [masked(sql, world.catalog, rule) for world in worlds]
    first, second = (world.run(plan) for world, plan in zip(worlds, plans, strict=True))
    assert first == second, plans[0].sql
    assert not [canary for canary in CANARIES if canary in str(first[-1]) and canary not in sql], plans[0].sql


def test_the_leaks_are_leaks(worlds: tuple[World, World]) -> None:
    """Without masks most of them tell the worlds apart; else they would show nothing."""
    told = [sql for sql, _ in cases("leak") if worlds[0].raw(sql) != worlds[1].raw(sql)]
    assert len(told) > 0.75 * len(cases("leak"))
