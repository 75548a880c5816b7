"""The ledger, read beside the agent that writes it."""

from pathlib import Path

import pytest

from agent.core.errors import SpoolError
from agent.spool.ledger import Ledger, look

DIGEST = "d" * 64


def claim(ledger: Ledger, job: str, now: float) -> None:
    ledger.claim(
        job, DIGEST, idempotent=False, max_attempts=1, ref=f"{job}.ref", expires=9e9, result_until=9e9, now=now
    )


def test_the_last_changed_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    for number in range(5):
        claim(ledger, f"J{number}", float(number))
    ledger.sealed("J1", "R", "completed", 10.0)
    assert [entry.job_id for entry in look(path)] == ["J1", "J4", "J3", "J2", "J0"]
    assert [entry.job_id for entry in look(path, most=2)] == ["J1", "J4"]
    (one,) = look(path, job_id="J1")
    assert (one.state, one.outcome, one.ref) == ("sealed", "completed", "J1.ref")
    assert look(path, job_id="J9") == ()
    ledger.close()


def test_nothing_is_made_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="cannot be used"):
        look(tmp_path / "ledger.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_a_url_would_read_otherwise(tmp_path: Path) -> None:
    folder = tmp_path / "a?mode=rw&x#%41 b"
    ledger = Ledger(folder / "ledger.sqlite")
    claim(ledger, "J", 1.0)
    assert len(look(folder / "ledger.sqlite")) == 1
    ledger.close()
