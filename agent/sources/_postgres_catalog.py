"""An open PostgreSQL session -> Catalog, in one query: what the role may read, and how it hangs together."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from agent.core.catalog import Catalog, Column, ForeignKey, Index, Relation

_QUERY: Final = """
WITH RECURSIVE relations AS (
  SELECT c.oid, n.nspname, c.relname, c.relkind, c.reltuples
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' {schemas}
    AND has_schema_privilege(n.oid, 'USAGE')
    AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'))
), shares AS (
  SELECT s.schemaname, s.tablename, s.attname, max(s.null_frac) AS nulls FROM pg_stats s GROUP BY 1, 2, 3
), columns AS (
  SELECT a.attrelid, json_agg(json_build_array(
      a.attname,
      CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod)
           ELSE format_type(a.atttypid, a.atttypmod) END,
      NOT (a.attnotnull OR t.typnotnull),
      col_description(a.attrelid, a.attnum),
      (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e
       WHERE e.enumtypid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END),
      s.nulls
    ) ORDER BY a.attnum) AS list
  FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN shares s ON s.schemaname = r.nspname AND s.tablename = r.relname AND s.attname = a.attname
  WHERE a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege(a.attrelid, a.attnum, 'SELECT')
  GROUP BY a.attrelid
), ancestors(oid, parent) AS (
  SELECT i.inhrelid, i.inhparent FROM pg_inherits i JOIN relations r ON r.oid = i.inhrelid
  UNION
  SELECT s.oid, i.inhparent FROM ancestors s JOIN pg_inherits i ON i.inhrelid = s.parent
), parents AS (
  SELECT s.oid, json_agg(json_build_array(n.nspname, c.relname) ORDER BY n.nspname, c.relname) AS list
  FROM ancestors s JOIN pg_class c ON c.oid = s.parent JOIN pg_namespace n ON n.oid = c.relnamespace
  GROUP BY s.oid
), divisions AS (
  SELECT s.oid, json_agg(COALESCE(a.attname, '')) AS list
  FROM ancestors s JOIN pg_partitioned_table p ON p.partrelid = s.parent
  CROSS JOIN unnest(p.partattrs) AS u(number)
  LEFT JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = u.number
  GROUP BY s.oid
), keys AS (
  SELECT k.conrelid, json_agg(json_build_array(
      k.contype,
      (SELECT json_agg(a.attname ORDER BY u.place) FROM unnest(k.conkey) WITH ORDINALITY u(number, place)
       JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number),
      o.nspname, o.relname,
      (SELECT json_agg(a.attname ORDER BY u.place) FROM unnest(k.confkey) WITH ORDINALITY u(number, place)
       JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number)
    ) ORDER BY k.conname) AS list
  FROM pg_constraint k JOIN relations r ON r.oid = k.conrelid LEFT JOIN relations o ON o.oid = k.confrelid
  WHERE k.contype = 'p' OR (k.contype = 'f' AND o.oid IS NOT NULL)
  GROUP BY k.conrelid
), heirs(oid, heir) AS (
  SELECT oid, oid FROM relations
  UNION
  SELECT h.oid, i.inhrelid FROM heirs h JOIN pg_inherits i ON i.inhparent = h.heir
), indexes AS (
  SELECT h.oid, json_agg(json_build_array(
      c.relname, i.indpred IS NOT NULL, i.indisclustered,
      (SELECT json_agg(COALESCE(a.attname, '') ORDER BY u.place) FROM unnest(i.indkey) WITH ORDINALITY u(number, place)
       LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.number)
    ) ORDER BY c.relname) AS list
  FROM heirs h JOIN pg_index i ON i.indrelid = h.heir JOIN pg_class c ON c.oid = i.indexrelid
  GROUP BY h.oid
)
SELECT json_agg(json_build_array(
    r.nspname, r.relname, r.relkind, columns.list,
    CASE WHEN r.relkind = 'v' THEN pg_get_viewdef(r.oid) END,
    obj_description(r.oid, 'pg_class'), keys.list, parents.list,
    CASE WHEN r.reltuples >= 0 THEN r.reltuples::bigint END, indexes.list,
    divisions.list
  ) ORDER BY r.nspname, r.relname)::text AS relations
FROM relations r JOIN columns ON columns.attrelid = r.oid
LEFT JOIN keys ON keys.conrelid = r.oid LEFT JOIN parents ON parents.oid = r.oid
LEFT JOIN indexes ON indexes.oid = r.oid LEFT JOIN divisions ON divisions.oid = r.oid
"""

_KINDS: Final[Mapping[str, Literal["table", "view", "materialized", "foreign"]]] = {
    "r": "table",
    "p": "table",
    "v": "view",
    "m": "materialized",
    "f": "foreign",
}


def query(schemas: Sequence[str]) -> str:
    """The query for these schemas, for all when there are none; it needs a session that searches pg_catalog only."""
    wanted = f"AND n.nspname IN ({', '.join(map(literal, schemas))})" if schemas else ""
    return _QUERY.replace("{schemas}", wanted)


def literal(text: str) -> str:
    """The text as a string literal, under standard_conforming_strings."""
    return "'" + text.replace("'", "''") + "'"


def read(text: str | None, source: str, database: str, search_path: Sequence[str]) -> Catalog:
    """The catalog in the query's answer, which is null when the role may read nothing."""
    found = tuple(_relation(*row) for row in json.loads(text or "[]"))
    default = search_path[0] if search_path else "public"
    return Catalog(source, "postgres", default, found, (database,), tuple(search_path))


def _relation(*row: Any) -> Relation:
    schema, name, kind, columns, definition, comment, keys, parents, rows, indexes, divisions = row
    keys = keys or []
    return Relation(
        schema,
        name,
        tuple(_column(*column) for column in columns),
        _KINDS[kind],
        (definition or "").strip().removesuffix(";") if kind == "v" else None,
        comment or "",
        next((tuple(columns) for sort, columns, *_ in keys if sort == "p"), ()),
        tuple(ForeignKey(tuple(own), to, other, tuple(its)) for sort, own, to, other, its in keys if sort == "f"),
        tuple((at, parent) for at, parent in parents or ()),
        rows,
        tuple(Index(name, (*parts, *[""] * partial), stores) for name, partial, stores, parts in indexes or ()),
        tuple(divisions or ()),
    )


def _column(*column: Any) -> Column:
    name, kind, nullable, comment, labels, nulls = column
    return Column(name, kind, nullable, comment or "", tuple(labels or ()), nulls)
