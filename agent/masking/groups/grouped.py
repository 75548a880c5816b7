"""A grouped SELECT over rows of people: what it may show of each group, and the counts written into it."""

from collections.abc import Callable, Sequence

from sqlglot import exp

from agent.dialects import Dialect
from agent.dialects.base import without_positions
from agent.masking.groups.aggregates import ALLOWED, guard
from agent.masking.groups.shapes import EXAMPLE, QUERIES, Scope, children, own, refused

_WRAPPERS = (exp.Filter, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls)
_OF_GROUPS: tuple[type, ...] = (exp.Grouping, exp.GroupingId)
"""Typed as aggregates, but they tell of the grouping itself."""
_AFTER = ("expressions", "having", "qualify", "order", "windows", "distinct", "limit", "offset")
"""Clauses that see groups, not rows."""
MAX_COMPARED = 50_000
"""Syntax nodes that may be read to find the keys of one GROUP BY again."""
MAX_COUNTS = 2_000
"""Counts of people that are written around the aggregates of one SELECT."""
_GROUPINGS = ("expressions", "grouping_sets", "cube", "rollup")


def is_aggregate(node: exp.Expression) -> bool:
    """Whether a node turns rows into a value: an aggregate, with what belongs to it, that is not a window's."""
    inner = node
    while isinstance(inner, _WRAPPERS):
        inner = inner.this
    if not isinstance(inner, exp.AggFunc) or type(inner) in _OF_GROUPS:
        return False
    return not (isinstance(node.parent, _WRAPPERS) and node.arg_key == "this") and not _is_windowed(node)


def _is_windowed(node: exp.Expression) -> bool:
    return isinstance(node.parent, exp.Window) and node.arg_key == "this"


def _is_later(node: exp.Expression) -> bool:
    """Whether this is computed from groups, or from other rows: it is no part of a row."""
    return isinstance(node, (exp.Window, *QUERIES))


def is_grouped(select: exp.Select) -> bool:
    """Whether a SELECT gives groups and not rows."""
    if select.args.get("group") or select.args.get("having"):
        return True
    clauses = [*select.expressions, *(select.args[key] for key in ("qualify", "order") if select.args.get(key))]
    return any(is_aggregate(node) for clause in clauses for node in own(clause))


def check_aliases(select: exp.Select, scope: Scope) -> None:
    """Refuse a name that is a column's and that of something computed: engines differ in which of them it means."""
    taken = {}
    for one in select.expressions:
        inner = one.unalias()
        if not isinstance(one, exp.Alias) or not scope.holds(exp.column(one.args["alias"].copy())):
            continue
        if not isinstance(inner, exp.Column) or scope.folded(inner.this) != scope.folded(one.args["alias"]):
            taken[scope.folded(one.args["alias"])] = one
    if not taken:
        return
    for node in own(select):
        if not isinstance(node, exp.Column) or node.args.get("table") or not isinstance(node.this, exp.Identifier):
            continue
        made = taken.get(scope.folded(node.this))
        if made is not None and not _is_inside(node, made) and not isinstance(node.parent, exp.Ordered):
            message = f"The name {node.name} is a column's and that of an output."
            raise refused(message, "Give the output another name, or write table.column.")


def _is_inside(node: exp.Expression, around: exp.Expression) -> bool:
    current: exp.Expr | None = node
    while current is not None and current is not around:
        current = current.parent
    return current is around


class Grouped:
    """One grouped SELECT whose origins hold rows of people. `free_of` tells the outer columns of a query in it."""

    def __init__(
        self,
        select: exp.Select,
        scope: Scope,
        k: int,
        free_of: Callable[[exp.Expression], Sequence[exp.Column]],
    ) -> None:
        self._select, self._scope, self._k, self._free_of = select, scope, k, free_of
        self._dialect: Dialect = scope.dialect
        self._aliases = {
            scope.folded(one.args["alias"]): one.this for one in select.expressions if isinstance(one, exp.Alias)
        }
        self._guarded: set[int] = set()
        self._kinds: frozenset[type] = frozenset()
        self._compared = self._counts = 0

    def settle(self) -> None:
        """Check the SELECT, guard its aggregates and count its groups. Raises Refuse(policy.aggregate)."""
        if any(isinstance(one, exp.Star) or one.is_star for one in self._select.expressions):
            raise refused("* over rows of people would show each of them.", EXAMPLE)
        written = self._group_keys()
        keys = frozenset(self._scope.canonical(one) for one in written)
        self._kinds = frozenset(type(one.unnest()) for one in written)
        self._name_outputs()
        for clause in self._clauses():
            for node in [node for node in own(clause) if is_aggregate(node)]:
                self._guard(node)
        for clause in self._clauses():
            self._check_shown(clause, keys)
        self._count()

    def _clauses(self) -> list[exp.Expression]:
        found: list[exp.Expression] = []
        for key in _AFTER:
            value = self._select.args.get(key)
            found += value if isinstance(value, list) else [value] if value is not None else []
        return found

    def _name_outputs(self) -> None:
        """An output without a name keeps the one that its own text gives it: it gets a count around it."""
        for one in list(self._select.expressions):
            if not isinstance(one, (exp.Alias, exp.Column, exp.Star)):
                text = one.sql(dialect=self._dialect.engine, normalize_functions="lower").replace('"', "")
                named = exp.Alias(alias=exp.to_identifier(text, quoted=True))
                one.replace(named)
                named.set("this", one)

    def _group_keys(self) -> list[exp.Expression]:
        group = self._select.args.get("group")
        if group is None:
            return []
        if any(value and key not in {*_GROUPINGS, "all"} for key, value in group.args.items()):
            raise refused("This GROUP BY is not allowed over rows of people.", EXAMPLE)
        if group.args.get("all"):
            shown = [one.unalias() for one in self._select.expressions]
            return [one for one in shown if not any(is_aggregate(node) or _is_later(node) for node in own(one))]
        written = [one for key in _GROUPINGS for one in group.args.get(key) or ()]
        return [self._meant(one) for key in written for one in _flat(key)]

    def _meant(self, key: exp.Expression) -> exp.Expression:
        """A number is the place of an output, a name that is no column an output's name."""
        outputs = self._select.expressions
        if isinstance(key, exp.Literal) and not key.is_string and str(key.this).isdigit():
            place = int(key.this)
            if not 1 <= place <= len(outputs):
                raise refused("GROUP BY names an output that is not there.", EXAMPLE)
            key = outputs[place - 1].unalias()
        elif isinstance(key, exp.Column) and not key.args.get("table") and not self._scope.holds(key):
            key = self._aliases.get(self._scope.folded(key.this), key)
        if any(is_aggregate(node) or _is_later(node) for node in own(key)):
            raise refused("GROUP BY over rows of people takes columns and expressions of them.", EXAMPLE)
        for column in key.find_all(exp.Column):
            if not self._scope.holds(column):
                raise refused(f"GROUP BY reads {_shown(column)}, which is no column here.", EXAMPLE)
        return key

    def _guard(self, node: exp.Expression) -> None:
        """Put an aggregate behind the count of the people whose rows make its value."""
        inside = [one for one in own(node) if one is not node]
        if any(is_aggregate(one) or _is_later(one) for one in inside):
            raise refused("An aggregate over rows of people holds a sub-query, a window or another aggregate.", ALLOWED)
        for column in node.find_all(exp.Column):
            if not self._scope.holds(column):
                raise refused(f"An aggregate reads {_shown(column)}, which is no column here.", ALLOWED)
        filtered = node.expression.this if isinstance(node, exp.Filter) else None
        found = guard(node.this if isinstance(node, exp.Filter) else node, self._scope, self._k)
        conditions: list[exp.Expression | None] = list(found.conditions)
        if filtered is not None:
            conditions = [_both(filtered, condition) for condition in conditions] or [filtered]
        elif not conditions and found.least > self._k:
            conditions = [None]
        tests = [self._enough(key, one, found.least) for one in conditions for key in self._scope.keys]
        self._guarded.add(id(node))
        self._counts += len(tests)
        if self._counts > MAX_COUNTS:
            raise refused("The SELECT has too many aggregates over rows of people.", "Ask for fewer at once.")
        if tests:
            made = self._made("CASE WHEN c THEN v END", c=_joined(tests), v=node.copy())
            node.replace(made)
            self._guarded.add(id(made))

    def _enough(self, key: exp.Column, condition: exp.Expression | None, least: int) -> exp.Expression:
        """At least that many people have a row for which the condition holds. NULL is nobody."""
        counted = key if condition is None else self._made("CASE WHEN c THEN v END", c=condition.copy(), v=key)
        return self._made(f"COUNT(DISTINCT c) >= {least}", c=counted)

    def _made(self, template: str, **parts: exp.Expression) -> exp.Expression:
        """A template of this dialect, so that it reads back as it was built."""
        (tree,) = self._dialect.parse(f"SELECT {template}")
        assert isinstance(tree, exp.Select)
        for node in list(tree.find_all(exp.Column)):
            node.replace(parts[node.name].copy())
        made: exp.Expression = tree.expressions[0].pop()
        return without_positions(made)

    def _check_shown(self, clause: exp.Expression, keys: frozenset[int]) -> None:
        """Everything that is shown of a group is one of its keys, a guarded aggregate, or made of such."""
        stack = [clause]
        while stack:
            node = stack.pop()
            if id(node) in self._guarded or self._is_key(node, keys):
                continue
            if isinstance(node, (exp.Column, *QUERIES)):
                # Of a query in it, the columns that it takes from here.
                for column in [node] if isinstance(node, exp.Column) else self._free_of(node):
                    if not self._is_key(column, keys):
                        self._check_column(column)
            elif isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count):
                raise refused("* over rows of people would show each of them.", EXAMPLE)
            else:
                stack += children(node)

    def _is_key(self, node: exp.Expression, keys: frozenset[int]) -> bool:
        """Whether an expression is one of those that are grouped by. Comparing reads all of it."""
        if type(node.unnest()) not in self._kinds:
            return False
        self._compared += sum(1 for _ in node.walk())
        if self._compared > MAX_COMPARED:
            raise refused("The SELECT is too long to be compared with its GROUP BY.", "Shorten its expressions.")
        return self._scope.canonical(node) in keys

    def _check_column(self, column: exp.Column) -> None:
        plain = isinstance(column.this, exp.Identifier) and not column.args.get("table") and not column.args.get("db")
        is_output = plain and self._scope.folded(column.this) in self._aliases
        if not is_output or (self._scope.holds(column) and not isinstance(column.parent, exp.Ordered)):
            raise refused(f"{_shown(column)} is neither grouped by nor aggregated.", f"Add it to GROUP BY. {EXAMPLE}")

    def _count(self) -> None:
        test = _joined([self._enough(key, None, self._k) for key in self._scope.keys])
        having = self._select.args.get("having")
        if having is not None:
            test = _joined([having.this.copy(), test])
        self._select.set("having", exp.Having(this=test))


def _flat(key: exp.Expression) -> list[exp.Expression]:
    """The columns in grouping sets, rollups, cubes and brackets."""
    if isinstance(key, (exp.Tuple, exp.Rollup, exp.Cube, exp.GroupingSets)):
        return [inner for one in key.expressions for inner in _flat(one)]
    return _flat(key.this) if isinstance(key, exp.Paren) else [key]


def _joined(tests: list[exp.Expression]) -> exp.Expression:
    made = tests[0] if len(tests) == 1 else _bracketed(tests[0])
    for test in tests[1:]:
        made = exp.And(this=made, expression=_bracketed(test))
    return made


def _bracketed(test: exp.Expression) -> exp.Expression:
    return test if isinstance(test, (exp.Paren, exp.GTE)) else exp.Paren(this=test)


def _both(first: exp.Expression, second: exp.Expression | None) -> exp.Expression:
    left = exp.Paren(this=first.copy())
    return left if second is None else exp.And(this=left, expression=exp.Paren(this=second))


def _shown(column: exp.Column) -> str:
    name = column.name
    return name if name.isprintable() and 0 < len(name) <= 64 else "A column"  # noqa: PLR2004
