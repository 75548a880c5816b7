"""A column's numeric type -> the least and greatest number that it holds, for engines whose casts raise beyond them."""

from typing import Final

from sqlglot import exp

_Type = exp.DataType.Type
_BITS: Final = {_Type.SMALLINT: 15, _Type.INT: 31, _Type.BIGINT: 63}
_OTHERS: Final = {_Type.FLOAT: "3e38", _Type.DOUBLE: "1e308", _Type.MONEY: "9e16"}
_WIDEST: Final = "1e1000"


def bounds(kind: exp.DataType | None) -> tuple[str, str]:
    """Both as literals of SQL. Of a type that is not known, numbers that no column of people's data reaches."""
    if kind is not None and kind.this in _BITS:
        top = (1 << _BITS[kind.this]) - 1
        return str(-top - 1), str(top)
    if kind is not None and kind.this is _Type.DECIMAL and kind.expressions:
        digits, scale = ([int(part.name) for part in kind.expressions] + [0])[:2]
        most = f"{10**digits - 1}e{-scale}"
        return f"-{most}", most
    most = _OTHERS.get(kind.this, _WIDEST) if kind is not None else _WIDEST
    return f"-{most}", most
