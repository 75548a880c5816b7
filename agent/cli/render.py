"""Text that a terminal and a spreadsheet can be trusted with."""

import csv
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TextIO

_EXECUTED: Final = frozenset("=+-@\t\r")
"""What makes a spreadsheet run a cell (OWASP, CSV Injection)."""

_STEERING: Final = re.compile("[\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What a terminal may obey and JSON leaves as it is; in JSON they stand in texts only."""

_BLANK: Final = " \n\v\f\0\ufeff"


def dump(value: object) -> str:
    """One line of JSON."""
    return _spelled(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str))


def put_json(value: object) -> None:
    """A JSON document on standard output: indented for a terminal, one line for a program."""
    indent = 2 if sys.stdout.isatty() else None
    sys.stdout.write(
        _spelled(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, default=str)) + "\n"
    )


def _spelled(document: str) -> str:
    """The same JSON, where controls beyond ASCII's and marks that turn the direction of text are written as numbers."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def put(text: str = "") -> None:
    """A line on standard output."""
    sys.stdout.write(text + "\n")


def safe(text: object) -> str:
    """A value for a terminal: control and format characters are spelled out, so that no value can steer it."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text))


def unexecuted(cell: str) -> str:
    """A text cell that no spreadsheet executes."""
    start = cell.lstrip(_BLANK)[:1]
    return f"'{cell}" if start in _EXECUTED or cell[:1] in _EXECUTED else cell


def put_csv(sink: TextIO, names: Sequence[str], rows: Iterable[Sequence[Any]], *, raw: bool) -> None:
    """RFC 4180 lines. Unless `raw`, texts that a spreadsheet would execute are quoted; numbers stay numbers."""
    writer = csv.writer(sink, lineterminator="\r\n")
    for row in (names, *rows):
        writer.writerow([cell if raw or not isinstance(cell, str) else unexecuted(cell) for cell in row])


def put_table(names: Sequence[str], rows: Iterable[Sequence[Any]], *, numeric: Sequence[bool] = ()) -> None:
    """A table that fits the terminal; null is shown as ∅ so that it differs from an empty text."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_edge=False, header_style="bold", pad_edge=False)
    for index, name in enumerate(names):
        right = index < len(numeric) and numeric[index]
        table.add_column(Text(safe(name)), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*[Text("∅", style="dim") if cell is None else Text(safe(cell)) for cell in row])
    Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 240).print(table)


def put_pairs(pairs: Mapping[str, object]) -> None:
    """Aligned `name  value` lines."""
    width = max((len(name) for name in pairs), default=0)
    for name, value in pairs.items():
        put(f"{name:<{width}}  {safe(value)}")
