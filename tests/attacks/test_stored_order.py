"""Tables that are kept in the order of what is masked: neither the rows' order nor a LIMIT may tell of it."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.core.catalog import Catalog, Column, Index, Relation
from agent.core.errors import Fault, Refuse
from agent.core.limits import Limits
from agent.sources import mysql, sqlite
from tests.attacks.test_order import OPEN, PEOPLE, POLICY, plan, rows, two
from tests.attacks.test_order import _postgres as postgres_config
from tests.support.mariadb import MariaDb
from tests.support.postgres import Postgres

STATEMENTS = [
    "SELECT id FROM staff LIMIT 3",
    "SELECT * FROM staff LIMIT 3 OFFSET 2",
    "SELECT id FROM staff",
    "SELECT dep, count(*) AS n FROM staff GROUP BY dep LIMIT 2",
    "SELECT DISTINCT dep FROM staff",
    "SELECT id, row_number() OVER () AS place FROM staff LIMIT 5",
    "SELECT a.id, b.id AS other FROM staff a JOIN staff b ON a.dep = b.dep LIMIT 4",
    "SELECT id FROM (SELECT id FROM staff LIMIT 5) x",
    "SELECT count(*) AS n, max(id) AS most FROM (SELECT id FROM staff LIMIT 5) x",
    "WITH w AS (SELECT id, dep FROM staff) SELECT id FROM w WHERE dep = 'd1' LIMIT 2",
    "SELECT id FROM staff UNION ALL SELECT id FROM staff LIMIT 4",
    "SELECT id FROM few",
    "SELECT count(*) AS n, sum(id) AS total FROM few",
    "SELECT word FROM staff GROUP BY word LIMIT 4",
    "SELECT word FROM staff LIMIT 9",
]
COLLECTED = {
    "sqlite": "SELECT group_concat(id) AS ids FROM staff",
    "mysql": "SELECT group_concat(id) AS ids FROM staff",
    "postgres": "SELECT string_agg(id::text, ',') AS ids FROM staff",
}


LONG = "x" * 1_100
"""More than MariaDB looks at when it sorts."""


def script(factor: int, key: str, end: str = "") -> str:
    """Everyone's pay is another in another world, and rows lie in its order; nothing else differs."""
    people = [
        f"({n}, 'd{n % 3}', {n * factor % 997}, '{'Aa'[n % 2]}{LONG}{n % 5}')"
        for n in sorted(range(1, PEOPLE + 1), key=lambda n: n * factor % 997)
    ]
    columns = f"id INTEGER, dep VARCHAR(8), pay INTEGER {key}, word VARCHAR(2000)"
    view = "CREATE VIEW few AS SELECT id FROM staff LIMIT 7"
    return f"CREATE TABLE staff ({columns}){end};\nINSERT INTO staff VALUES {', '.join(people)};\n{view};\n"


def agree(worlds: list[Any], dialect: str) -> None:
    raw = [rows(world, STATEMENTS[0], OPEN) for world in worlds]
    assert raw[0] != raw[1], "the worlds do not differ as they should"
    for sql in (*STATEMENTS, COLLECTED[dialect]):
        first, second = (rows(world, sql) for world in worlds)
        assert first == second, sql
        assert first


@pytest.mark.parametrize(("key", "end"), [("PRIMARY KEY", ""), ("PRIMARY KEY", " WITHOUT ROWID")])
def test_sqlite(tmp_path: Path, key: str, end: str) -> None:
    for name, factor in (("a", 1), ("b", 389)):
        with sqlite3.connect(tmp_path / f"{name}.db") as con:
            con.executescript(script(factor, key, end))
        con.close()
    configs = [sqlite.Config.model_validate({"type": "sqlite", "path": str(tmp_path / f"{one}.db")}) for one in "ab"]
    with two(configs) as worlds:
        agree(worlds, "sqlite")


def test_mariadb(mariadb: MariaDb) -> None:
    configs = []
    for name, factor in (("stored_a", 1), ("stored_b", 389)):
        database = mariadb.database(name, script(factor, "PRIMARY KEY"))
        configs.append(mysql.Config.model_validate(mariadb.config(database, schemas=(name,))))
    with two(configs) as worlds:
        agree(worlds, "mysql")


def test_mariadb_without_a_primary_key(mariadb: MariaDb) -> None:
    """The first index of unique values without nulls takes its place."""
    configs = []
    for name, factor in (("stored_a", 1), ("stored_b", 389)):
        database = mariadb.database(name, script(factor, "NOT NULL UNIQUE"))
        configs.append(mysql.Config.model_validate(mariadb.config(database, schemas=(name,))))
    with two(configs) as worlds:
        agree(worlds, "mysql")


def test_postgres_cluster(postgres: Postgres) -> None:
    configs = []
    for name, factor in (("stored_a", 1), ("stored_b", 389)):
        database = postgres.database(name, script(factor, "PRIMARY KEY") + "CLUSTER staff USING staff_pkey;")
        configs.append(postgres_config(postgres, database))
    with two(configs) as worlds:
        agree(worlds, "postgres")
        for sql in ("SELECT id FROM staff", "SELECT count(*) AS n FROM staff"):
            with pytest.raises(Refuse, match="which a sample tells"):
                plan(f"{sql} TABLESAMPLE SYSTEM (50) REPEATABLE (1)", worlds[0].catalog())


def test_postgres_partitions(postgres: Postgres) -> None:
    """Parts are read one after the other, also where a part is divided again."""
    configs = []
    for name, factor in (("stored_a", 1), ("stored_b", 389)):
        parts = (
            "CREATE TABLE high PARTITION OF staff FOR VALUES FROM (200) TO (1000) PARTITION BY RANGE (pay);\n"
            "CREATE TABLE higher PARTITION OF high FOR VALUES FROM (500) TO (1000);\n"
            "CREATE TABLE lower PARTITION OF high FOR VALUES FROM (200) TO (500);\n"
            "CREATE TABLE low PARTITION OF staff FOR VALUES FROM (0) TO (200);\n"
        )
        made = script(factor, "", " PARTITION BY RANGE (pay)").split(";\n", 1)
        database = postgres.database(name, f"{made[0]};\n{parts}{made[1]}")
        configs.append(postgres_config(postgres, database))
    with two(configs) as worlds:
        agree(worlds, "postgres")


KEYED = Relation(
    "main", "staff", (Column("id", "INTEGER"), Column("pay", "INTEGER")), indexes=(Index("", ("pay",), stores=True),)
)


def text(sql: str, dialect: str = "sqlite", relation: Relation = KEYED) -> str:
    return plan(sql, Catalog("shop", dialect, "main", (relation,))).sql


@pytest.mark.parametrize(
    "sql", ["SELECT count(*) FROM staff", "SELECT count(id), count(*) AS n FROM staff WHERE id > 3"]
)
def test_counts_need_no_order(sql: str) -> None:
    assert "ORDER BY" not in text(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*), id FROM staff",
        "SELECT count(*), (SELECT id FROM staff LIMIT 1) FROM staff",
        "SELECT count(*) FROM staff GROUP BY id",
        "SELECT count(*) FROM (SELECT id FROM staff LIMIT 3) x",
        "SELECT count(*) FROM staff WHERE id IN (SELECT id FROM staff LIMIT 1)",
        "SELECT count(*) OVER () FROM staff",
        "SELECT max(id) FROM staff",
        "SELECT count(*) FROM staff UNION ALL SELECT id FROM staff",
    ],
)
def test_everything_else_does(sql: str) -> None:
    assert "ORDER BY" in text(sql)


def test_a_key_that_is_open_costs_nothing() -> None:
    open_key = Relation("main", "staff", KEYED.columns, indexes=(Index("", ("id",), stores=True),))
    assert "ORDER BY" not in text("SELECT id FROM staff", relation=open_key)
    assert "ORDER BY" not in plan("SELECT id FROM staff", Catalog("shop", "sqlite", "main", (KEYED,)), OPEN).sql


def test_people_are_still_counted() -> None:
    grouped = {
        "version": 1, "default": "keep", "rules": [{"match": "*.*.*.pay", "rule": "redact"}],
        "subjects": {"*.*.staff": "pay"}, "min_group_size": 5,
    }  # fmt: skip
    policy = type(POLICY).model_validate(grouped)
    made = plan("SELECT id, count(*) AS n FROM staff GROUP BY id", Catalog("shop", "sqlite", "main", (KEYED,)), policy)
    assert "HAVING" in made.sql
    assert "meridyen_rows" in made.sql


def test_sqlite_counts_a_view_and_no_table_of_its_own(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as con:
        con.executescript(script(1, "PRIMARY KEY"))
    con.close()
    with sqlite.Config.model_validate({"type": "sqlite", "path": str(tmp_path / "a.db")}).open(
        "shop", Limits(wall_seconds=60)
    ) as one:
        made = plan("SELECT count(*) AS n FROM few", one.catalog())
        assert rows(one, "SELECT count(*) AS n FROM few") == [{"n": 7}]
        with pytest.raises(Fault, match="not open to statements"):
            one.run(replace(made, sql="SELECT count(*) FROM sqlite_master"))
