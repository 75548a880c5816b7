"""The MySQL source against a stand-in of MySQL 8, of which no real one is at hand: what it sets there, and reads.

On a machine without MariaDB this is all that tries the source over a real connection.
"""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from mysql_mimic import MysqlServer
from mysql_mimic.session import BaseSession
from mysql_mimic.variables import GlobalVariables, SessionVariables

from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.ports import Session
from agent.core.table import Disclosure
from agent.sources.mysql import Config

ONE = ["a"]


class Mimic(BaseSession):
    """Answers what the source asks; remembers what it sets."""

    heard: list[str] = []  # noqa: RUF012 - of all sessions together
    broken: dict[str, str] = {}  # noqa: RUF012 - variables that do not take what they are set to
    grants = "GRANT SELECT, SHOW VIEW ON `shop`.* TO `reader`@`%`"

    def __init__(self) -> None:
        self.variables = SessionVariables(GlobalVariables())
        self.held: dict[str, str] = {}

    async def handle_query(self, sql: str, attrs: dict[str, str]) -> Any:
        self.heard.append(sql)
        if sql.startswith("SET "):
            found = re.findall(r"SESSION (\w+) = ('[^']*'|[\d.]+)", sql)
            self.held |= {name: value.strip("'") for name, value in found}
            self.held |= {"transaction_read_only": "ON"} if "TRANSACTION READ ONLY" in sql else {}
            return [], []
        if sql.startswith("SHOW SESSION VARIABLES"):
            fixed = {"character_set_connection": "utf8mb4", "version": "8.0.29", "general_log": "OFF"}
            return list((fixed | self.held | self.broken).items()), ["Variable_name", "Value"]
        return self._answer(sql)

    def _answer(self, sql: str) -> Any:
        if sql.startswith("SHOW GLOBAL STATUS"):
            return [("Uptime", "100")], ["Variable_name", "Value"]
        if sql == "SHOW GRANTS":
            return [(self.grants,)], ONE
        if "UNIX_TIMESTAMP" in sql:
            return [(int(time.time()),)], ONE
        if "SCHEMATA" in sql:
            return [(1,)], ONE
        if sql.startswith("SELECT id"):
            return [(number, f"n{number}", None) for number in range(25_000)], ["id", "name", "nothing"]
        return [], []


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    started: list[int] = []
    ending: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        server, end = MysqlServer(session_factory=Mimic), asyncio.Event()
        await server.start_server(host="127.0.0.1", port=0)
        ending.append((asyncio.get_running_loop(), end))
        started.append(server.sockets()[0].getsockname()[1])
        await end.wait()
        server.close()
        await server.wait_closed()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield started[0]
    loop, end = ending[0]
    loop.call_soon_threadsafe(end.set)
    thread.join(5)


@pytest.fixture
def config(port: int, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(Mimic, "heard", [])
    place = {"type": "mysql", "host": "127.0.0.1", "port": port, "database": "shop", "user": "reader"}
    return Config.model_validate({**place, "tls": {"mode": "disable"}})


def test_mysql_8_is_pinned_in_its_own_words(config: Config) -> None:
    with config.open("shop", Limits(wall_seconds=5), Session("01J")):
        pass
    (pinned,) = [sql for sql in Mimic.heard if sql.startswith("SET SESSION") and "max_execution_time" in sql]
    assert "max_execution_time = 6000" in pinned  # milliseconds
    assert "max_statement_time" not in pinned
    assert "sql_mode = 'NO_ENGINE_SUBSTITUTION,STRICT_TRANS_TABLES'" in pinned
    assert "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY" in Mimic.heard


@pytest.mark.parametrize(
    "broken",
    [
        {"sql_mode": "ANSI_QUOTES,NO_ENGINE_SUBSTITUTION,STRICT_TRANS_TABLES"},
        {"time_zone": "SYSTEM"},
        {"transaction_read_only": "OFF"},
        {"max_execution_time": "0"},
        {"character_set_connection": "gbk"},
    ],
    ids=str,
)
def test_what_is_not_as_it_was_set_keeps_it_closed(
    config: Config, broken: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mimic, "broken", broken)
    with pytest.raises(Fault, match="locked down"), config.open("shop", Limits()):
        pass


def test_an_account_that_may_write_keeps_it_closed(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mimic, "grants", "GRANT SELECT, INSERT ON `shop`.* TO `reader`@`%`")
    strict = config.model_copy(update={"writable_role": "refuse"})
    with pytest.raises(Fault, match="more than read"), strict.open("shop", Limits()):
        pass


def test_rows_stream(config: Config) -> None:
    plan = MaskedPlan(sql="SELECT id", parameters={}, disclosure=Disclosure("shop", (), {}, 1, ""))
    with config.open("shop", Limits()) as con:
        batches: Any = list(con.run(plan).batches)
    assert [batch.num_rows for batch in batches] == [10_000, 10_000, 5_000]
    assert batches[0].slice(1, 1).to_pylist() == [{"id": 1, "name": "n1", "nothing": None}]


def test_a_server_without_tls_is_not_used_where_it_is_asked_for(config: Config) -> None:
    other = config.model_copy(update={"tls": type(config.tls)(mode="require")})
    with pytest.raises(Fault, match="does not offer TLS"), other.open("shop", Limits()):
        pass
