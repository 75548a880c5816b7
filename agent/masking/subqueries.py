"""A relation -> the only form in which a statement may read it: a sub-query that projects masked columns.

Tables project their masks. Views are replaced by their own definition with masked tables in it, so that also the rows
a view filters, counts and joins by are masked ones (docs/adr/0003-views-are-expanded.md).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlglot import exp

from agent.core.catalog import Catalog, Column, Relation
from agent.core.errors import Refuse
from agent.dialects import Dialect
from agent.guard.relations import Use, uses
from agent.guard.sql import canonical, check, parse_one, quoted
from agent.masking.expressions import masked
from agent.masking.groups.keys import key_columns, keyed
from agent.masking.groups.scopes import Scopes
from agent.masking.groups.shapes import NOTHING, Shape
from agent.masking.names import names_read
from agent.masking.policy import Policy
from agent.masking.rules import Rule
from agent.masking.rules.keep import Keep
from agent.masking.rules.token import Token
from agent.masking.scalars import rename_scalars
from agent.masking.stored import in_own_order, only_counts, tells

MAX_VIEWS: Final = 16
MAX_NODES: Final = 40_000
"""Syntax nodes of all masked projections of a statement."""
CTE_PREFIX: Final = "meridyen_cte_"


@dataclass(slots=True)
class Builder:
    """Builds the sub-queries of one statement and remembers what they read.

    `tables` maps (schema, name) to the hashes of the sub-queries that must enclose that table: by them sqlglot says
    whether trees are equal. `left` counts the uses of a relation that are still to be replaced. `touched` maps
    relations to rules per column, `used` to the columns that the statement may read. `named` are the names in the tree
    that is being rewritten: see `names_read`. `sources` are the shapes of the sub-queries put into it, `shape` is that
    of the tree that was rewritten last, and `people` how many keys of people are in the statement: see
    `agent.masking.groups`.
    `stored` are the tables that are stored in the order of what is masked, and `counts` says that no order of rows is
    to be seen anyway.
    `ordered` says that a table has an index over what is masked.
    """

    catalog: Catalog
    policy: Policy
    roles: Sequence[str]
    dialect: Dialect
    beneath: Catalog
    tables: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    left: Counter[Relation] = field(default_factory=Counter)
    touched: dict[Relation, dict[str, str]] = field(default_factory=dict)
    used: dict[Relation, set[str]] = field(default_factory=dict)
    domains: set[str] = field(default_factory=set)
    named: frozenset[str] | None = None
    fresh: int = 0
    nodes: int = 0
    open_views: tuple[Relation, ...] = ()
    built: dict[tuple[str, str, frozenset[str] | None], tuple[exp.Select, int, Shape]] = field(default_factory=dict)
    sources: dict[int, Shape] = field(default_factory=dict)
    shape: Shape = NOTHING
    people: int = 0
    ordered: bool = False
    stored: set[tuple[str, str]] = field(default_factory=set)
    counts: bool = False

    def rewrite(self, tree: exp.Expression, catalog: Catalog) -> exp.Expression:
        """Rename CTEs, then replace every physical table. Returns the root, which may be another node."""
        found = uses(tree, catalog, self.dialect)
        outer = self.named, self.sources, self.left, self.counts
        self.counts = not self.open_views and only_counts(tree)
        self.named, self.sources = names_read(tree, self.dialect), {}
        self.left = Counter(use.means for use in found if isinstance(use.means, Relation))
        self._rename_ctes(tree, found)
        strip_qualifiers(tree, found, self.dialect)
        for use in found:
            if isinstance(use.means, Relation):
                self._replace(use.node, use.means)
        self.shape = self._grouped(tree)
        self.named, self.sources, self.left, self.counts = outer
        return tree

    def _grouped(self, tree: exp.Expression) -> Shape:
        if any(shape.keys for shape in self.sources.values()) or self.policy.release.require_aggregate:
            return Scopes(self.dialect, self.policy.min_group_size, self.sources).settle(tree)
        return NOTHING

    def _rename_ctes(self, tree: exp.Expression, found: Sequence[Use]) -> None:
        """A wrong decision about scope then meets an unknown table, not a physical one."""
        ctes = list(tree.find_all(exp.CTE))
        if not ctes:
            return
        names: dict[int, str] = {}
        named = [cte for cte in ctes if cte.args.get("scalar")]
        self.fresh += rename_scalars(tree, named, found, self.dialect, self.fresh)
        ctes = [cte for cte in ctes if not cte.args.get("scalar")]
        for cte in ctes:
            self.fresh += 1
            names[id(cte)] = f"{CTE_PREFIX}{self.fresh}"
        for use in found:
            if isinstance(use.means, exp.CTE):
                if not use.node.args.get("alias"):
                    use.node.set("alias", exp.TableAlias(this=use.node.this.copy()))
                elif use.node.args["alias"].this is None:
                    use.node.args["alias"].set("this", use.node.this.copy())
                use.node.set("this", exp.to_identifier(names[id(use.means)], quoted=True))
        for cte in ctes:
            cte.args["alias"].set("this", exp.to_identifier(names[id(cte)], quoted=True))

    def _replace(self, node: exp.Table, relation: Relation) -> None:
        alias = node.args.get("alias")
        if alias is None or alias.this is None:
            columns = alias.args.get("columns") if alias is not None else None
            alias = exp.TableAlias(this=exp.to_identifier(node.name, quoted=True), columns=columns)
        select = self.select(relation)
        shape = self.built[relation.schema, relation.name, self.named][2]
        self._forget(relation)
        if not self.counts and (relation.schema, relation.name) in self.stored:
            select = in_own_order(select, self.dialect)
        subquery = exp.Subquery(this=select, alias=alias)
        for moved in ("joins", "pivots", "sample"):
            if node.args.get(moved):
                subquery.set(moved, node.args[moved])
        if self.dialect.samples_tables and subquery.args.get("sample"):
            self._sample(select, subquery.args["sample"].pop(), relation)
        self.sources[id(subquery)] = shape
        node.replace(subquery)

    def _sample(self, select: exp.Select, sample: exp.Expression, relation: Relation) -> None:
        """Move TABLESAMPLE to the table itself. What it is given are numbers: nothing else checks it there."""
        parts = {type(part) for part in sample.walk()}
        if relation.definition is not None or not parts <= {exp.TableSample, exp.Literal, exp.Var}:
            raise Refuse("sql.node", "TABLESAMPLE is not allowed here.", "Sample a table, by a plain number.")
        if (relation.schema, relation.name) in self.stored:
            message = f"The relation {relation.name} is stored in the order of a masked column, which a sample tells."
            raise Refuse("policy.mask", message, "Drop TABLESAMPLE.")
        select.args["from_"].this.set("sample", sample)
        self.tables[relation.schema, relation.name].add(hash(select))

    def select(self, relation: Relation) -> exp.Select:
        """The masked projection of a relation: of the columns that the tree may read, at least of one."""
        key = (relation.schema, relation.name, self.named)
        if key not in self.built:
            made = self._view(relation) if relation.definition is not None else self._table(relation)
            self.built[key] = (made[0], sum(1 for _ in made[0].walk()), made[1])
        select, nodes, _ = self.built[key]
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise Refuse(
                "sql.size",
                "The statement reads too many columns in too many places.",
                "Read each table once in a WITH, and name its columns instead of *.",
            )
        return select if self._is_last(relation) else select.copy()

    def _is_last(self, relation: Relation) -> bool:
        """Whether nobody else asks for the projection: then it is given away itself. `Lineage` asks for views."""
        return relation.definition is None and self.left[relation] == 1

    def _forget(self, relation: Relation) -> None:
        if self._is_last(relation):
            del self.built[relation.schema, relation.name, self.named]
        self.left[relation] -= 1

    def _keyed(self, select: exp.Select, relation: Relation, inner: Shape | None) -> Shape:
        """Put the keys of people beside the columns: the relation's own, and those of what is beneath a view."""
        keys = [*(inner.keys if inner is not None else ()), *key_columns(relation, self.catalog, self.policy)]
        columns = [column.name for column in relation.columns]
        shape = keyed(select, keys, self.people + 1, self.dialect, inner=inner, columns=columns)
        self.people += len(keys)
        return shape

    def _table(self, relation: Relation) -> tuple[exp.Select, Shape]:
        table = exp.Table(
            this=exp.to_identifier(relation.name, quoted=True), db=exp.to_identifier(relation.schema, quoted=True)
        )
        rules = self._rules(relation)
        _check_divided(relation, rules)
        self._unordered(relation, rules, table)
        select = self._projection(relation, rules, table)
        shape = self._keyed(select, relation, None)
        self.tables.setdefault((relation.schema, relation.name), set()).add(hash(select))
        return select, shape

    def _unordered(self, relation: Relation, rules: dict[str, Rule], table: exp.Table) -> None:
        """Keep the engine from reading rows in the order of what is masked: a LIMIT would tell whose is the least."""
        open_ = {name for name, rule in rules.items() if isinstance(rule, Keep)}
        known = open_ | {""} if len(open_) == len(relation.columns) else open_
        if tells(relation, self.catalog, known):
            self.stored.add((relation.schema, relation.name))
        telling = [index.name for index in relation.indexes if index.name and not known.issuperset(index.columns)]
        if telling:
            self.ordered = True
            if self.dialect.without_indexes is not None:
                self.dialect.without_indexes(table, telling)

    def _rules(self, relation: Relation) -> dict[str, Rule]:
        lines = self.policy.lines_of(self.catalog, relation)
        rules: dict[str, Rule] = {}
        if relation in self.dialect.dummies.values():
            return {column.name: Keep() for column in relation.columns}
        for column in relation.columns:
            rule = self.policy.decide(column, lines, self.roles)
            if relation.definition is not None and lines.naming(column) is None:
                rule = Keep()  # what is beneath it is masked already
            if rule is not None:
                rules[column.name] = rule
        if not rules:
            raise Refuse("sql.relation", f"The relation {relation.name} does not exist or is not allowed.")
        self.touched[relation] = {name: rule.rule for name, rule in rules.items()}
        return rules

    def _projection(self, relation: Relation, rules: dict[str, Rule], source: exp.Expression) -> exp.Select:
        shown = [column for column in relation.columns if column.name in rules]
        read = [column for column in shown if self._reads(column)]
        self.used.setdefault(relation, set()).update(column.name for column in read)
        projections = []
        for column in read or shown[:1]:
            rule = rules[column.name]
            self.domains |= {rule.pads} if isinstance(rule, Token) else set()
            name = exp.to_identifier(column.name, quoted=True)
            projections.append(exp.Alias(this=masked(column, rule, self.dialect), alias=name))
        return exp.Select(expressions=projections, from_=exp.From(this=source))

    def _reads(self, column: Column) -> bool:
        return self.named is None or self.dialect.fold(column.name, quoted=True) in self.named

    def _view(self, view: Relation) -> tuple[exp.Select, Shape]:
        if view in self.open_views or len(self.open_views) >= MAX_VIEWS:
            raise Refuse("sql.view", f"The view {view.name} refers to itself, or views are nested too deeply.")
        outer, self.open_views = self.open_views, (*self.open_views, view)
        try:
            definition = self._definition(view)
        except Refuse as refusal:
            if refusal.code == "sql.view":
                raise
            if refusal.code == "policy.aggregate":
                message = f"The view {view.name} reads rows of people in a way that cannot be counted."
                raise Refuse(refusal.code, message, "Group its base tables instead.") from None
            raise Refuse(
                "sql.view",
                f"The definition of the view {view.name} cannot be masked ({refusal.code}).",
                "Query its base tables, or have the security officer simplify the view.",
            ) from None
        finally:
            self.open_views = outer
        inner = self.shape
        select = self._over(view, definition, [*(c.name for c in view.columns), *(key.name for key in inner.keys)])
        return select, self._keyed(select, view, inner)

    def _over(self, view: Relation, definition: exp.Expression, names: Sequence[str]) -> exp.Select:
        """The masked projection of a view over its definition, whose columns get these names."""
        rules = self._rules(view)
        columns = [exp.to_identifier(name, quoted=True) for name in names]
        if not self.dialect.column_lists:
            _name_columns(definition, columns, view)
            alias = exp.TableAlias(this=exp.to_identifier(view.name, quoted=True))
            return self._projection(view, rules, exp.Subquery(this=definition, alias=alias))
        if self.dialect.derived_columns:
            alias = exp.TableAlias(this=exp.to_identifier(view.name, quoted=True), columns=columns)
            if isinstance(definition, exp.Values):  # read back, it is a source of rows itself
                definition.set("alias", alias)
                return self._projection(view, rules, definition)
            return self._projection(view, rules, exp.Subquery(this=definition, alias=alias))
        self.fresh += 1
        name = exp.to_identifier(f"{CTE_PREFIX}{self.fresh}", quoted=True)
        cte = exp.CTE(this=definition, alias=exp.TableAlias(this=name.copy(), columns=columns))
        projection = self._projection(view, rules, exp.Table(this=name))
        projection.set("with_", exp.With(expressions=[cte]))
        return projection

    def _definition(self, view: Relation) -> exp.Expression:
        path = self.beneath.search_path
        beneath = replace(self.beneath, default_schema=view.schema, search_path=(view.schema, *path) if path else ())
        tree = canonical(quoted(parse_one(view.definition or "", self.dialect), self.dialect), self.dialect)
        if next(tree.find_all(exp.Placeholder), None) is not None:
            raise Refuse("sql.parameter", "A view holds a parameter.")
        check(tree, beneath, self.dialect)
        return self.rewrite(tree, beneath)


def _check_divided(relation: Relation, rules: dict[str, Rule]) -> None:
    """Refuse a partition whose rows are those with certain values of a masked column."""
    if not all(isinstance(rules.get(name), Keep) for name in relation.divided_by):
        raise Refuse(
            "policy.mask",
            f"The relation {relation.name} is a part of a table that is divided by a masked column.",
            "Query the whole table.",
        )


def _name_columns(definition: exp.Expression, columns: Sequence[exp.Identifier], view: Relation) -> None:
    """Give the output columns of a view's definition their names, in place. Raises Refuse(sql.view) over a `*`."""
    first = definition
    while not isinstance(first, exp.Select):
        first = first.this
    if first.is_star or len(first.expressions) != len(columns):
        message = f"The definition of the view {view.name} does not name its columns."
        raise Refuse("sql.view", message, "Query its base tables, or have * replaced by names in the view.")
    for projection, name in zip(list(first.expressions), columns, strict=True):
        projection.replace(exp.Alias(this=projection.unalias().copy(), alias=name.copy()))


def strip_qualifiers(tree: exp.Expression, found: Sequence[Use], dialect: Dialect) -> None:
    """`schema.table.column` -> `table.column`: the sub-query that stands for the table has no schema.

    Raises Refuse(sql.relation) where the shorter name would mean another table.
    """
    scopes: dict[tuple[int, str], set[str]] = {}
    for use in found:
        if isinstance(use.means, Relation) and not use.node.alias:
            scope = (id(use.node.parent_select), dialect.fold(use.node.name, quoted=True))
            scopes.setdefault(scope, set()).add(dialect.fold(use.means.schema, quoted=True))
    physical = {(schema, name) for (_, name), schemas in scopes.items() for schema in schemas}
    if any(len(schemas) > 1 for schemas in scopes.values()):
        raise _two_of_one_name()
    for column in tree.find_all(exp.Column):
        written, table = column.args.get("db"), column.args.get("table")
        if written is None or table is None:
            continue
        schema, name = dialect.fold(written.name, quoted=True), dialect.fold(table.name, quoted=True)
        if (schema, name) not in physical:
            continue
        select = column.parent_select
        while select is not None and (id(select), name) not in scopes:
            select = select.parent_select
        if schema not in scopes.get((id(select), name), {schema}):
            raise _two_of_one_name()
        column.set("db", None)
        column.set("catalog", None)


def _two_of_one_name() -> Refuse:
    return Refuse(
        "sql.relation", "Two relations of different schemas have the same name.", "Give each an alias with AS."
    )
