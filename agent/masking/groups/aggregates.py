"""An aggregate over rows of people -> the conditions under which rows count for it, or `Refuse`.

A value is made from at least k people when at least k have a row that changes it. For `sum(x)` those are the rows where
x is neither NULL nor 0; a computed x could give every person but one a weight of nothing, or hide one under a constant,
so x is a table's own column, or a sum or product of such whose every term is looked at by itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import product
from math import ceil
from typing import Final

from sqlglot import exp

from agent.masking.groups.shapes import Scope, refused

MAX_TERMS: Final = 8
ALLOWED: Final = (
    "Over rows of people use count, sum, avg, stddev, variance, median, quantiles with a literal fraction, corr, covar"
    " or regr_*, of columns as they are."
)
_CONDITIONAL: Final = "Write sum(CASE WHEN … THEN x END) or sum(x) FILTER (WHERE …), with a column for x."
_NUMERIC: Final = exp.DataType.INTEGER_TYPES | exp.DataType.REAL_TYPES
_PAIRS: Final = (
    exp.Corr, exp.CovarPop, exp.CovarSamp, exp.RegrSlope, exp.RegrIntercept, exp.RegrR2, exp.RegrCount, exp.RegrAvgx,
    exp.RegrAvgy, exp.RegrSxx, exp.RegrSyy, exp.RegrSxy,
)  # fmt: skip
_SPREADS: Final = (exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop)
_QUANTILES: Final = (exp.Median, exp.Quantile, exp.PercentileCont, exp.PercentileDisc, exp.ApproxQuantile)

Term = tuple[exp.Expression, ...]
"""Columns that are multiplied with each other."""


@dataclass(frozen=True, slots=True)
class Guard:
    """For each of `conditions`, at least `least` people must have a row for which it holds."""

    conditions: tuple[exp.Expression, ...]
    least: int


def guard(node: exp.Expression, scope: Scope, k: int) -> Guard:
    """What must hold so that an aggregate's value stands for k people; no conditions: its group's check is enough.

    `node` is the aggregate without FILTER, with WITHIN GROUP. Raises Refuse(policy.aggregate).
    """
    if isinstance(node, exp.WithinGroup):
        return _quantile(node.this, _ordered(node.expression), node.this.this, scope, k)
    if isinstance(node, _QUANTILES) and isinstance(node.this, exp.Order):  # percentile_cont(0.5 ORDER BY x)
        return _quantile(node, _ordered(node.this), node.this.this, scope, k)
    if isinstance(node, _QUANTILES):
        fraction = None if isinstance(node, exp.Median) else node.args.get("quantile") or node.args.get("expression")
        return _quantile(node, node.this, fraction, scope, k)
    if node.args.get("this") is None and not isinstance(node, exp.Count):
        raise refused(f"{_named(node)} has no argument.", ALLOWED)
    made = next((rule for kinds, rule in _RULES.items() if isinstance(node, kinds)), None)
    if made is None:
        raise refused(f"{_named(node)} could show the value of one person.", ALLOWED)
    return Guard(tuple(made(node, scope)), k)


def _named(node: exp.Expression) -> str:
    return str(node.sql_name()).lower() if isinstance(node, exp.Func) else "This"


def _only(node: exp.Expression, *keys: str) -> None:
    """Refuse an aggregate with arguments beyond those that are looked at."""
    if any(value and key not in keys for key, value in node.args.items()):
        raise refused(f"{_named(node)} has arguments that are not allowed over rows of people.", ALLOWED)


def _count(node: exp.Expression, scope: Scope) -> list[exp.Expression]:
    _only(node, "this", "big_int")
    counted = node.this
    if counted is None or isinstance(counted, (exp.Star, exp.Literal)):
        return []
    if isinstance(counted, exp.Distinct):
        _only(counted, "expressions")
        return [_all([_not_null(_atom(one, scope)) for one in counted.expressions])]
    if isinstance(counted, exp.Column) and counted.is_star:
        raise refused("Whole rows may not be counted.", "Write count(*).")
    return [_not_null(counted)]


def _count_if(node: exp.Expression, _: Scope) -> list[exp.Expression]:
    _only(node, "this")
    if isinstance(node.this, exp.Distinct):
        raise refused("DISTINCT is allowed in count(DISTINCT x) only.", ALLOWED)
    return [node.this.copy()]


def _distinct(node: exp.Expression, scope: Scope) -> list[exp.Expression]:
    _only(node, "this")
    return [_not_null(_atom(node.this, scope))]


def _sum(node: exp.Expression, scope: Scope) -> list[exp.Expression]:
    _only(node, "this")
    value = _bare(node.this)
    if isinstance(value, (exp.Case, exp.If)):
        return _conditional(value, scope)
    return _of_terms(_terms(value, scope), None)


def _spread(node: exp.Expression, scope: Scope) -> list[exp.Expression]:
    _only(node, "this")
    return [_not_zero(_atom(node.this, scope))]


def _pair(node: exp.Expression, scope: Scope) -> list[exp.Expression]:
    _only(node, "this", "expression")
    return [_all([_not_zero(_atom(one, scope)) for one in (node.this, node.expression)])]


_RULES: Final[Mapping[tuple[type[exp.Expression], ...], Callable[[exp.Expression, Scope], list[exp.Expression]]]] = {
    (exp.Count,): _count,
    (exp.CountIf,): _count_if,
    (exp.ApproxDistinct,): _distinct,
    (exp.Sum, exp.Avg): _sum,
    _SPREADS: _spread,
    _PAIRS: _pair,
}
"""The aggregates that rows of people may go into; every other shows, or may show, what one person has."""


def _quantile(
    node: exp.Expression, value: exp.Expression, fraction: exp.Expression | None, scope: Scope, k: int
) -> Guard:
    """A quantile is some person's value: at least k people lie on either side of it, or it does not show."""
    if not isinstance(node, _QUANTILES):
        raise refused(f"{_named(node)} could show the value of one person.", ALLOWED)
    _only(node, "this", "expression", "quantile")
    if isinstance(fraction, exp.Order) and _ordered(fraction) == _bare(value):  # quantile_cont(x, 0.5 ORDER BY x)
        fraction = fraction.this
    share = Decimal("0.5") if isinstance(node, exp.Median) else _fraction(fraction)
    return Guard((_not_null(_atom(value, scope)),), ceil(k / min(share, 1 - share)))


def _fraction(node: exp.Expression | None) -> Decimal:
    try:
        share = Decimal(str(node.this)) if isinstance(node, exp.Literal) and not node.is_string else Decimal(0)
    except InvalidOperation:
        share = Decimal(0)
    if not Decimal("0.001") <= share <= Decimal("0.999"):
        raise refused("The fraction of a quantile is not a number between 0 and 1.", "Write 0.5, or another number.")
    return share


def _ordered(order: exp.Expression) -> exp.Expression:
    """The one column of an ORDER BY."""
    if not isinstance(order, exp.Order) or len(order.expressions) != 1:
        raise refused("WITHIN GROUP needs one ORDER BY column.", ALLOWED)
    first: exp.Expression = order.expressions[0]
    return _bare(first.this if isinstance(first, exp.Ordered) else first)


def _conditional(value: exp.Expression, scope: Scope) -> list[exp.Expression]:
    """One condition, and nothing or 0 otherwise: what a FILTER says."""
    if isinstance(value, exp.If):
        condition, then, other = value.this, value.args.get("true"), value.args.get("false")
    else:
        if value.this is not None or len(value.args["ifs"]) != 1:
            raise refused("A CASE with several branches could hide one person under a constant.", _CONDITIONAL)
        branch = value.args["ifs"][0]
        condition, then, other = branch.this, branch.args.get("true"), value.args.get("default")
    if other is not None and not isinstance(other, exp.Null) and not _is_zero(other):
        raise refused("A CASE with an ELSE other than 0 could hide one person under a constant.", _CONDITIONAL)
    if then is None:
        raise refused("A CASE without THEN is not allowed here.", _CONDITIONAL)
    return _of_terms(_terms(then, scope), condition)


def _of_terms(terms: list[Term], condition: exp.Expression | None) -> list[exp.Expression]:
    atoms = [atom for term in terms for atom in term]
    found: dict[int, exp.Expression] = {}
    for term in terms:
        parts = [condition.copy()] if condition is not None else []
        parts += [_not_zero(atom) for atom in term]
        parts += [_not_null(atom) for atom in atoms if term and atom not in term]
        if parts:
            made = _all(parts)
            found[hash(made)] = made
    return list(found.values())


def _terms(value: exp.Expression, scope: Scope) -> list[Term]:
    """The terms of a sum of products of columns and numbers. Raises Refuse(policy.aggregate)."""
    value = _bare(value)
    match value:
        case exp.Literal() if not value.is_string:
            return [()]
        case exp.Neg():
            return _terms(value.this, scope)
        case exp.Add() | exp.Sub():
            found = _terms(value.this, scope) + _terms(value.expression, scope)
        case exp.Mul():
            pairs = product(_terms(value.this, scope), _terms(value.expression, scope))
            found = [left + right for left, right in pairs]
        case exp.Div() if isinstance(value.expression, exp.Literal) and not _is_zero(value.expression):
            return _terms(value.this, scope)
        case _:
            return [(_atom(value, scope),)]
    if len(found) > MAX_TERMS or any(len(term) > 2 for term in found):  # noqa: PLR2004
        raise refused("A product of more than two columns could single a person out.", ALLOWED)
    return found


def _atom(value: exp.Expression | None, scope: Scope) -> exp.Expression:
    """A table's own column, or a numeric reading of it. Raises Refuse(policy.aggregate)."""
    value = _bare(value) if value is not None else exp.Null()
    inner: exp.Expression | None = None
    match value:
        case exp.Column():
            if scope.is_plain(value):
                return value
        case exp.Cast() if not value.args.get("format") and value.to.this in _NUMERIC:
            inner = value.this
        case exp.Abs():
            inner = value.this
        case exp.Round() if isinstance(value.args.get("decimals") or exp.Literal.number(0), (exp.Literal, exp.Neg)):
            inner = value.this
        case exp.Coalesce() if [_is_zero(one) for one in value.expressions] == [True]:
            inner = value.this
        case _:
            pass
    if inner is None:
        raise refused("A computed value could single a person out.", f"{ALLOWED} {_CONDITIONAL}")
    _atom(inner, scope)
    return value


def _bare(value: exp.Expression) -> exp.Expression:
    while isinstance(value, exp.Paren) and isinstance(value.this, exp.Expression):
        value = value.this
    return value


def _is_zero(value: exp.Expression) -> bool:
    try:
        return isinstance(value, exp.Literal) and not value.is_string and Decimal(str(value.this)) == 0
    except InvalidOperation:
        return True  # a spelling that is not understood is no known number


def _not_null(value: exp.Expression) -> exp.Expression:
    return exp.Not(this=exp.Paren(this=exp.Is(this=_enclosed(value), expression=exp.Null())))


def _not_zero(value: exp.Expression) -> exp.Expression:
    return exp.NEQ(this=_enclosed(value), expression=exp.Literal.number(0))


def _all(parts: list[exp.Expression]) -> exp.Expression:
    made = parts[0] if len(parts) == 1 else _enclosed(parts[0])
    for part in parts[1:]:
        made = exp.And(this=made, expression=_enclosed(part))
    return made


def _enclosed(value: exp.Expression) -> exp.Expression:
    return value.copy() if isinstance(value, (exp.Column, exp.Paren)) else exp.Paren(this=value.copy())


__all__ = ["ALLOWED", "Guard", "guard"]
