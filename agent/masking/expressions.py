"""A column and its rule -> the syntax tree of its mask."""

from functools import lru_cache

from sqlglot import exp

from agent.core.catalog import Column
from agent.dialects import Dialect
from agent.masking.rules import Applied, Kind, Rule

_TEXT = exp.DataType.TEXT_TYPES | {exp.DataType.Type.ENUM}
_INTEGER = exp.DataType.INTEGER_TYPES
_NUMBER = exp.DataType.REAL_TYPES
_DATE = {exp.DataType.Type.DATE, exp.DataType.Type.DATE32}
_TIMESTAMP = exp.DataType.TEMPORAL_TYPES - _DATE - {exp.DataType.Type.TIME, exp.DataType.Type.TIMETZ}


@lru_cache(maxsize=4096)
def kind_of(type_text: str, dialect: Dialect) -> Kind:
    """What a mask may assume of a column of this type; everything unknown is `other`."""
    parsed = dialect.type_of(type_text)
    if parsed is None:
        return "other"
    families: tuple[tuple[object, Kind], ...] = (
        (_TEXT, "text"),
        (_INTEGER, "integer"),
        (_NUMBER, "number"),
        (_DATE, "date"),
        (_TIMESTAMP, "timestamp"),
    )
    return next((kind for types, kind in families if parsed.is_type(*types)), "other")  # type: ignore[misc]


def masked(column: Column, rule: Rule, dialect: Dialect) -> exp.Expression:
    """The value that stands for the column everywhere. Total: it raises for no value."""
    source = exp.column(exp.to_identifier(column.name, quoted=True))
    kind = kind_of(column.type, dialect)
    applied = rule.applied(kind)
    match applied.mask:
        case "keep":
            return source
        case "redact":
            return dialect.mask("redact_text") if kind == "text" else _null(column, dialect)
        case "null":
            return _null(column, dialect)
        case _:
            return _filled(applied, column, source, dialect)


@lru_cache(maxsize=4096)
def _cast_text(type_text: str, dialect: Dialect) -> str | None:
    """A column's type as it stands in a CAST; None when it cannot, or when its own text would tell values."""
    parsed = dialect.type_of(type_text)
    if parsed is None or any(part.this.name not in dialect.casts for part in parsed.find_all(exp.DataType)):
        return None
    return parsed.sql(dialect=dialect.engine)


@lru_cache(maxsize=4096)
def _is_enum(type_text: str, dialect: Dialect) -> bool:
    parsed = dialect.type_of(type_text)
    return parsed is not None and bool(parsed.is_type(exp.DataType.Type.ENUM))


def _null(column: Column, dialect: Dialect) -> exp.Expression:
    text = dialect.text_type if _is_enum(column.type, dialect) else _cast_text(column.type, dialect)
    return dialect.mask("untyped_null") if text is None else dialect.mask("null", type=text)


def _filled(applied: Applied, column: Column, source: exp.Expression, dialect: Dialect) -> exp.Expression:
    type_text = _cast_text(column.type, dialect) or dialect.text_type
    as_text = applied.as_text or _is_enum(column.type, dialect)
    read = exp.cast(source, dialect.text_type, dialect=dialect.engine) if as_text else source
    mask = exp.Tuple(expressions=[dialect.mask(applied.mask, type=type_text, domain=applied.domain or "none")])
    for node in list(mask.find_all(exp.Column, exp.Placeholder)):
        if isinstance(node, exp.Placeholder):
            node.replace(exp.convert(applied.literals[str(node.this)]))
        elif node.name == "c" and not node.args.get("table"):
            node.replace(read.copy())
    filled: exp.Expression = mask.expressions[0].pop()
    return filled
