"""A rewritten statement -> from which columns of which relations each column of its result is made.

For explanations only: the masks hold without it. It errs to more columns, never to fewer: where a construct is not
followed, everything that is read beneath it counts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlglot import exp

from agent.core.catalog import Relation
from agent.dialects import Dialect
from agent.masking.subqueries import Builder


class Origin(NamedTuple):
    """A column of a relation of the catalog."""

    schema: str
    relation: str
    column: str


Origins = frozenset[Origin]
_NONE: Origins = frozenset()


class _UnknownError(Exception):
    """The columns of a query cannot be told apart."""


@dataclass(frozen=True, slots=True)
class Output:
    """A column of a result: its name, and what it is made of. `plain`: it is one column, unchanged but for its mask.

    The name is empty where the statement gives none. Not `known`: it names a column that nothing here has.
    """

    name: str
    origins: Origins
    plain: bool = False
    known: bool = True


@dataclass(frozen=True, slots=True)
class _Source:
    """What stands in FROM. `columns` is None where its columns are not known: then each is made of `everything`."""

    columns: tuple[Output, ...] | None
    everything: Origins


@dataclass(slots=True)
class _Scope:
    """The sources that an expression may name, by alias; `outer` are those around a sub-query."""

    sources: dict[str, _Source] = field(default_factory=dict)
    merged: frozenset[str] = frozenset()
    outer: "_Scope | None" = None


_Ctes = Mapping[str, _Source]


class Lineage:
    """Reads the tree that a builder has rewritten, before it is written."""

    def __init__(self, builder: Builder) -> None:
        """Args: what has read the statement's relations."""
        self._dialect: Dialect = builder.dialect
        self._tables: dict[tuple[str, str], Relation] = {}
        self._views: dict[int, tuple[Relation, exp.Select]] = {}
        self._whole: dict[int, Origins] = {}
        for relation in builder.touched:
            if relation.definition is None:
                self._tables[relation.schema, relation.name] = relation
        known = {(relation.schema, relation.name): relation for relation in builder.touched}
        for (schema, name, _), made in builder.built.items():
            view = known.get((schema, name))  # a dialect's own tables are none of the catalog
            if view is not None and view.definition is not None:
                self._views[hash(made[0])] = (view, made[0])

    def outputs(self, tree: exp.Expression) -> tuple[Output, ...] | None:
        """The columns of the statement's result; None where they cannot be told apart."""
        try:
            return self._query(tree, {}, None)
        except (_UnknownError, RecursionError):
            return None

    def beneath(self, view: Relation) -> Mapping[str, Origins]:
        """What each projected column of a view is made of, in the relations beneath it; views beneath are followed."""
        found: dict[str, Origins] = {}
        for relation, select in self._views.values():
            if relation == view:
                try:
                    made = self._select(select, self._with(select, {}, None), None)
                except (_UnknownError, RecursionError):
                    made = tuple(Output(name.alias, self._below(select)) for name in select.expressions)
                found |= {output.name: found.get(output.name, _NONE) | output.origins for output in made}
        return found

    def everything(self, tree: exp.Expression) -> Origins:
        """All columns that are read anywhere in the tree."""
        found: set[Origin] = set()
        todo: list[exp.Expr] = [tree]
        while todo:
            node = todo.pop()
            leaf = self._leaf(node)
            if leaf is None:
                todo += node.iter_expressions()
            else:
                found |= {Origin(leaf.schema, leaf.name, name) for name in _projected_names(node)}
        return frozenset(found)

    def _below(self, select: exp.Select) -> Origins:
        return frozenset().union(*(self.everything(node) for node in select.iter_expressions()))

    def _leaf(self, node: exp.Expr) -> Relation | None:
        """The relation whose masked projection this is: a table is read nowhere else."""
        if not isinstance(node, exp.Select):
            return None
        from_ = node.args.get("from_")
        if from_ is not None and isinstance(from_.this, exp.Table) and from_.this.args.get("db") is not None:
            return self._tables.get((from_.this.db, from_.this.name))
        found = self._views.get(hash(node))
        return found[0] if found is not None else None

    def _fold(self, name: str) -> str:
        return self._dialect.fold(name, quoted=True)

    def _query(self, node: exp.Expr, ctes: _Ctes, outer: _Scope | None) -> tuple[Output, ...]:
        leaf = self._leaf(node)
        if leaf is not None:
            return tuple(
                Output(name, frozenset({Origin(leaf.schema, leaf.name, name)}), plain=True)
                for name in _projected_names(node)
            )
        match node:
            case exp.Subquery() if not node.args.get("pivots"):
                return self._query(node.this, self._with(node, ctes, outer), outer)
            case exp.SetOperation():
                ctes = self._with(node, ctes, outer)
                return self._united(
                    node, self._query(node.this, ctes, outer), self._query(node.expression, ctes, outer)
                )
            case exp.Values():
                return self._values(node, outer)
            case exp.Select():
                return self._select(node, self._with(node, ctes, outer), outer)
            case _:
                raise _UnknownError

    def _united(
        self, node: exp.SetOperation, left: tuple[Output, ...], right: tuple[Output, ...]
    ) -> tuple[Output, ...]:
        if node.args.get("by_name") or len(left) != len(right):
            raise _UnknownError
        return tuple(
            Output(one.name, one.origins | other.origins, plain=one.plain and one.origins == other.origins)
            for one, other in zip(left, right, strict=True)
        )

    def _values(self, node: exp.Values, outer: _Scope | None) -> tuple[Output, ...]:
        first = node.expressions[0] if node.expressions else None
        width = len(first.expressions) if isinstance(first, exp.Tuple) else 1
        made = frozenset[Origin]().union(*(self._made_of(one, _Scope(outer=outer)) for one in node.expressions))
        return tuple(Output("", made) for _ in range(width))

    def _with(self, node: exp.Expr, ctes: _Ctes, outer: _Scope | None) -> _Ctes:
        with_ = node.args.get("with_")
        if not isinstance(with_, exp.With):
            return ctes
        known = dict(ctes)
        if any(cte.args.get("scalar") for cte in with_.expressions):
            raise _UnknownError
        for cte in with_.expressions:
            alias, everything = cte.args["alias"], self.everything(cte.this)
            everything |= frozenset().union(*(self._named(table, known) for table in cte.this.find_all(exp.Table)))
            known.setdefault(self._fold(alias.this.this), _Source(None, everything))  # for itself, if recursive
            try:
                made = _renamed(self._query(cte.this, known, outer), alias)
                recursive = with_.args.get("recursive")
                columns = tuple(Output(one.name, everything if recursive else one.origins) for one in made)
                known[self._fold(alias.this.this)] = _Source(columns if recursive else made, everything)
            except _UnknownError:
                known[self._fold(alias.this.this)] = _Source(None, everything)
        return known

    def _named(self, table: exp.Table, ctes: _Ctes) -> Origins:
        found = ctes.get(self._fold(table.name))
        return found.everything if found is not None else _NONE

    def _select(self, select: exp.Select, ctes: _Ctes, outer: _Scope | None) -> tuple[Output, ...]:
        scope = _Scope(outer=outer)
        merged: set[str] = set()
        from_ = select.args.get("from_")
        parts = [from_.this] if from_ is not None else []
        for node in (*parts, *(select.args.get("laterals") or ())):
            self._enter(node, scope, ctes, merged)
        for join in select.args.get("joins") or ():
            self._join(join, scope, ctes, merged)
        outputs: list[Output] = []
        windows = [self._made_of(one, scope) for one in select.args.get("windows") or ()]
        for projection in select.expressions:
            outputs += self._projected(projection, scope, merged, frozenset().union(*windows), outputs)
        return tuple(outputs)

    def _join(self, join: exp.Join, scope: _Scope, ctes: _Ctes, merged: set[str]) -> None:
        using = {self._fold(name.name) for name in join.args.get("using") or ()}
        if join.args.get("method") == "NATURAL":
            using |= {self._fold(one.name) for source in scope.sources.values() for one in source.columns or ()}
        merged |= using
        self._enter(join.this, scope, ctes, merged)

    def _enter(self, node: exp.Expr, scope: _Scope, ctes: _Ctes, merged: set[str]) -> None:
        """Add what stands in FROM to the scope, with the joins that hang on it."""
        inner = node.this
        if isinstance(node, exp.Subquery) and not node.alias and isinstance(inner, exp.Subquery) and inner.alias:
            self._enter(inner, scope, ctes, merged)  # a join in brackets
        else:
            source = self._source(node, scope, ctes)
            scope.sources[self._fold(node.alias_or_name) or f"\0{len(scope.sources)}"] = source
            for pivot in node.args.get("pivots") or ():
                scope.sources[self._fold(pivot.alias) or f"\0{len(scope.sources)}"] = source
        for join in node.args.get("joins") or ():
            self._join(join, scope, ctes, merged)

    def _source(self, node: exp.Expr, scope: _Scope, ctes: _Ctes) -> _Source:
        everything = self.everything(node)  # type: ignore[arg-type]
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            found = ctes.get(self._fold(node.name))
            if found is None:
                raise _UnknownError
            columns = None if found.columns is None else _renamed(found.columns, node.args.get("alias"))
            return _Source(None if node.args.get("pivots") else columns, everything | found.everything)
        everything |= frozenset().union(*(self._named(table, ctes) for table in node.find_all(exp.Table)))
        if isinstance(node, (exp.Subquery, exp.Values)) and not node.args.get("pivots"):
            try:
                made = self._query(node, ctes, scope)
            except _UnknownError:
                return _Source(None, everything | self._made_of(node, scope))
            return _Source(_renamed(made, node.args.get("alias")), everything)
        return _Source(None, everything | self._made_of(node, scope))  # table functions, UNNEST, LATERAL, pivots

    def _projected(
        self, projection: exp.Expr, scope: _Scope, merged: set[str], windows: Origins, before: Sequence[Output]
    ) -> list[Output]:
        bare = projection.unalias()
        if isinstance(bare, exp.Star) or (isinstance(bare, exp.Column) and isinstance(bare.this, exp.Star)):
            return self._starred(bare, scope, merged)
        if any(not isinstance(star.parent, exp.Count) for star in projection.find_all(exp.Star, exp.Columns)):
            raise _UnknownError
        origins = self._made_of(projection, scope, before)
        if next(projection.find_all(exp.Window), None) is not None:
            origins |= windows
        named = projection.alias if isinstance(projection, exp.Alias) else ""
        if isinstance(bare, exp.Column):
            known = bool(origins) or self._found(bare, scope, before)
            return [Output(named or bare.name, origins, plain=len(origins) == 1, known=known)]
        return [Output(named, origins)]

    def _starred(self, star: exp.Expr, scope: _Scope, merged: set[str]) -> list[Output]:
        inner = star.this if isinstance(star, exp.Column) else star
        if inner.args.get("replace") or inner.args.get("rename"):
            raise _UnknownError
        wanted = self._fold(star.table) if isinstance(star, exp.Column) else None
        left_out = {self._fold(one.name) for one in inner.args.get("except_") or ()}
        found: list[Output] = []
        for alias, source in scope.sources.items():
            if wanted is not None and alias != wanted:
                continue
            if source.columns is None:
                raise _UnknownError
            seen = {self._fold(one.name) for one in found} & (merged if wanted is None else set())
            found += [one for one in source.columns if self._fold(one.name) not in left_out | seen]
        return found

    def _made_of(self, node: exp.Expr, scope: _Scope, before: Sequence[Output] = ()) -> Origins:
        """The columns that an expression reads, with all that its sub-queries read."""
        found: Origins = self.everything(node)  # type: ignore[arg-type]
        for column in node.find_all(exp.Column):
            found |= self._column(column, scope, before)
        for table in node.find_all(exp.Table):
            found |= self._reads_cte(table)
        return found

    def _reads_cte(self, table: exp.Table) -> Origins:
        """A sub-query that reads a CTE: everything that is in reach counts."""
        if not isinstance(table.this, exp.Identifier) or table.args.get("db") is not None:
            return _NONE
        root = table.root()
        if id(root) not in self._whole:
            self._whole[id(root)] = self.everything(root)  # type: ignore[arg-type]
        return self._whole[id(root)]

    def _column(self, column: exp.Column, scope: _Scope | None, before: Sequence[Output]) -> Origins:
        name, table = self._fold(column.name), self._fold(column.table)
        while scope is not None:
            found = list(self._candidates(name, table, scope, before))
            if found:
                return frozenset().union(*found)
            scope, before = scope.outer, ()
        return _NONE  # a name of a sub-query's own, which `everything` has counted

    def _found(self, column: exp.Column, scope: _Scope | None, before: Sequence[Output]) -> bool:
        name, table = self._fold(column.name), self._fold(column.table)
        while scope is not None:
            if next(self._candidates(name, table, scope, before), None) is not None:
                return True
            scope, before = scope.outer, ()
        return False

    def _candidates(self, name: str, table: str, scope: _Scope, before: Sequence[Output]) -> Iterator[Origins]:
        for alias, source in scope.sources.items():
            if table in {"", alias}:
                yield from self._in(source, name, qualified=bool(table))
            if not table and alias == name:  # a whole row
                yield source.everything
            if table:  # a field of a struct
                yield from (one.origins for one in source.columns or () if self._fold(one.name) == table)
        if not table:
            yield from (one.origins for one in before if self._fold(one.name) == name)

    def _in(self, source: _Source, name: str, *, qualified: bool) -> Iterator[Origins]:
        """What a name can mean in a source: engines name some columns by themselves, and read `row.type` as a cast."""
        found = [one.origins for one in source.columns or () if self._fold(one.name) == name]
        if not found and (qualified or source.columns is None or not all(one.name for one in source.columns)):
            yield source.everything
        yield from found


def _projected_names(leaf: exp.Expr) -> list[str]:
    """The columns that a masked projection shows; those that only count people are the agent's own."""
    names: list[str] = [one.alias for one in leaf.args["expressions"]]
    return [name for name in names if not name.startswith("meridyen_")]


def _renamed(columns: tuple[Output, ...], alias: exp.Expr | None) -> tuple[Output, ...]:
    """The columns under the names that an alias gives to the first of them."""
    given = [one.name for one in (alias.args.get("columns") or ())] if alias is not None else []
    return tuple(
        Output(given[place] if place < len(given) else one.name, one.origins, one.plain)
        for place, one in enumerate(columns)
    )
