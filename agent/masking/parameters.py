"""Parameter values -> literals of a statement's tree, for engines whose rows do not stream with bound parameters."""

import math
from collections.abc import Mapping

from sqlglot import exp

from agent.core.errors import Refuse
from agent.core.job import ParameterValue


def inlined(tree: exp.Expression, parameters: Mapping[str, ParameterValue]) -> exp.Expression:
    """A copy of the tree with a literal for every `:name`; the generator, not this, quotes texts for its engine.

    Raises Refuse(sql.parameter) for a name without a value and for a value that no literal can say.
    """
    copy = tree.copy()
    for node in list(copy.find_all(exp.Placeholder, exp.Parameter)):
        name = node.this if isinstance(node, exp.Placeholder) else None
        if not isinstance(name, str) or name not in parameters:
            raise Refuse("sql.parameter", "A parameter of the statement has no value.", "Write :name, and give it.")
        node.replace(_literal(name, parameters[name]))
    return copy


def _literal(name: str, value: ParameterValue) -> exp.Expression:
    match value:
        case None:
            return exp.Null()
        case bool():
            return exp.Boolean(this=value)
        case int() | float():
            return _number(name, value)
        case str():
            return exp.Literal.string(_sayable(name, value))
    raise _unsayable(name, "is no text, number, boolean or null")


def _number(name: str, value: float) -> exp.Expression:
    """In brackets when negative: what stands before or behind it must not take its sign apart."""
    if not math.isfinite(value):
        raise _unsayable(name, "is not a finite number")
    size = exp.Literal.number(repr(abs(value)))
    return exp.Paren(this=exp.Neg(this=size)) if math.copysign(1, value) < 0 else size


def _sayable(name: str, text: str) -> str:
    if "\0" in text:
        raise _unsayable(name, "holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _unsayable(name, "is not valid Unicode") from None
    return text


def _unsayable(name: str, why: str) -> Refuse:
    return Refuse("sql.parameter", f"The value of the parameter {name} {why}.", "Give another value.")
