"""`Policy`, `Catalog` -> for every column the rule that hits it, and what an officer should look at again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from agent.core.catalog import Catalog, Column, Relation
from agent.masking.pii.names import topic_of
from agent.masking.policy import Policy

BENEATH: Final = "as beneath"
"""What stands for the rule of a view's column that no line names: the tables beneath the view are masked."""


@dataclass(frozen=True, slots=True)
class Covered:
    """A column and what happens to it. `line` is the place in `rules`, None for the default; `rule` None: hidden."""

    relation: Relation
    column: Column
    rule: str | None
    line: int | None

    @property
    def path(self) -> str:
        """`schema.relation.column`."""
        return f"{self.relation.schema}.{self.relation.name}.{self.column.name}"


@dataclass(frozen=True, slots=True)
class Advice:
    """Something to look at again. `line` is the place in `rules`, None for the policy as a whole."""

    line: int | None
    text: str
    fix: str


def covered(policy: Policy, catalog: Catalog) -> Iterator[Covered]:
    """Every column that jobs may read, for a requester without roles."""
    for relation in catalog.relations:
        if not policy.may_read(catalog, relation):
            continue
        lines = policy.lines_of(catalog, relation)
        for column in relation.columns:
            line, rule = lines.naming(column), policy.decide(column, lines, ())
            name = None if rule is None else rule.rule
            if line is None and relation.definition is not None:
                name = BENEATH
            place = (
                None if line is None else next(i for i, one in enumerate(policy.rules) if one is line or one == line)
            )
            yield Covered(relation, column, name, place)


def advice(source: str, columns: Iterable[Covered]) -> Iterator[Advice]:
    """Names that look sensitive but are shown."""
    for one in columns:
        topic = topic_of(one.column.name) if one.rule == "keep" else None
        if topic is not None and one.relation.definition is None:
            text = f"{source}.{one.path} is shown, and its name looks like {topic.name}."
            yield Advice(one.line, text, f"Give it a rule before the one that keeps it, such as {_word(topic.rule)}.")


def _word(rule: object) -> str:
    return rule if isinstance(rule, str) else next(iter(rule), "redact") if isinstance(rule, dict) else "redact"
