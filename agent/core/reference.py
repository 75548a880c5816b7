"""`CODES` -> docs/errors.md: `python -m agent.core.reference [ROOT]` writes it."""

import sys
from pathlib import Path

from agent.core.codes import CODES, OutcomeClass

FILE = "docs/errors.md"

_HEAD = """# Outcome codes

<!-- Generated: python -m agent.core.reference -->

Every job ends with exactly one code. Codes are stable: programs may match on them. Messages are fixed texts and names
of the syntax or the schema; they hold no value, no identifier of a job and no time. *State* is what a Router shows.
"""
_TABLE_HEAD = ("| code | state | meaning | what to do |", "|---|---|---|---|")
_REJECTED = """No result is sealed, for nobody is known who may read it. The file is kept in `failed/` beside
`<name>.reason.json`, which holds the code."""
_FAILED = "The sealed result holds code, message and hint. The engine's own words stay at the site."
_SECTIONS: tuple[tuple[OutcomeClass, str, str], ...] = (
    ("completed", "Completed", "The sealed result holds the masked rows."),
    ("rejected", "Rejected: the envelope was never trusted", _REJECTED),
    ("refused", "Refused: the job must not run", "The sealed result holds code, message and hint. Never retried."),
    ("failed", "Failed: the job ran and broke, or could not be run", _FAILED),
)


def page() -> str:
    """The whole page, a table for each class of outcome."""
    return "\n".join([_HEAD, *(_section(*section) for section in _SECTIONS)])


def _section(outcome: OutcomeClass, title: str, text: str) -> str:
    rows = [
        f"| `{code.name}` | {code.state} | {_cell(code.meaning)} | {_cell(code.remedy)} |"
        for code in CODES.values()
        if code.outcome == outcome
    ]
    return "\n".join([f"## {title}", "", text, "", *_TABLE_HEAD, *rows, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else ".", FILE).write_text(page(), encoding="utf-8")
