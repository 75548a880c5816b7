"""Tables and JSON on standard output. Names from outside are printed without control characters."""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any


def put(text: str) -> None:
    """A line."""
    sys.stdout.write(text + "\n")


def put_json(value: Any) -> None:
    """A value as JSON."""
    put(json.dumps(value, indent=2))


def put_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns, left-aligned; a sentence when there is nothing."""
    if not rows:
        put("none")
        return
    cells = [[safe(cell) for cell in row] for row in rows]
    widths = [max(len(head[i]), *(len(row[i]) for row in cells)) for i in range(len(head))]
    for row in (list(head), *cells):
        put("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def safe(value: object) -> str:
    """A cell that a terminal shows as it is."""
    text = "-" if value is None else str(value)
    return "".join(c if c.isprintable() else "?" for c in text)


def ago(moment: float | None) -> str:
    """How long ago, in words."""
    if moment is None:
        return "never"
    seconds = time.time() - moment
    for size, word in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if abs(seconds) >= size:
            return f"{seconds / size:.0f} {word} ago" if seconds > 0 else f"in {-seconds / size:.0f} {word}"
    return "now"
