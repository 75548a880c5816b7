from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from agent.core.ports import Offer
from agent.transport import _folders
from agent.transport._inbox import Inbox


@dataclass
class FakeClock:
    """Stands still until it is moved."""

    seconds: float = 0.0

    def now(self) -> float:
        return 1_700_000_000.0 + self.seconds

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Drop:
    """A drop's folders, and an inbox over them."""

    root: Path
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        _folders.prepare(self.root)
        self.box = self.opened()

    def opened(self) -> Inbox:
        return Inbox(self.root, settle_seconds=2, clock=self.clock)

    @property
    def new(self) -> Path:
        return self.root / "inbox/new"

    @property
    def processing(self) -> Path:
        return self.root / "processing"

    @property
    def failed(self) -> Path:
        return self.root / "failed"

    def settled(self, free: int = 8) -> list[Offer]:
        """Polls until whatever lay in the inbox has been judged."""
        first = self.box.poll(free)
        self.clock.seconds += 2
        return [*first, *self.box.poll(free - len(first))]

    def names(self, offers: list[Offer]) -> list[str]:
        """The job files behind offers."""
        return [offer.ref.rpartition("@")[0] for offer in offers]

    def ref(self, name: str) -> str:
        """The ref of a file in processing."""
        return f"{name}@{sha256((self.processing / name).read_bytes()).hexdigest()[:16]}"

    def files(self, folder: str) -> set[str]:
        return {path.name for path in (self.root / folder).iterdir()}


@pytest.fixture
def drop(tmp_path: Path) -> Drop:
    return Drop(tmp_path / "drop")


def envelope(payload: str = "e30") -> bytes:
    """Bytes with the form of a finished envelope."""
    return f"e30.{payload}.{'A' * 86}".encode()


@pytest.fixture
def whole() -> bytes:
    return envelope()
