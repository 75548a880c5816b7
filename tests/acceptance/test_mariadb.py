"""A real site with a real MariaDB: what is asked, and what is ended at the other end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Site
from tests.support.mariadb import READER, READER_PASSWORD, MariaDb

SCRIPT = """
CREATE TABLE customers (id int PRIMARY KEY, name text, ssn text, spent decimal(10, 2), born date, email varchar(80));
INSERT INTO customers SELECT seq, CONCAT('n', seq), CONCAT('900-55-', seq), seq / 4, '2000-02-03', 'ann@x.example'
  FROM seq_1_to_2000;
"""
ENDLESS = "SELECT COUNT(*) AS n FROM " + " CROSS JOIN ".join(f"customers {name}" for name in "abcde")
GONE_SECONDS = 10.0
"""Patience of a busy machine."""
POLICY = {
    "version": 1,
    "default": "keep",
    "keys": {"token": "file:key"},
    "rules": [
        {"match": "*.*.customers.ssn", "rule": "redact"},
        {"match": "*.*.customers.email", "rule": {"token": {"domain": "person"}}},
    ],
}


@pytest.fixture(scope="module")
def site(mariadb: MariaDb, tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    for name, text in (("password", READER_PASSWORD), ("key", "k" * 32)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    database = mariadb.database("acceptance", SCRIPT)
    put(folder, {"shop": mariadb.config(database, password="file:password", schemas=[database])})
    (folder / "policy.yaml").write_text(json.dumps(POLICY))
    return Site(folder)


def put(folder: Path, sources: dict[str, Any], **limits: object) -> None:
    settings = {"version": 1, "tenant": "acme", "state_dir": "state", "policy": "policy.yaml", "sources": sources}
    (folder / "sandbox.yaml").write_text(json.dumps(settings | ({"limits": limits} if limits else {})))


@pytest.fixture
def asking(site: Site, mariadb: MariaDb) -> Callable[[], "subprocess.Popen[bytes]"]:
    """Starts `agent exec` on a statement without an end, and waits until the server works on it."""

    def start() -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "agent", "exec", site.query(ENDLESS), "--source", "shop"]
        process = subprocess.Popen(
            [*command, "--config", str(site.folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        until(lambda: statements(mariadb), 60)
        return process

    return start


def statements(mariadb: MariaDb) -> list[int]:
    """Threads of the agent's account that work on the endless statement."""
    return listed(mariadb, "AND COMMAND = 'Query' AND INFO LIKE '%CROSS JOIN%'")


def listed(mariadb: MariaDb, more: str = "") -> list[int]:
    with mariadb.admin() as con, con.cursor() as cursor:
        cursor.execute(f"SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '{READER}' {more}")
        return [row[0] for row in cursor.fetchall()]


def until(true: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers(parent: int) -> Iterator[int]:
    for server in children(parent):
        yield from children(server)


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return sorted(int(child) for task in tasks for child in task.read_text().split())


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


def test_an_interrupt_ends_the_statement_at_the_server(
    asking: Callable[[], "subprocess.Popen[bytes]"], mariadb: MariaDb
) -> None:
    with asking() as process:
        process.send_signal(signal.SIGINT)
        until(lambda: not listed(mariadb), GONE_SECONDS)
        process.communicate()
    assert process.returncode == 130


def test_a_killed_worker_ends_the_statement_at_the_server(
    asking: Callable[[], "subprocess.Popen[bytes]"], mariadb: MariaDb
) -> None:
    with asking() as process:
        for pid in workers(process.pid):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not listed(mariadb), GONE_SECONDS)
        _, complaint = process.communicate()
    assert b"worker.crashed" in complaint


@pytest.mark.full
def test_the_wall_limit_ends_the_statement_at_the_server(site: Site, mariadb: MariaDb, tmp_path: Path) -> None:
    limited = Site(tmp_path)
    for name in ("policy.yaml", "password", "key"):
        (tmp_path / name).write_bytes((site.folder / name).read_bytes())
        (tmp_path / name).chmod(0o600)
    put(tmp_path, json.loads((site.folder / "sandbox.yaml").read_text())["sources"], wall_seconds=2)
    done = limited.cli("exec", limited.query(ENDLESS), "--source", "shop")
    assert "limit.wall" in done.stderr
    until(lambda: not listed(mariadb), GONE_SECONDS)


@pytest.mark.full
def test_a_connection_that_is_killed_at_the_server_is_said(
    asking: Callable[[], "subprocess.Popen[bytes]"], mariadb: MariaDb
) -> None:
    with asking() as process:
        with mariadb.admin() as con, con.cursor() as cursor:
            for thread in statements(mariadb):
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
