"""A foreign file and a claimed job file go to failed/, each with its reason."""

import json
from collections.abc import Callable
from pathlib import Path

from agent.core.errors import TransportError
from agent.core.ports import Rejection
from agent.transport import _folders
from agent.transport._inbox import Inbox

BYTES = {"job.mjob": b"not an envelope", "notes.txt": b"hello"}
CODES = {"job": "envelope.malformed", "notes": "file.foreign"}


class Clock:
    def now(self) -> float:
        return 1_700_000_000.0

    def monotonic(self) -> float:
        return 0.0


def prepare(folder: Path) -> None:
    _folders.prepare(folder / "drop")
    for name, data in BYTES.items():
        (folder / "drop/inbox/new" / name).write_bytes(data)


def act(folder: Path, say: Callable[[str], None]) -> None:
    box = Inbox(folder / "drop", settle_seconds=0, clock=Clock())
    for offer in [*box.recovered(), *box.poll(4)]:
        box.reject(offer.ref, Rejection(CODES["job"], "message", "hint"))
        say("rejected")
    if problems := box.problems():
        raise TransportError(f"{folder}: {problems}")


def check(folder: Path, said: list[str]) -> None:
    failed = folder / "drop/failed"
    assert ("rejected" in said) <= (failed / "job.mjob").exists()
    act(folder, said.append)
    files = {str(path.relative_to(folder / "drop")) for path in (folder / "drop").rglob("*") if path.is_file()}
    assert files - {"failed/.reason.tmp"} == {f"failed/{name}" for name in BYTES} | {
        f"failed/{stem}.reason.json" for stem in CODES
    }
    for name, data in BYTES.items():
        assert (failed / name).read_bytes() == data
    for stem, code in CODES.items():
        assert json.loads((failed / f"{stem}.reason.json").read_bytes())["code"] == code
