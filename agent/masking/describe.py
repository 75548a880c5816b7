"""`Catalog` -> what a requester may know of it, as JSON values: names, types, keys, masks; no row and no definition.

What the policy hides is not mentioned: denied relations, hidden columns, keys that lead to them. Comments are data.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from hashlib import sha256
from re import IGNORECASE, Pattern
from re import compile as compiled
from typing import Final

from sqlglot import exp

from agent.core.catalog import Catalog, Column, ForeignKey, Relation
from agent.core.errors import Refuse
from agent.dialects import DIALECTS, Dialect
from agent.guard.remember import by_identity
from agent.masking.lineage import Lineage, Origin
from agent.masking.policy import Policy
from agent.masking.publish import text
from agent.masking.reasons import Reason, reasons, strongest
from agent.masking.subqueries import Builder
from agent.masking.visible import beneath_views, visible

FEWEST: Final = 10
"""Counts below this are not told, whatever `min_group_size` is."""
MAX_COMMENT: Final = 200
_MAX_TYPE: Final = 300
_UNITS: Final = ("", "k", "M", "G", "T")
_NULLS: Final = ((0.01, "<1%"), (0.1, "1-10%"), (0.5, "10-50%"), (0.9, "50-90%"), (1.0, ">90%"))

Named = tuple[str, str, str]
"""Schema, relation, column."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks for what: globs over `schema.relation`, empty for all."""

    roles: Sequence[str] = ()
    relations: Sequence[str] = ()


def described(
    catalog: Catalog, policy: Policy, asking: Asking, values: Mapping[Named, Sequence[str]]
) -> tuple[dict[str, object], list[dict[str, object]]]:
    """The head of the description, and its relations in the order of their names; `values` as `countable` asks."""
    dialect = DIALECTS[catalog.dialect]
    shown = visible(catalog, policy)
    teller = _Teller(catalog, shown, policy, asking.roles, dialect, values)
    wanted = sorted(selected(shown, asking.relations), key=lambda one: (one.schema, one.name))
    told = [one for relation in wanted if (one := teller.relation(relation)) is not None]
    return _head(catalog, policy, dialect), told


def stamped(head: Mapping[str, object], relations: Sequence[Mapping[str, object]], *, cut: bool) -> dict[str, object]:
    """The whole description. `digest` names exactly this content, so that a reader can tell when it has changed."""
    whole = {**head, "truncated": cut, "relations": list(relations)}
    return {**whole, "digest": sha256(text(whole).encode("ascii")).hexdigest()}


def selected(catalog: Catalog, globs: Sequence[str]) -> Iterator[Relation]:
    """The relations that one of the globs over `schema.relation` names."""
    patterns = [tuple(map(_pattern, glob.split("."))) for glob in globs]
    for relation in catalog.relations:
        if not globs or any(schema.match(relation.schema) and name.match(relation.name) for schema, name in patterns):
            yield relation


def countable(catalog: Catalog, policy: Policy, asking: Asking) -> Iterator[tuple[Named, Column, str]]:
    """The columns whose values may be told once they were counted, each with the statement that counts them."""
    if not policy.catalog.enum_values:
        return
    dialect = DIALECTS[catalog.dialect]
    for relation in selected(visible(catalog, policy), asking.relations):
        if relation.definition is not None or not any(column.labels for column in relation.columns):
            continue
        why = reasons(relation, catalog, policy, asking.roles, dialect)
        for column in relation.columns:
            if column.labels and column.name in why and why[column.name].rule == "keep":
                yield (relation.schema, relation.name, column.name), column, _count(relation, column, dialect)


def frequent(column: Column, counted: Iterable[tuple[object, object]], policy: Policy) -> tuple[str, ...]:
    """The labels of an enumerated column that occur often enough, in the type's own order."""
    least = max(FEWEST, policy.min_group_size)
    often = {str(value) for value, count in counted if isinstance(count, int) and count >= least}
    return tuple(label for label in column.labels if label in often)


def rows_about(count: int | None, policy: Policy) -> str | None:
    """A count as a power of ten, `1k-10k`; None where it is not known or too small to be told."""
    if count is None or count < max(FEWEST, policy.min_group_size):
        return None
    digits = len(str(count)) - 1
    return f"{_power(digits)}-{_power(digits + 1)}"


def comment(raw: str) -> str:
    """A comment as data: one line, no control or format characters, cut."""
    line = " ".join("".join(char if char.isprintable() else " " for char in raw[: MAX_COMMENT * 8]).split())
    return line if len(line) <= MAX_COMMENT else line[: MAX_COMMENT - 1] + "…"


def _power(digits: int) -> str:
    unit = min(digits // 3, len(_UNITS) - 1)
    return f"{10 ** (digits - 3 * unit)}{_UNITS[unit]}"


@by_identity
def _by_name(catalog: Catalog) -> Mapping[tuple[str, str], Relation]:
    return {(relation.schema, relation.name): relation for relation in catalog.relations}


@lru_cache(maxsize=1024)
def _pattern(glob: str) -> Pattern[str]:
    return compiled(translate(glob), IGNORECASE)


def _count(relation: Relation, column: Column, dialect: Dialect) -> str:
    """Groups and their sizes, under names that no column has to have."""
    value = exp.column(exp.to_identifier(column.name, quoted=True))
    table = exp.Table(
        this=exp.to_identifier(relation.name, quoted=True), db=exp.to_identifier(relation.schema, quoted=True)
    )
    grouped = exp.select(value.copy(), exp.Count(this=exp.Star())).from_(table).group_by(value.copy())
    return dialect.generate(grouped)


def _head(catalog: Catalog, policy: Policy, dialect: Dialect) -> dict[str, object]:
    return {
        "version": 1,
        "source": catalog.source,
        "dialect": catalog.dialect,
        "default_schema": catalog.default_schema,
        "names": catalog.case or dialect.case,
        "parameters": ":name",
        "max_rows": policy.release.max_rows,
        "min_group_size": policy.min_group_size,
        "require_aggregate": policy.release.require_aggregate,
        "may_use": {
            "statement": "one SELECT, WITH, VALUES or set operation",
            "functions": sorted(dialect.functions),
            "without_brackets": sorted(dialect.bare_functions),
            "table_functions": sorted(dialect.table_functions),
            "cast_targets": sorted(dialect.casts),
        },
    }


@dataclass(slots=True)
class _Teller:
    catalog: Catalog
    shown: Catalog
    policy: Policy
    roles: Sequence[str]
    dialect: Dialect
    values: Mapping[Named, Sequence[str]]

    def relation(self, relation: Relation) -> dict[str, object] | None:
        """None for what could not be read anyway: a view that cannot be masked."""
        rules, of_people = self._rules(relation)
        if not rules:
            return None
        columns = [column for column in relation.columns if column.name in rules]
        told: dict[str, object] = {"schema": relation.schema, "name": relation.name, "kind": relation.kind}
        if self.policy.catalog.comments and (said := comment(relation.comment)):
            told["comment"] = said
        if self.policy.catalog.row_counts and (rows := rows_about(relation.rows, self.policy)):
            told["rows"] = rows
        if of_people:
            told["groups_only"] = True
        told |= self._keys(relation, {column.name for column in columns})
        told["columns"] = [self._column(relation, column, rules[column.name]) for column in columns]
        return told

    def _column(self, relation: Relation, column: Column, rule: str) -> dict[str, object]:
        told: dict[str, object] = {"name": column.name, "type": _type(column.type), "mask": rule}
        if not column.nullable:
            told["nullable"] = False
        if self.policy.catalog.comments and (said := comment(column.comment)):
            told["comment"] = said
        if rule != "keep":
            return told
        if self.policy.catalog.null_fractions and column.nulls is not None:
            told["nulls"] = next(band for most, band in _NULLS if column.nulls < most or most >= 1)
        if values := self.values.get((relation.schema, relation.name, column.name)):
            told["values"] = list(values)
        return told

    def _keys(self, relation: Relation, columns: set[str]) -> dict[str, object]:
        told: dict[str, object] = {}
        if relation.primary_key and columns.issuperset(relation.primary_key):
            told["primary_key"] = list(relation.primary_key)
        foreign = [self._foreign(key) for key in relation.foreign_keys if self._may_tell(key, columns)]
        if foreign:
            told["foreign_keys"] = foreign
        parents = [name for name in relation.parents if self._shown(*name) is not None]
        if parents:
            told["partition_of"] = [{"schema": schema, "relation": name} for schema, name in sorted(parents)]
        return told

    def _may_tell(self, key: ForeignKey, columns: set[str]) -> bool:
        target = self._shown(key.schema, key.relation)
        if target is None or not columns.issuperset(key.columns):
            return False
        return {column.name for column in target.columns}.issuperset(key.referenced)

    def _foreign(self, key: ForeignKey) -> dict[str, object]:
        return {
            "columns": list(key.columns),
            "schema": key.schema,
            "relation": key.relation,
            "referenced": list(key.referenced),
        }

    def _shown(self, schema: str, name: str) -> Relation | None:
        return _by_name(self.shown).get((schema, name))

    def _rules(self, relation: Relation) -> tuple[dict[str, str], bool]:
        """The rule of each column, and whether each row is one of a person."""
        own = reasons(relation, self.catalog, self.policy, self.roles, self.dialect)
        if relation.definition is None:
            people = bool(self.policy.subjects_of(self.catalog, relation))
            return {name: reason.rule for name, reason in own.items()}, people
        builder = Builder(self.catalog, self.policy, self.roles, self.dialect, beneath_views(self.catalog, self.policy))
        try:
            builder.select(relation)
            shape = builder.built[relation.schema, relation.name, builder.named][2]
            return beneath(relation, own, builder), bool(shape.keys)
        except (Refuse, RecursionError):
            return {}, False


def beneath(view: Relation, own: Mapping[str, Reason], builder: Builder) -> dict[str, str]:
    """The strongest rule in what each column of a view is made of, which the builder has read."""
    lineage = Lineage(builder)
    known = {(relation.schema, relation.name): relation for relation in builder.touched}
    base: dict[Relation, Mapping[str, str]] = {}

    def rule_of(origin: Origin) -> str:
        relation = known[origin.schema, origin.relation]
        if relation not in base:
            why = reasons(relation, builder.catalog, builder.policy, builder.roles, builder.dialect)
            base[relation] = {name: reason.rule for name, reason in why.items()}
            if relation.definition is not None:
                base[relation] = below(relation, base[relation])
        return base[relation].get(origin.column, "redact")

    def below(relation: Relation, rules: Mapping[str, str]) -> dict[str, str]:
        made = lineage.beneath(relation)
        return {
            name: strongest([rule, *map(rule_of, made[name])]) if name in made else "redact"
            for name, rule in rules.items()
        }

    return below(view, {name: reason.rule for name, reason in own.items()})


def _type(raw: str) -> str:
    """A type's text without what it might quote: the labels of an enumeration are values."""
    plain = raw.split("(", maxsplit=1)[0] if "'" in raw else raw
    return "".join(char if char.isprintable() else " " for char in plain)[:_MAX_TYPE]
