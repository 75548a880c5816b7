"""A real site with a real PostgreSQL: what is asked, what is ended, and what goes wrong at the other end."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import Site
from tests.acceptance.support import endless
from tests.acceptance.support.endless import Look, Shop, put
from tests.support.postgres import Postgres
from tests.support.proxies import Proxy, certificates
from tests.support.servers import READER, READER_PASSWORD

SCRIPT = """
CREATE TABLE customers(id int PRIMARY KEY, name text, ssn text, spent numeric(10, 2));
INSERT INTO customers SELECT i, 'n' || i, '900-55-' || i, i / 4.0 FROM generate_series(1, 2000) i;
CREATE TABLE gone(id int);
"""
POLICY = {"version": 1, "default": "keep", "rules": [{"match": "*.*.customers.ssn", "rule": "redact"}]}
LOOK = """
SELECT extract(epoch FROM clock_timestamp())::float8, count(*),
  count(*) FILTER (WHERE state = 'active' AND query LIKE '%%CROSS JOIN%%')
FROM pg_stat_activity WHERE usename = %s
"""


@pytest.fixture(scope="module")
def site(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Site:
    source = postgres.config(postgres.database("acceptance", SCRIPT), password="file:password")
    return put(tmp_path_factory.mktemp("site"), {"shop": source}, POLICY, password=READER_PASSWORD + "\n")


@pytest.fixture
def shop(site: Site, postgres: Postgres) -> Iterator[Shop]:
    with postgres.admin() as con:

        def look() -> Look:
            (row,) = con.execute(LOOK, (READER,)).fetchall()
            clock, sessions, working = map(float, map(str, row))
            return Look(clock, int(sessions), int(working))

        yield Shop(site, look)


def test_rows_come_back_masked_and_exact(site: Site) -> None:
    found = site.json("exec", site.query("SELECT * FROM customers WHERE id < 3 ORDER BY id"), "--source", "shop")
    assert found["rows"] == [[1, "n1", "***", "0.25"], [2, "n2", "***", "0.50"]]
    assert found["disclosure"]["columns"]["public.customers.ssn"] == "redact"


def test_parameters_become_literals(site: Site) -> None:
    query = site.query("SELECT :text AS text, id FROM customers WHERE name = :name AND id = :id")
    given = ("--param", "text=it's \\ fine", "--param", "name=n7", "--param", "id=7")
    assert site.json("exec", query, "--source", "shop", *given)["rows"] == [["it's \\ fine", 7]]


def test_an_interrupt_ends_the_statement_at_the_server(shop: Shop) -> None:
    endless.interrupt(shop)


@pytest.mark.full
def test_a_killed_worker_ends_the_statement_at_the_server(shop: Shop) -> None:
    endless.killed_worker(shop)


def test_a_killed_agent_ends_the_statement_at_the_server(shop: Shop) -> None:
    endless.killed_agent(shop)


def test_the_wall_limit_ends_the_statement_at_the_server(shop: Shop, tmp_path: Path) -> None:
    endless.wall_limit(shop, tmp_path)


@pytest.mark.full
def test_the_end_of_the_service_ends_the_statement_at_the_server(shop: Shop, tmp_path: Path) -> None:
    endless.drained(shop, tmp_path)


def test_a_connection_that_is_ended_at_the_server_is_said(shop: Shop, postgres: Postgres) -> None:
    with shop.asked() as process:
        with postgres.admin() as con:
            con.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (READER,))
        _, complaint = process.communicate()
    assert b"source.unavailable: The connection to the server was lost." in complaint


def test_sources_are_listed_and_tested(site: Site, postgres: Postgres) -> None:
    listed = site.json("sources", "list")
    address = f"127.0.0.1:{postgres.port}/acceptance"
    assert listed == {"sources": [{"name": "shop", "type": "postgres", "address": address}]}
    found = site.json("sources", "test")
    assert found["ok"]
    assert {"connect", "server", "clock", "tls", "role", "logging", "catalog"} <= {
        finding["check"] for finding in found["sources"]["shop"]
    }
    assert READER_PASSWORD not in json.dumps([listed, found])


def test_a_source_that_does_not_answer_fails_its_test(site: Site, postgres: Postgres, tmp_path: Path) -> None:
    ca, context = certificates(tmp_path, "localhost")
    other_ca, _ = certificates(tmp_path, "other.example")
    base = postgres.config("acceptance")
    postgres.folder.chmod(0o711)  # a worker has no capabilities, not even as root
    with Proxy(postgres.port, context) as proxy:
        tls = base | {"host": "localhost", "port": proxy.port}
        broken = put(
            tmp_path,
            {
                "trusted": tls | {"tls": {"ca_file": str(ca)}},
                "untrusted": tls | {"tls": {"ca_file": str(other_ca)}},
                "misnamed": tls | {"host": "127.0.0.1", "tls": {"ca_file": str(ca)}},
                "unchecked": tls | {"tls": {"mode": "require"}},
                "plain": base | {"tls": {"ca_file": str(ca)}},
                "secretless": base | {"password": "file:nowhere"},
                "wrong": base | {"password": "wrong"},
                "writer": base
                | {"host": str(postgres.folder), "user": "postgres", "password": None}
                | {"writable_role": "refuse"},
            },
            POLICY,
        )
        done = broken.cli("sources", "test", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)["sources"]
    assert {finding["level"] for finding in found["trusted"]} == {"ok", "note"}
    errors = {
        name: [finding["found"] for finding in findings if finding["level"] == "error"]
        for name, findings in found.items()
    }
    assert errors["trusted"] == errors["unchecked"] == []
    assert errors["untrusted"] == ["The server's certificate is not one that the source trusts."]
    assert errors["misnamed"] == ["The server's certificate is for another host name."]
    assert errors["plain"] == ["The server does not offer TLS, and the source asks for it."]
    assert errors["secretless"] == ["the secret's file does not exist."]
    assert errors["wrong"] == ["The server refused the source's account or its password."]
    assert errors["writer"] == ["more than reading: it is a superuser"]


def test_an_unknown_source_and_an_unknown_name_are_said(site: Site) -> None:
    done = site.cli("sources", "test", "nope")
    assert done.returncode == 78
    assert "sources.nope: there is no such source." in done.stderr
