"""What every keeper of sealed parts promises."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.wire.ids import new_ulid
from router.store.parts import FolderParts
from router.store.port import Parts, StoreError
from router.store.postgres_parts import PostgresParts
from tests.router import stores
from tests.router.stores import START
from tests.support import postgres as pg

LARGEST = 4 * 2**20 + 16


@pytest.fixture(params=["folder", "postgresql"])
def parts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Parts]:
    if request.param == "folder":
        yield FolderParts(tmp_path / "parts")
        return
    server: pg.Postgres = request.getfixturevalue("postgres")
    with stores.database(server) as address:
        found = PostgresParts(address)
        yield found
        found.close()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_parts_are_kept_listed_read_and_dropped(parts: Parts) -> None:
    result, other = new_ulid(START), new_ulid(START)
    first, second = b"\x00\xff" * (LARGEST // 2), b"second"
    parts.put(result, 0, digest(first), first)
    parts.put(result, 11, digest(second), second)
    parts.put(other, 0, digest(second), second)
    assert parts.held(result) == {0: (digest(first), len(first)), 11: (digest(second), len(second))}
    assert [parts.read(result, 0), parts.read(result, 11), parts.read(other, 0)] == [first, second, second]
    parts.drop(result)
    parts.drop(result)
    assert parts.held(result) == {}
    assert parts.read(other, 0) == second


def test_the_same_index_again_replaces_it(parts: Parts) -> None:
    result = new_ulid(START)
    for data in (b"first", b"then another", b"then another"):
        parts.put(result, 1, digest(data), data)
    assert parts.held(result) == {1: (digest(b"then another"), 12)}
    assert parts.read(result, 1) == b"then another"


def test_what_is_not_there_is_a_key_error(parts: Parts) -> None:
    result = new_ulid(START)
    for index in (0, 1):
        with pytest.raises(KeyError):
            parts.read(result, index)
    parts.put(result, 10, digest(b"x"), b"x")
    with pytest.raises(KeyError):
        parts.read(result, 1)


@pytest.mark.parametrize("name", ["../../etc", "", "0" * 25, "x" * 26, "0" * 25 + "/"])
def test_only_ids_name_results(parts: Parts, name: str) -> None:
    for call in (lambda: parts.held(name), lambda: parts.drop(name), lambda: parts.put(name, 0, digest(b""), b"")):
        with pytest.raises(ValueError, match="result id"):
            call()


def test_parts_are_of_the_job_that_came_first(parts: Parts) -> None:
    result, jobs = new_ulid(START), [new_ulid(START) for _ in range(8)]
    won: list[str] = []
    callers = [threading.Thread(target=lambda job=job: parts.claim(result, job) and won.append(job)) for job in jobs]  # type: ignore[misc]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(won) == 1
    assert parts.claim(result, won[0])
    assert not parts.claim(result, next(job for job in jobs if job != won[0]))
    parts.drop(result)
    assert parts.claim(result, jobs[0]), "a result that was dropped is nobody's"


def test_owners_are_all_that_is_here(parts: Parts) -> None:
    claimed, begun, bare = new_ulid(START), new_ulid(START), new_ulid(START)
    assert parts.owners() == {}
    assert parts.claim(claimed, "job-1")
    assert parts.claim(begun, "job-2")
    parts.put(begun, 0, digest(b"x"), b"x")
    parts.put(bare, 0, digest(b"x"), b"x")
    assert parts.owners() == {claimed: "job-1", begun: "job-2", bare: ""}
    for result in (claimed, begun, bare):
        parts.drop(result)
    assert parts.owners() == {}


def test_a_folder_with_other_things_in_it(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    assert FolderParts(tmp_path).owners() == {}


def test_a_database_that_is_away_is_a_store_error() -> None:
    away = PostgresParts("host=127.0.0.1 port=1 dbname=nothing")
    with pytest.raises(StoreError):
        away.held(new_ulid(START))
    away.close()
