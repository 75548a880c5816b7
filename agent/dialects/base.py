"""What the guard and the masks need to know of one SQL dialect: data, and the few functions derived from it."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final, Literal

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect as Grammar
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token
from typing_extensions import override

from agent.core.catalog import Relation
from agent.dialects.plain import disguised, undisguised
from agent.dialects.typed import TYPED

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # it logs the statements that it does not know

Case = Literal["insensitive", "lower", "upper", "exact"]
"""How unquoted names compare: without regard to case, folded to lower or upper case, or as they are written."""


def words(text: str) -> frozenset[str]:
    """The words of a list that is easier read as text."""
    return frozenset(text.split())


CALLS_BY_NAME: Final[frozenset[type[exp.Expression]]] = frozenset(
    {
        exp.Anonymous, exp.AnonymousAggFunc, exp.CombinedAggFunc, exp.ParameterizedAgg, exp.CombinedParameterizedAgg
    }
)  # fmt: skip
"""Nodes that call what their own text names."""

_CAPITALS: Final = re.compile(r"[A-Z]+")

_ARITIES = (
    "", "a", "a, b", "a, b, c", "a, b, c, d", "'day', b, c", "'day', CAST(b AS DATE)", "*", "DISTINCT a",
    "[a], x -> x", "HEX(a)", "a, INTERVAL 1 DAY",
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
    `derived_columns`: `(SELECT …) AS t(a, b)` is legal; `column_lists`: `WITH t(a, b) AS (SELECT …)` is.
    `names_by_text`: an unnamed output column is called by its text. `misread` are functions of the engine that the
    grammar would turn into something else.
    `early_ctes`: a CTE may be read before it is written, and by itself without RECURSIVE. `hidden_columns` are names
    that mean something where no column is called so: row numbers, users, databases.
    `parameter` precedes a bound name in the engine's own text. `inline_parameters`: values become literals of the text
    instead, and the plan binds nothing. `keywords` are upper-case words that nodes may carry as bare text beyond the
    common ones, `openers` lower-case words that may stand before a bracket without being a function.
    `batch_end` matches what ends a batch of statements in scripts besides the semicolon.
    `spelled` are functions that the engine knows in one spelling only, by their lower-case names. `combinators` are
    endings that make another aggregate of each of `aggregates` (sumIf, uniqMerge).
    `bare_columns` are pseudo columns, in upper case, that the engine knows only without quotes. `dummies` are relations
    of one row that every database has, by their names, as they really are. `unsafe_text` matches what somebody between
    here and the engine would replace in the text, quoted or not. `respell` turns generated text into what the engine
    reads: the result is parsed again and compared like any other.
    `plain` are functions that the grammar must leave alone: see `agent.dialects.plain`. `mask_functions` may stand in
    masks only. `named_casts` are types that the grammar knows by no more than their name.
    `samples_tables`: TABLESAMPLE may follow nothing but a table. `forward_ctes`: with RECURSIVE, a CTE may be read
    before it is written. `system_schemas` hold nothing that a job may read, whatever a catalog says.
    `kinds` say what masks may assume of a type, by its sqlglot name, where the engine's type is not what others call
    so.
    `reads_all`: a cast to text raises for no value of any type; else a mask that must read the value of a type that is
    neither text, number nor time gives NULL. `bare_paths`: steps into a document are written without quotes (a:b.c).
    `calls_fields`: x.f is f(x) where x has no field f.
    `without_indexes` changes a table so that the engine does not read it by these indexes, None where a statement
    cannot say so.
    `order_keys` are templates that together order any values of a column `c`, and leave none alike that differ.
    `in_reads_tables`: a name behind IN, also in brackets, is a table of that name.
    `null_type` is what stands for {type} in the `null` mask, None where a type has no NULL.
    `translated` are nodes that become others, or nothing, as soon as they are read. `cast_as` is what stands in a CAST
    for a column's type, where the engine does not take the type itself; None where nothing can. `output_name` is what
    the engine makes of the text that a column is called by.
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
    inline_parameters: bool = False
    plain: frozenset[str] = frozenset()
    mask_functions: frozenset[str] = frozenset()
    named_casts: frozenset[str] = frozenset()
    kinds: Mapping[str, Literal["text", "other"]] = field(default_factory=dict)
    samples_tables: bool = False
    forward_ctes: bool = False
    system_schemas: frozenset[str] = frozenset()
    keywords: frozenset[str] = frozenset()
    openers: frozenset[str] = frozenset()
    column_lists: bool = True
    batch_end: re.Pattern[str] | None = None
    spelled: Mapping[str, str] = field(default_factory=dict)
    aggregates: frozenset[str] = frozenset()
    combinators: tuple[str, ...] = ()
    bare_columns: frozenset[str] = frozenset()
    dummies: Mapping[str, Relation] = field(default_factory=dict)
    unsafe_text: re.Pattern[str] | None = None
    respell: Callable[[str, list[Token]], str] | None = None
    reads_all: bool = True
    bare_paths: bool = False
    calls_fields: bool = False
    without_indexes: Callable[[exp.Table, Sequence[str]], None] | None = None
    order_keys: tuple[str, ...] = ()
    in_reads_tables: bool = False
    null_type: Callable[[exp.DataType], exp.DataType | None] = lambda kind: kind
    translated: Mapping[type[exp.Expression], Callable[[exp.Expression], exp.Expression | None]] = field(
        default_factory=dict
    )
    cast_as: Callable[[exp.DataType], str | None] | None = None
    output_name: Callable[[str], str] = lambda text: text

    @cached_property
    def engine(self) -> Grammar:
        """An instance of the grammar."""
        return self.grammar()

    def tokens(self, sql: str) -> list[Token]:
        """The statement's tokens. Raises sqlglot's TokenError."""
        return list(self.engine.tokenize(sql))

    def parse(self, sql: str, tokens: list[Token] | None = None) -> list[exp.Expression | None]:
        """Every statement in the text, whose `tokens` may be known. Raises SqlglotError or RecursionError."""
        tokens = self.engine.tokenize(sql) if tokens is None else tokens
        calls = disguised(tokens, self.plain, self.grammar.parser_class.TYPE_TOKENS) if self.plain else None
        found = self.engine.parser().parse(tokens if calls is None else calls, sql)
        trees = [tree for tree in found if tree is None or isinstance(tree, exp.Expression)]
        if calls is not None:
            undisguised(trees)
        for tree in trees if self.translated else ():
            self._translate(tree)
        return trees

    def _translate(self, tree: exp.Expression | None) -> None:
        for node in list(tree.find_all(*self.translated)) if tree is not None else ():
            other = self.translated[type(node)](node) if type(node) in self.translated else node
            if other is not node:
                node.replace(other)

    def generate(self, tree: exp.Expression, *, spare: bool = True) -> str:
        """The one text that may run: no comments, every identifier quoted, no guessing about what is unsupported.

        Quoting matters: engines read some characters (a no-break space, say) as white space outside quotes. sqlglot
        changes a tree while it writes: unless it may do that to this one, it works on a copy (`spare`).
        """
        text = tree.sql(
            dialect=self.engine,
            comments=False,
            copy=spare,
            identify=True,
            unsupported_level=sqlglot.ErrorLevel.RAISE,
        )
        return text if self.respell is None else self.respell(text, self.tokens(text))

    def fold(self, name: str, *, quoted: bool) -> str:
        """A written identifier in the spelling that the engine compares."""
        if self.case == "insensitive":
            return name.lower()
        if quoted or self.case == "exact":
            return name
        if self.case == "lower" and self.grammar.ASCII_ONLY_NORMALIZATION and not name.isascii():
            return _CAPITALS.sub(lambda found: found[0].lower(), name)
        return name.lower() if self.case == "lower" else name.upper()

    def knows(self, name: str) -> bool:
        """Whether a function may be called by this name, in this spelling."""
        lower = name.lower()
        if lower in self.functions:
            return self.spelled.get(lower, name) == name
        for ending in self.combinators:
            if name.endswith(ending) and name[: -len(ending)].lower() in self.aggregates:
                return self.knows(name[: -len(ending)])
        return False

    def spelling(self, name: str) -> str:
        """A function's name as documents and hints show it."""
        return self.spelled.get(name, name)

    @cached_property
    def admitted(self) -> dict[type[exp.Expression], frozenset[str] | None]:
        """What `agent.guard.nodes.arguments` has answered so far."""
        return {}

    @cached_property
    def typed(self) -> frozenset[type[exp.Expression]]:
        """Typed syntax nodes that some admitted function name parses to: as written down in `agent.dialects.typed`."""
        if self.name not in TYPED:
            return self.derived()
        return frozenset(getattr(exp, name) for name in TYPED[self.name].split())

    def derived(self) -> frozenset[type[exp.Expression]]:
        """`typed`, from the grammar itself: takes up to a second."""
        found: set[type[exp.Expression]] = set()
        for name in sorted(self.functions):
            for arguments in _ARITIES:
                found |= self._classes(f"SELECT {name}({arguments})")
        for name in self.bare_functions:
            found |= self._classes(f"SELECT {name}")
        return frozenset(found - CALLS_BY_NAME)

    def _classes(self, probe: str) -> set[type[exp.Expression]]:
        try:
            (tree,) = self.parse(probe)
        except (SqlglotError, ValueError, TypeError, LookupError, AttributeError):
            return set()  # the grammar knows the name with other arguments
        if tree is None:
            return set()
        return {type(node) for node in tree.walk() if isinstance(node, exp.Func) and isinstance(node, exp.Expression)}

    def mask(self, name: str, **parts: str) -> exp.Expression:
        """A fresh copy of a mask template with `{…}` filled from `parts` (checked names and types, never user text)."""
        return _template(self, self.masks[name].format(**parts)).copy()

    def keys_of(self, name: exp.Identifier) -> list[exp.Expression]:
        """The `order_keys` of a column, for an ORDER BY."""
        keys = [_ordered(self, template).copy() for template in self.order_keys]
        for key in keys:
            for column in list(key.find_all(exp.Column)):
                if column.name == "c" and not column.this.args.get("quoted"):
                    column.set("this", name.copy())
        return keys

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


@lru_cache(maxsize=64)
def _ordered(dialect: Dialect, key: str) -> exp.Expression:
    """As the grammar reads it: some write down where NULL stands."""
    (tree,) = dialect.parse(f"SELECT 1 ORDER BY {key}")
    assert isinstance(tree, exp.Select)
    ordered: exp.Expression = without_positions(tree).args["order"].expressions[0]
    return ordered.pop()


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
    if not isinstance(parsed.this, exp.DataType.Type):  # a reference to an object of the database
        return None
    for name in parsed.find_all(exp.Identifier):
        name.set("quoted", True)
    return parsed
