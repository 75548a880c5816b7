"""`DIALECTS` -> docs/sql/NAME.md, what a statement may use: `python -m agent.dialects.reference [ROOT]` writes them."""

import re
import sys
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from agent.dialects import DIALECTS, Dialect
from agent.dialects.advice import COMMON, OWN
from agent.dialects.groups import grouped

TITLES: Final[Mapping[str, str]] = {
    "duckdb": "DuckDB",
    "sqlite": "SQLite",
    "postgres": "PostgreSQL",
    "redshift": "Amazon Redshift",
    "mysql": "MySQL and MariaDB",
    "tsql": "SQL Server",
    "snowflake": "Snowflake",
    "bigquery": "BigQuery",
    "trino": "Trino",
    "clickhouse": "ClickHouse",
    "oracle": "Oracle",
    "databricks": "Databricks",
}

_HEAD = """# SQL for {title} sources

<!-- Generated: python -m agent.dialects.reference -->

One query a job: SELECT, WITH … SELECT, VALUES or a set operation{explain}. What is not named here is refused
with a code of [errors](../errors.md); `agent sql check --dialect {name}` says so without a database.

- Values stand in the text or are given for `:name` by the task's `parameters`; {bound}.
- Relations are those of the source's catalog that the policy shows. A name without a schema means `{schema}`.
- {case}
- The text that runs is generated anew from the admitted syntax, with masked relations in the place of tables: a
  protected column reads as its mask everywhere, also in WHERE, JOIN, GROUP BY and ORDER BY.
"""
_BOUND = {
    False: "the driver binds them, nothing is pasted into the text",
    True: "they become literals of the syntax tree, never pieces of text",
}
_CASES: Mapping[str, str] = {
    "insensitive": "Names are compared without regard to case, quoted or not.",
    "lower": "Unquoted names are read in lower case; quoted names are compared exactly.",
    "upper": "Unquoted names are read in upper case; quoted names are compared exactly.",
    "exact": "Names are compared exactly as they are written, quoted or not.",
}
_MASKS: Final = (
    ("redact", ("redact_text", "null", "untyped_null")),
    ("null", ("null", "untyped_null")),
    ("constant", ("constant",)),
    ("last4, partial", ("partial_last", "partial")),
    ("email", ("email",)),
    ("year", ("year_date", "year_timestamp")),
    ("month", ("month_date", "month_timestamp")),
    ("bucket", ("bucket",)),
    ("round", ("round", "round_to")),
    ("token", ("token",)),
)


def files() -> dict[str, str]:
    """Path below the root of a checkout -> text: one page a dialect, and an index."""
    pages = {f"docs/sql/{name}.md": page(dialect) for name, dialect in DIALECTS.items()}
    return {"docs/sql/index.md": index(), "agent/dialects/typed.py": typed(), **pages}


def typed() -> str:
    """The module that holds what `Dialect.derived` finds."""
    lines = [
        '"""What `Dialect.derived` finds for each dialect: to look for it takes seconds in all."""',
        "",
        "from collections.abc import Mapping",
        "from typing import Final",
        "",
        "# Generated: python -m agent.dialects.reference",
        "TYPED: Final[Mapping[str, str]] = {",
    ]
    for name, dialect in DIALECTS.items():
        names = " ".join(sorted(kind.__name__ for kind in dialect.derived()))
        wrapped = "\n".join(textwrap.wrap(names, 118, break_long_words=False))
        lines += [f'    "{name}": """', wrapped, '""",']
    return "\n".join([*lines, "}", ""])


def index() -> str:
    """The table of all dialects."""
    rows = [
        f"| [{TITLES[name]}]({name}.md) | `{name}` | {_CASES[dialect.case].split(';')[0].rstrip('.')} "
        f"| `{dialect.default_schema}` | {len(dialect.functions)} | {'yes' if dialect.explain else 'no'} "
        f"| {'yes' if 'token' in dialect.masks else 'no'} |"
        for name, dialect in DIALECTS.items()
    ]
    return "\n".join(
        [
            "# SQL, dialect by dialect",
            "",
            "<!-- Generated: python -m agent.dialects.reference -->",
            "",
            "What a statement may use in each dialect that the guard and the masks know. Each page lists functions,",
            "casts, constructs, what to write instead of what is refused, and how the masks are written.",
            "",
            "| engine | dialect | unquoted and quoted names | default schema | functions | EXPLAIN | `token` |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            "`token` says whether the keyed mask can be written; a policy that asks for it elsewhere is refused with",
            "`policy.mask`, never answered with a weaker mask.",
            "",
        ]
    )


def page(dialect: Dialect) -> str:
    """What a statement in this dialect may use."""
    head = _HEAD.format(
        name=dialect.name,
        title=TITLES[dialect.name],
        schema=dialect.default_schema,
        case=_CASES[dialect.case],
        bound=_BOUND[dialect.inline_parameters],
        explain=", or bare EXPLAIN of one over unprotected tables" if dialect.explain else "",
    )
    return "\n".join(
        [
            head,
            _advice(dialect),
            *_functions(dialect),
            _section("## Without brackets", dialect.bare_functions | {word.lower() for word in dialect.bare_columns}),
            _section("## Table functions", dialect.table_functions),
            _section("## Cast targets", dialect.casts | dialect.named_casts),
            _section("## Syntax beyond plain SELECT", {_words(node.__name__) for node in dialect.nodes}),
            _masks(dialect),
        ]
    )


def _advice(dialect: Dialect) -> str:
    rows = [f"| {refused} | {instead} |" for refused, instead in (*OWN.get(dialect.name, ()), *COMMON)]
    return "\n".join(["## What to write instead", "", "| refused | write |", "|---|---|", *rows, ""])


def _functions(dialect: Dialect) -> list[str]:
    sections = ["## Functions\n"]
    if dialect.combinators:
        endings = ", ".join(f"`{ending}`" for ending in dialect.combinators)
        sections.append(f"Aggregates also with these endings: {endings}.\n")
    return [*sections, *(_section(f"### {title}", names) for title, names in grouped(dialect).items())]


def _masks(dialect: Dialect) -> str:
    rows = []
    for rule, names in _MASKS:
        written = [f"`{_cell(dialect.masks[one])}`" for one in names if one in dialect.masks]
        rows.append(f"| {rule} | {'<br>'.join(written) or _NONE} |")
    text = "`c` is the column, `{type}` its type; a text mask of a number or a date reads it as text first."
    return "\n".join(["## Masks", "", text, "", "| rule | written as |", "|---|---|", *rows, ""])


_NONE: Final = "not in this dialect: a policy that asks for it is refused (`policy.mask`)"


def _cell(template: str) -> str:
    return template.replace("{{", "{").replace("}}", "}").replace("|", "\\|").replace("`", "")


def _section(title: str, names: Iterable[str]) -> str:
    listed = textwrap.fill(", ".join(sorted(names)), 118, break_long_words=False, break_on_hyphens=False)
    return f"{title}\n\n{listed or 'None.'}\n"


def _words(name: str) -> str:
    """`TableSample` -> `table sample`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


if __name__ == "__main__":
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    for path, text in files().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
