"""A real site with a real MariaDB: what is asked, and what is ended at the other end."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import Site
from tests.acceptance.support import endless
from tests.acceptance.support.endless import Look, Shop, put
from tests.support.mariadb import MariaDb
from tests.support.servers import READER, READER_PASSWORD

SCRIPT = """
CREATE TABLE customers (id int PRIMARY KEY, name text, ssn text, spent decimal(10, 2), born date, email varchar(80));
INSERT INTO customers SELECT seq, CONCAT('n', seq), CONCAT('900-55-', seq), seq / 4, '2000-02-03', 'ann@x.example'
  FROM seq_1_to_2000;
"""
POLICY = {
    "version": 1,
    "default": "keep",
    "keys": {"token": "file:key"},
    "rules": [
        {"match": "*.*.customers.ssn", "rule": "redact"},
        {"match": "*.*.customers.email", "rule": {"token": {"domain": "person"}}},
    ],
}
LOOK = f"""
SELECT UNIX_TIMESTAMP(SYSDATE(6)), COUNT(*), COALESCE(SUM(COMMAND = 'Query' AND INFO LIKE '%CROSS JOIN%'), 0)
FROM information_schema.PROCESSLIST WHERE USER = '{READER}'
"""


@pytest.fixture(scope="module")
def site(mariadb: MariaDb, tmp_path_factory: pytest.TempPathFactory) -> Site:
    database = mariadb.database("acceptance", SCRIPT)
    source = mariadb.config(database, password="file:password", schemas=[database])
    return put(tmp_path_factory.mktemp("site"), {"shop": source}, POLICY, password=READER_PASSWORD, key="k" * 32)


@pytest.fixture
def shop(site: Site, mariadb: MariaDb) -> Iterator[Shop]:
    with mariadb.admin() as con, con.cursor() as cursor:

        def look() -> Look:
            cursor.execute(LOOK)
            clock, sessions, working = cursor.fetchone()
            return Look(float(clock), int(sessions), int(working))

        yield Shop(site, look)


def test_rows_come_back_masked_and_exact(site: Site) -> None:
    query = site.query("SELECT id, name, ssn, spent, born, email FROM customers WHERE id < 3 ORDER BY id")
    found = site.json("exec", query, "--source", "shop")
    first, second = found["rows"]
    assert first[:5] == [1, "n1", "***", "0.25", "2000-02-03"]
    assert first[5].startswith("tok_")
    assert first[5] == second[5]
    assert found["disclosure"]["columns"]["acceptance.customers.ssn"] == "redact"


@pytest.mark.full
def test_parameters_become_literals(site: Site) -> None:
    query = site.query("SELECT :text AS text, id FROM customers WHERE name = :name AND id = :id")
    given = ("--param", "text=it's \\ fine\\' OR 1=1 -- %s", "--param", "name=n7", "--param", "id=7")
    assert site.json("exec", query, "--source", "shop", *given)["rows"] == [["it's \\ fine\\' OR 1=1 -- %s", 7]]


def test_an_interrupt_ends_the_statement_at_the_server(shop: Shop) -> None:
    endless.interrupt(shop)


def test_a_killed_worker_ends_the_statement_at_the_server(shop: Shop) -> None:
    endless.killed_worker(shop)


@pytest.mark.full
def test_a_killed_agent_ends_the_statement_at_the_server(shop: Shop, tmp_path: Path) -> None:
    """A second behind the wall limit: this server does not look for its client while it works."""
    endless.killed_agent(shop.limited(tmp_path, wall_seconds=5), 5 + 1)


@pytest.mark.full
def test_the_wall_limit_ends_the_statement_at_the_server(shop: Shop, tmp_path: Path) -> None:
    endless.wall_limit(shop, tmp_path)


@pytest.mark.full
def test_the_end_of_the_service_ends_the_statement_at_the_server(shop: Shop, tmp_path: Path) -> None:
    endless.drained(shop, tmp_path)


@pytest.mark.full
def test_a_connection_that_is_killed_at_the_server_is_said(shop: Shop, mariadb: MariaDb) -> None:
    with shop.asked() as process:
        with mariadb.admin() as con, con.cursor() as cursor:
            cursor.execute(f"SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '{READER}'")
            for (thread,) in cursor.fetchall():
                cursor.execute(f"KILL {thread}")
        _, complaint = process.communicate()
    assert b"source.unavailable" in complaint or b"limit.wall" in complaint
    assert b"900-55" not in complaint


@pytest.mark.full
def test_sources_are_listed_and_tested(site: Site, mariadb: MariaDb) -> None:
    address = f"127.0.0.1:{mariadb.port}/acceptance"
    listing = site.json("sources", "list")
    assert listing == {"sources": [{"name": "shop", "type": "mysql", "address": address}]}
    found = site.json("sources", "test")
    assert found["ok"]
    assert {"connect", "tls", "role", "logging", "catalog"} <= {one["check"] for one in found["sources"]["shop"]}
    assert READER_PASSWORD not in json.dumps(found)
