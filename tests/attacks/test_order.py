"""Rows must not come in the order of what is masked, and not lie in a part of a table that is divided by it."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pyarrow as pa
import pytest

from agent.core.catalog import Catalog, Column, Index, Relation
from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare
from agent.sources import mysql, postgres, sqlite
from tests.support.mariadb import MariaDb
from tests.support.postgres import Postgres

TABLE = "CREATE TABLE staff (id INTEGER PRIMARY KEY, dep VARCHAR(8), pay INTEGER, born INTEGER, filler VARCHAR(900))"
INDEXES = "CREATE INDEX by_pay ON staff (pay, id);\nCREATE INDEX by_dep ON staff (dep, pay, id);\n"
PARTS = """
CREATE TABLE parts (id integer, pay integer, born integer) PARTITION BY RANGE (pay);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (100) TO (1000000);
CREATE INDEX by_part ON parts_high (pay, id);
CREATE TABLE ages (id integer, pay integer, born integer) PARTITION BY RANGE ((born + 1), id);
CREATE TABLE ages_all PARTITION OF ages DEFAULT;
INSERT INTO parts SELECT id, pay, born FROM staff;
"""
WHERE = "SELECT id FROM staff WHERE dep = 'd1' LIMIT 3"
STATEMENTS = ["SELECT id FROM staff", "SELECT id FROM staff LIMIT 1", "SELECT dep FROM staff LIMIT 2", WHERE]
RULES = [{"match": "*.*.*.pay", "rule": "redact"}]
POLICY = Policy.model_validate({"version": 1, "default": "keep", "rules": RULES})
OPEN = Policy.model_validate({"version": 1, "default": "keep"})
PEOPLE = 400


def script(factor: int) -> str:
    """Everyone's pay is another in another world; nothing else is."""
    rows = [f"({n}, 'd{n % 3}', {n * factor % 997}, {n}, '{'x' * 900}')" for n in range(1, PEOPLE + 1)]
    return f"{TABLE};\nINSERT INTO staff VALUES {', '.join(rows)};\n{INDEXES}"


def plan(sql: str, catalog: Catalog, policy: Policy = POLICY) -> MaskedPlan:
    task = SqlTask(source=SourceName("shop"), statement=sql, parameters={})
    return prepare(task, catalog, policy, roles=(), token_key=None, tenant="acme")


def rows(connection: Any, sql: str, policy: Policy = POLICY) -> list[Any]:
    found = connection.run(plan(sql, connection.catalog(), policy))
    table = pa.Table.from_batches(list(found.batches), found.schema)
    return list(table.to_pylist())


@contextmanager
def two(configs: list[Any]) -> Iterator[list[Any]]:
    with ExitStack() as stack:
        yield [stack.enter_context(config.open("shop", Limits(wall_seconds=60))) for config in configs]


def same(worlds: list[Any]) -> None:
    for sql in STATEMENTS:
        first, second = (rows(world, sql) for world in worlds)
        assert first == second, sql


def test_sqlite(tmp_path: Any) -> None:
    for name, factor in (("a", 1), ("b", 389)):
        with sqlite3.connect(tmp_path / f"{name}.db") as con:
            con.executescript(script(factor))
        con.close()
    configs = [sqlite.Config.model_validate({"type": "sqlite", "path": str(tmp_path / f"{one}.db")}) for one in "ab"]
    with two(configs) as worlds:
        assert rows(worlds[0], STATEMENTS[0], OPEN) != rows(worlds[1], STATEMENTS[0], OPEN)
        same(worlds)


def test_postgres(postgres: Postgres) -> None:
    configs = []
    for name, factor in (("order_a", 1), ("order_b", 389)):
        database = postgres.database(name, script(factor) + PARTS)
        with postgres.admin(database) as con:
            con.execute("VACUUM ANALYZE staff")
        configs.append(_postgres(postgres, database))
    with two(configs) as worlds:
        assert rows(worlds[0], WHERE, OPEN) != rows(worlds[1], WHERE, OPEN)
        same(worlds)
        catalog = worlds[0].catalog()
        for name in ("parts_low", "parts_high"):
            with pytest.raises(Refuse, match="divided by a masked column"):
                plan(f"SELECT count(*) FROM {name}", catalog)
        assert plan("SELECT count(*) FROM parts", catalog).unordered, "its partition has such an index"
        assert not plan("SELECT count(*) FROM parts", catalog, OPEN).unordered
        assert rows(worlds[0], "SELECT count(*) AS n FROM parts_low", OPEN)
        with pytest.raises(Refuse, match="divided by a masked column"):  # by what is no plain column
            plan("SELECT count(*) FROM ages_all", catalog)


def _postgres(server: Postgres, database: str) -> Any:
    return postgres.Config.model_validate(server.config(database))


def test_mariadb(mariadb: MariaDb) -> None:
    configs = []
    for name, factor in (("order_a", 1), ("order_b", 389)):
        database = mariadb.database(name, script(factor))
        configs.append(mysql.Config.model_validate(mariadb.config(database, schemas=(name,))))
    with two(configs) as worlds:
        assert rows(worlds[0], STATEMENTS[0], OPEN) != rows(worlds[1], STATEMENTS[0], OPEN)
        same(worlds)


COLUMNS = (Column("id", "INTEGER"), Column("pay", "INTEGER"))


@pytest.mark.parametrize(
    ("columns", "policy", "ignored"),
    [
        (("id",), POLICY, False),
        (("id", "pay"), POLICY, True),
        (("id", ""), POLICY, True),
        (("id", ""), OPEN, False),
        (("id", "pay"), OPEN, False),
        (("id", "unreadable"), OPEN, True),
    ],
)
def test_only_indexes_that_tell_are_left_out(columns: tuple[str, ...], policy: Policy, ignored: bool) -> None:
    relation = Relation("main", "staff", COLUMNS, indexes=(Index("a`b", columns), Index("plain", ("id",))))
    mine = Catalog("shop", "mysql", "main", (relation,))
    made = plan("SELECT id FROM staff", mine, policy)
    assert ("IGNORE INDEX (`a``b`)" in made.sql) is ignored
    assert "plain" not in made.sql
    lite = Catalog("shop", "sqlite", "main", (relation,))
    assert ("NOT INDEXED" in plan("SELECT id FROM staff", lite, policy).sql) is ignored
