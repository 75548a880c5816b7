"""What is wrong with a configuration, as a list that a person can act on. Never a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from typing_extensions import override

from agent.core.errors import ConfigError

Level = Literal["error", "warning"]
Path = tuple[str | int, ...]
"""Where a value stands in a YAML tree."""

_LONGEST_KEY = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One defect. `where` is the file or the environment variable that holds it, `line` counts from 1."""

    key: str
    problem: str
    fix: str = ""
    where: str = ""
    line: int | None = None
    level: Level = "error"

    @override
    def __str__(self) -> str:
        place = f"{self.where}:{self.line}" if self.where and self.line else self.where
        text = ": ".join(part for part in (place, self.key, self.problem) if part)
        return f"{text} Fix: {self.fix}" if self.fix else text


class SettingsError(ConfigError):
    """All that is wrong, at once. `findings` has at least one entry; `str()` has one line for each."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        """Args: what was found; the first one gives `key`, `problem` and `fix`."""
        first = findings[0]
        super().__init__(first.key or first.where, first.problem, first.fix)
        self.findings = tuple(findings)

    @override
    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.findings)


def dotted(path: Path) -> str:
    """`("rules", 2, "match")` -> `rules[2].match`, safe to print."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return printable(text)


def printable(text: str) -> str:
    """A name from a file or the environment, cut and with control characters escaped."""
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:_LONGEST_KEY])
    return shown + ("…" if len(text) > _LONGEST_KEY else "")
