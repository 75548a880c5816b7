import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.ports import Connection
from agent.sources import sqlite as source
from agent.sources.sqlite import Config

Plans = Callable[..., MaskedPlan]

ROOT = os.geteuid() == 0


def opened(path: Path) -> AbstractContextManager[Connection]:
    return Config(type="sqlite", path=path).open("shop", Limits())


def fault_of(path: Path) -> str:
    with pytest.raises(Fault) as caught, opened(path):
        pass
    fault = caught.value
    assert fault.code == "source.unavailable"
    assert fault.hint
    assert str(path) not in fault.message + fault.hint
    assert fault.__context__ is None
    return fault.message


def made(path: Path, *, wal: bool = False) -> Path:
    con = sqlite3.connect(path)
    con.execute(f"PRAGMA journal_mode = {'wal' if wal else 'delete'}")
    con.execute("CREATE TABLE t(i INTEGER)")
    con.executemany("INSERT INTO t VALUES (?)", [(i,) for i in range(1000)])
    con.commit()
    con.close()
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return made(tmp_path / "shop.db")


def count(con: Connection, plan: Plans) -> int:
    (batch,) = con.run(plan("SELECT count(*) AS n FROM t")).batches
    return batch.to_pylist()[0]["n"]


def state(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_missing_file(tmp_path: Path) -> None:
    assert "does not exist" in fault_of(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\x00", b"hello world\n" * 1000])
def test_a_file_of_another_kind(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.db").write_bytes(content)
    assert "not a SQLite database" in fault_of(tmp_path / "x.db")


def test_a_folder_and_a_pipe(tmp_path: Path) -> None:
    assert "not a regular file" in fault_of(tmp_path)
    os.mkfifo(tmp_path / "x.db")
    assert "not a regular file" in fault_of(tmp_path / "x.db")


@pytest.mark.skipif(ROOT, reason="root may read everything")
def test_a_file_that_may_not_be_read(path: Path) -> None:
    path.chmod(0)
    assert "may not read" in fault_of(path)


@pytest.mark.parametrize(("at", "value"), [(19, 3), (47, 9)])
def test_a_newer_format(path: Path, at: int, value: Any) -> None:
    content = bytearray(path.read_bytes())
    content[at] = value
    path.write_bytes(content)
    assert "a format that" in fault_of(path)


def test_a_damaged_file(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100] = 0x63
    path.write_bytes(content)
    assert "damaged" in fault_of(path)


def test_a_file_that_is_locked_for_writing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_BUSY_SECONDS", 0.05)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    assert "locked for writing" in fault_of(path)
    writer.close()


CRASH = """
import os, sqlite3, sys
con = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    con.execute(statement)
os.kill(os.getpid(), 9)
"""


def crashed(path: Path, *statements: str) -> None:
    subprocess.run([sys.executable, "-c", CRASH, path, *statements], check=False)


def test_an_unfinished_transaction_is_left_alone(path: Path) -> None:
    """A hot journal: what the file holds is half of a transaction."""
    crashed(
        path,
        "PRAGMA cache_size = 1",
        "PRAGMA cache_spill = 1",
        "BEGIN",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 90000) INSERT INTO t SELECT n FROM r",
    )
    before = state(path.parent)
    assert "shop.db-journal" in before
    assert "unfinished transaction" in fault_of(path)
    assert state(path.parent) == before


def test_a_wal_database_that_nobody_has_open_leaves_no_file(tmp_path: Path, plan: Plans) -> None:
    path = made(tmp_path / "w.db", wal=True)
    before = state(tmp_path)
    assert set(before) == {"w.db"}
    with opened(path) as con:
        assert count(con, plan) == 1000
    assert state(tmp_path) == before


def test_a_wal_database_that_is_being_written(tmp_path: Path, plan: Plans) -> None:
    path = made(tmp_path / "w.db", wal=True)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("INSERT INTO t VALUES (-1)")  # in the log, not yet in the file
    names = set(state(tmp_path))
    assert names == {"w.db", "w.db-wal", "w.db-shm"}
    with opened(path) as con:
        assert Config(type="sqlite", path=path).reads() == (path, tmp_path / "w.db-wal", tmp_path / "w.db-shm")
        assert count(con, plan) == 1001
        writer.execute("INSERT INTO t VALUES (-2)")
        assert count(con, plan) == 1001  # one job, one snapshot
    assert set(state(tmp_path)) == names
    writer.close()


def test_a_wal_database_that_is_open_and_idle(tmp_path: Path, plan: Plans) -> None:
    path = made(tmp_path / "w.db", wal=True)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("SELECT count(*) FROM t").fetchall()
    before = state(tmp_path)
    assert "w.db-shm" in before
    with opened(path) as con:
        assert count(con, plan) == 1000
    assert state(tmp_path) == before
    other.close()


def test_a_log_that_a_crash_left(tmp_path: Path, plan: Plans) -> None:
    path = made(tmp_path / "w.db", wal=True)
    crashed(path, "INSERT INTO t VALUES (-1)")
    before = state(tmp_path)
    with opened(path) as con:
        assert count(con, plan) == 1001
    assert state(tmp_path) == before
    (tmp_path / "w.db-shm").unlink()
    assert "without its index" in fault_of(path)
    assert set(state(tmp_path)) == {"w.db", "w.db-wal"}


def test_a_writer_that_comes_while_an_unlocked_file_is_read_is_noticed(tmp_path: Path, plan: Plans) -> None:
    path = made(tmp_path / "w.db", wal=True)
    with opened(path) as con:
        assert count(con, plan) == 1000
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("INSERT INTO t VALUES (-1)")
        with pytest.raises(Fault, match="written to while it was read") as caught:
            count(con, plan)
        assert caught.value.code == "source.error"
        writer.close()


def test_a_rollback_database_holds_one_snapshot(path: Path, plan: Plans) -> None:
    with opened(path) as con:
        assert count(con, plan) == 1000
        writer = sqlite3.connect(path, isolation_level=None, timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            writer.execute("INSERT INTO t VALUES (-1)")
        writer.close()


@pytest.mark.parametrize("name", ["a b", "ünï", "a?mode=rw", "a#b", "50%41", "a'b"])
def test_odd_file_names(tmp_path: Path, plan: Plans, name: str) -> None:
    path = made(tmp_path / name)
    with opened(path) as con:
        assert count(con, plan) == 1000
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("pragma", source._PRAGMAS)
def test_a_setting_that_does_not_hold_keeps_the_source_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch, pragma: str
) -> None:
    class Deaf(sqlite3.Connection):
        def execute(self, sql: str, *rest: Any) -> Any:
            return super().execute("SELECT 1" if sql.startswith(f"PRAGMA {pragma} =") else sql, *rest)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: _stubborn(connect(*args, factory=Deaf, **options)))
    assert "could not be locked down" in fault_of(path)


def _stubborn(con: sqlite3.Connection) -> sqlite3.Connection:
    """With every setting as another build of SQLite might have it."""
    for pragma, value in source._PRAGMAS.items():
        sqlite3.Connection.execute(con, f"PRAGMA {pragma} = {0 if value else 1}")
    return con


@pytest.mark.parametrize("version", [(3, 36, 0)])
def test_an_old_engine_keeps_the_source_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...]
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    assert "could not be locked down" in fault_of(path)
