"""An open DuckDB connection -> Catalog, and the spelling of its types, names and views."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from agent.core.catalog import Catalog, Column, Relation

_VIEW: Final = re.compile(
    r"""CREATE\ (?:[A-Z]+\ )*VIEW\              # SECURE, RECURSIVE
        (?:{name}\.)*{name}                     # its name
        (?:\ \({name}(?:,\ {name})*\))?         # its column names
        \ AS\ (?P<query>.*?);?\s*\Z""".replace("{name}", r'(?:"(?:[^"]|"")*"|[^\s".,();]+)'),
    re.VERBOSE | re.DOTALL,
)
_FEW_TABLES: Final = 24
"""Up to here, asking for each table is faster than listing the engine's own 500 columns first."""

_TABLES: Final = (
    "SELECT schema_name, table_name FROM duckdb_tables() "
    "WHERE database_name = $1 AND NOT internal AND NOT temporary ORDER BY ALL"
)
_VIEWS: Final = "SELECT database_name, schema_name, view_name, sql, internal FROM duckdb_views() ORDER BY ALL"
_COLUMNS: Final = (
    "SELECT schema_name, table_name, list(column_name ORDER BY column_index), list(data_type ORDER BY column_index) "
    "FROM duckdb_columns() WHERE database_name = $1 AND NOT internal GROUP BY ALL ORDER BY ALL"
)
_NAMEABLE: Final = {"enum": "VARCHAR", "null": "VARCHAR", "sqlnull": "VARCHAR", "geometry": "GEOMETRY"}
"""An ENUM's labels and a GEOMETRY's reference system are not part of a catalog: they may be data."""
_PLAIN_TYPE: Final = re.compile(r"[A-Z][A-Z_ ]*[A-Z](?:\(\d+, ?\d+\))?(?:\[\d*\])*")

_NESTED: Final = frozenset({"list", "array", "map", "struct", "union"})
_CARRIABLE: Final = {
    "enum": "VARCHAR",  # an Arrow dictionary holds every label, also of rows that are not in the result
    "uhugeint": "VARCHAR",  # comes out as a negative decimal
    "hugeint": "DECIMAL(38,0)",  # comes out so anyway, but beyond 38 digits unchecked
    "time with time zone": "VARCHAR",  # loses its offset
    "bit": "VARCHAR",  # these four come out as the engine's own bytes
    "bignum": "VARCHAR",
    "geometry": "VARCHAR",
    "variant": "JSON",
    "union": "VARCHAR",  # Parquet and JSON have no unions
    "tuple": "VARCHAR",
}


def quoted(name: str) -> str:
    """The name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The text as a string literal."""
    return "'" + text.replace("'", "''") + "'"


def carried(kind: Any) -> str:
    """The type, as cast text, in which Arrow carries values of this engine type without losing or adding any."""
    return _spelled(kind, _CARRIABLE) if _holds(kind, _CARRIABLE) else str(kind)


def read(con: Any, source: str, database: str) -> Catalog:
    """The catalog of a database file, without views that do not bind and names that the engine's own views take."""
    views = con.execute(_VIEWS).fetchall()
    taken = {name.casefold() for _, schema, name, _, internal in views if internal and schema == "main"}
    found = list(_tables(con, database))
    for owner, schema, name, sql, internal in views:
        if owner == database and not internal and (columns := _bound(con, database, schema, name)):
            found.append(_Found(schema, name, *columns, "view", view_query(sql)))
    kept = [one for one in found if one.schema.casefold() != "main" or one.name.casefold() not in taken]
    return _catalog(con, source, database, kept)


def read_folder(con: Any, source: str, database: str) -> Catalog:
    """The catalog of a folder: the views that were made over its files are its tables."""
    return _catalog(con, source, database, list(_listed(con, database)))


def view_query(sql: str) -> str:
    """The query of a view in the engine's own CREATE VIEW text; empty, which no guard admits, when it is not found."""
    match = _VIEW.match(sql)
    return match["query"] if match else ""


class _Found(NamedTuple):
    """A relation with its columns' names and the engine's spelling of their types."""

    schema: str
    name: str
    columns: Sequence[str]
    types: Sequence[str]
    kind: Literal["table", "view"] = "table"
    definition: str | None = None


def _tables(con: Any, database: str) -> Iterator[_Found]:
    names = con.execute(_TABLES, [database]).fetchall()
    if len(names) > _FEW_TABLES:
        wanted = set(names)
        yield from (one for one in _listed(con, database) if (one.schema, one.name) in wanted)
        return
    for schema, name in names:
        if columns := _bound(con, database, schema, name):
            yield _Found(schema, name, *columns)


def _listed(con: Any, database: str) -> Iterator[_Found]:
    yield from (_Found(*row) for row in con.execute(_COLUMNS, [database]).fetchall())


def _bound(con: Any, database: str, schema: str, name: str) -> tuple[list[str], list[str]] | None:
    """The columns as a query would see them: what the engine lists for a view may be older than its tables."""
    try:
        relation = con.sql(f"FROM {quoted(database)}.{quoted(schema)}.{quoted(name)}")
    except Exception:  # noqa: BLE001 - whatever keeps the relation from binding keeps it out of the catalog
        return None
    return relation.columns, list(map(str, relation.types))


def _catalog(con: Any, source: str, database: str, found: Sequence[_Found]) -> Catalog:
    casts = _cast_texts(con, {kind for one in found for kind in one.types})
    relations = (
        Relation(
            one.schema,
            one.name,
            tuple(Column(name, casts[kind]) for name, kind in zip(one.columns, one.types, strict=True)),
            one.kind,
            one.definition,
        )
        for one in found
    )
    return Catalog(source, "duckdb", "main", tuple(relations), (database,))


def _cast_texts(con: Any, types: Iterable[str]) -> dict[str, str]:
    """Each type -> text that a CAST takes, empty where there is none."""
    texts = {text: text if _PLAIN_TYPE.fullmatch(text) else _parsed(con, text) for text in types}
    if _castable(con, texts.values()):
        return texts
    return {text: cast if _castable(con, [cast]) else "" for text, cast in texts.items()}


def _parsed(con: Any, text: str) -> str:
    try:
        kind = con.sqltype(text)
    except Exception:  # noqa: BLE001 - a type of an extension that is not here has no cast text
        return ""
    return _spelled(kind, _NAMEABLE) if _holds(kind, _NAMEABLE) else text


def _castable(con: Any, casts: Iterable[str]) -> bool:
    try:
        con.sql("SELECT " + ", ".join(["1", *(f"CAST(NULL AS {cast})" for cast in casts)]))
    except Exception:  # noqa: BLE001 - the answer is no, whatever the reason
        return False
    return True


def _holds(kind: Any, ids: Mapping[str, str]) -> bool:
    """Whether the type or one inside it is among `ids`."""
    if kind.id in ids:
        return True
    return kind.id in _NESTED and any(_holds(child, ids) for _, child in kind.children if not isinstance(child, int))


def _spelled(kind: Any, instead: Mapping[str, str]) -> str:
    """The type as cast text, with some kinds, at any depth, replaced by others."""
    if kind.id in instead or kind.id not in _NESTED:
        return instead.get(kind.id, str(kind))
    inner = [(name, child if isinstance(child, int) else _spelled(child, instead)) for name, child in kind.children]
    match kind.id:
        case "list" | "array":
            size = inner[1][1] if kind.id == "array" else ""
            return f"{inner[0][1]}[{size}]"
        case "map":
            return f"MAP({inner[0][1]}, {inner[1][1]})"
        case "struct":
            return f"STRUCT({_members(inner)})"
        case _:
            return f"UNION({_members(inner[1:])})"  # the first one is the tag


def _members(members: Iterable[tuple[str, str | int]]) -> str:
    return ", ".join(f"{quoted(name)} {text}" for name, text in members)
