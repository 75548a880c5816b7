"""`SqlTask` -> what would become of it, as JSON values: the rewritten text, the rule of each column with its reason.

Nothing is read. Who asks learns what a result's disclosure would say, and no more: views are not opened, their
definitions are the site's, unless `reveal` says that the local operator asks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

from agent.core.catalog import Catalog, Relation
from agent.core.errors import Refuse
from agent.core.job import SqlTask
from agent.core.plan import MaskedPlan
from agent.core.table import Disclosure
from agent.dialects import DIALECTS, Dialect
from agent.guard.relations import uses
from agent.guard.sql import Plan, admit, parse_one
from agent.masking.describe import beneath
from agent.masking.lineage import Lineage, Output
from agent.masking.policy import Policy
from agent.masking.reasons import Reason, reasons, strongest
from agent.masking.subqueries import Builder
from agent.masking.visible import beneath_views, visible

_VIEWS: Final = "The statement reads a view, and what views are made of stays at the site."
_KEYS: Final = "The statement counts people by a column that the policy hides."
_UNKNOWN: Final = "No relation of the statement has this column: the engine would not bind it."
_NOTHING_READ: Final = "The statement was described, not run."


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under what a statement is explained. `reveal`: for the local operator, with all that the site knows."""

    policy: Policy
    policy_sha256: str = ""
    roles: Sequence[str] = ()
    reveal: bool = False


@dataclass(frozen=True, slots=True)
class Explained:
    """The description, and what it discloses. `unestimated` says why the engine must not be asked for an estimate."""

    value: dict[str, object]
    disclosure: Disclosure
    unestimated: str = ""


def explained(task: SqlTask, catalog: Catalog, made: MaskedPlan, terms: Terms) -> Explained:
    """The description of a statement that was admitted and masked as `made`. Raises Refuse(sql.*)."""
    shown = visible(catalog, terms.policy)
    plan = admit(task, shown)
    reader = _Reader.of(plan, catalog, shown, terms)
    views = [relation for relation in reader.builder.touched if relation.definition is not None]
    omitted = "" if terms.reveal else _VIEWS if views else _KEYS if reader.counts_by_hidden() else ""
    columns = reader.columns()
    value: dict[str, object] = {
        "version": 1,
        "source": catalog.source,
        "dialect": catalog.dialect,
        "admitted": True,
        "parameters": [{"name": name, "given": name in plan.parameters} for name in sorted(plan.names)],
        "sql": None if omitted else made.sql,
        "sql_omitted": omitted or None,
        "relations": [
            {"schema": one.schema, "name": one.name, "kind": one.kind} for one in sorted(reader.told, key=_name)
        ],
        "columns": [{"column": name, "rule": why.rule, "why": why.why} for name, why in columns.items()],
        "output": reader.output(columns),
        "rows": _row_rules(reader, terms.policy),
    }
    disclosure = Disclosure(
        source=catalog.source,
        relations=tuple(".".join(_name(one)) for one in sorted(reader.told, key=_name)),
        columns={name: why.rule for name, why in columns.items()},
        policy_version=terms.policy.version,
        policy_sha256=terms.policy_sha256,
        notes=(_NOTHING_READ,),
        statement=made.sql if terms.reveal else "",
    )
    return Explained(value, disclosure, _unestimated(plan, reader, terms.policy))


def refused(task: SqlTask, dialect: str, refusal: Refuse, terms: Terms) -> Explained:
    """The description of a statement that would be refused, and why."""
    problems = [
        {"code": one.code, "message": one.message, "hint": one.hint, "line": one.line, "column": one.column}
        for one in refusal.problems
    ]
    names = _parameters(task.statement, DIALECTS[dialect])
    value: dict[str, object] = {
        "version": 1,
        "source": task.source,
        "dialect": dialect,
        "admitted": False,
        "refusal": {"code": refusal.code, "message": refusal.message, "hint": refusal.hint, "problems": problems},
        "parameters": None if names is None else [{"name": name, "given": name in task.parameters} for name in names],
    }
    disclosure = Disclosure(task.source, (), {}, terms.policy.version, terms.policy_sha256, (_NOTHING_READ,))
    return Explained(value, disclosure, "The statement would be refused.")


def _parameters(statement: str, dialect: Dialect) -> list[str] | None:
    """The names that the statement binds; None when it does not parse."""
    try:
        tree = parse_one(statement, dialect)
    except (Refuse, RecursionError):
        return None
    return sorted({str(node.this) for node in tree.find_all(exp.Placeholder)})


def _name(relation: Relation) -> tuple[str, str]:
    return relation.schema, relation.name


def _row_rules(reader: "_Reader", policy: Policy) -> dict[str, object]:
    counted = [
        ".".join(_name(one))
        for one in sorted(reader.told, key=_name)
        if policy.subjects_of(reader.builder.catalog, one)
    ]
    return {
        "min_group_size": policy.min_group_size,
        "groups_only": counted,
        "require_aggregate": policy.release.require_aggregate,
        "max_rows": policy.release.max_rows,
        "max_bytes": policy.release.max_bytes,
    }


def _unestimated(plan: Plan, reader: "_Reader", policy: Policy) -> str:
    """Why the engine must not be asked; empty when an estimate tells nothing that the rows would not."""
    if plan.explain:
        return "The statement is an EXPLAIN itself."
    if not plan.dialect.explain:
        return f"EXPLAIN is not available in {plan.dialect.name}."
    if policy.min_group_size > 1 or policy.release.require_aggregate:
        return "The policy shows groups only, and an estimate counts rows."
    if any(relation.definition is not None for relation in reader.builder.touched):
        return "A view is read: a plan shows what it is made of."
    if any(set(rules.values()) != {"keep"} for rules in reader.builder.touched.values()):
        return "A protected relation is read: the engine estimates by its raw statistics."
    return ""


@dataclass(slots=True)
class _Reader:
    """One statement, rewritten once more to look at. `told` are the relations that the requester may hear of."""

    builder: Builder
    lineage: Lineage
    tree: exp.Expression | None
    told: list[Relation]
    terms: Terms
    known: dict[Relation, Mapping[str, Reason]] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan, catalog: Catalog, shown: Catalog, terms: Terms) -> "_Reader":
        policy = terms.policy
        named = [use.means for use in uses(plan.tree, shown, plan.dialect) if isinstance(use.means, Relation)]
        builder = Builder(catalog, policy, terms.roles, plan.dialect, beneath_views(catalog, policy))
        tree = builder.rewrite(plan.tree.copy(), shown)
        told = list(builder.touched) if terms.reveal else [one for one in builder.touched if one in named]
        return cls(builder, Lineage(builder), tree, told, terms)

    def why(self, relation: Relation) -> Mapping[str, Reason]:
        """The reason of each column; for a view the strongest rule beneath it too."""
        if relation not in self.known:
            builder = self.builder
            own = reasons(
                relation, builder.catalog, builder.policy, builder.roles, builder.dialect, reveal=self.terms.reveal
            )
            if relation.definition is not None:
                rules = beneath(relation, own, builder)
                own = {name: one if rules[name] == one.rule else _by_view(rules[name]) for name, one in own.items()}
            self.known[relation] = own
        return self.known[relation]

    def counts_by_hidden(self) -> bool:
        """Whether people are counted by a column that the requester does not know of."""
        builder = self.builder
        return any(
            key.casefold() not in {name.casefold() for name in self.why(relation)}
            for relation in builder.touched
            for _, key in builder.policy.subjects_of(builder.catalog, relation)
        )

    def columns(self) -> dict[str, Reason]:
        """What the statement reads of the relations that may be told, in the order of their names."""
        found = {
            f"{relation.schema}.{relation.name}.{column}": why
            for relation in self.told
            for column, why in self.why(relation).items()
            if column in self.builder.used.get(relation, ())
        }
        return dict(sorted(found.items()))

    def output(self, columns: Mapping[str, Reason]) -> list[dict[str, object]] | None:
        """Each column of the result; None where the statement's text does not tell them apart."""
        assert self.tree is not None
        outputs = self.lineage.outputs(self.tree)
        return None if outputs is None else [self._output(one, columns) for one in outputs]

    def _output(self, output: Output, columns: Mapping[str, Reason]) -> dict[str, object]:
        if not output.known:
            return {"name": output.name, "rule": None, "computed": False, "from": [], "note": _UNKNOWN}
        made = [(origin, columns.get(".".join(origin))) for origin in sorted(output.origins)]
        return {
            "name": output.name or None,
            "rule": strongest("redact" if why is None else why.rule for _, why in made),
            "computed": not output.plain,
            "from": [
                {"column": ".".join(origin), "rule": why.rule, "why": why.why}
                for origin, why in made
                if why is not None
            ],
        }


def _by_view(rule: str) -> Reason:
    return Reason(rule, "view: the strongest rule of what the column is made of")
