"""The live view: on a terminal one screen, elsewhere a line for each change."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.cli import status_watch

STATUS = {
    "agent": "plant-\x1b7", "state": "online", "version": "1", "pid": 1, "uptime_seconds": 5, "mode": "hybrid",
    "tenant": "acme", "health": [], "sources": [],
    "jobs": {
        "running": 2, "slots": 6, "done_24h": 3, "queue": None, "phases": {"running": 1, "sealing": 1},
        "sql": {"running": 1, "slots": 4}, "python": {"running": 1, "slots": 2},
    },
}  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Path:
    state = tmp_path / "state"
    state.mkdir()
    (tmp_path / "sandbox.yaml").write_text(
        "version: 1\nmode: airgapped\ntenant: acme\nagent: {name: plant-7}\nstate_dir: ./state\n"
        "transport: {filedrop: {path: ./drop}}\ntrust: trust.json\npolicy: policy.yaml\nsources: {}\n"
    )
    (state / "status.json").write_text(json.dumps(STATUS))
    return tmp_path


def command(site: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "agent", "status", "--watch", "--every", "0.2", "--config", str(site), *more]


def test_bars():
    shown = status_watch.bars(STATUS).splitlines()
    assert shown[0] == "sql    [#####               ] 1 of 4"
    assert shown[1] == "python [##########          ] 1 of 2"
    assert shown[2] == "now     1 running, 1 sealing"
    assert status_watch.bars({}) == ""
    idle = {"jobs": {"sql": {"running": 0, "slots": 4}, "phases": {}}}
    assert status_watch.bars(idle) == f"sql    [{' ' * 20}] 0 of 4\nnow     idle\n"
    crowded = {"jobs": {"sql": {"running": 1, "slots": 400}}}
    assert "[# " in status_watch.bars(crowded)


def test_without_a_terminal_a_line_and_an_end_with_the_agent(site: Path):
    done = subprocess.run(command(site), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 3
    assert done.stdout == "plant-\\x1b7: online; running 2 of 6, done 3\n"


@pytest.mark.parametrize("other", ["--json", "--healthcheck"])
def test_it_is_for_people(site: Path, other: str):
    assert subprocess.run(command(site, other), capture_output=True, check=False, timeout=60).returncode == 2


def test_on_a_terminal_one_screen_and_a_clean_end(site: Path):
    ours, theirs = pty.openpty()
    watching = subprocess.Popen(command(site), stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        shown = read_until(ours, b"Ctrl-C ends.", 3)
        (site / "state" / "status.json").unlink()
        shown += read_until(ours, b"not running", 1)
        watching.send_signal(signal.SIGINT)
        shown += read_until(ours, b"\x1b[?1049l", 1)
        assert watching.wait(60) == 0
    finally:
        watching.kill()
        watching.wait()
        os.close(ours)
    assert shown.startswith(b"\x1b[?1049h")
    assert b"1 running, 1 sealing" in shown
    assert b"\x1b7:" not in shown, "a name cannot steer the terminal"
    assert b"Traceback" not in shown
    assert shown.count(b"\x1b[H") >= 3


def read_until(terminal: int, word: bytes, times: int) -> bytes:
    shown, deadline = b"", time.monotonic() + 60
    while shown.count(word) < times:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 4096)
    return shown
