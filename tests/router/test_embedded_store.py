"""The embedded store's file: shared with the command line, full, damaged, newer, and left behind by a killed process."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from router.core.jobs import NewJob
from router.core.problem import RouterProblem
from router.store import sqlite as module
from router.store.port import StoreError
from router.store.sqlite import SqliteStore
from tests.router.stores import START, World, new_job, submit

ROOT = Path(__file__).parents[2]
KILLS = 3
WRITER = """
import sys
from pathlib import Path
from router.store.sqlite import SqliteStore
from tests.router.stores import START, new_job, submit
store = SqliteStore(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    jobs = [new_job(START) for _ in range(3)]
    answers = store.apply([submit(job) for job in jobs], START)
    for answer in answers:
        sys.stdout.write(answer.id + chr(10))
    sys.stdout.flush()
store.close()
"""


def writing(path: Path, commits: int) -> "subprocess.Popen[str]":
    """Another process that submits jobs, and names each when it is told that it is kept."""
    command = [sys.executable, "-c", WRITER, str(path), str(commits)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def held(path: Path) -> set[str]:
    with sqlite3.connect(path) as con:
        assert con.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        jobs = {row[0] for row in con.execute("SELECT id FROM jobs")}
        assert jobs == {row[0] for row in con.execute("SELECT job_id FROM envelopes")}, "half an operation"
        (used,) = con.execute("SELECT coalesce(sum(open_jobs), 0) FROM usage").fetchone()
        assert used == len(jobs)
    con.close()
    return jobs


@pytest.mark.full
def test_what_was_acknowledged_outlives_a_kill_at_any_time(tmp_path: Path) -> None:
    path = tmp_path / "router.db"
    SqliteStore(path).close()
    kept: set[str] = set()
    for number in range(KILLS):
        with writing(path, 100_000) as process:
            assert process.stdout is not None
            told = [process.stdout.readline() for _ in range(1 + 40 * number)]
            process.kill()
            told += process.stdout.readlines()
        kept |= {line.strip() for line in told if line.endswith("\n")}
        assert len(kept) > number
        assert kept <= held(path)


def test_two_processes_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "router.db"
    world = World(SqliteStore(path))
    with writing(path, 60) as process:
        mine = {world.job().id for _ in range(60)}
        assert process.stdout is not None
        theirs = {line.strip() for line in process.stdout}
    world.store.close()
    assert process.returncode == 0
    assert len(theirs) == 180
    assert held(path) == mine | theirs


def test_a_file_that_another_process_holds_is_unavailable_and_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BUSY_SECONDS", 0.1)
    path = tmp_path / "router.db"
    world = World(SqliteStore(path))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    job = new_job(START)
    with pytest.raises(StoreError, match="SQLITE_BUSY"):
        world.do(submit(job))
    assert world.store.job("acme", job.id) is None, "readers do not wait"
    other.execute("ROLLBACK")
    other.close()
    assert world.do(submit(job)).id == job.id
    world.store.close()


def test_a_full_disk_loses_nothing_and_is_got_over(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "router.db")
    world = World(store)
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count = {pages + 30}")
    kept = _filled(world)
    assert kept
    with pytest.raises(StoreError, match="SQLITE_FULL"):
        world.together(*(submit(new_job(START, envelope=b"e" * 90_000)) for _ in range(3)))
    assert {world.state(job) for job in kept} == {"queued"}
    store._writer.execute("PRAGMA max_page_count = 1000000")
    kept.append(world.job())
    store.close()
    assert held(tmp_path / "router.db") == {job.id for job in kept}


def _filled(world: World) -> list[NewJob]:
    """Jobs until there is no more room."""
    kept: list[NewJob] = []
    while len(kept) < 1000:
        try:
            kept.append(world.job(envelope=b"e" * 9000))
        except StoreError as error:
            assert "SQLITE_FULL" in str(error)  # noqa: PT017
            return kept
    raise AssertionError("it was never full")


def test_a_file_that_is_no_store_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "router.db"
    path.write_bytes(b"this was never a database" * 400)
    with pytest.raises(StoreError, match=r"damaged .*Fix: put a copy of it back"):
        SqliteStore(path)
    assert path.read_bytes().startswith(b"this was never"), "nothing was written over it"


def test_a_page_that_is_damaged_under_a_running_store_is_no_defect_of_an_operation(tmp_path: Path) -> None:
    path = tmp_path / "router.db"
    world = World(SqliteStore(path))
    for _ in range(50):
        world.job(envelope=b"e" * 4000)
    world.store.close()
    with sqlite3.connect(path) as con:
        roots = con.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'jobs' AND rootpage > 0").fetchall()
    con.close()
    with path.open("r+b") as file:
        for (root,) in roots:
            file.seek((root - 1) * 4096)
            file.write(b"\xa5" * 4096)
    store = SqliteStore(path)
    with pytest.raises(StoreError, match="damaged"):
        store.apply([submit(new_job(START)), submit(new_job(START))], START)
    with pytest.raises(StoreError, match="damaged"):
        store.ready()
    store.close()


def test_a_newer_layout_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "router.db"
    SqliteStore(path).close()
    with sqlite3.connect(path) as con:
        con.execute("PRAGMA user_version = 99")
    con.close()
    with pytest.raises(StoreError, match="newer Router"):
        SqliteStore(path)


def test_the_file_is_this_account_s_only_and_no_link_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "router.db"
    world = World(SqliteStore(path))
    world.job()
    assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}
    world.store.close()
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with pytest.raises(StoreError):
        SqliteStore(link)


def test_a_problem_of_one_is_not_the_store_s(tmp_path: Path) -> None:
    world = World(SqliteStore(tmp_path / "router.db"))
    good = new_job(START)
    answers = world.together(submit(good), submit(new_job(START, priority=2**70)))
    assert world.state(good) == "queued"
    assert isinstance(answers[1], RouterProblem)
    assert answers[1].code == "internal"
    world.store.close()
