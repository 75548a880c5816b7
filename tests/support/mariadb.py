"""A real MariaDB on a free loopback port, from the system's own packages, with its files in a folder of its own."""

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

from tests.support import servers
from tests.support.servers import READER, READER_PASSWORD

SUPERUSER = "root"
REQUIRED = "TEST_MARIADB"
"""Set to `required`, a missing server makes tests fail that would fall back or be left out."""

SETTINGS = {
    "innodb-buffer-pool-size": "32M",
    "innodb-log-file-size": "16M",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-doublewrite": "OFF",
    "innodb-stats-persistent": "OFF",
    "aria-pagecache-buffer-size": "8M",
    "max-connections": "80",
    "max-allowed-packet": "256M",
    "skip-log-bin": "",
    "skip-name-resolve": "",
}


@dataclass(frozen=True)
class MariaDb:
    """A running server. The superuser needs no password over the socket in `folder`; `READER` has one over TCP."""

    port: int
    folder: Path
    pid: int

    def admin(self, database: str | None = None, **more: Any) -> "pymysql.Connection[Any]":
        """A superuser's connection, autocommit."""
        options = {"charset": "utf8mb4", "autocommit": True} | more
        return pymysql.connect(unix_socket=str(self.folder / "sock"), user=SUPERUSER, database=database, **options)

    def run(self, script: str, database: str | None = None) -> None:
        """A script of statements that end with `;` at the end of a line."""
        with self.admin(database) as con, con.cursor() as cursor:
            for statement in script.split(";\n"):
                if statement.strip().rstrip(";"):
                    cursor.execute(statement)

    def database(self, name: str, script: str = "") -> str:
        """A fresh database of this name with `script` run in it, readable for `READER`."""
        self.run(
            f"DROP DATABASE IF EXISTS `{name}`;\nCREATE DATABASE `{name}` CHARACTER SET utf8mb4;\n"
            f"GRANT SELECT, SHOW VIEW ON `{name}`.* TO {READER}@'%';\n"
        )
        self.run(script, name)
        return name

    def config(self, database: str, **more: object) -> dict[str, object]:
        """The source as sandbox.yaml would name it."""
        return servers.config("mysql", self.port, database, more)


def program() -> str | None:
    """Where the server is installed; None where it is not."""
    found = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert found or os.environ.get(REQUIRED) != "required", "mariadbd is not installed, and the tests must not skip it"
    return found


@contextmanager
def running(**settings: str) -> Iterator[MariaDb]:
    """Start a server with further settings, written with `_` for `-`; stop it and remove its files at the end."""
    server = program()
    assert server is not None
    with servers.folder("test-my-") as folder:
        options = SETTINGS | {name.replace("_", "-"): value for name, value in settings.items()}
        _initialise(folder, {name: options[name] for name in options if name.startswith(("lower-", "innodb-log"))})
        port = servers.free_port()
        options |= {"datadir": str(folder / "data"), "socket": str(folder / "sock"), "pid-file": str(folder / "pid")}
        options |= {"bind-address": "127.0.0.1", "port": str(port), "tmpdir": str(folder)}
        with servers.served(folder, [server, "--no-defaults", *_flags(options)], signal.SIGTERM) as process:
            made = MariaDb(port, folder, process.pid)
            servers.wait_for(lambda: _answers(made), folder, process)
            with made.admin() as con, con.cursor() as cursor:
                cursor.execute(f"CREATE USER {READER}@'%%' IDENTIFIED BY %s", [READER_PASSWORD])
            yield made


def _flags(options: dict[str, str]) -> list[str]:
    return [f"--{name}={value}" if value else f"--{name}" for name, value in options.items()]


def _initialise(folder: Path, options: dict[str, str]) -> None:
    program = shutil.which("mariadb-install-db", path=f"{os.environ.get('PATH', '')}:/usr/bin")
    assert program is not None
    fixed = ["--no-defaults", f"--datadir={folder}/data", "--auth-root-authentication-method=normal", "--skip-test-db"]
    servers.prepared(folder, [program, *fixed, *_flags(options)])


def _answers(server: MariaDb) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(server.folder / "sock")) == 0
