"""An open DuckDB connection and its catalog -> the same with comments, keys, labels and estimates of rows.

Apart from the catalog itself: no statement needs them, and to read them takes as long again.
"""

from collections import defaultdict
from dataclasses import replace
from typing import Any, Final

from agent.core.catalog import Catalog, Column, ForeignKey, Relation

_TABLES: Final = (
    "SELECT schema_name, table_name, comment, estimated_size FROM duckdb_tables() WHERE database_name = $1 "
    "UNION ALL SELECT schema_name, view_name, comment, NULL FROM duckdb_views() WHERE database_name = $1"
)
_COLUMNS: Final = (
    "SELECT schema_name, table_name, column_name, is_nullable, comment, data_type FROM duckdb_columns() "
    "WHERE database_name = $1 AND NOT internal"
)
_KEYS: Final = (
    "SELECT schema_name, table_name, constraint_type, constraint_column_names, referenced_table, "
    "referenced_column_names FROM duckdb_constraints() "
    "WHERE database_name = $1 AND constraint_type IN ('PRIMARY KEY', 'FOREIGN KEY') ORDER BY ALL"
)

Named = tuple[str, str]
"""Schema and relation."""


def detailed(con: Any, catalog: Catalog, database: str) -> Catalog:
    """The catalog with what is only described, never needed to run a statement."""
    about = {(schema, name): (comment, rows) for schema, name, comment, rows in _ask(con, _TABLES, database)}
    columns: dict[Named, dict[str, tuple[bool, str, str]]] = defaultdict(dict)
    for schema, name, column, *described in _ask(con, _COLUMNS, database):
        columns[schema, name][column] = (described[0], described[1] or "", described[2])
    keys: dict[Named, list[tuple[Any, ...]]] = defaultdict(list)
    for schema, name, *key in _ask(con, _KEYS, database):
        keys[schema, name].append(tuple(key))

    def described_one(relation: Relation) -> Relation:
        named = (relation.schema, relation.name)
        comment, rows = about.get(named, (None, None))
        return replace(
            relation,
            columns=tuple(_column(con, one, columns[named].get(one.name)) for one in relation.columns),
            comment=comment or "",
            rows=rows if relation.kind == "table" else None,
            primary_key=next((tuple(own) for kind, own, *_ in keys[named] if kind == "PRIMARY KEY"), ()),
            foreign_keys=tuple(
                ForeignKey(tuple(own), relation.schema, table, tuple(referenced))
                for kind, own, table, referenced in keys[named]
                if kind == "FOREIGN KEY" and own
            ),
        )

    return replace(catalog, relations=tuple(map(described_one, catalog.relations)))


def _ask(con: Any, query: str, database: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = con.execute(query, [database]).fetchall()
    return rows


def _column(con: Any, column: Column, described: tuple[bool, str, str] | None) -> Column:
    if described is None:
        return column
    nullable, comment, kind = described
    return replace(column, nullable=nullable, comment=comment, labels=_labels(con, kind))


def _labels(con: Any, kind: str) -> tuple[str, ...]:
    if not kind.startswith("ENUM("):
        return ()
    parsed = con.sqltype(kind)
    return tuple(parsed.children[0][1]) if parsed.id == "enum" else ()
