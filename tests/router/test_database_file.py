"""The command line and `router serve` over PostgreSQL: the address stands in a file of its own."""

import json
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo
from typer.testing import CliRunner

from router.cli.program import app
from router.cli.site import SiteError, settings, store_of
from router.service.files import Files
from router.store.port import StoreError
from router.store.postgres import PostgresStore
from tests.support import postgres as pg
from tests.support.servers import free_port


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Router's folder that names a file with an address."""
    place = tmp_path / "router"
    assert CliRunner().invoke(app, ["init", "--data", str(place)]).exit_code == 0
    path = place / "router.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "database_file": "database"}))
    return place


@pytest.fixture
def address(postgres: pg.Postgres) -> Iterator[str]:
    """Of an empty database."""
    name = "router_by_file"
    yield make_conninfo(
        host=str(postgres.folder), port=postgres.port, user=pg.SUPERUSER, dbname=postgres.database(name)
    )
    with postgres.admin() as con:
        con.execute(f"DROP DATABASE {name} WITH (FORCE)")


def keep(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "database"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        (None, 0, "cannot be read"),
        ("", 0o600, "is empty"),
        ("host=nowhere password=hunter2", 0o640, "other accounts"),
        ("host=nowhere password=hunter2", 0o604, "other accounts"),
    ],
)
def test_an_address_that_others_can_read_is_not_used(folder: Path, text: str | None, mode: int, says: str) -> None:
    if text is not None:
        keep(folder, text, mode)
    with pytest.raises(SiteError, match=says) as caught, store_of(folder):
        pass
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key", ["database_file", "parts_folder"])
@pytest.mark.parametrize("value", [7, "", ["a"]])
def test_a_place_is_a_text(folder: Path, key: str, value: object) -> None:
    path = folder / "router.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(SiteError, match=key):
        settings(folder)


def test_a_database_that_is_away_is_named_by_no_word_of_its_address(folder: Path) -> None:
    keep(folder, "host=127.0.0.1 port=1 user=ann password=hunter2")
    with pytest.raises(StoreError) as caught, store_of(folder):
        pass
    assert "hunter2" not in str(caught.value)
    assert "ann" not in str(caught.value)


def test_tables_are_made_by_upgrade_and_by_nothing_else(folder: Path, address: str) -> None:
    keep(folder, address + "\n")
    with pytest.raises(StoreError, match="Fix: `router db upgrade`"), store_of(folder):
        pass
    for _ in range(2):
        done = CliRunner().invoke(app, ["db", "upgrade", "--data", str(folder)])
        assert done.exit_code == 0, done.output
    with store_of(folder) as store:
        assert isinstance(store, PostgresStore)
        assert store.ready() == frozenset()


@pytest.mark.full
def test_serve_answers_over_postgresql(folder: Path, address: str) -> None:
    keep(folder, address)
    assert CliRunner().invoke(app, ["db", "upgrade", "--data", str(folder)]).exit_code == 0
    port, router = free_port(), Path(sys.executable).with_name("router")
    command = [str(router), "serve", "--data", str(folder), "--listen", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert _healthy(f"https://localhost:{port}/v1/health", Files(folder).ca)
        finally:
            process.terminate()
            _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert not (folder / "router.db").exists(), "the embedded store is not touched"


def _healthy(url: str, ca: Path) -> bool:
    context = ssl.create_default_context(cafile=str(ca))
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=5, context=context) as answer:
                return bool(json.load(answer)["status"] == "ok")
        except OSError:
            time.sleep(0.1)
    return False
