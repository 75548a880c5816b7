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
from sqlglot.tokenizer_core import Token
from typing_extensions import override

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # it logs the statements that it does not know

Case = Literal["insensitive", "lower", "upper"]


def words(text: str) -> frozenset[str]:
    """The words of a list that is easier read as text."""
    return frozenset(text.split())


_ARITIES = (
    "", "a", "a, b", "a, b, c", "'day', b, c", "'day', CAST(b AS DATE)", "*", "DISTINCT a", "[a], x -> x", "HEX(a)",
)  # fmt: skip
"""Arguments that lead one name to different syntax nodes."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """One dialect's allow-lists and masks. Names are lower-case; everything that is not named here is refused.

    `grammar` is the sqlglot dialect that parses and generates. `functions` are scalar, aggregate and window functions
    by the engine's names; the typed syntax nodes they parse to are derived from them. `casts` are sqlglot type names.
    `nodes` are syntax nodes beyond `agent.guard.nodes.COMMON` with the arguments admitted on them. `masks` are
    templates: `c` is the column, a parameter a literal of the rule, `{type}` the column's type, `{domain}` a token
    domain.
    `strings` are nodes that hold a text in another notation (E'…', $$…$$); they become plain literals.
    `derived_columns`: `(SELECT …) AS t(a, b)` is legal. `names_by_text`: an unnamed output column is
    called by its text. `misread` are functions of the engine that the grammar would turn into something else.
    `early_ctes`: a CTE may be read before it is written, and by itself without RECURSIVE. `hidden_columns` are names
    that mean something where no column is called so: row numbers, users, databases.
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
    derived_columns: bool = True
    names_by_text: bool = False
    misread: frozenset[str] = frozenset()
    early_ctes: bool = False
    hidden_columns: frozenset[str] = frozenset()
    explain: bool = False

    @cached_property
    def engine(self) -> Grammar:
        """An instance of the grammar."""
        return self.grammar()

    def tokens(self, sql: str) -> list[Token]:
        """The statement's tokens. Raises sqlglot's TokenError."""
        return list(self.engine.tokenize(sql))

    def parse(self, sql: str, tokens: list[Token] | None = None) -> list[exp.Expression | None]:
        """Every statement in the text, whose `tokens` may be known. Raises SqlglotError or RecursionError."""
        found = self.engine.parser().parse(tokens if tokens is not None else self.engine.tokenize(sql), sql)
        return [tree for tree in found if tree is None or isinstance(tree, exp.Expression)]

    def generate(self, tree: exp.Expression, *, spare: bool = True) -> str:
        """The one text that may run: no comments, every identifier quoted, no guessing about what is unsupported.

        Quoting matters: engines read some characters (a no-break space, say) as white space outside quotes. sqlglot
        changes a tree while it writes: unless it may do that to this one, it works on a copy (`spare`).
        """
        return tree.sql(
            dialect=self.engine,
            comments=False,
            copy=spare,
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
    def admitted(self) -> dict[type[exp.Expression], frozenset[str] | None]:
        """What `agent.guard.nodes.arguments` has answered so far."""
        return {}

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
        if tree is None:
            return set()
        return {type(node) for node in tree.walk() if isinstance(node, exp.Func) and isinstance(node, exp.Expression)}

    def mask(self, name: str, **parts: str) -> exp.Expression:
        """A fresh copy of a mask template with `{…}` filled from `parts` (checked names and types, never user text)."""
        return _template(self, self.masks[name].format(**parts)).copy()

    def type_of(self, text: str) -> exp.DataType | None:
        """A column's type as syntax, None when it is not known or cannot stand in a CAST."""
        return _type_of(self, text)

    @override
    def __hash__(self) -> int:
        return hash(self.name)


@lru_cache(maxsize=1024)
def _template(dialect: Dialect, text: str) -> exp.Expression:
    (tree,) = dialect.parse(f"SELECT {text}")
    assert isinstance(tree, exp.Select)
    expression: exp.Expression = without_positions(tree).expressions[0]
    return expression.pop()


def without_positions(tree: exp.Expression) -> exp.Expression:
    """The tree without the places of its words in the text, changed in place: copying them took half of all time."""
    for node in tree.walk():
        node._meta = None  # noqa: SLF001 - there is no public way to drop it
    return tree


@lru_cache(maxsize=4096)
def _type_of(dialect: Dialect, text: str) -> exp.DataType | None:
    if not text:
        return None
    try:
        parsed = exp.DataType.build(text, dialect=dialect.engine)
    except (SqlglotError, ValueError):
        return None
    for name in parsed.find_all(exp.Identifier):
        name.set("quoted", True)
    return parsed
