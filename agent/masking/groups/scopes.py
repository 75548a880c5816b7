"""A statement over masked tables -> the same, in which rows of people leave only in groups of at least k.

Every query gets a `Shape`. A SELECT over rows of people either hands them on, with their hidden keys, to the SELECT
around it, or groups them, and then counts the people of each group. Anything else that reads them is refused.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from agent.dialects import Dialect
from agent.masking.groups.grouped import Grouped, check_aliases, is_grouped
from agent.masking.groups.origins import check_clauses, check_lasting, from_items
from agent.masking.groups.shapes import (
    KEY_PREFIX,
    NAME_PREFIX,
    NOTHING,
    QUERIES,
    Key,
    Origin,
    Output,
    Scope,
    Shape,
    own,
    refused,
)

MAX_KEYS = 64
"""Hidden columns of one SELECT: each place that reads people adds one, and handed on twice they double."""
_ARMS = frozenset({"this", "expression", "distinct", "order", "with_"})
_MANY_ROWS = (exp.Anonymous, exp.Explode, exp.Unnest, exp.UDTF)
"""Functions of which it is not known whether they give one value for one row."""


@dataclass(slots=True)
class Scopes:
    """One tree: a statement, or the definition of a view.

    `sources` are the masked tables and views in it, by `id`, with their shapes. `k` is how many people a group needs.
    """

    dialect: Dialect
    k: int
    sources: Mapping[int, Shape]
    fresh: int = 0
    seen: set[int] = field(default_factory=set)
    ctes: dict[str, exp.CTE] = field(default_factory=dict)
    known: dict[str, Shape] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    free: dict[int, tuple[exp.Column, ...]] = field(default_factory=dict)

    def settle(self, tree: exp.Expression) -> Shape:
        """The shape of the whole; the tree is changed in place. Raises Refuse(policy.aggregate)."""
        self.ctes = {cte.alias: cte for cte in tree.find_all(exp.CTE)}
        shape = self._query(tree) if isinstance(tree, QUERIES) else self._other(tree)
        if any(shape.keys and place not in self.seen for place, shape in self.sources.items()):
            raise refused("Rows of people are read in a place where they cannot be counted.")
        for table in tree.find_all(exp.Table):
            if id(table) not in self.seen and self.known.get(table.name, NOTHING).keys:
                raise refused("Rows of people are read in a place where they cannot be counted.")
        return shape

    def _query(self, node: exp.Expression) -> Shape:
        if id(node) in self.sources:
            self.seen.add(id(node))
            shape = self.sources[id(node)]
        elif isinstance(node, exp.Select):
            shape = self._select(node)
        elif isinstance(node, exp.SetOperation):
            shape = self._united(node)
        elif isinstance(node, exp.Subquery) and isinstance(node.this, QUERIES):
            shape = self._bracketed(node)
        else:
            shape = self._other(node)
        self.free[id(node)] = shape.free
        return shape

    def _other(self, node: exp.Expression) -> Shape:
        """Something that is no query, or none that is understood: what is in it may hold no rows of people."""
        inside = [one for one in own(node) if one is not node and isinstance(one, QUERIES)]
        free = tuple(column for one in inside for column in self._closed(one).free)
        columns = tuple(one for one in own(node) if isinstance(one, exp.Column))
        is_constant = isinstance(node, exp.Values) and not inside
        return Shape(None, grouped=is_constant, free=(*free, *columns))

    def _closed(self, node: exp.Expression) -> Shape:
        """A query where its rows are not counted: in a predicate, as a value."""
        shape = self._query(node)
        if shape.keys:
            raise refused(
                "A sub-query in a condition or a value reads rows of people one by one.",
                "Group in the sub-query too, or join the table instead.",
            )
        return shape

    def _with(self, node: exp.Expression) -> None:
        with_ = node.args.get("with_")
        for cte in with_.expressions if isinstance(with_, exp.With) else ():
            self._cte(cte.alias)

    def _cte(self, name: str) -> Shape:
        if name not in self.known:
            if name in self.open or name not in self.ctes:
                return NOTHING
            cte = self.ctes[name]
            self.open.add(name)
            shape = self._query(cte.this)
            self.open.discard(name)
            reads_itself = any(table.name == name for table in cte.this.find_all(exp.Table))
            if shape.keys and reads_itself:
                raise refused("A recursive WITH may not hand on rows of people.")
            self.known[name] = self._aliased(shape, cte.args.get("alias"))
        return self.known[name]

    def _aliased(self, shape: Shape, alias: exp.Expression | None) -> Shape:
        """The shape under a list of column names, which gets the hidden ones where it names all of the others."""
        columns = list(alias.args.get("columns") or ()) if alias is not None else []
        if alias is not None and columns and shape.outputs is not None and len(columns) >= len(shape.outputs):
            hidden = [exp.to_identifier(key.name, quoted=True) for key in shape.keys]
            alias.set("columns", [*columns, *hidden])
        return shape.renamed(columns, self.dialect)

    def _bracketed(self, node: exp.Subquery) -> Shape:
        self._with(node)
        shape = self._query(node.this)
        extra = [key for key, value in node.args.items() if value and key not in {"this", "alias", "with_"}]
        if shape.keys and extra:
            raise refused("Brackets with more than a query in them are not allowed over rows of people.")
        parts = [part for key in extra for part in _nodes(node.args[key])]
        inside = [one for part in parts for one in own(part) if isinstance(one, QUERIES)]
        free = [column for one in inside for column in self._closed(one).free]
        if "joins" in extra or "pivots" in extra:
            return Shape(None, free=(*shape.free, *free))
        return Shape(shape.outputs, shape.keys, shape.grouped, (*shape.free, *free))

    def _united(self, node: exp.SetOperation) -> Shape:
        self._with(node)
        left, right = self._query(node.this), self._query(node.expression)
        free = (*left.free, *right.free)
        if not (left.keys or right.keys):
            return Shape(left.outputs, (), left.grouped and right.grouped, free)
        extra = [key for key, value in node.args.items() if value and key not in _ARMS]
        if not isinstance(node, exp.Union) or node.args.get("distinct") or extra:
            raise refused("Rows of people may be put together by UNION ALL only.", "Group in each part instead.")
        if [key.people for key in left.keys] != [key.people for key in right.keys]:
            raise refused("UNION ALL puts rows of different people together.", "Group in each part instead.")
        if left.outputs is None or right.outputs is None or len(left.outputs) != len(right.outputs):
            raise refused("UNION ALL over rows of people needs the same columns in each part.", "Name the columns.")
        pairs = zip(left.outputs, right.outputs, strict=True)
        outputs = tuple(Output(one.name, one.plain and two.plain) for one, two in pairs)
        return Shape(outputs, left.keys, grouped=False, free=free)

    def _origin(self, item: exp.Expression) -> Origin:
        alias = item.args.get("alias")
        if alias is None and isinstance(item, exp.Subquery) and isinstance(item.this, exp.Subquery):
            return self._origin(item.this)
        if isinstance(item, exp.Table) and isinstance(item.this, exp.Identifier):
            shape = self._aliased_table(item)
        elif isinstance(item, exp.Lateral):
            shape = self._other(item)
        elif isinstance(item, exp.Subquery):
            shape = self._aliased(self._query(item), alias)
        else:
            columns = alias.args.get("columns") if alias is not None else None
            shape = self._other(item).renamed(columns or (), self.dialect)
        if item.args.get("pivots"):
            shape = Shape(None, shape.keys, free=shape.free)
        if alias is None and shape.keys and isinstance(item, exp.Subquery):
            self.fresh += 1
            alias = exp.TableAlias(this=exp.to_identifier(f"{NAME_PREFIX}{self.fresh}", quoted=True))
            item.set("alias", alias)
        named = alias.this if alias is not None else None
        return Origin(named if named is not None else exp.to_identifier(item.alias_or_name or ""), shape)

    def _aliased_table(self, item: exp.Table) -> Shape:
        shape = self._cte(item.name)
        self.seen.add(id(item))
        extra = [one for key in ("joins", "pivots") for one in item.args.get(key) or ()]
        if extra:
            if shape.keys:
                raise refused("Brackets around joins and PIVOT are not allowed on rows of people.")
            for part in extra:
                self._other(part)
            return NOTHING
        return self._aliased(shape, item.args.get("alias"))

    def _select(self, select: exp.Select) -> Shape:
        self._with(select)
        items = list(from_items(select))
        origins = tuple(self._origin(item) for item in items)
        # What stands in FROM was looked at; what stands in the rest may hold no rows of people.
        looked_at = {id(one) for item in items for one in own(item)}
        looked_at |= {id(one) for one in own(select.args["with_"])} if select.args.get("with_") else set()
        rest = [one for one in own(select) if id(one) not in looked_at]
        inside = [one for one in rest if one is not select and isinstance(one, QUERIES)]
        shapes = [self._closed(one) for one in inside]
        scope = Scope(origins, self.dialect)
        columns = [one for one in rest if isinstance(one, exp.Column) and not one.is_star and not self._is_word(one)]
        around = [*columns, *(column for shape in shapes for column in shape.free)]
        outer = tuple(column for column in around if not scope.holds(column))
        if any(origin.shape.keys for origin in origins):
            return self._over_people(select, scope, outer)
        free = (*outer, *(column for origin in origins for column in origin.shape.free))
        shown = [shape for one, shape in zip(inside, shapes, strict=True) if _is_shown(one, select)]
        plain_rows = not is_grouped(select) and not all(origin.shape.grouped for origin in origins)
        grouped = not plain_rows and all(shape.grouped for shape in shown)
        return Shape(_outputs(select, scope), (), grouped, free)

    def _over_people(self, select: exp.Select, scope: Scope, outer: Sequence[exp.Column]) -> Shape:
        grouped = is_grouped(select)
        check_clauses(select, scope.origins, grouped=grouped)
        if len(scope.keys) > MAX_KEYS:
            raise refused(f"Rows of people are read in more than {MAX_KEYS} places at once.", "Group earlier.")
        _check_stars(select)
        check_lasting(select)
        check_aliases(select, scope)
        aliases = {scope.folded(one.args["alias"]) for one in select.expressions if isinstance(one, exp.Alias)}
        for column in outer:
            is_output = isinstance(column.this, exp.Identifier) and scope.folded(column.this) in aliases
            if column.args.get("table") or column.args.get("db") or not (grouped and is_output):
                raise refused(
                    f"{_shown(column)} is no column of the tables here: rows of people are read without outer columns.",
                    "Write table.column, and use a join instead of a correlated sub-query.",
                )
        if grouped:
            Grouped(select, scope, self.k, lambda query: self.free[id(query)]).settle()
            return Shape(tuple(Output(self._name(one), plain=False) for one in select.expressions), grouped=True)
        return self._handed_on(select, scope)

    def _handed_on(self, select: exp.Select, scope: Scope) -> Shape:
        """Rows of people, each with its keys."""
        _expand_stars(select, scope)
        for node in own(select):
            if isinstance(node, exp.Window):
                raise refused("A window over rows of people is not allowed.", "Group first, then use the window.")
        for projection in select.expressions:
            if any(isinstance(node, (*_MANY_ROWS, *QUERIES)) for node in own(projection)):
                raise refused("This column is not known to be of one person.", "Group where the function is used.")
        outputs = tuple(
            Output(self._name(one), isinstance(one.unalias(), exp.Column) and scope.is_plain(one.unalias()))
            for one in select.expressions
        )
        keys = []
        for origin in scope.origins:
            for key in origin.shape.keys:
                self.fresh += 1
                keys.append(Key(f"{KEY_PREFIX}{self.fresh}", key.people))
                hidden = exp.Alias(this=origin.column(key), alias=exp.to_identifier(keys[-1].name, quoted=True))
                select.append("expressions", hidden)
        return Shape(outputs, tuple(keys))

    def _is_word(self, column: exp.Column) -> bool:
        """Whether this is no column, but a word of the engine's own."""
        return not column.args.get("table") and column.name.upper() in self.dialect.bare_columns

    def _name(self, projection: exp.Expression) -> str:
        return self.dialect.fold(projection.alias_or_name, quoted=True)


def _outputs(select: exp.Select, scope: Scope) -> tuple[Output, ...] | None:
    """The columns of a SELECT that reads no rows of people; None where a star hides them."""
    found: list[Output] = []
    is_rows = not is_grouped(select)
    for one in select.expressions:
        if any(isinstance(node, exp.Columns) or _is_star(node) for node in own(one)):
            expanded = _expanded(one, select, scope)
            if expanded is None:
                return None
            found += [output for _, output in expanded]
        else:
            inner = one.unalias()
            is_plain = is_rows and isinstance(inner, exp.Column) and scope.is_plain(inner)
            found.append(Output(scope.dialect.fold(one.alias_or_name, quoted=True), is_plain))
    return tuple(found)


def _check_stars(select: exp.Select) -> None:
    """Refuse what stands for columns without naming them, anywhere but as an output or in count(*)."""
    for node in own(select):
        is_output = node.parent is select or (isinstance(node.parent, exp.Column) and node.parent.parent is select)
        if _is_star(node) and not is_output:
            raise refused("A * inside an expression over rows of people could show their keys.", "Name the columns.")
        if isinstance(node, exp.Columns) or (isinstance(node, exp.Anonymous) and node.name.lower() == "columns"):
            raise refused("COLUMNS over rows of people could show their keys.", "Name the columns.")


def _is_star(node: exp.Expression) -> bool:
    return isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count)


def _expand_stars(select: exp.Select, scope: Scope) -> None:
    """Name the columns that a star stands for: it would show the hidden ones."""
    projections: list[exp.Expression] = []
    for one in select.expressions:
        if not any(isinstance(node, (exp.Star, exp.Columns)) for node in own(one)):
            projections.append(one)
            continue
        expanded = _expanded(one, select, scope)
        if expanded is None:
            raise refused("This * over rows of people cannot be told.", "Name the columns.")
        for origin, output in expanded:
            name = exp.to_identifier(output.name, quoted=True)
            projections.append(exp.Alias(this=exp.column(name, table=origin.alias.copy()), alias=name.copy()))
    select.set("expressions", projections)


def _expanded(one: exp.Expression, select: exp.Select, scope: Scope) -> list[tuple[Origin, Output]] | None:
    """What a bare `*` or `t.*` stands for; None where that is not plain to see."""
    star = one.this if isinstance(one, exp.Column) else one
    merged = any(join.args.get("using") or join.args.get("method") for join in select.args.get("joins") or ())
    if not isinstance(star, exp.Star) or any(star.args.values()) or (merged and star is one):
        return None
    table = one.args.get("table") if star is not one else None
    wanted = None if table is None else scope.folded(table)
    origins = [one for one in scope.origins if wanted is None or scope.folded(one.alias) == wanted]
    if not origins or any(origin.shape.outputs is None for origin in origins):
        return None
    return [(origin, output) for origin in origins for output in origin.shape.outputs or ()]


def _is_shown(node: exp.Expression, select: exp.Select) -> bool:
    """Whether a query in a SELECT is part of what it shows."""
    current = node
    while current.parent is not None and current.parent is not select:
        current = current.parent  # type: ignore[assignment]
    return current.arg_key in {"expressions", "order"}


def _nodes(value: object) -> Iterator[exp.Expression]:
    if isinstance(value, list):
        for one in value:
            yield from _nodes(one)
    elif isinstance(value, exp.Expression):
        yield value


def _shown(column: exp.Column) -> str:
    name = column.name
    return name if name.isprintable() and 0 < len(name) <= 64 else "A column"  # noqa: PLR2004
