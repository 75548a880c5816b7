"""What a source holds, as the guard and the rewrite see it. No statistics, no sample values."""

from dataclasses import dataclass
from typing import Literal

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Column:
    """A column with the engine's own spelling of its type, as it may be written in a CAST.

    `labels` are the values of an enumerated type: data, and shown to nobody unless policy says so. `nulls` is the
    share of nulls that the engine knows without looking, 0 to 1; it never leaves but in coarse bands.
    """

    name: str
    type: str
    nullable: bool = True
    comment: str = ""
    labels: tuple[str, ...] = ()
    nulls: float | None = None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """`columns` of the relation that holds it refer to `referenced` columns of `schema`.`relation`."""

    columns: tuple[str, ...]
    schema: str
    relation: str
    referenced: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """What an engine may read rows in the order of. A part that is no plain column, and a condition, is `""`.

    `stores`: the rows themselves lie in this order, whether an index is used or not; such an order may have no name.
    """

    name: str
    columns: tuple[str, ...]
    stores: bool = False


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view. `definition` is a view's own query text in the source's dialect, None for everything else.

    A materialised view is `materialized` and has no `definition`: it holds rows of its own. `parents` are the
    relations, as (schema, name), that a partition belongs to: rules on them hold for it too. `rows` is the engine's
    own estimate; it never leaves but in coarse buckets. `divided_by` are the columns by whose values a row belongs to
    this partition, `""` for what is no plain column.
    """

    schema: str
    name: str
    columns: tuple[Column, ...]
    kind: Literal["table", "view", "materialized", "foreign"] = "table"
    definition: str | None = None
    comment: str = ""
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    parents: tuple[tuple[str, str], ...] = ()
    rows: int | None = None
    indexes: tuple[Index, ...] = ()
    divided_by: tuple[str, ...] = ()

    @override
    def __hash__(self) -> int:
        return hash((self.schema, self.name))  # not of all columns: it is asked for often


@dataclass(frozen=True, slots=True)
class Catalog:
    """All relations of one source. `databases` are the names that may stand before the schema.

    `search_path` are the schemas in which the session looks for a bare name, in their order; empty stands for
    `default_schema` alone. `case` overrides the dialect's rule where a server can be set up otherwise.
    """

    source: str
    dialect: str
    default_schema: str
    relations: tuple[Relation, ...]
    databases: tuple[str, ...] = ()
    search_path: tuple[str, ...] = ()
    case: Literal["insensitive", "lower", "upper"] | None = None
