"""Three records across a rotation."""

from collections.abc import Callable
from pathlib import Path

from agent.audit.log import AuditLog
from agent.audit.verify import verify
from agent.wire.keys import SigningKey

KEY = SigningKey.from_jwk(
    {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    }
)
EVENTS = ("one", "two", "three")


def opened(folder: Path) -> AuditLog:
    return AuditLog.exclusive(folder / "audit", KEY.sign, now=lambda: 1_700_000_000.5, rotate_bytes=300)


def prepare(folder: Path) -> None:
    pass


def act(folder: Path, say: Callable[[str], None]) -> None:
    log = opened(folder)
    try:
        for event in EVENTS:
            log.append(event, job="01JD0000000000000000000000")
            say(event)
    finally:
        log.close()


def check(folder: Path, said: list[str]) -> None:
    log = opened(folder)
    log.append("again")
    log.close()
    verdict = verify(folder / "audit", KEY.public())
    assert verdict.ok, verdict.problems
    events = written(folder)
    own = [event for event in events if event in EVENTS]
    # What was promised is there, in order; at most one more, that a kill cut off from its promise.
    assert own[: len(said)] == said
    assert len(own) <= len(said) + 1
    assert events[-1] == "again"


def written(folder: Path) -> list[str]:
    import json

    files = sorted((folder / "audit").glob("audit-*.jsonl"))
    return [json.loads(line)["event"] for file in files for line in file.read_bytes().splitlines()]
