"""What a source holds, as the guard and the rewrite see it. No statistics, no sample values."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Column:
    """A column with the engine's own spelling of its type, as it may be written in a CAST."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view. `definition` is the view's own query text in the source's dialect, None for tables."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    kind: Literal["table", "view"] = "table"
    definition: str | None = None


@dataclass(frozen=True, slots=True)
class Catalog:
    """All relations of one source. `databases` are the names that may stand before the schema."""

    source: str
    dialect: str
    default_schema: str
    relations: tuple[Relation, ...]
    databases: tuple[str, ...] = ()
