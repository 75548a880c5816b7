"""`DIALECTS` -> docs/sql/NAME.md, what a statement may use: `python -m agent.dialects.reference [ROOT]` writes them."""

import re
import sys
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

from agent.dialects import DIALECTS, Dialect

_TITLES = {"duckdb": "DuckDB", "sqlite": "SQLite"}

_HEAD = """# SQL for {title} sources

<!-- Generated: python -m agent.dialects.reference -->

One query a job: SELECT, WITH … SELECT, VALUES or a set operation{explain}. What is not named here is refused
with a code of [errors](../errors.md); `agent sql check --dialect {name}` says so without a database.

- Values stand in the text or are bound as `:name` by the task's `parameters`; nothing is ever pasted into the text.
- Relations are those of the source's catalog that the policy shows. A name without a schema means `{schema}`.
- {case}
- The text that runs is generated anew from the admitted syntax, with masked relations in the place of tables.
"""
_CASES: Mapping[str, str] = {
    "insensitive": "Names are compared without regard to case, quoted or not.",
    "lower": "Unquoted names are read in lower case; quoted names are compared exactly.",
    "upper": "Unquoted names are read in upper case; quoted names are compared exactly.",
}


def files() -> dict[str, str]:
    """Path below the root of a checkout -> text, one page a dialect."""
    return {f"docs/sql/{name}.md": page(dialect) for name, dialect in DIALECTS.items()}


def page(dialect: Dialect) -> str:
    """What a statement in this dialect may use."""
    head = _HEAD.format(
        name=dialect.name,
        title=_TITLES[dialect.name],
        schema=dialect.default_schema,
        case=_CASES[dialect.case],
        explain=", or bare EXPLAIN of one over unprotected tables" if dialect.explain else "",
    )
    sections = (
        ("Functions", dialect.functions),
        ("Without brackets", dialect.bare_functions),
        ("Table functions", dialect.table_functions),
        ("Cast targets", dialect.casts),
        ("Syntax beyond plain SELECT", {_words(node.__name__) for node in dialect.nodes}),
    )
    return "\n".join([head, *(_section(title, names) for title, names in sections)])


def _section(title: str, names: Iterable[str]) -> str:
    listed = textwrap.fill(", ".join(sorted(names)), 118, break_long_words=False, break_on_hyphens=False)
    return f"## {title}\n\n{listed}\n"


def _words(name: str) -> str:
    """`TableSample` -> `table sample`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


if __name__ == "__main__":
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    for path, text in files().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
