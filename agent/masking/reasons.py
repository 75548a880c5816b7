"""A relation's columns -> the rule of each for one requester, and what in the policy made it so."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.catalog import Catalog, Column, Relation
from agent.dialects import Dialect
from agent.masking.expressions import kind_of
from agent.masking.policy import ColumnRule, Policy
from agent.masking.rules import Rule

_STRENGTH: Final = {
    name: strength
    for strength, names in enumerate(
        (("keep",), ("round",), ("bucket", "month"), ("year",), ("partial", "last4", "email"), ("token",))
    )
    for name in names
}
_STRONGEST: Final = len(_STRENGTH)


@dataclass(frozen=True, slots=True)
class Reason:
    """The rule that is applied to a column, and why.

    `why` names the line of the policy by its place in `rules`, the default, or the view beneath which masks stand.
    """

    rule: str
    why: str


def strongest(rules: Iterable[str]) -> str:
    """The rule that shows least; `keep` of none. Unknown ones count as the strongest."""
    return max(sorted(rules), key=lambda rule: _STRENGTH.get(rule, _STRONGEST), default="keep")


def reasons(
    relation: Relation,
    catalog: Catalog,
    policy: Policy,
    roles: Sequence[str],
    dialect: Dialect,
    *,
    reveal: bool = False,
) -> Mapping[str, Reason]:
    """The reason of each column that is not hidden. `reveal` adds the line's own words: for the local operator."""
    lines = policy.lines_of(catalog, relation)
    places = {id(line): place for place, line in enumerate(policy.rules)}
    found: dict[str, Reason] = {}
    for column in relation.columns:
        rule = policy.decide(column, lines, roles)
        if relation.definition is not None and lines.naming(column) is None:
            found[column.name] = Reason("keep", "view: its columns are masked beneath it")
        elif rule is not None:
            line = lines.naming(column)
            why = f"default: {policy.default}" if line is None else _place(line, places[id(line)], reveal=reveal)
            found[column.name] = _reason(column, rule, line, why, dialect)
    return found


def _reason(column: Column, rule: Rule, line: ColumnRule | None, why: str, dialect: Dialect) -> Reason:
    if line is not None and rule.rule != line.rule.rule:
        why += f", whose {line.rule.rule} a role of the requester lifts"
    if rule.rule not in {"keep", "redact"} and rule.applied(kind_of(column.type, dialect)).mask == "redact":
        return Reason("redact", f"{why}, whose {rule.rule} has no meaning for the type")
    return Reason(rule.rule, why)


def _place(line: ColumnRule, place: int, *, reveal: bool) -> str:
    conditions = [(word, getattr(line, word)) for word in ("match", "type", "tag") if getattr(line, word) is not None]
    said = ", ".join(f"{word} {text}" if reveal else word for word, text in conditions)
    return f"rules[{place}] ({said})"
