"""The syntax nodes, and the arguments on them, that every dialect admits; everything else is refused."""

from collections.abc import Mapping
from typing import Final

from sqlglot import exp

from agent.dialects import Dialect
from agent.dialects.base import words

_BINARY: Final = words("this expression")

COMMON: Final[Mapping[type[exp.Expression], frozenset[str]]] = {
    exp.Select: words(
        "with_ expressions distinct from_ joins laterals where group having qualify windows order limit offset sample"
    ),
    exp.Subquery: words("this alias with_ joins pivots sample order limit offset"),
    exp.Union: words("with_ this expression distinct by_name order limit offset"),
    exp.Except: words("with_ this expression distinct by_name order limit offset"),
    exp.Intersect: words("with_ this expression distinct by_name order limit offset"),
    exp.With: words("expressions recursive"),
    exp.CTE: words("this alias materialized"),
    exp.From: words("this"),
    exp.Join: words("this on side kind using method"),
    exp.Table: words("this alias db catalog joins pivots sample"),
    exp.TableAlias: words("this columns"),
    exp.Lateral: words("this alias view outer"),
    exp.Values: words("expressions alias"),
    exp.Tuple: words("expressions"),
    exp.Where: words("this"),
    exp.Group: words("expressions grouping_sets cube rollup all"),
    exp.Cube: words("expressions"),
    exp.Rollup: words("expressions"),
    exp.GroupingSets: words("expressions"),
    exp.Having: words("this"),
    exp.Window: words("this partition_by order spec alias over first"),
    exp.WindowSpec: words("kind start start_side end end_side exclude"),
    exp.Order: words("this expressions"),
    exp.Ordered: words("this desc nulls_first"),
    exp.Limit: words("this expression offset limit_options"),
    exp.Offset: words("this expression"),
    exp.Fetch: words("direction count limit_options"),
    exp.Distinct: words("expressions on"),
    exp.Star: words("except_ replace rename"),
    exp.Column: words("this table db catalog"),
    exp.Identifier: words("this quoted"),
    exp.Literal: words("this is_string"),
    exp.Null: frozenset(),
    exp.Boolean: words("this"),
    exp.Var: words("this"),
    exp.Placeholder: words("this"),
    exp.Alias: words("this alias"),
    exp.Paren: words("this"),
    exp.Case: words("this ifs default"),
    exp.If: words("this true false"),
    exp.Cast: words("this to"),
    exp.TryCast: words("this to safe requires_string"),
    exp.DataType: words("this expressions nested"),
    exp.DataTypeParam: words("this"),
    exp.ColumnDef: words("this kind"),
    exp.Interval: words("this unit"),
    exp.IntervalSpan: words("this expression"),
    exp.In: words("this expressions query unnest"),
    exp.Between: words("this low high symmetric"),
    exp.Filter: words("this expression"),
    exp.WithinGroup: words("this expression"),
    exp.IgnoreNulls: words("this"),
    exp.RespectNulls: words("this"),
    exp.Lambda: words("this expressions"),
    exp.Bracket: words("this expressions offset safe returns_list_for_maps"),
    exp.Slice: words("this expression step"),
    exp.Dot: _BINARY,
    exp.Exists: words("this"),
    exp.Any: words("this"),
    exp.All: words("this"),
    exp.AtTimeZone: words("this zone"),
    exp.Neg: words("this"),
    exp.Not: words("this"),
    exp.BitwiseNot: words("this"),
    exp.Like: words("this expression negate"),
    exp.ILike: words("this expression negate"),
    exp.Is: words("this expression negate"),
    exp.DPipe: words("this expression safe"),
    exp.Div: words("this expression typed safe"),
    exp.JSONKeyValue: _BINARY,
    exp.JSONPath: words("expressions"),
    exp.JSONPathRoot: frozenset(),
    exp.JSONPathKey: words("this quoted"),
    exp.JSONPathSubscript: words("this"),
    exp.JSONPathWildcard: frozenset(),
    **dict.fromkeys(
        (
            exp.Add, exp.And, exp.BitwiseAnd, exp.BitwiseLeftShift, exp.BitwiseOr, exp.BitwiseRightShift,
            exp.BitwiseXor, exp.EQ, exp.Escape, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Mod, exp.Mul, exp.NEQ,
            exp.NullSafeEQ, exp.NullSafeNEQ, exp.Or, exp.SimilarTo, exp.Sub, exp.Xor, exp.Overlaps,
        ),
        _BINARY,
    ),
}  # fmt: skip

ROOTS: Final = (exp.Select, exp.SetOperation, exp.Values, exp.Subquery)

WORDS: Final = words(
    "LEFT RIGHT FULL OUTER INNER CROSS SEMI ANTI NATURAL ASOF POSITIONAL OVER ROWS RANGE GROUPS UNBOUNDED PRECEDING"
    " FOLLOWING FIRST NEXT ALL SYSTEM BERNOULLI RESERVOIR TIES GROUP BOTH LEADING TRAILING"
) | {"CURRENT ROW", "NO OTHERS", "EXCLUDE NO OTHERS", "EXCLUDE TIES", "EXCLUDE GROUP", "EXCLUDE CURRENT ROW"}
"""The keywords that syntax nodes may carry as bare text."""

UNITS: Final = words(
    "YEAR YEARS QUARTER QUARTERS MONTH MONTHS WEEK WEEKS DAY DAYS HOUR HOURS MINUTE MINUTES SECOND SECONDS MILLISECOND"
    " MILLISECONDS MICROSECOND MICROSECONDS NANOSECOND DECADE DECADES CENTURY CENTURIES MILLENNIUM MILLENNIA EPOCH DOW"
    " DOY ISODOW ISOYEAR ERA JULIAN TIMEZONE TIMEZONE_HOUR TIMEZONE_MINUTE DAYOFWEEK DAYOFYEAR WEEKDAY WEEKOFYEAR"
    " YEARWEEK DATE TIME ISOWEEK"
)
"""Parts of a date: what EXTRACT, INTERVAL and their kin may name."""


def arguments(node: type[exp.Expression], dialect: Dialect) -> frozenset[str] | None:
    """The arguments that may be set on a node of this type; None refuses the type."""
    if node not in dialect.admitted:
        common, own = COMMON.get(node), dialect.nodes.get(node)
        if common is None and own is None:
            dialect.admitted[node] = frozenset(node.arg_types) if node in dialect.typed else None
        else:
            dialect.admitted[node] = (common or frozenset()) | (own or frozenset())
    return dialect.admitted[node]
