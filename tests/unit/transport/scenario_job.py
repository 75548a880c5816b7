"""A job file is claimed, its result delivered, and the job settled."""

import json
from collections.abc import Callable
from pathlib import Path

from agent.core.ports import Sealed
from agent.transport import _folders
from agent.transport._inbox import Inbox
from agent.transport._outbox import Outbox

JOB = "01JD00000000000000000000J0"
RESULT = "01JD0000000000000000000001"
NAME = f"{JOB}.mjob"
PAYLOAD = "eyJpZCI6IjAxSkQwMDAwMDAwMDAwMDAwMDAwMDAwMEowIiwic3RyZWFtIjoicyIsInNlcSI6MX0"
ENVELOPE = f"eyJraWQiOiJrIn0.{PAYLOAD}.{'A' * 86}".encode()
MANIFEST, PARTS = b"manifest.of.result", b"sealed" * 3000


class Clock:
    def now(self) -> float:
        return 1_700_000_000.0

    def monotonic(self) -> float:
        return 0.0


def inbox(folder: Path) -> Inbox:
    return Inbox(folder / "drop", settle_seconds=0, clock=Clock())


def prepare(folder: Path) -> None:
    _folders.prepare(folder / "drop")
    (folder / "drop/inbox/new" / NAME).write_bytes(ENVELOPE)
    (folder / "parts").write_bytes(PARTS)


def sealed(folder: Path) -> Sealed:
    return Sealed(JOB, RESULT, MANIFEST, folder / "parts", 1e9)


def act(folder: Path, say: Callable[[str], None]) -> None:
    box, out = inbox(folder), Outbox(folder / "drop")
    assert box.recovered() == []
    (offer,) = box.poll(4) or (None,)
    if offer is None:
        raise refused(box, folder)
    assert offer.envelope == ENVELOPE
    say("offered")
    out.deliver(sealed(folder))
    say("delivered")
    box.settle(offer.ref, 1.0)
    say("settled")


def refused(box: Inbox, folder: Path) -> Exception:
    """A full disk kept the entry where it is; the problem says so."""
    from agent.core.errors import TransportError

    assert box.problems()
    return TransportError(f"{folder}: {box.problems()}")


def check(folder: Path, said: list[str]) -> None:
    drop = folder / "drop"
    files = {str(path.relative_to(drop)) for path in drop.rglob("*") if path.is_file()}
    held = files & {f"inbox/new/{NAME}", f"processing/{NAME}"}
    if "offered" in said and "settled" not in said and not held:
        assert f"archive/{JOB}.json" in files
    if "delivered" in said:
        assert f"outbox/new/{JOB}.mres" in files
    finish(folder, settled="settled" in said or not held)
    files = {str(path.relative_to(drop)) for path in drop.rglob("*") if path.is_file()}
    assert files == {f"archive/{JOB}.json", f"outbox/new/{JOB}.mres"}
    record = json.loads((drop / f"archive/{JOB}.json").read_bytes())
    assert record["id"] == JOB
    head = b"MERIDYN1" + len(MANIFEST).to_bytes(4, "big")
    assert (drop / f"outbox/new/{JOB}.mres").read_bytes() == head + MANIFEST + PARTS


def finish(folder: Path, *, settled: bool) -> None:
    """The next run: exactly one offer, from processing or from the inbox, unless the job was settled."""
    box, out = inbox(folder), Outbox(folder / "drop")
    out.clear()
    offers = [*box.recovered(), *box.poll(4)]
    assert [offer.envelope for offer in offers] == ([] if settled else [ENVELOPE])
    out.deliver(sealed(folder))
    for offer in offers:
        box.settle(offer.ref, 2.0)
    # What is left of a record that was cut short; the next record takes its place.
    (folder / "drop/archive/.record.tmp").unlink(missing_ok=True)
