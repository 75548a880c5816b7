"""A status document and how it came -> what is shown, and the exit code."""

import os
from pathlib import Path

import pytest

from agent.cli import status_report
from agent.service.lasted import lives

FOUND = {"agent": "a", "state": "online", "pid": os.getpid(), "health": ["All slots. Fix: more."]}


@pytest.mark.parametrize(
    ("state", "live", "age", "alive", "code"),
    [
        ("online", True, 0.0, True, 0),
        ("draining", True, 0.0, True, 0),
        ("enrolling", True, 0.0, True, 0),
        ("degraded", True, 0.0, True, 4),
        ("offline", True, 0.0, True, 4),
        ("online", False, 3.0, True, 0),
        ("online", False, 60.0, True, 4),
        ("online", False, 3.0, False, 3),
        ("stopped", False, 3.0, True, 3),
        ("stopped", True, 0.0, True, 0 + 4),
    ],
)
def test_exit_codes(  # noqa: PLR0917
    monkeypatch: pytest.MonkeyPatch, state: str, live: bool, age: float, alive: bool, code: int
) -> None:
    monkeypatch.setattr("agent.service.lasted.lives", lambda pid, age: alive)
    assert status_report._code({**FOUND, "state": state}, live=live, age=age) == code


def test_only_the_one_who_looks_knows_that_it_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.service.lasted.lives", lambda pid, age: True)
    assert status_report.seen(FOUND, live=True, age=0.0) is FOUND
    assert status_report.seen(FOUND, live=False, age=3.0) is FOUND
    (hangs, before) = status_report.seen(FOUND, live=False, age=60.0)["health"]
    assert "has not answered for 60 s" in hangs
    assert before == FOUND["health"][0]


def test_a_process_lives_when_it_is_older_than_its_status(tmp_path: Path) -> None:
    assert lives(os.getpid(), 0.0)
    assert not lives(os.getpid(), 10.0**9), "another process with the same number"
    assert not lives(os.getpid(), 0.0, tmp_path)
    assert not lives("1", 0.0)
    (tmp_path / "5").mkdir()
    (tmp_path / "5/stat").write_text("5 (a) b) Z 1 " + "0 " * 40)
    assert not lives(5, 0.0, tmp_path), "a zombie"
    (tmp_path / "5/stat").write_text("5 (a) b) S 1 " + "0 " * 40)
    assert lives(5, 0.0, tmp_path)


def test_a_screen_of_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    status_report.show(
        {
            **FOUND,
            "certificate": {
                "valid": True,
                "days_left": 0.5,
                "ends": "T",
                "renews": "R",
                "subject": "S",
                "serial": "1f",
            },
            "platform": {"kind": "https", "url": "https://r", "last_ok": "L", "latency_seconds": 0.02},
            "sources": [{"name": "s\x1b", "type": "sqlite", "ok": False, "read_only": False}],
        },
        live=True,
        age=0.0,
    )
    shown = capsys.readouterr().out
    assert "certificate  valid, 0.5 days left, ends T, renews R; S, serial 1f" in shown
    assert "https https://r, last ok L, 20 ms" in shown
    assert "source s\\x1b: sqlite, failing, its role may WRITE" in shown
    assert "\x1b" not in shown
