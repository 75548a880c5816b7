import os
import resource
import signal
from pathlib import Path

import pytest

from agent.core.errors import SpoolError
from agent.spool import store as module
from agent.spool.store import SpoolStore
from agent.wire.ids import new_ulid

JOB = "01JD00000000000000000000J0"
FIRST, SECOND = "01JD0000000000000000000001", "01JD0000000000000000000002"
MIB = 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def store(folder: Path) -> SpoolStore:
    return SpoolStore(folder, 10 * MIB)


def commit(store: SpoolStore, result_id: str, parts: bytes = b"sealed", job: str = JOB) -> module.Sealed:
    with store.create(result_id) as file:
        file.write(parts)
    return store.commit(result_id, job, b"mani.fest." + result_id.encode(), 5e9)


def test_a_committed_result_is_found_by_another_run(store: SpoolStore, folder: Path) -> None:
    sealed = commit(store, FIRST)
    (found,) = SpoolStore(folder, MIB).pending()
    assert found == sealed
    assert found.parts.read_bytes() == b"sealed"
    assert found.manifest == b"mani.fest." + FIRST.encode()


def test_pending_is_oldest_first(store: SpoolStore) -> None:
    ids = [new_ulid(1_700_000_000 + second) for second in range(5)]
    for result_id in reversed(ids):
        commit(store, result_id)
    assert [sealed.result_id for sealed in store.pending()] == ids


def test_find_gives_the_newest_result_of_a_job(store: SpoolStore) -> None:
    commit(store, FIRST)
    commit(store, SECOND)
    found = store.find(JOB)
    assert found is not None
    assert found.result_id == SECOND
    assert store.find(FIRST) is None


def test_parts_are_private_and_new(store: SpoolStore, folder: Path) -> None:
    with store.create(FIRST) as file:
        assert os.fstat(file.fileno()).st_mode & 0o777 == 0o600
        assert not os.get_inheritable(file.fileno())
    with pytest.raises(SpoolError):
        store.create(FIRST)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_parts_can_be_read_back_and_written_anew(store: SpoolStore) -> None:
    with store.create(FIRST) as file:
        file.write(b"partial result")
        file.seek(0)
        file.truncate()
        file.write(b"failed")
        file.seek(0)
        assert file.read() == b"failed"


def test_nothing_is_pending_before_commit(store: SpoolStore) -> None:
    store.create(FIRST).close()
    assert store.pending() == ()
    assert store.oldest() is None


def test_commit_is_idempotent(store: SpoolStore) -> None:
    sealed = commit(store, FIRST)
    assert store.commit(FIRST, JOB, sealed.manifest, 5e9) == sealed
    assert store.pending() == (sealed,)


def test_commit_without_parts_is_an_error(store: SpoolStore) -> None:
    with pytest.raises(SpoolError):
        store.commit(FIRST, JOB, b"m", 5e9)
    assert store.pending() == ()


def test_drop_and_discard_are_idempotent(store: SpoolStore, folder: Path) -> None:
    commit(store, FIRST)
    store.create(SECOND).close()
    for _ in range(2):
        store.drop(FIRST)
        store.discard(SECOND)
    assert list(folder.iterdir()) == []


def test_discard_leaves_a_committed_result_alone(store: SpoolStore) -> None:
    sealed = commit(store, FIRST)
    store.discard(FIRST)
    assert store.pending() == (sealed,)
    assert sealed.parts.exists()


def test_sweep_removes_only_leftovers_of_its_own(store: SpoolStore, folder: Path) -> None:
    sealed = commit(store, FIRST)
    store.create(SECOND).close()
    (folder / f"{SECOND}.parts").write_bytes(b"")
    (folder / f".{SECOND}.json.tmp").write_bytes(b"")
    (folder / "notes.tmp").write_bytes(b"somebody's")
    assert store.sweep() == 3
    assert store.pending() == (sealed,)
    assert (folder / "notes.tmp").read_bytes() == b"somebody's"


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"null", b"\xff", b'{"version":2}'])
def test_a_damaged_entry_is_reported_and_keeps_its_parts(store: SpoolStore, folder: Path, data: bytes) -> None:
    sealed = commit(store, FIRST)
    good = commit(store, SECOND)
    (folder / f"{FIRST}.json").write_bytes(data)
    assert store.pending() == (good,)
    assert len(store.problems()) == 1
    assert f"{FIRST}.json" in store.problems()[0]
    store.sweep()
    assert sealed.parts.exists()


def test_an_entry_without_its_parts_is_reported(store: SpoolStore) -> None:
    commit(store, FIRST).parts.unlink()
    assert store.pending() == ()
    assert len(store.problems()) == 1


@pytest.mark.parametrize("result_id", ["", "../../etc/passwd", "x" * 26, FIRST.lower(), f"{FIRST}\n", f"/{FIRST}"])
def test_an_id_that_is_no_ulid_reaches_no_file(store: SpoolStore, folder: Path, result_id: str) -> None:
    for call in (store.create, store.drop, store.discard):
        with pytest.raises(SpoolError):
            call(result_id)
    assert list(folder.iterdir()) == []


def test_room_is_bounded_by_the_cap(store: SpoolStore) -> None:
    assert store.room(10 * MIB)
    assert not store.room(10 * MIB + 1)
    commit(store, FIRST, b"x" * MIB)
    assert store.bytes() > MIB
    assert store.room(8 * MIB)
    assert not store.room(9 * MIB)


def test_room_counts_results_that_are_being_written(store: SpoolStore) -> None:
    with store.create(FIRST) as file:
        file.write(b"x" * MIB)
        file.flush()
        assert not store.room(10 * MIB)


def test_room_is_bounded_by_the_disk(folder: Path) -> None:
    store = SpoolStore(folder, 1 << 62)
    disk = os.statvfs(folder)
    assert store.room(MIB)
    assert not store.room(disk.f_bavail * disk.f_frsize + MIB)
    assert not store.room(disk.f_blocks * disk.f_frsize)


def test_oldest_is_the_time_of_the_first_commit_that_waits(store: SpoolStore, folder: Path) -> None:
    commit(store, FIRST)
    commit(store, SECOND)
    os.utime(folder / f"{FIRST}.json", (1000.0, 1000.0))
    assert store.oldest() == 1000.0
    store.drop(FIRST)
    assert store.oldest() == (folder / f"{SECOND}.json").stat().st_mtime


def test_a_commit_that_does_not_fit_can_be_finished_later(store: SpoolStore) -> None:
    with store.create(FIRST) as file:
        file.write(b"sealed")
    manifest = b"m" * 5000
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(SpoolError, match="Fix:"):
            store.commit(FIRST, JOB, manifest, 5e9)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert store.pending() == ()
    assert store.bytes() == len(b"sealed")
    sealed = store.commit(FIRST, JOB, manifest, 5e9)
    assert store.pending() == (sealed,)
    assert sealed.parts.read_bytes() == b"sealed"


def test_a_missing_folder_is_an_error_that_names_it(store: SpoolStore, folder: Path) -> None:
    folder.rmdir()
    for call in (store.pending, store.bytes, store.sweep, store.oldest, lambda: store.room(1)):
        with pytest.raises(SpoolError, match=str(folder)):
            call()
