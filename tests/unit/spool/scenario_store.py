"""Two results are committed; the first is delivered and dropped."""

from collections.abc import Callable
from pathlib import Path

from agent.core.durable import write_all
from agent.core.errors import SpoolError
from agent.spool.store import SpoolStore

FIRST, SECOND = "01JD0000000000000000000001", "01JD0000000000000000000002"
JOB = "01JD00000000000000000000J0"
PARTS = b"sealed" * 2000


def opened(folder: Path) -> SpoolStore:
    return SpoolStore(folder / "spool", 1 << 30)


def prepare(folder: Path) -> None:
    pass


def act(folder: Path, say: Callable[[str], None]) -> None:
    store = opened(folder)
    for result_id in (FIRST, SECOND):
        with store.create(result_id) as parts:
            try:
                write_all(parts.fileno(), PARTS)
            except OSError as error:  # met by the worker, not by the store
                raise SpoolError(f"{folder}") from error
        store.commit(result_id, JOB, result_id.encode(), 1e9)
        say(f"committed:{result_id}")
    store.drop(FIRST)
    say(f"dropped:{FIRST}")


def check(folder: Path, said: list[str]) -> None:
    store = opened(folder)
    store.sweep()
    pending = {sealed.result_id: sealed for sealed in store.pending()}
    assert store.problems() == ()
    for result_id, sealed in pending.items():
        assert sealed.manifest == result_id.encode()
        assert sealed.parts.read_bytes() == PARTS
        assert (sealed.job_id, sealed.result_until) == (JOB, 1e9)
    assert (SECOND in pending) or f"committed:{SECOND}" not in said
    # Before its drop has returned, the first is there, or the drop had begun: then the second was committed.
    assert (FIRST in pending) or f"committed:{FIRST}" not in said or SECOND in pending
    assert (FIRST not in pending) or f"dropped:{FIRST}" not in said or SECOND in pending
    files = {path.name for path in (folder / "spool").iterdir()}
    assert files == {f"{result_id}{suffix}" for result_id in pending for suffix in (".parts", ".json")}
    store.discard(SECOND)
    assert {sealed.result_id for sealed in store.pending()} == set(pending)
