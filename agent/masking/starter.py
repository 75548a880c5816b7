"""A catalog and the facts of a survey -> a policy to start from: a guess, with its reasons, for the officer."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent.core.catalog import Catalog, Column, Relation
from agent.dialects import DIALECTS
from agent.masking.expressions import kind_of
from agent.masking.pii.names import topic_of
from agent.masking.rules import Kind

Facts = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""`schema.relation` -> column -> `nulls`, `distinct`, and `kinds` that were found, in the bands of worker/survey.py."""

_BY_KIND: Final[Mapping[str, str | Mapping[str, object]]] = {
    "email": "email",
    "phone": {"partial": {"keep_last": 4}},
    "card": "last4",
    "iban": "last4",
}
"""Kind of the second net -> the rule for a text column that is full of it; everything else is redacted."""
_SAFE: Final = frozenset({"integer", "number", "date", "timestamp"})
_PLAIN_TYPES: Final = ("bool", "uuid", "time", "interval")
_BANDS: Final = ("few", "some", "most")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of `rules`, or, without a rule, a column that is left to the default. `why` is its comment."""

    match: str
    rule: str | Mapping[str, object] | None
    why: str


def lines(catalog: Catalog, facts: Facts) -> Iterator[tuple[Relation, list[Line]]]:
    """The lines of every table. Views get none: what is beneath them is masked."""
    for relation in catalog.relations:
        if relation.definition is None:
            seen = facts.get(f"{relation.schema}.{relation.name}", {})
            yield relation, [_line(catalog, relation, column, seen.get(column.name)) for column in relation.columns]


def _line(catalog: Catalog, relation: Relation, column: Column, seen: Mapping[str, Any] | None) -> Line:
    match = ".".join(map(_part, (catalog.source, relation.schema, relation.name, column.name)))
    kind = kind_of(column.type, DIALECTS[catalog.dialect])
    found = sorted((seen or {}).get("kinds", {}).items(), key=lambda one: (-_BANDS.index(one[1]), one[0]))
    topic, about = topic_of(column.name), [f"{share} of the sample: {name}" for name, share in found]
    if topic is not None:
        fits = kind in topic.kinds and all(_BY_KIND.get(name) == topic.rule for name, _ in found)
        return Line(match, topic.rule if fits else "redact", "; ".join([f"name: {topic.name}", *about]))
    if found:
        rule = _BY_KIND.get(found[0][0], "redact") if kind == "text" and len(found) == 1 else "redact"
        return Line(match, rule if found[0][1] == "most" else "redact", "; ".join(about))
    return _unsuspicious(match, relation, column, kind, seen)


def _is_key(relation: Relation, column: str) -> bool:
    return column in relation.primary_key or any(column in key.columns for key in relation.foreign_keys)


def _unsuspicious(match: str, relation: Relation, column: Column, kind: Kind, seen: Mapping[str, Any] | None) -> Line:
    distinct = (seen or {}).get("distinct")
    if "?" in match:
        return Line(match, None, "the name cannot be written in a pattern for this column alone")
    if seen is None and kind in {"integer", "number"} and not _is_key(relation, column.name):
        return Line(match, None, "number, not sampled: decide")
    if kind in _SAFE or column.type.casefold().startswith(_PLAIN_TYPES):
        return Line(match, "keep", f"type {_printable(column.type)}; nothing suspicious in name or sample")
    if kind == "text" and distinct in {"one", "few"}:
        return Line(match, "keep", "few different values in the sample; nothing suspicious in name or sample")
    return Line(match, None, "text of many values: decide" if seen else "not sampled: decide")


def _part(name: str) -> str:
    """A name as a part of a glob; what would be special there becomes `?`."""
    return "".join("?" if c in "*?[]." else c for c in name) or "?"


def policy_text(catalog: Catalog, found: Sequence[tuple[Relation, list[Line]]], *, rows: int) -> str:
    """The YAML of the policy."""
    sample = f"names, types and a sample of at most {rows} rows of each table" if rows else "names and types alone"
    source = _part(catalog.source)
    head = f"""\
# A starter for the policy of one source, made from {sample}.
# Nothing was sent anywhere. It is a guess: review every line before anything relies on it. What the sample does not
# show may still be there; a name can say nothing of what a column holds. Then: agent policy lint FILE
version: 1
default: redact
tables:
  allow: [{json.dumps(f"{source}.*.*", ensure_ascii=False)}]
rules:
"""
    body = [line for relation, own in found for line in _of_relation(relation, own)]
    written = any(one.rule is not None for _, own in found for one in own)
    return head + "\n".join(body if written else [*body, "  []"]) + "\nrelease: {pii_net: mask}\n"


def _of_relation(relation: Relation, own: Sequence[Line]) -> Iterator[str]:
    yield f"  # {_printable(relation.schema)}.{_printable(relation.name)}"
    for line in own:
        match = json.dumps(line.match, ensure_ascii=not line.match.isprintable())
        if line.rule is None:
            yield f"  # {match} is left to the default: {line.why}"
        else:
            rule = line.rule if isinstance(line.rule, str) else json.dumps(line.rule).replace('"', "")
            yield f"  - {{match: {match}, rule: {rule}}}  # {line.why}"


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name)[:200]
