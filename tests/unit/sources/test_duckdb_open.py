import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.ports import Connection
from agent.sources.duckdb import Config, warm

Plans = Callable[..., MaskedPlan]
Files = Callable[..., Path]

ROOT = os.geteuid() == 0


def opened(path: Path) -> AbstractContextManager[Connection]:
    return Config(type="duckdb", path=path).open("shop", Limits())


def fault_of(path: Path) -> str:
    with pytest.raises(Fault) as caught, opened(path):
        pass
    fault = caught.value
    assert fault.code == "source.unavailable"
    assert fault.hint
    assert str(path) not in fault.message + fault.hint
    assert fault.__context__ is None
    return fault.message


@pytest.fixture
def path(duck: Files) -> Path:
    return duck("CREATE TABLE t AS SELECT range AS i FROM range(1000)")


def test_a_missing_file(tmp_path: Path) -> None:
    assert "does not exist" in fault_of(tmp_path / "none.duckdb")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"short", b"hello world\n" * 1000, b"SQLite format 3\x00" * 100])
def test_a_file_of_another_kind(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.duckdb").write_bytes(content)
    assert "not a DuckDB database" in fault_of(tmp_path / "x.duckdb")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.duckdb")
    assert "not a regular file" in fault_of(tmp_path / "x.duckdb")


def test_a_link_that_leads_round(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to(tmp_path / "x")
    assert "cannot be read" in fault_of(tmp_path / "x")
    assert Config(type="duckdb", path=tmp_path / "x").reads() is not None


@pytest.mark.skipif(ROOT, reason="root may read everything")
def test_a_file_that_may_not_be_read(path: Path) -> None:
    path.chmod(0)
    assert "may not read" in fault_of(path)


@pytest.mark.parametrize("offset", [100, 4096 + 20, 3 * 4096 + 100])
def test_a_damaged_file(path: Path, offset: int) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[offset] ^= 0xFF
    path.write_bytes(damaged)
    assert "damaged" in fault_of(path)


def test_a_cut_file(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20_000])
    assert "damaged" in fault_of(path)


def checksum(block: Any) -> int:
    """DuckDB's own, over the words of a header block."""
    total = 5381
    for (word,) in struct.iter_unpack("<Q", block):
        total ^= word * 0xBF58476D1CE4E5B9 % 2**64
    return total


def test_a_file_of_a_newer_format(path: Path) -> None:
    content = bytearray(path.read_bytes())
    struct.pack_into("<Q", content, 12, 10_000)
    struct.pack_into("<Q", content, 0, checksum(content[8:4096]))
    path.write_bytes(content)
    assert "storage format" in fault_of(path)


def test_an_encrypted_file(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    with duckdb.connect() as con:
        con.execute("SET force_mbedtls_unsafe = 'true'")  # a test file may be weakly encrypted
        con.execute(f"ATTACH '{path}' AS e (ENCRYPTION_KEY 'k')")
        con.execute("CREATE TABLE e.t(i INTEGER)")
    assert "encrypted" in fault_of(path)


WRITER = """
import duckdb, os, sys
con = duckdb.connect(sys.argv[1])
con.execute("INSERT INTO t VALUES (-1)")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def writer(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def test_a_file_that_another_process_writes(path: Path, writer: subprocess.Popen[bytes]) -> None:
    assert "Another process" in fault_of(path)


def test_a_write_ahead_log_that_a_crash_left_is_read_and_kept(
    path: Path, writer: subprocess.Popen[bytes], plan: Plans
) -> None:
    writer.kill()
    writer.wait()
    log = path.with_name("shop.duckdb.wal")
    before = path.read_bytes(), log.read_bytes()
    source = Config(type="duckdb", path=path)
    assert source.reads() == (path, log)
    with source.open("shop", Limits()) as con:
        (batch,) = con.run(plan("SELECT count(*) AS n, min(i) AS i FROM t")).batches
    assert batch.to_pylist() == [{"n": 1001, "i": -1}]
    assert (path.read_bytes(), log.read_bytes()) == before


def test_a_write_ahead_log_of_another_file(path: Path, duck: Files, writer: subprocess.Popen[bytes]) -> None:
    writer.kill()
    writer.wait()
    other = duck("CREATE TABLE t AS SELECT 1 AS i", "CREATE TABLE u AS SELECT 2 AS i", name="other.duckdb")
    path.with_name("shop.duckdb.wal").rename(other.with_name("other.duckdb.wal"))
    assert "write-ahead log" in fault_of(other)


def test_a_file_that_other_processes_read(path: Path) -> None:
    reader = (
        "import duckdb, sys; duckdb.connect(sys.argv[1], read_only=True); print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", reader, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        with opened(path) as con:
            assert con.catalog().relations
        process.stdin.close()


@pytest.mark.parametrize("name", ["a{b}.duckdb", "{}", "it's.db", "ünï?x=1", 'q"q.duckdb', "md:x", "a*.duckdb"])
def test_odd_file_names(duck: Files, plan: Plans, name: str) -> None:
    path = duck("CREATE TABLE t AS SELECT 1 AS i", name="plain").rename(duck(name="other").with_name(name))
    with opened(path) as con:
        assert next(con.run(plan("SELECT i FROM main.t")).batches).num_rows == 1


def test_a_relative_path_and_a_link(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    monkeypatch.chdir(tmp_path)
    source = Config(type="duckdb", path="link")
    assert source.reads() == (path,)
    with source.open("shop", Limits()) as con:
        assert con.catalog().databases == ("shop",)


def test_threads_and_memory_are_bounded(path: Path, plan: Plans) -> None:
    asked = "SELECT current_setting('threads') AS t, current_setting('memory_limit') AS m"
    with Config(type="duckdb", path=path, threads=3).open("shop", Limits(memory_mb=400)) as con:
        (batch,) = con.run(plan(asked)).batches
    assert batch.to_pylist() == [{"t": 3, "m": "300.0 MiB"}]


def test_needs_no_home_and_no_environment(path: Path) -> None:
    program = (
        "from agent.sources.duckdb import Config; from agent.core.limits import Limits; import sys\n"
        "with Config(type='duckdb', path=sys.argv[1]).open('x', Limits()) as con: print(len(con.catalog().relations))"
    )
    done = subprocess.run([sys.executable, "-c", program, path], env={}, check=True, capture_output=True, text=True)
    assert done.stdout == "1\n"


def test_warming_up_leaves_nothing_open() -> None:
    warm()
    warm()
