import importlib.util
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.core.errors import Refuse, SpoolError
from agent.spool.ledger import KEEP_SECONDS, Counts, Ledger

JOB, OTHER = "01JD00000000000000000000J0", "01JD00000000000000000000J1"
RESULT = "01JD0000000000000000000001"
DIGEST = "ab" * 32
NOW = 1_700_000_000.0
DAY = 86_400
SCENARIO = Path(__file__).parent / "scenario_ledger.py"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    ledger = Ledger(path)
    yield ledger
    ledger.close()


def claim(
    ledger: Ledger,
    job_id: str = JOB,
    digest: str = DIGEST,
    *,
    idempotent: bool = False,
    max_attempts: int = 1,
    ref: str = "a.mjob",
    expires: float = NOW + 60,
    now: float = NOW,
) -> int:
    return ledger.claim(
        job_id,
        digest,
        idempotent=idempotent,
        max_attempts=max_attempts,
        ref=ref,
        expires=expires,
        result_until=expires + 60,
        now=now,
    )


def replayed(ledger: Ledger, **changed: object) -> str:
    with pytest.raises(Refuse) as caught:
        claim(ledger, **changed)  # type: ignore[arg-type]
    assert caught.value.code == "envelope.replayed"
    assert JOB not in caught.value.message + caught.value.hint
    return caught.value.message


def test_a_first_claim_is_attempt_one(ledger: Ledger) -> None:
    assert claim(ledger) == 1
    assert claim(ledger, OTHER) == 1
    assert ledger.attempts(JOB) == 1
    assert ledger.attempts("unknown") == 0


def test_a_job_that_is_not_idempotent_is_claimed_once(ledger: Ledger) -> None:
    claim(ledger)
    replayed(ledger)
    replayed(ledger, max_attempts=5)
    assert ledger.attempts(JOB) == 1


def test_an_idempotent_job_is_claimed_up_to_its_maximum(ledger: Ledger) -> None:
    assert [claim(ledger, idempotent=True, max_attempts=3) for _ in range(3)] == [1, 2, 3]
    assert "as often" in replayed(ledger, idempotent=True, max_attempts=3)


def test_the_same_id_with_another_envelope_is_a_replay(ledger: Ledger) -> None:
    claim(ledger, idempotent=True, max_attempts=3)
    assert "Another envelope" in replayed(ledger, digest="cd" * 32, idempotent=True, max_attempts=3)


def test_a_second_copy_under_another_name_is_a_replay(ledger: Ledger) -> None:
    claim(ledger, idempotent=True, max_attempts=3)
    assert "handed in before" in replayed(ledger, ref="b.mjob", idempotent=True, max_attempts=3)


@pytest.mark.parametrize("end", ["delivered", "failed"])
def test_a_settled_job_is_over(ledger: Ledger, end: str) -> None:
    claim(ledger, idempotent=True, max_attempts=3)
    assert not ledger.settled(JOB)
    getattr(ledger, end)(JOB, NOW)
    assert ledger.settled(JOB)
    assert "over" in replayed(ledger, idempotent=True, max_attempts=3)


def test_claims_outlive_the_process(path: Path, ledger: Ledger) -> None:
    claim(ledger, idempotent=True, max_attempts=2)
    ledger.close()
    again = Ledger(path)
    assert claim(again, idempotent=True, max_attempts=2) == 2
    again.close()


def test_a_job_goes_through_its_states(ledger: Ledger) -> None:
    claim(ledger)
    assert [entry.job_id for entry in ledger.unsettled()] == [JOB]
    ledger.sealed(JOB, RESULT, "completed", NOW + 1)
    entry = ledger.entry(JOB)
    assert entry is not None
    assert (entry.state, entry.result_id, entry.outcome, entry.ref) == ("sealed", RESULT, "completed", "a.mjob")
    ledger.delivered(JOB, NOW + 2)
    entry = ledger.entry(JOB)
    assert entry is not None
    assert (entry.state, entry.changed) == ("delivered", NOW + 2)
    assert ledger.unsettled() == ()
    assert ledger.entry(OTHER) is None


def test_a_settled_job_stays_as_it_is(ledger: Ledger) -> None:
    claim(ledger)
    ledger.sealed(JOB, RESULT, "completed", NOW)
    ledger.delivered(JOB, NOW)
    before = ledger.entry(JOB)
    ledger.failed(JOB, NOW + 9)
    ledger.sealed(JOB, OTHER, "failed", NOW + 9)
    ledger.delivered(JOB, NOW + 9)
    assert ledger.entry(JOB) == before


def test_a_new_attempt_forgets_the_result_of_the_last(ledger: Ledger) -> None:
    claim(ledger, idempotent=True, max_attempts=2)
    ledger.sealed(JOB, RESULT, "failed", NOW)
    claim(ledger, idempotent=True, max_attempts=2)
    entry = ledger.entry(JOB)
    assert entry is not None
    assert (entry.state, entry.result_id, entry.outcome) == ("claimed", None, None)


def test_counts_of_the_last_day(ledger: Ledger) -> None:
    for number, outcome in enumerate(["completed", "completed", "refused", "failed"]):
        job_id = f"01JD0000000000000000{number:06d}"
        claim(ledger, job_id)
        ledger.sealed(job_id, RESULT, outcome, NOW)  # type: ignore[arg-type]
        ledger.delivered(job_id, NOW)
    claim(ledger, JOB)
    ledger.failed(JOB, NOW)
    claim(ledger, OTHER)
    for _ in range(50):
        ledger.rejected("envelope.malformed", NOW)
    assert ledger.counts(NOW - DAY) == Counts(completed=2, refused=1, failed=1, rejected=50, undelivered=1)
    assert ledger.counts(NOW + DAY) == Counts()


def test_sweep_forgets_only_what_is_settled_and_long_over(ledger: Ledger) -> None:
    claim(ledger, JOB)
    claim(ledger, OTHER)
    ledger.delivered(JOB, NOW)
    assert ledger.sweep(NOW + DAY) == 0
    assert ledger.sweep(NOW + KEEP_SECONDS + DAY) == 1
    assert ledger.entry(JOB) is None
    assert ledger.entry(OTHER) is not None


def test_a_forgotten_job_cannot_run_again_when_the_clock_is_set_back(ledger: Ledger) -> None:
    claim(ledger, JOB)
    ledger.delivered(JOB, NOW)
    ledger.sweep(NOW + 20 * DAY)
    assert "older than" in replayed(ledger, job_id=JOB)
    assert claim(ledger, OTHER, expires=NOW + 61) == 1


def test_a_claim_is_synced_before_it_is_granted(ledger: Ledger) -> None:
    pragmas = [ledger._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert pragmas == ["truncate", 2]


def test_a_killed_process_loses_no_claim_that_it_was_granted(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("scenario_ledger", SCENARIO)
    assert spec is not None
    assert spec.loader is not None
    scenario = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scenario)
    for wanted in (1, 7, 30):
        folder = tmp_path / str(wanted)
        with subprocess.Popen([sys.executable, SCENARIO, folder], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            said = [child.stdout.readline() for _ in range(wanted)]
            child.kill()
            said += child.stdout.readlines()
        # The last line may be cut short by the kill.
        scenario.check(folder, [line.strip() for line in said if line.endswith("\n")])


def test_a_full_disk_grants_no_claim_and_keeps_the_others(
    crash: Callable[..., int], own_mounts: tuple[str, ...]
) -> None:
    assert crash("full", SCENARIO, *own_mounts) > 2


def test_threads_share_a_ledger(ledger: Ledger) -> None:
    attempts: list[int] = []

    def work() -> None:
        attempts.append(claim(ledger, idempotent=True, max_attempts=50))

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(attempts) == list(range(1, 21))


def test_the_file_is_private(ledger: Ledger, path: Path) -> None:
    claim(ledger)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "data", [b"not a database" * 100, b"SQLite format 3\x00" + b"\xff" * 4000], ids=["text", "header"]
)
def test_a_damaged_ledger_is_not_used_and_not_overwritten(path: Path, data: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(data)
    with pytest.raises(SpoolError) as caught:
        Ledger(path)
    assert str(path) in str(caught.value)
    assert "Fix:" in str(caught.value)
    assert path.read_bytes() == data


def test_a_damaged_page_is_found_at_the_start(ledger: Ledger, path: Path) -> None:
    for number in range(200):
        claim(ledger, f"01JD0000000000000000{number:06d}")
    ledger.close()
    data = bytearray(path.read_bytes())
    data[4096 * 5 : 4096 * 5 + 200] = b"\xff" * 200
    path.write_bytes(data)
    with pytest.raises(SpoolError, match="SQLITE_CORRUPT"):
        Ledger(path)


def test_a_ledger_of_a_newer_version_is_left_alone(ledger: Ledger, path: Path) -> None:
    ledger.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(SpoolError, match="another version"):
        Ledger(path)


def test_a_link_in_its_place_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SpoolError):
        Ledger(path)
    assert not os.path.lexists(tmp_path / "elsewhere")


def test_a_closed_ledger_says_so(ledger: Ledger) -> None:
    ledger.close()
    ledger.close()
    with pytest.raises(SpoolError, match="closed"):
        ledger.attempts(JOB)
