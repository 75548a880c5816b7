"""A job file is claimed from an inbox on another volume (/dev/shm)."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from agent.transport import _folders
from agent.transport._inbox import Inbox

NAME = "job.mjob"
ENVELOPE = f"e30.e30.{'A' * 86}".encode()


class Clock:
    def now(self) -> float:
        return 1_700_000_000.0

    def monotonic(self) -> float:
        return 0.0


def prepare(folder: Path) -> None:
    other = Path(tempfile.mkdtemp(dir="/dev/shm"))
    (folder / "drop").mkdir()
    (folder / "drop/inbox").symlink_to(other)
    _folders.prepare(folder / "drop")
    (folder / "drop/inbox/new" / NAME).write_bytes(ENVELOPE)


def act(folder: Path, say: Callable[[str], None]) -> None:
    box = Inbox(folder / "drop", settle_seconds=0, clock=Clock())
    (offer,) = box.poll(4)
    assert offer.envelope == ENVELOPE
    say("offered")


def check(folder: Path, said: list[str]) -> None:
    drop = folder / "drop"
    assert ("offered" in said) <= (drop / "processing" / NAME).exists()
    box = Inbox(drop, settle_seconds=0, clock=Clock())
    offers = [*box.recovered(), *box.poll(4)]
    assert [offer.envelope for offer in offers] == [ENVELOPE]
    assert sorted(path.name for path in (drop / "processing").iterdir()) == [NAME]
    assert list((drop / "inbox/new").iterdir()) == []
    assert box.problems() == ()
    shutil.rmtree((drop / "inbox").resolve())
