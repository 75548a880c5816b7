"""What a query gives, as far as groups are concerned: its columns, and whose rows they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from agent.core.errors import Refuse
from agent.dialects import Dialect

KEY_PREFIX: Final = "meridyen_s"
NAME_PREFIX: Final = "meridyen_q"
EXAMPLE: Final = "Write SELECT city, count(*), avg(amount) FROM … GROUP BY city."
QUERIES: Final = (exp.Select, exp.SetOperation, exp.Subquery)
"""What may be a query of its own inside an expression."""


@dataclass(frozen=True, slots=True)
class Output:
    """A column. `plain`: it is a table's own, not computed: only such may be added up (see `aggregates`)."""

    name: str
    plain: bool


@dataclass(frozen=True, slots=True)
class Key:
    """A hidden column that tells people apart; `people` says who they are, so that only the same are united."""

    name: str
    people: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What a query gives. `outputs` are None where its columns are not known.

    `keys`: each row belongs to one person, or to nobody, by each of these; none: its rows are groups that were checked,
    or no rows of people. `grouped`: no row is a row of a table. `free` are columns of queries around it.
    """

    outputs: tuple[Output, ...] | None
    keys: tuple[Key, ...] = ()
    grouped: bool = False
    free: tuple[exp.Column, ...] = ()

    def renamed(self, columns: Sequence[exp.Expression], dialect: Dialect) -> "Shape":
        """The shape under an alias with a list of columns."""
        if not columns:
            return self
        names = [dialect.fold(column.name, quoted=True) for column in columns]
        if self.outputs is None:
            return Shape(tuple(Output(name, plain=False) for name in names), self.keys, self.grouped, self.free)
        kept = [Output(name, old.plain) for name, old in zip(names, self.outputs, strict=False)]
        return Shape((*kept, *self.outputs[len(kept) :]), self.keys, self.grouped, self.free)


NOTHING: Final = Shape(None)
"""The shape of what nobody looked at: no rows of people, nothing known."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the rows of a SELECT come from: one entry of its FROM, by its alias."""

    alias: exp.Identifier
    shape: Shape

    def column(self, key: Key) -> exp.Column:
        """A hidden column of this origin."""
        return exp.column(exp.to_identifier(key.name, quoted=True), table=self.alias.copy())


@dataclass(frozen=True, slots=True)
class Scope:
    """The origins of one SELECT, and what names mean in it."""

    origins: tuple[Origin, ...]
    dialect: Dialect

    @property
    def keys(self) -> list[exp.Column]:
        """Every hidden column, of every origin."""
        return [origin.column(key) for origin in self.origins for key in origin.shape.keys]

    def _found(self, column: exp.Column) -> list[tuple[Origin, Output]]:
        table, name = column.args.get("table"), self.folded(column.this)
        if column.args.get("db") is not None or not isinstance(column.this, exp.Identifier):
            return []
        wanted = None if table is None else self.folded(table)
        return [
            (origin, output)
            for origin in self.origins
            if wanted is None or self.folded(origin.alias) == wanted
            for output in origin.shape.outputs or ()
            if output.name == name
        ]

    def folded(self, name: exp.Expression) -> str:
        """A quoted name as the engine compares it."""
        return self.dialect.fold(name.name, quoted=True)

    def holds(self, column: exp.Column) -> bool:
        """Whether the column is one of an origin's."""
        return bool(self._found(column))

    def is_plain(self, column: exp.Column) -> bool:
        """Whether it is a table's own column, whichever origin it is of."""
        found = self._found(column)
        return bool(found) and all(output.plain for _, output in found)

    def canonical(self, node: exp.Expression) -> int:
        """The hash of an expression in which every column says its origin."""
        tree = exp.Tuple(expressions=[node.unnest().copy()])
        for column in list(tree.find_all(exp.Column)):
            found = self._found(column)
            if len(found) == 1:
                column.set("table", exp.to_identifier(self.folded(found[0][0].alias), quoted=True))
            elif column.args.get("table") is not None:
                column.set("table", exp.to_identifier(self.folded(column.args["table"]), quoted=True))
            if isinstance(column.this, exp.Identifier):
                column.set("this", exp.to_identifier(self.folded(column.this), quoted=True))
        return hash(tree)


def children(node: exp.Expression) -> list[exp.Expression]:
    """The nodes right below."""
    return list(node.iter_expressions())


def own(node: exp.Expression) -> Iterator[exp.Expression]:
    """The node and what is below, without the insides of queries in it; those are given, not entered."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        if not isinstance(current, QUERIES) or current is node:
            stack += children(current)


def refused(message: str, hint: str = EXAMPLE) -> Refuse:
    """A refusal of rows that stand for fewer people than the policy asks for."""
    return Refuse("policy.aggregate", message, hint)
