"""A column and its rule -> the syntax tree of its mask."""

from functools import lru_cache

from sqlglot import exp

from agent.core.catalog import Column
from agent.core.errors import Refuse
from agent.dialects import Dialect
from agent.masking.bounds import bounds
from agent.masking.rules import Applied, Kind, Rule

_TEXT = exp.DataType.TEXT_TYPES | {exp.DataType.Type.ENUM}
_INTEGER = exp.DataType.INTEGER_TYPES
_NUMBER = exp.DataType.REAL_TYPES
_DATE = {exp.DataType.Type.DATE, exp.DataType.Type.DATE32}
_STORED = (exp.DataType.Type.LOWCARDINALITY,)
_TIMESTAMP = exp.DataType.TEMPORAL_TYPES - _DATE - {exp.DataType.Type.TIME, exp.DataType.Type.TIMETZ}


@lru_cache(maxsize=4096)
def kind_of(type_text: str, dialect: Dialect) -> Kind:
    """What a mask may assume of a column of this type; everything unknown is `other`."""
    parsed = _plain(dialect.type_of(type_text))
    if parsed is None:
        return "other"
    if parsed.this.name in dialect.kinds:
        return dialect.kinds[parsed.this.name]
    families: tuple[tuple[object, Kind], ...] = (
        (_TEXT, "text"),
        (_INTEGER, "integer"),
        (_NUMBER, "number"),
        (_DATE, "date"),
        (_TIMESTAMP, "timestamp"),
    )
    return next((kind for types, kind in families if parsed.is_type(*types)), "other")  # type: ignore[misc]


def masked(column: Column, rule: Rule, dialect: Dialect) -> exp.Expression:
    """The value that stands for the column everywhere. Total: it raises for no value.

    Raises Refuse(policy.mask) where the dialect has no such mask: it never takes a weaker one.
    """
    source = exp.column(exp.to_identifier(column.name, quoted=True))
    kind = kind_of(column.type, dialect)
    applied = rule.applied(kind)
    if applied.as_text and kind == "other" and not dialect.reads_all:
        return _null(column, dialect)
    match applied.mask:
        case "keep":
            return source
        case "redact":
            return dialect.mask("redact_text") if kind == "text" else _null(column, dialect)
        case "null":
            return _null(column, dialect)
        case _:
            return _filled(applied, column, source, dialect)


def _plain(parsed: exp.DataType | None) -> exp.DataType | None:
    """The type itself where a word for how it is stored stands around it."""
    while parsed is not None and parsed.is_type(*_STORED) and parsed.expressions:
        parsed = parsed.expressions[0]
    return parsed


@lru_cache(maxsize=4096)
def _cast_text(type_text: str, dialect: Dialect) -> str | None:
    """A column's type as it stands in a CAST; None when it cannot, or when its own text would tell values."""
    parsed = dialect.type_of(type_text)
    if parsed is not None and dialect.cast_as is not None:
        return dialect.cast_as(parsed)
    if parsed is None or any(part.this.name not in dialect.casts for part in parsed.find_all(exp.DataType)):
        return None
    return parsed.sql(dialect=dialect.engine)


@lru_cache(maxsize=4096)
def _is_enum(type_text: str, dialect: Dialect) -> bool:
    parsed = dialect.type_of(type_text)
    return parsed is not None and bool(parsed.is_type(exp.DataType.Type.ENUM))


def _null(column: Column, dialect: Dialect) -> exp.Expression:
    text = dialect.text_type if _is_enum(column.type, dialect) else _null_text(column.type, dialect)
    return dialect.mask("untyped_null") if text is None else dialect.mask("null", type=text)


@lru_cache(maxsize=4096)
def _null_text(type_text: str, dialect: Dialect) -> str | None:
    """The type of a column's NULL; None where it has none of its own."""
    text = _cast_text(type_text, dialect)
    parsed = dialect.type_of(text) if text is not None else None
    kind = dialect.null_type(parsed.copy()) if parsed is not None else None
    return kind.sql(dialect=dialect.engine) if kind is not None else None


def _filled(applied: Applied, column: Column, source: exp.Expression, dialect: Dialect) -> exp.Expression:
    if applied.mask not in dialect.masks:
        rule = applied.mask.split("_")[0]
        message = f"The policy gives the column {column.name} the rule {rule}, which {dialect.name} cannot express."
        raise Refuse("policy.mask", message, "The security officer chooses another rule, such as redact.")
    type_text = _cast_text(column.type, dialect) or dialect.text_type
    as_text = applied.as_text or _is_enum(column.type, dialect)
    read = exp.cast(source, dialect.text_type, dialect=dialect.engine) if as_text else source
    low, high = bounds(dialect.type_of(type_text))
    parts = {"type": type_text, "domain": applied.domain or "none", "low": low, "high": high}
    mask = exp.Tuple(expressions=[dialect.mask(applied.mask, **parts)])
    for node in list(mask.find_all(exp.Column, exp.Placeholder)):
        if isinstance(node, exp.Placeholder):
            node.replace(exp.convert(applied.literals[str(node.this)]))
        elif node.name == "c" and not node.args.get("table"):
            node.replace(read.copy())
    filled: exp.Expression = mask.expressions[0].pop()
    return filled
