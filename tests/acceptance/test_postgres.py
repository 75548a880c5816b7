"""A real site with a real PostgreSQL: what is asked, what is ended, and what goes wrong at the other end."""

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
from tests.support.postgres import READER, READER_PASSWORD, Postgres
from tests.support.proxies import Proxy, certificates

SCRIPT = """
CREATE TABLE customers(id int PRIMARY KEY, name text, ssn text, spent numeric(10, 2));
INSERT INTO customers SELECT i, 'n' || i, '900-55-' || i, i / 4.0 FROM generate_series(1, 2000) i;
CREATE TABLE gone(id int);
"""
ENDLESS = "SELECT count(*) AS n FROM " + " CROSS JOIN ".join(f"customers {name}" for name in "abcde")
GONE_SECONDS = 10.0
"""Patience of a busy machine; the server looks for its client every half second, and is told at once."""


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    return postgres.database("acceptance", SCRIPT)


@pytest.fixture(scope="module")
def site(postgres: Postgres, database: str, tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    secret = folder / "password"
    secret.write_text(READER_PASSWORD + "\n")
    secret.chmod(0o600)
    source = postgres.config(database, password="file:password")
    put(folder, {"shop": source})
    (folder / "policy.yaml").write_text(
        json.dumps({"version": 1, "default": "keep", "rules": [{"match": "*.*.customers.ssn", "rule": "redact"}]})
    )
    return Site(folder)


def put(folder: Path, sources: dict[str, Any], **limits: object) -> None:
    settings = {"version": 1, "tenant": "acme", "state_dir": "state", "policy": "policy.yaml", "sources": sources}
    (folder / "sandbox.yaml").write_text(json.dumps(settings | ({"limits": limits} if limits else {})))


@pytest.fixture
def asking(site: Site, postgres: Postgres) -> Callable[[], "subprocess.Popen[bytes]"]:
    """Starts `agent exec` on a statement without an end, and waits until the server works on it."""

    def start() -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "agent", "exec", site.query(ENDLESS), "--source", "shop"]
        process = subprocess.Popen(
            [*command, "--config", str(site.folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        until(lambda: active(postgres), 60)
        return process

    return start


def active(postgres: Postgres) -> list[int]:
    with postgres.admin() as con:
        found = con.execute(
            "SELECT pid FROM pg_stat_activity WHERE usename = %s AND state = 'active' AND query ILIKE '%%count(%%'",
            (READER,),
        )
        return [int(str(pid)) for (pid,) in found.fetchall()]


def connected(postgres: Postgres) -> bool:
    with postgres.admin() as con:
        return bool(con.execute("SELECT 1 FROM pg_stat_activity WHERE usename = %s", (READER,)).fetchall())


def until(true: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers(parent: int) -> Iterator[int]:
    """Processes that a warm server below `parent` runs, the newest last."""
    for server in children(parent):
        yield from children(server)


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return sorted(int(child) for task in tasks for child in task.read_text().split())


def test_rows_come_back_masked_and_exact(site: Site) -> None:
    found = site.json("exec", site.query("SELECT * FROM customers WHERE id < 3 ORDER BY id"), "--source", "shop")
    assert found["rows"] == [[1, "n1", "***", "0.25"], [2, "n2", "***", "0.50"]]
    assert found["disclosure"]["columns"]["public.customers.ssn"] == "redact"


def test_parameters_become_literals(site: Site) -> None:
    query = site.query("SELECT :text AS text, id FROM customers WHERE name = :name AND id = :id")
    given = ("--param", "text=it's \\ fine", "--param", "name=n7", "--param", "id=7")
    assert site.json("exec", query, "--source", "shop", *given)["rows"] == [["it's \\ fine", 7]]


def test_an_interrupt_ends_the_statement_at_the_server(
    asking: Callable[[], "subprocess.Popen[bytes]"], postgres: Postgres
) -> None:
    with asking() as process:
        process.send_signal(signal.SIGINT)
        until(lambda: not connected(postgres), GONE_SECONDS)
        process.communicate()
    assert process.returncode == 130


def test_a_killed_worker_ends_the_statement_at_the_server(
    asking: Callable[[], "subprocess.Popen[bytes]"], postgres: Postgres
) -> None:
    with asking() as process:
        for pid in workers(process.pid):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not connected(postgres), GONE_SECONDS)
        _, complaint = process.communicate()
    assert b"worker.crashed" in complaint


def test_a_killed_agent_ends_the_statement_at_the_server(
    asking: Callable[[], "subprocess.Popen[bytes]"], postgres: Postgres
) -> None:
    with asking() as process:
        process.kill()
        until(lambda: not connected(postgres), GONE_SECONDS)


def test_the_wall_limit_ends_the_statement_at_the_server(site: Site, postgres: Postgres, tmp_path: Path) -> None:
    limited = Site(tmp_path)
    for name in ("policy.yaml", "password"):
        (tmp_path / name).write_bytes((site.folder / name).read_bytes())
    (tmp_path / "password").chmod(0o600)
    put(tmp_path, json.loads((site.folder / "sandbox.yaml").read_text())["sources"], wall_seconds=2)
    done = limited.cli("exec", limited.query(ENDLESS), "--source", "shop")
    assert "limit.wall" in done.stderr
    until(lambda: not connected(postgres), GONE_SECONDS)


def test_a_connection_that_is_ended_at_the_server_is_said(
    asking: Callable[[], "subprocess.Popen[bytes]"], postgres: Postgres
) -> None:
    with asking() as process:
        with postgres.admin() as con:
            for pid in active(postgres):
                con.execute("SELECT pg_terminate_backend(%s)", (pid,))
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
        put(
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
        )
        (tmp_path / "policy.yaml").write_bytes((site.folder / "policy.yaml").read_bytes())
        done = Site(tmp_path).cli("sources", "test", "--json")
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
