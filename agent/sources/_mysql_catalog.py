"""An open connection -> Catalog, in five round trips, of what its account may read."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from agent.core.catalog import Catalog, Column, ForeignKey, Index, Relation
from agent.sources._mysql_session import text

Ask = Callable[[str], Iterable[Sequence[Any]]]
"""Runs one of our own statements and returns its rows."""

Key = tuple[str, str]

_SYSTEM: Final = ("information_schema", "mysql", "performance_schema", "sys")
_FOREIGN: Final = frozenset({"federated", "connect", "spider", "s3", "oqgraph", "mroonga", "columnstore"})
"""Storage engines whose rows lie elsewhere."""
_LABEL: Final = re.compile(r"'((?:[^'\\]|''|\\.)*)'")
_LISTED: Final = re.compile(r"(enum|set)\(", re.IGNORECASE)

_TABLES: Final = """SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_ROWS, TABLE_COMMENT
FROM information_schema.TABLES WHERE {} ORDER BY TABLE_SCHEMA, TABLE_NAME"""
_VIEWS: Final = "SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE {}"
_COLUMNS: Final = """SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_COMMENT
FROM information_schema.COLUMNS WHERE {} ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION"""
_INDEXES: Final = """SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS
WHERE {} ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"""
_PRIMARY: Final = "PRIMARY"
_FOREIGN_KEYS: Final = """SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME,
REFERENCED_COLUMN_NAME, CONSTRAINT_NAME FROM information_schema.KEY_COLUMN_USAGE
WHERE REFERENCED_TABLE_NAME IS NOT NULL AND {} ORDER BY TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION"""


def read(ask: Ask, source: str, database: str, schemas: Sequence[str]) -> Catalog:
    """The relations of `schemas`, of all databases where there are none, that the account sees.

    A bare name means one of `database`. Names are compared without regard to case, as the guard compares them: a
    server that tells them apart answers to the spelling of the catalog.
    """
    where = _within(schemas)
    columns: dict[Key, list[Column]] = defaultdict(list)
    for schema, table, name, kind, nullable, comment in ask(_COLUMNS.format(where)):
        columns[text(schema), text(table)].append(_column(text(name), text(kind), text(nullable), text(comment)))
    indexes: dict[Key, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for schema, table, index, name in ask(_INDEXES.format(where)):
        indexes[text(schema), text(table)][text(index)].append(text(name))
    views = {(text(schema), text(name)): text(query) for schema, name, query in ask(_VIEWS.format(where))}
    foreign = _foreign_keys(ask(_FOREIGN_KEYS.format(where)))
    relations = []
    for schema, name, kind, engine, rows, comment in ask(_TABLES.format(where)):
        key = (text(schema), text(name))
        if text(kind).upper() == "SEQUENCE" or not columns[key]:
            continue
        is_view = text(kind).upper() == "VIEW"
        relations.append(
            Relation(
                *key,
                tuple(columns[key]),
                "view" if is_view else _kind(text(engine)),
                # Without SHOW VIEW the text is empty, which nothing can be made of: then the view is refused.
                views.get(key, "") if is_view else None,
                "" if is_view else text(comment),
                tuple(indexes[key].get(_PRIMARY, ())),
                tuple(foreign.get(key, ())),
                rows=int(text(rows)) if rows is not None else None,
                indexes=tuple(_indexes(indexes[key])),
            )
        )
    return Catalog(source, "mysql", database, tuple(relations))


def _indexes(found: Mapping[str, Sequence[str]]) -> Iterator[Index]:
    """Rows lie in the order of the primary key; without one, of some other: of any, as far as is known here."""
    for name, parts in found.items():
        yield Index(name, tuple(parts), stores=name == _PRIMARY or _PRIMARY not in found)


def _within(schemas: Sequence[str]) -> str:
    if not schemas:
        return f"TABLE_SCHEMA NOT IN ({', '.join(map(_literal, _SYSTEM))})"
    wanted = [schema for schema in schemas if schema.lower() not in _SYSTEM]
    return f"TABLE_SCHEMA IN ({', '.join(map(_literal, wanted)) or 'NULL'})"


def _literal(value: str) -> str:
    """A name of the configuration as a text of the session, in which a backslash escapes."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _column(name: str, kind: str, nullable: str, comment: str) -> Column:
    """Labels are no part of a type's text: they are data, and texts are what the values are."""
    listed = _LISTED.match(kind)
    labels = tuple(label.replace("''", "'") for label in _LABEL.findall(kind)) if listed else ()
    is_enum = listed is not None and listed[1].lower() == "enum"
    return Column(name, "varchar" if listed else kind, nullable == "YES", comment, labels if is_enum else ())


def _kind(engine: str) -> Literal["table", "foreign"]:
    return "foreign" if engine.lower() in _FOREIGN else "table"


def _foreign_keys(rows: Iterable[Sequence[Any]]) -> dict[Key, list[ForeignKey]]:
    found: dict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
    for row in rows:
        schema, table, column, other_schema, other, referenced, constraint = map(text, row)
        found[schema, table, constraint, other_schema, other].append((column, referenced))
    keys: dict[Key, list[ForeignKey]] = defaultdict(list)
    for (schema, table, _, other_schema, other), pairs in found.items():
        here, there = zip(*pairs, strict=True)
        keys[schema, table].append(ForeignKey(here, other_schema, other, there))
    return keys
