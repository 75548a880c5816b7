"""The syntax nodes, and the arguments on them, that every dialect admits. What is not here, or in the dialect, is refused."""

from collections.abc import Mapping
from typing import Final

from sqlglot import exp

from agent.dialects import Dialect


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BINARY: Final = _words("this expression")

COMMON: Final[Mapping[type[exp.Expression], frozenset[str]]] = {
    exp.Select: _words(
        "with_ expressions distinct from_ joins laterals where group having qualify windows order limit offset sample"
    ),
    exp.Subquery: _words("this alias with_ joins pivots sample order limit offset"),
    exp.Union: _words("with_ this expression distinct by_name order limit offset"),
    exp.Except: _words("with_ this expression distinct by_name order limit offset"),
    exp.Intersect: _words("with_ this expression distinct by_name order limit offset"),
    exp.With: _words("expressions recursive"),
    exp.CTE: _words("this alias materialized"),
    exp.From: _words("this"),
    exp.Join: _words("this on side kind using method"),
    exp.Table: _words("this alias db catalog joins pivots sample"),
    exp.TableAlias: _words("this columns"),
    exp.Lateral: _words("this alias view outer"),
    exp.Values: _words("expressions alias"),
    exp.Tuple: _words("expressions"),
    exp.Where: _words("this"),
    exp.Group: _words("expressions grouping_sets cube rollup all"),
    exp.Cube: _words("expressions"),
    exp.Rollup: _words("expressions"),
    exp.GroupingSets: _words("expressions"),
    exp.Having: _words("this"),
    exp.Window: _words("this partition_by order spec alias over first"),
    exp.WindowSpec: _words("kind start start_side end end_side exclude"),
    exp.Order: _words("this expressions"),
    exp.Ordered: _words("this desc nulls_first"),
    exp.Limit: _words("this expression offset limit_options"),
    exp.Offset: _words("this expression"),
    exp.Fetch: _words("direction count limit_options"),
    exp.Distinct: _words("expressions on"),
    exp.Star: _words("except_ replace rename"),
    exp.Column: _words("this table db catalog"),
    exp.Identifier: _words("this quoted"),
    exp.Literal: _words("this is_string"),
    exp.Null: frozenset(),
    exp.Boolean: _words("this"),
    exp.Var: _words("this"),
    exp.Placeholder: _words("this"),
    exp.Alias: _words("this alias"),
    exp.Paren: _words("this"),
    exp.Case: _words("this ifs default"),
    exp.If: _words("this true false"),
    exp.Cast: _words("this to"),
    exp.TryCast: _words("this to safe requires_string"),
    exp.DataType: _words("this expressions nested"),
    exp.DataTypeParam: _words("this"),
    exp.ColumnDef: _words("this kind"),
    exp.Interval: _words("this unit"),
    exp.IntervalSpan: _words("this expression"),
    exp.In: _words("this expressions query unnest"),
    exp.Between: _words("this low high symmetric"),
    exp.Filter: _words("this expression"),
    exp.WithinGroup: _words("this expression"),
    exp.IgnoreNulls: _words("this"),
    exp.RespectNulls: _words("this"),
    exp.Lambda: _words("this expressions"),
    exp.Bracket: _words("this expressions offset safe returns_list_for_maps"),
    exp.Slice: _words("this expression step"),
    exp.Dot: _BINARY,
    exp.Exists: _words("this"),
    exp.Any: _words("this"),
    exp.All: _words("this"),
    exp.AtTimeZone: _words("this zone"),
    exp.Neg: _words("this"),
    exp.Not: _words("this"),
    exp.BitwiseNot: _words("this"),
    exp.Like: _words("this expression negate"),
    exp.ILike: _words("this expression negate"),
    exp.Is: _words("this expression negate"),
    exp.DPipe: _words("this expression safe"),
    exp.Div: _words("this expression typed safe"),
    exp.JSONKeyValue: _BINARY,
    exp.JSONPath: _words("expressions"),
    exp.JSONPathRoot: frozenset(),
    exp.JSONPathKey: _words("this quoted"),
    exp.JSONPathSubscript: _words("this"),
    exp.JSONPathWildcard: frozenset(),
    **dict.fromkeys(
        (
            exp.Add, exp.And, exp.BitwiseAnd, exp.BitwiseLeftShift, exp.BitwiseOr, exp.BitwiseRightShift, exp.BitwiseXor,
            exp.EQ, exp.Escape, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Mod, exp.Mul, exp.NEQ, exp.NullSafeEQ,
            exp.NullSafeNEQ, exp.Or, exp.SimilarTo, exp.Sub, exp.Xor, exp.Overlaps,
        ),
        _BINARY,
    ),
}  # fmt: skip

ROOTS: Final = (exp.Select, exp.SetOperation, exp.Values, exp.Subquery)

WORDS: Final = _words(
    "LEFT RIGHT FULL OUTER INNER CROSS SEMI ANTI NATURAL ASOF POSITIONAL OVER ROWS RANGE GROUPS UNBOUNDED PRECEDING"
    " FOLLOWING FIRST NEXT ALL SYSTEM BERNOULLI RESERVOIR TIES GROUP BOTH LEADING TRAILING"
) | {"CURRENT ROW", "NO OTHERS", "EXCLUDE NO OTHERS", "EXCLUDE TIES", "EXCLUDE GROUP", "EXCLUDE CURRENT ROW"}
"""The keywords that syntax nodes may carry as bare text."""

UNITS: Final = _words(
    "YEAR YEARS QUARTER QUARTERS MONTH MONTHS WEEK WEEKS DAY DAYS HOUR HOURS MINUTE MINUTES SECOND SECONDS MILLISECOND"
    " MILLISECONDS MICROSECOND MICROSECONDS NANOSECOND DECADE DECADES CENTURY CENTURIES MILLENNIUM MILLENNIA EPOCH DOW"
    " DOY ISODOW ISOYEAR ERA JULIAN TIMEZONE TIMEZONE_HOUR TIMEZONE_MINUTE DAYOFWEEK DAYOFYEAR WEEKDAY WEEKOFYEAR"
    " YEARWEEK DATE TIME ISOWEEK"
)
"""Parts of a date: what EXTRACT, INTERVAL and their kin may name."""


def arguments(node: type[exp.Expression], dialect: Dialect) -> frozenset[str] | None:
    """The arguments that may be set on a node of this type; None refuses the type."""
    common, own = COMMON.get(node), dialect.nodes.get(node)
    if common is None and own is None:
        return frozenset(node.arg_types) if node in dialect.typed else None
    return (common or frozenset()) | (own or frozenset())
