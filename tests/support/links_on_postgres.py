"""A site whose Router keeps its jobs in a real PostgreSQL, which can be ended and started again under it."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.conninfo import make_conninfo

from router.cli.site import Settings
from router.store import migrate
from router.store.postgres import PostgresStore
from tests.support import servers
from tests.support.links import DEADLINE_SECONDS, ENROLL, SUBMIT, LinkSite
from tests.support.postgres import SUPERUSER, Postgres
from tests.support.routers import DOMAIN


@dataclass
class PostgresLinkSite(LinkSite):
    """As `LinkSite`; its Router keeps everything at `address`, a libpq connection string."""

    address: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        file = self.files.folder / "database"
        file.write_text(self.address)
        file.chmod(0o600)
        found = Settings(domain=DOMAIN, hosts=("localhost", "127.0.0.1"), database_file=file.name)
        found.write(self.files.folder / "router.json")
        for kind, token in (("enroll", ENROLL), ("submit", SUBMIT)):
            self.put_token(kind, token)

    def apply(self, operation: Any) -> Any:
        store = PostgresStore(self.address)
        try:
            (answer,) = store.apply([operation], time.time())
        finally:
            store.close()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def rows(self, sql: str, *values: object) -> list[Any]:
        with psycopg.connect(self.address) as connection:
            return connection.execute(sql.replace("?", "%s"), values).fetchall()

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        """As a submitter does: while the Router says that its store is away, again."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            with suppress(AssertionError):
                return super().call(method, path, **request)
            assert time.monotonic() < deadline, "the Router does not take it"
            time.sleep(0.1)

    def _parts(self, result: str) -> Iterator[bytes]:
        for (data,) in self.rows("SELECT data FROM parts WHERE result_id = ? ORDER BY number", result):
            yield len(data).to_bytes(4, "big") + bytes(data)


@dataclass
class Restarted:
    """A PostgreSQL that tests end and start again; whoever made it ends what runs last."""

    server: Postgres
    _running: ExitStack = field(default_factory=ExitStack)
    _command: list[str] = field(default_factory=list)

    def database(self) -> str:
        """The address of a fresh database with the Router's tables."""
        name = self.server.database("router")
        address = make_conninfo(host=str(self.server.folder), port=self.server.port, user=SUPERUSER, dbname=name)
        migrate.upgrade(address)
        return address

    def end(self, how: signal.Signals) -> None:
        """SIGINT: in order; SIGQUIT: at once, as in a crash."""
        self._command = Path(f"/proc/{self.server.pid}/cmdline").read_bytes().decode().split("\0")[:-1]
        os.kill(self.server.pid, how)
        while (self.server.folder / f".s.PGSQL.{self.server.port}.lock").exists():
            time.sleep(0.05)

    def start(self) -> None:
        process = self._running.enter_context(servers.served(self.server.folder, self._command, signal.SIGINT))
        self.server = replace(self.server, pid=process.pid)
        servers.wait_for(self._answers, self.server.folder, process)

    def close(self) -> None:
        self._running.close()

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError), self.server.admin():
            return True
        return False
