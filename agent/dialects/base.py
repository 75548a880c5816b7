"""What the guard and the masks need to know of one SQL dialect: data, and the few functions derived from it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Literal

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect as Grammar
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # it logs the statements that it does not know

Case = Literal["insensitive", "lower", "upper"]
_ARITIES = ("", "a", "a, b", "a, b, c", "'day', b, c", "*", "DISTINCT a", "[a], x -> x")


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """One dialect's allow-lists and masks. Names are lower-case; everything that is not named here is refused.

    `grammar` is the sqlglot dialect that parses and generates. `functions` are scalar, aggregate and window functions by
    the engine's names; the typed syntax nodes they parse to are derived from them. `casts` are sqlglot type names.
    `nodes` are syntax nodes beyond `agent.guard.nodes.COMMON` with the arguments admitted on them. `masks` are templates:
    `c` is the column, a parameter a literal of the rule, `{type}` the column's type, `{domain}` a token domain.
    `strings` are nodes that hold a text in another notation (E'…', $$…$$); they become plain literals.
    `parameter` precedes a bound name in the engine's own text.
    """

    name: str
    grammar: type[Grammar]
    case: Case
    default_schema: str
    parameter: str
    functions: frozenset[str]
    bare_functions: frozenset[str]
    table_functions: frozenset[str]
    casts: frozenset[str]
    masks: Mapping[str, str]
    text_type: str
    nodes: Mapping[type[exp.Expression], frozenset[str]] = field(default_factory=dict)
    strings: tuple[type[exp.Expression], ...] = ()
    explain: bool = False

    def tokens(self, sql: str) -> list[Token]:
        """The statement's tokens. Raises sqlglot's TokenError."""
        return list(self.grammar().tokenize(sql))

    def parse(self, sql: str) -> list[exp.Expression | None]:
        """Every statement in the text. Raises sqlglot's ParseError or TokenError, or RecursionError."""
        return list(sqlglot.parse(sql, read=self.grammar))

    def generate(self, tree: exp.Expression) -> str:
        """The one text that may run: no comments, every identifier quoted, no guessing about what is unsupported.

        Quoting matters: engines read some characters (a no-break space, say) as white space outside quotes.
        """
        return tree.sql(
            dialect=self.grammar,
            comments=False,
            identify=True,
            unsupported_level=sqlglot.ErrorLevel.RAISE,
        )

    def fold(self, name: str, *, quoted: bool) -> str:
        """A written identifier in the spelling that the engine compares."""
        if self.case == "insensitive":
            return name.lower()
        if quoted:
            return name
        return name.lower() if self.case == "lower" else name.upper()

    @cached_property
    def typed(self) -> frozenset[type[exp.Expression]]:
        """Typed syntax nodes that some admitted function name parses to."""
        found: set[type[exp.Expression]] = set()
        for name in sorted(self.functions):
            for arguments in _ARITIES:
                found |= self._classes(f"SELECT {name}({arguments})")
        for name in self.bare_functions:
            found |= self._classes(f"SELECT {name}")
        return frozenset(found - {exp.Anonymous, exp.AnonymousAggFunc, exp.CombinedAggFunc})

    def _classes(self, probe: str) -> set[type[exp.Expression]]:
        try:
            (tree,) = self.parse(probe)
        except (SqlglotError, ValueError, TypeError):  # the grammar knows the name with other arguments
            return set()
        return {type(node) for node in tree.walk() if isinstance(node, exp.Func)} if tree else set()

    def mask(self, name: str, **parts: str) -> exp.Expression:
        """A fresh copy of a mask template with `{…}` filled from `parts` (checked names and types, never user text)."""
        return _template(self, self.masks[name].format(**parts)).copy()

    def type_of(self, text: str) -> exp.DataType | None:
        """A column's type as syntax, None when it is not known or cannot stand in a CAST."""
        return _type_of(self, text)

    def __hash__(self) -> int:
        return hash(self.name)


@lru_cache(maxsize=1024)
def _template(dialect: Dialect, text: str) -> exp.Expression:
    (tree,) = dialect.parse(f"SELECT {text}")
    assert isinstance(tree, exp.Select)
    expression: exp.Expression = tree.expressions[0]
    return expression.pop()


@lru_cache(maxsize=4096)
def _type_of(dialect: Dialect, text: str) -> exp.DataType | None:
    if not text:
        return None
    try:
        return exp.DataType.build(text, dialect=dialect.grammar)
    except (SqlglotError, ValueError):
        return None
