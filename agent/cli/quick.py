"""`agent status` without the command line's library, which takes longer to load than the answer to come."""

from collections.abc import Sequence
from pathlib import Path

_FLAGS = {"--json": "as_json", "--healthcheck": "healthcheck"}


def is_plain_status(arguments: Sequence[str]) -> bool:
    """Whether these are `status` and options of it that need no explanation."""
    return _parsed(arguments) is not None


def status(arguments: Sequence[str]) -> int:
    """The exit code of a plain `agent status`."""
    from agent.cli.status_report import report

    parsed = _parsed(arguments)
    assert parsed is not None, "ask is_plain_status first"
    config, flags = parsed
    return report(config, as_json="as_json" in flags, healthcheck="healthcheck" in flags)


def _parsed(arguments: Sequence[str]) -> tuple[Path | None, set[str]] | None:
    if not arguments or arguments[0] != "status":
        return None
    config: Path | None = None
    flags: set[str] = set()
    rest = list(arguments[1:])
    while rest:
        word = rest.pop(0)
        if word in _FLAGS:
            flags.add(_FLAGS[word])
        elif word in {"--config", "-c"} and rest and not rest[0].startswith("-"):
            config = Path(rest.pop(0))
        elif word.startswith("--config=") and len(word) > len("--config="):
            config = Path(word.partition("=")[2])
        else:
            return None
    return config, flags
