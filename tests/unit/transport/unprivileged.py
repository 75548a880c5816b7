"""Unreadable and immovable entries and read-only folders, as they look to an account that is not root."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from agent.core.errors import TransportError
from agent.core.ports import Sealed
from agent.transport import _folders, _inbox
from agent.transport._inbox import Inbox
from agent.transport._outbox import Outbox

NOBODY = 65534
JOB, RESULT = "01JD00000000000000000000J0", "01JD0000000000000000000001"
WHOLE = f"e30.e30.{'A' * 86}".encode()


class Clock:
    seconds = 0.0

    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return self.seconds


def main() -> None:
    root = Path(tempfile.mkdtemp())
    drop, other = root / "drop", root / "other"
    _folders.prepare(other)
    was_root = os.geteuid() == 0
    if was_root:
        for path in (root, other, *other.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        (other / "inbox/new/alien").mkdir(0o700)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    _folders.prepare(drop)
    try:
        unreadable(drop)
        read_only_outbox(drop, root)
        read_only_inbox(drop)
        if was_root:
            immovable(other)
    finally:
        shutil.rmtree(root)


def box_of(drop: Path) -> tuple[Inbox, Clock]:
    clock = Clock()
    return Inbox(drop, settle_seconds=2, clock=clock), clock


def unreadable(drop: Path) -> None:
    """A copy under way may become readable; one that stays so is refused."""
    box, clock = box_of(drop)
    path = drop / "inbox/new/dark.mjob"
    path.write_bytes(WHOLE)
    path.chmod(0)
    assert box.poll(4) == []
    clock.seconds = 2
    assert box.poll(4) == []
    assert json.loads((drop / "failed/dark.reason.json").read_bytes())["code"] == "file.unreadable"
    assert (drop / "failed/dark.mjob").exists()


def read_only_outbox(drop: Path, root: Path) -> None:
    """A result that cannot be delivered is an error that names the folder; it can be delivered later."""
    parts = drop / "parts"
    parts.write_bytes(b"sealed")
    sealed = Sealed(JOB, RESULT, b"m", parts, 1e9)
    outbox = Outbox(drop)
    for name in ("outbox/tmp", "outbox/new"):
        (drop / name).chmod(0o500)
        with pytest.raises(TransportError, match=f"{drop}/outbox.*writable"):
            outbox.deliver(sealed)
        assert list((drop / "outbox/new").iterdir()) == []
        (drop / name).chmod(0o700)
        assert list((drop / "outbox/tmp").iterdir()) == []
    outbox.deliver(sealed)
    assert (drop / f"outbox/new/{JOB}.mres").exists()
    parts.unlink()


def read_only_inbox(drop: Path) -> None:
    """A job that cannot be claimed stays, is reported, and is taken once it can be."""
    box, clock = box_of(drop)
    (drop / "inbox/new/a.mjob").write_bytes(WHOLE)
    (drop / "inbox/new").chmod(0o500)
    assert box.poll(4) == []
    assert "'a.mjob' stays where it is" in box.problems()[0], box.problems()
    assert "writable" in box.problems()[0]
    (drop / "inbox/new").chmod(0o700)
    clock.seconds = _inbox.RETRY_SECONDS
    assert [offer.ref[:6] for offer in box.poll(4)] == ["a.mjob"]
    assert box.problems() == ()


def immovable(drop: Path) -> None:
    """A folder of somebody else's cannot be moved; jobs beside it go on."""
    box, _ = box_of(drop)
    (drop / "inbox/new/b.mjob").write_bytes(WHOLE)
    assert [offer.ref[:6] for offer in box.poll(4)] == ["b.mjob"]
    assert "'alien' stays where it is" in box.problems()[0], box.problems()
    assert (drop / "failed/alien.reason.json").exists()
    (drop / "inbox/new/alien").rmdir()


if __name__ == "__main__":
    main()
