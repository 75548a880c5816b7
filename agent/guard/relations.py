"""Which catalog relation, or which CTE, every table name of a tree means."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from sqlglot import exp

from agent.core.catalog import Catalog, Relation
from agent.core.errors import Refuse
from agent.dialects import Dialect
from agent.guard.remember import by_identity

_SEQUENCES: Final = frozenset({"nextval", "currval"})
"""What stands behind a sequence's name, which is no alias: `sequence.nextval` takes a number from it."""


ROWS: Final = (exp.Func, exp.Values)
"""What a table node may hold instead of a name: rows that it makes itself."""


@dataclass(frozen=True, slots=True)
class Use:
    """One place where a relation or a CTE is read."""

    node: exp.Table
    means: Relation | exp.CTE


def tables(tree: exp.Expression) -> Iterator[exp.Table]:
    """Every table node, also in places that look like none."""
    yield from tree.find_all(exp.Table)


def uses(tree: exp.Expression, catalog: Catalog, dialect: Dialect) -> tuple[Use, ...]:
    """What each table name means. Raises Refuse(sql.relation)."""
    scopes = _Scopes(dialect)
    # The walk decided about table functions.
    named = [node for node in tables(tree) if not isinstance(node.this, ROWS)]
    return tuple(_use(node, catalog, dialect, scopes) for node in named)


def unknown(tree: exp.Expression, catalog: Catalog, dialect: Dialect) -> Iterator[tuple[Refuse, exp.Expression]]:
    """Every refusal that `uses` would come to if it went on after the first, with the table it is about."""
    scopes = _Scopes(dialect)
    for node in tables(tree):
        try:
            if not isinstance(node.this, ROWS):
                _use(node, catalog, dialect, scopes)
        except Refuse as refusal:
            yield refusal, node


def _use(node: exp.Table, catalog: Catalog, dialect: Dialect, scopes: "_Scopes") -> Use:
    if not isinstance(node.this, exp.Identifier):
        raise Refuse("sql.relation", "A table is not written as a name.", "Write schema.table.")
    cte = scopes.cte(node)
    return Use(node, cte if cte is not None else _find(node, catalog, dialect, _known(catalog.relations, dialect)))


@dataclass(slots=True)
class _Scopes:
    """Which CTE an unqualified name means, for every table of one tree. What was found on the way up is kept."""

    dialect: Dialect
    places: dict[int, dict[str, list[int]]] = field(default_factory=dict)
    found: dict[tuple[int, str], exp.CTE | None] = field(default_factory=dict)

    def cte(self, node: exp.Table) -> exp.CTE | None:
        """Innermost WITH first, only earlier ones, itself only when recursive; None: a relation."""
        if node.args.get("db") or node.args.get("catalog"):
            return None
        wanted = _folded(node.this, self.dialect)
        child: exp.Expr = node
        passed = []
        meant: exp.CTE | None = None
        while meant is None and (parent := child.parent) is not None:
            if (id(child), wanted) in self.found:
                meant = self.found[id(child), wanted]
                break
            passed.append((id(child), wanted))
            if isinstance(parent, exp.With):
                meant = self._named(parent, child, wanted)
                child = parent.parent or parent  # the WITH's own query was just looked at
            else:
                with_ = parent.args.get("with_")
                if isinstance(with_, exp.With) and child is not with_:
                    meant = self._named(with_, None, wanted)
                child = parent
        self.found.update(dict.fromkeys(passed, meant))
        return meant

    def _named(self, with_: exp.With, inside: exp.Expr | None, wanted: str) -> exp.CTE | None:
        """The last CTE of that name which is visible after the WITH, or in one of its CTEs."""
        if id(with_) not in self.places:
            places: dict[str, list[int]] = {}
            for place, one in enumerate(with_.expressions):
                if one.args.get("scalar"):
                    continue  # it names a value
                places.setdefault(_folded(one.args["alias"].this, self.dialect), []).append(place)
            self.places[id(with_)] = places
        end = len(with_.expressions)
        if inside is not None and not self.dialect.early_ctes:
            recursive = bool(with_.args.get("recursive"))
            if not (recursive and self.dialect.forward_ctes):
                end = (inside.index or 0) + recursive
        visible = [place for place in self.places[id(with_)].get(wanted, ()) if place < end]
        cte: exp.CTE | None = with_.expressions[visible[-1]] if visible else None
        return cte


def _folded(name: exp.Identifier, dialect: Dialect) -> str:
    return dialect.fold(name.this, quoted=bool(name.args.get("quoted")))


def check_hidden(tree: exp.Expression, found: tuple[Use, ...], dialect: Dialect) -> None:
    """Refuse names that mean something to the engine although no relation has a column of that name."""
    hidden = dialect.hidden_columns | _SEQUENCES
    columns = list(tree.find_all(exp.Column))
    asked = [column for column in columns if column.name.lower() in hidden or column.table.lower() in hidden]
    if not asked:
        return
    known = {column.name.lower() for use in found if isinstance(use.means, Relation) for column in use.means.columns}
    names = [name for name in tree.find_all(exp.Identifier) if not isinstance(name.parent, exp.Column)]
    named = known | {name.name.lower() for name in names}
    aliases = {table.alias_or_name.lower() for table in tree.find_all(exp.Table, exp.Subquery)}
    for column in asked:
        name, table = column.name.lower(), column.table.lower()
        if table in hidden and table not in named:
            raise Refuse("sql.column", f"No relation here is called {table}.", "Name a relation of the catalog.")
        if name not in hidden:
            continue
        given = known if name in _SEQUENCES else known | {one.name.lower() for one in names if not _beside(one, column)}
        if name not in given and (not table or table in aliases or name in _SEQUENCES):
            raise Refuse("sql.column", f"No relation here has a column {name}.", "Name a column of the catalog.")


def _beside(name: exp.Identifier, column: exp.Column) -> bool:
    """Whether the name is given to an item of the very SELECT list in which the column stands: too late for it."""
    alias, select = name.parent, column.parent_select
    if not isinstance(alias, exp.Alias) or alias.parent is not select or select is None:
        return False
    item: exp.Expr | None = column
    while item is not None and item.parent is not select:
        item = item.parent
    return item is not None and item.arg_key == "expressions"


@by_identity
def _known(relations: tuple[Relation, ...], dialect: Dialect) -> dict[tuple[str, str], Relation]:
    """Relations by schema and name; of two that the engine could not tell apart the first."""
    return {
        (dialect.fold(relation.schema, quoted=True), dialect.fold(relation.name, quoted=True)): relation
        for relation in reversed(relations)
    }


@by_identity
def _twins(relations: tuple[Relation, ...], dialect: Dialect) -> frozenset[tuple[str, str]]:
    """Names that several relations share when they are compared as the dialect does."""
    count = Counter(
        (dialect.fold(relation.schema, quoted=True), dialect.fold(relation.name, quoted=True)) for relation in relations
    )
    return frozenset(name for name, times in count.items() if times > 1)


def _find(node: exp.Table, catalog: Catalog, dialect: Dialect, known: dict[tuple[str, str], Relation]) -> Relation:
    """The catalog relation of a table node; denied and missing ones read the same. Raises Refuse(sql.relation)."""
    schema, database = node.args.get("db"), node.args.get("catalog")
    databases = {dialect.fold(one, quoted=True) for one in catalog.databases}
    if database is not None and _folded(database, dialect) not in databases:
        raise _missing(node, catalog)
    path = catalog.search_path or (catalog.default_schema,)
    wanted = [dialect.fold(one, quoted=True) for one in path] if schema is None else [_folded(schema, dialect)]
    name = _folded(node.this, dialect)
    open_ = (one for one in wanted if one not in dialect.system_schemas)
    found = next(((one, name) for one in open_ if (one, name) in known), None)
    relation = known[found] if found is not None else None
    if found in _twins(catalog.relations, dialect):  # only the engine's own spelling tells them apart
        schemas = (node.db,) if schema is not None else path
        exact = [one for one in catalog.relations if one.name == node.name and one.schema in schemas]
        relation = exact[0] if len(exact) == 1 else None
    if relation is None and database is None and name in dialect.dummies:
        dummy = dialect.dummies[name]
        relation = dummy if schema is None or dummy.schema in wanted else None
    if relation is None:
        raise _missing(node, catalog)
    return relation


def _missing(node: exp.Table, catalog: Catalog) -> Refuse:
    bare = (catalog.search_path or (catalog.default_schema,)) if node.args.get("db") is None else ()
    known = {
        relation.name.lower(): relation.name if relation.schema in bare else f"{relation.schema}.{relation.name}"
        for relation in catalog.relations
    }
    close = get_close_matches(node.name.lower(), known, n=3, cutoff=0.6)
    if close:
        hint = f"Did you mean {', '.join(known[one] for one in close)}?"
    elif known:
        some = ", ".join(sorted(known.values())[:8])
        hint = f"Relations that this source shows: {some}{', …' if len(known) > 8 else ''}."  # noqa: PLR2004
    else:
        hint = "This source shows no relation to this job."
    shown = node.name if node.name.isprintable() and len(node.name) <= 64 else "(unprintable)"  # noqa: PLR2004
    return Refuse("sql.relation", f"The relation {shown} does not exist or is not allowed.", hint)
