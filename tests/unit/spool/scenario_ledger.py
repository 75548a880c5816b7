"""Claims one job after another until it is killed or the disk is full, saying each one after it was granted."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from agent.spool.ledger import Ledger

DIGEST = "ab" * 32


def opened(folder: Path) -> Ledger:
    return Ledger(folder / "state" / "ledger.sqlite")


def job(number: int) -> str:
    return f"01JD0000000000000000{number:06d}"


def claim(ledger: Ledger, number: int) -> int:
    return ledger.claim(
        job(number), DIGEST, idempotent=False, max_attempts=1, ref="r", expires=2e9, result_until=2e9, now=1.0
    )


def prepare(folder: Path) -> None:
    opened(folder).close()


def act(folder: Path, say: Callable[[str], None], count: int = 40) -> None:
    ledger = opened(folder)
    try:
        for number in range(count):
            claim(ledger, number)
            say(str(number))
    finally:
        ledger.close()


def check(folder: Path, said: list[str]) -> None:
    ledger = opened(folder)
    for number in said:
        assert ledger.attempts(job(int(number))) == 1
    assert len(ledger.unsettled()) <= len(said) + 1
    assert claim(ledger, 999_999) == 1
    ledger.close()


if __name__ == "__main__":
    act(Path(sys.argv[1]), lambda text: print(text, file=sys.stdout, flush=True) or None, count=1_000_000)  # noqa: T201
    os._exit(0)
