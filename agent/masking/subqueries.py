"""A relation -> the only form in which a statement may read it: a sub-query that projects masked columns.

Tables project their masks. Views are replaced by their own definition with masked tables in it, so that also the rows
a view filters, counts and joins by are masked ones (docs/adr/0003-views-are-expanded.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

from agent.core.catalog import Catalog, Column, Relation
from agent.core.errors import Refuse
from agent.dialects import Dialect
from agent.guard.relations import Use, uses
from agent.guard.sql import canonical, check, parse_one, quoted
from agent.masking.expressions import masked
from agent.masking.names import names_read
from agent.masking.policy import Policy, first_naming
from agent.masking.rules import Rule
from agent.masking.rules.keep import Keep

MAX_VIEWS: Final = 16
MAX_NODES: Final = 40_000
"""Syntax nodes of all masked projections of a statement."""
CTE_PREFIX: Final = "meridyen_cte_"


@dataclass(slots=True)
class Builder:
    """Builds the sub-queries of one statement and remembers what they read.

    `tables` maps (schema, name) to the sub-queries that must enclose that table; `touched` maps relations to rules per
    column, `used` to the columns that the statement may read. `named` are the names in the tree that is being
    rewritten: see `names_read`.
    """

    catalog: Catalog
    policy: Policy
    roles: Sequence[str]
    dialect: Dialect
    beneath: Catalog
    tables: dict[tuple[str, str], list[exp.Select]] = field(default_factory=dict)
    touched: dict[Relation, dict[str, str]] = field(default_factory=dict)
    used: dict[Relation, set[str]] = field(default_factory=dict)
    domains: set[str] = field(default_factory=set)
    named: frozenset[str] | None = None
    fresh: int = 0
    nodes: int = 0
    open_views: tuple[Relation, ...] = ()
    built: dict[tuple[str, str, frozenset[str] | None], tuple[exp.Select, int]] = field(default_factory=dict)

    def rewrite(self, tree: exp.Expression, catalog: Catalog) -> exp.Expression:
        """Rename CTEs, then replace every physical table. Returns the root, which may be another node."""
        found = uses(tree, catalog, self.dialect)
        outer, self.named = self.named, names_read(tree, self.dialect)
        self._rename_ctes(tree, found)
        strip_qualifiers(tree, found, self.dialect)
        for use in found:
            if isinstance(use.means, Relation):
                self._replace(use.node, use.means)
        self.named = outer
        return tree

    def _rename_ctes(self, tree: exp.Expression, found: Sequence[Use]) -> None:
        """A wrong decision about scope then meets an unknown table, not a physical one."""
        names: dict[int, str] = {}
        for cte in tree.find_all(exp.CTE):
            self.fresh += 1
            names[id(cte)] = f"{CTE_PREFIX}{self.fresh}"
        for use in found:
            if isinstance(use.means, exp.CTE):
                if not use.node.args.get("alias"):
                    use.node.set("alias", exp.TableAlias(this=use.node.this.copy()))
                elif use.node.args["alias"].this is None:
                    use.node.args["alias"].set("this", use.node.this.copy())
                use.node.set("this", exp.to_identifier(names[id(use.means)], quoted=True))
        for cte in tree.find_all(exp.CTE):
            cte.args["alias"].set("this", exp.to_identifier(names[id(cte)], quoted=True))

    def _replace(self, node: exp.Table, relation: Relation) -> None:
        alias = node.args.get("alias")
        if alias is None or alias.this is None:
            columns = alias.args.get("columns") if alias is not None else None
            alias = exp.TableAlias(this=exp.to_identifier(node.name, quoted=True), columns=columns)
        subquery = exp.Subquery(this=self.select(relation), alias=alias)
        for moved in ("joins", "pivots", "sample"):
            if node.args.get(moved):
                subquery.set(moved, node.args[moved])
        node.replace(subquery)

    def select(self, relation: Relation) -> exp.Select:
        """The masked projection of a relation: of the columns that the tree may read, at least of one."""
        key = (relation.schema, relation.name, self.named)
        if key not in self.built:
            select = self._view(relation) if relation.definition is not None else self._table(relation)
            self.built[key] = (select, sum(1 for _ in select.walk()))
        select, nodes = self.built[key]
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise Refuse(
                "sql.size",
                "The statement reads too many columns in too many places.",
                "Read each table once in a WITH, and name its columns instead of *.",
            )
        return select.copy()

    def _table(self, relation: Relation) -> exp.Select:
        table = exp.Table(
            this=exp.to_identifier(relation.name, quoted=True), db=exp.to_identifier(relation.schema, quoted=True)
        )
        select = self._projection(relation, self._rules(relation), table)
        self.tables.setdefault((relation.schema, relation.name), []).append(select)
        return select

    def _rules(self, relation: Relation) -> dict[str, Rule]:
        lines = self.policy.lines_on(self.catalog.source, relation.schema, relation.name)
        rules: dict[str, Rule] = {}
        for column in relation.columns:
            rule = self.policy.decide(column.name, lines, self.roles)
            if relation.definition is not None and first_naming(column.name, lines) is None:
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
            self.domains |= {rule.domain} if rule.rule == "token" else set()  # type: ignore[attr-defined]
            name = exp.to_identifier(column.name, quoted=True)
            projections.append(exp.Alias(this=masked(column, rule, self.dialect), alias=name))
        return exp.Select(expressions=projections, from_=exp.From(this=source))

    def _reads(self, column: Column) -> bool:
        return self.named is None or self.dialect.fold(column.name, quoted=True) in self.named

    def _view(self, view: Relation) -> exp.Select:
        if view in self.open_views or len(self.open_views) >= MAX_VIEWS:
            raise Refuse("sql.view", f"The view {view.name} refers to itself, or views are nested too deeply.")
        outer, self.open_views = self.open_views, (*self.open_views, view)
        try:
            definition = self._definition(view)
        except Refuse as refusal:
            if refusal.code == "sql.view":
                raise
            raise Refuse(
                "sql.view",
                f"The definition of the view {view.name} cannot be masked ({refusal.code}).",
                "Query its base tables, or have the security officer simplify the view.",
            ) from None
        finally:
            self.open_views = outer
        rules = self._rules(view)
        columns = [exp.to_identifier(column.name, quoted=True) for column in view.columns]
        if self.dialect.derived_columns:
            alias = exp.TableAlias(this=exp.to_identifier(view.name, quoted=True), columns=columns)
            return self._projection(view, rules, exp.Subquery(this=definition, alias=alias))
        self.fresh += 1
        name = exp.to_identifier(f"{CTE_PREFIX}{self.fresh}", quoted=True)
        cte = exp.CTE(this=definition, alias=exp.TableAlias(this=name.copy(), columns=columns))
        projection = self._projection(view, rules, exp.Table(this=name))
        projection.set("with_", exp.With(expressions=[cte]))
        return projection

    def _definition(self, view: Relation) -> exp.Expression:
        beneath = Catalog(
            self.beneath.source, self.beneath.dialect, view.schema, self.beneath.relations, self.beneath.databases
        )
        tree = canonical(quoted(parse_one(view.definition or "", self.dialect), self.dialect), self.dialect)
        if next(tree.find_all(exp.Placeholder), None) is not None:
            raise Refuse("sql.parameter", "A view holds a parameter.")
        check(tree, beneath, self.dialect)
        return self.rewrite(tree, beneath)


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
