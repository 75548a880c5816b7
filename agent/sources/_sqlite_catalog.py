"""An open SQLite connection -> Catalog, and the spelling of its types and views."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from agent.core.catalog import Catalog, Column, ForeignKey, Index, Relation

if TYPE_CHECKING:
    import sqlite3

_BLANK: Final = r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?(?:\*/|\Z))*"
_NAME: Final = r"""(?:"(?:[^"]|"")*"|'(?:[^']|'')*'|`(?:[^`]|``)*`|\[[^\]]*\]|[^\s"'`\[\]().,;/-]+)"""
_VIEW: Final = re.compile(
    rf"CREATE VIEW{_BLANK}{_NAME}{_BLANK}(?:\({_BLANK}{_NAME}{_BLANK}(?:,{_BLANK}{_NAME}{_BLANK})*\){_BLANK})?"
    r"AS\b(?P<query>.*)\Z",
    re.IGNORECASE | re.DOTALL,
)
_PLAIN_TYPE: Final = re.compile(r"[A-Za-z_][\w ]*(?:\( *[+-]?\d+ *(?:, *[+-]?\d+ *)?\))?", re.ASCII)
_AFFINITIES: Final = (
    ("INT", "INTEGER"),
    ("CHAR", "TEXT"),
    ("CLOB", "TEXT"),
    ("TEXT", "TEXT"),
    ("BLOB", "BLOB"),
    ("REAL", "REAL"),
    ("FLOA", "REAL"),
    ("DOUB", "REAL"),
)
"""In the order in which SQLite looks for them in a declared type (https://www.sqlite.org/datatype3.html, 3.1)."""


def read(con: "sqlite3.Connection", source: str) -> Catalog:
    """Plain tables and views. Virtual tables, which run code, their shadows and SQLite's own tables are left out."""
    con.set_authorizer(None)
    views = dict(con.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'view'").fetchall())
    found = [
        (name, kind, columns)
        for schema, name, kind, *_ in sorted(con.execute("PRAGMA table_list").fetchall())
        if schema == "main" and kind in {"table", "view"} and not name.casefold().startswith("sqlite_")
        if (columns := _columns(con, name))
    ]
    casts = _cast_texts(con, {column.declared for _, _, columns in found for column in columns})
    primary = {
        name: tuple(one.name for one in sorted(columns, key=lambda one: one.key) if one.key)
        for name, _, columns in found
    }
    return Catalog(
        source=source,
        dialect="sqlite",
        default_schema="main",
        relations=tuple(
            Relation(
                "main",
                name,
                tuple(Column(one.name, casts[one.declared], nullable=not one.required) for one in columns),
                "view" if kind == "view" else "table",
                view_query(views[name]) if kind == "view" else None,
                primary_key=primary[name],
                foreign_keys=() if kind == "view" else tuple(_foreign_keys(con, name, primary)),
                indexes=() if kind == "view" else (*_stored(primary[name]), *_indexes(con, name)),
            )
            for name, kind, columns in found
        ),
    )


def view_query(sql: str) -> str:
    """The query of a CREATE VIEW text; empty, which no guard admits, when it is not found."""
    match = _VIEW.match(sql)
    return match["query"].strip().rstrip(";") if match else ""


class _Found(NamedTuple):
    """A column. `key` is its place in the primary key, from 1; 0: it is no part of it."""

    name: str
    declared: str
    required: int
    key: int


def _columns(con: "sqlite3.Connection", name: str) -> list[_Found]:
    """The columns, generated ones included. Empty for a view that does not bind."""
    asked = 'SELECT name, type, "notnull", pk FROM pragma_table_xinfo(?) WHERE hidden <> 1'
    try:
        return [_Found(*row) for row in con.execute(asked, (name,)).fetchall()]
    except Exception:  # noqa: BLE001 - whatever keeps the view from binding keeps it out of the catalog
        return []


def _foreign_keys(con: "sqlite3.Connection", name: str, primary: Mapping[str, tuple[str, ...]]) -> Iterator[ForeignKey]:
    """The foreign keys of a table in the order in which they were declared; a bare one refers to the primary key."""
    asked = 'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id DESC, seq'
    spelled = {table.casefold(): table for table in primary}
    for _, rows in groupby(con.execute(asked, (name,)).fetchall(), key=lambda row: row[0]):
        parts = list(rows)
        table = spelled.get(parts[0][1].casefold(), parts[0][1])
        given = tuple(to for _, _, _, to in parts if to is not None)
        referenced = given or primary.get(table, ())
        if len(referenced) == len(parts):
            yield ForeignKey(tuple(column for _, _, column, _ in parts), "main", table, referenced)


def _stored(primary: tuple[str, ...]) -> Iterator[Index]:
    """The order in which the rows lie: an INTEGER PRIMARY KEY, and any key of a table WITHOUT ROWID."""
    if primary:
        yield Index("", primary, stores=True)


def _indexes(con: "sqlite3.Connection", name: str) -> Iterator[Index]:
    """The indexes of a table, also those that SQLite makes for a constraint."""
    for index, partial in con.execute("SELECT name, partial FROM pragma_index_list(?)", (name,)).fetchall():
        parts = con.execute("SELECT name FROM pragma_index_xinfo(?) WHERE cid <> -1", (index,)).fetchall()
        yield Index(index, tuple(column or "" for (column,) in parts) + ("",) * partial)


def _cast_texts(con: "sqlite3.Connection", types: Iterable[str]) -> dict[str, str]:
    """Each declared type -> text that a CAST takes, empty for a column that may hold anything."""
    texts = {declared: _cast_text(declared) for declared in types}
    return {
        declared: text if not text or _castable(con, text) else _affinity(declared) for declared, text in texts.items()
    }


def _cast_text(declared: str) -> str:
    if not declared or declared.casefold() == "any":
        return ""
    return declared if _PLAIN_TYPE.fullmatch(declared) else _affinity(declared)


def _affinity(declared: str) -> str:
    return next((affinity for mark, affinity in _AFFINITIES if mark in declared.upper()), "NUMERIC")


def _castable(con: "sqlite3.Connection", text: str) -> bool:
    try:
        con.execute(f"SELECT CAST(NULL AS {text})").close()
    except Exception:  # noqa: BLE001 - the answer is no, whatever the reason
        return False
    return True
