"""Which catalog relation, or which CTE, every table name of a tree means."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches

from sqlglot import exp

from agent.core.catalog import Catalog, Relation
from agent.core.errors import Refuse
from agent.dialects import Dialect
from agent.guard.remember import by_identity


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
    found = []
    scopes = _Scopes(dialect)
    known = _known(catalog.relations, dialect)
    for node in tables(tree):
        if isinstance(node.this, exp.Func):
            continue  # the walk decided about table functions
        if not isinstance(node.this, exp.Identifier):
            raise Refuse("sql.relation", "A table is not written as a name.", "Write schema.table.")
        cte = scopes.cte(node)
        found.append(Use(node, cte if cte is not None else _find(node, catalog, dialect, known)))
    return tuple(found)


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
                places.setdefault(_folded(one.args["alias"].this, self.dialect), []).append(place)
            self.places[id(with_)] = places
        end = len(with_.expressions)
        if inside is not None and not self.dialect.early_ctes:
            end = (inside.index or 0) + bool(with_.args.get("recursive"))
        visible = [place for place in self.places[id(with_)].get(wanted, ()) if place < end]
        cte: exp.CTE | None = with_.expressions[visible[-1]] if visible else None
        return cte


def _folded(name: exp.Identifier, dialect: Dialect) -> str:
    return dialect.fold(name.this, quoted=bool(name.args.get("quoted")))


def check_hidden(tree: exp.Expression, found: tuple[Use, ...], dialect: Dialect) -> None:
    """Refuse names that mean something to the engine although no relation has a column of that name."""
    asked = [column for column in tree.find_all(exp.Column) if column.name.lower() in dialect.hidden_columns]
    if not asked:
        return
    named = {column.name.lower() for use in found if isinstance(use.means, Relation) for column in use.means.columns}
    named |= {name.name.lower() for name in tree.find_all(exp.Identifier) if not isinstance(name.parent, exp.Column)}
    aliases = {table.alias_or_name.lower() for table in tree.find_all(exp.Table, exp.Subquery)}
    for column in asked:
        name, table = column.name.lower(), column.table.lower()
        if name not in named and (not table or table in aliases):
            raise Refuse("sql.column", f"No relation here has a column {name}.", "Name a column of the catalog.")


@by_identity
def _known(relations: tuple[Relation, ...], dialect: Dialect) -> dict[tuple[str, str], Relation]:
    """Relations by schema and name; of two that the engine could not tell apart the first."""
    return {
        (dialect.fold(relation.schema, quoted=True), dialect.fold(relation.name, quoted=True)): relation
        for relation in reversed(relations)
    }


def _find(node: exp.Table, catalog: Catalog, dialect: Dialect, known: dict[tuple[str, str], Relation]) -> Relation:
    """The catalog relation of a table node; denied and missing ones read the same. Raises Refuse(sql.relation)."""
    schema, database = node.args.get("db"), node.args.get("catalog")
    databases = {dialect.fold(one, quoted=True) for one in catalog.databases}
    if database is not None and _folded(database, dialect) not in databases:
        raise _missing(node, catalog)
    wanted = dialect.fold(catalog.default_schema, quoted=True) if schema is None else _folded(schema, dialect)
    relation = known.get((wanted, _folded(node.this, dialect)))
    if relation is None:
        raise _missing(node, catalog)
    return relation


def _missing(node: exp.Table, catalog: Catalog) -> Refuse:
    bare = catalog.default_schema if node.args.get("db") is None else None
    known = {
        relation.name.lower(): relation.name if relation.schema == bare else f"{relation.schema}.{relation.name}"
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
