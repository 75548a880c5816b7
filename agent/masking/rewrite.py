"""`Plan` -> `MaskedPlan`: masks at the source, then proves that the text which runs is the one that was built."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from unicodedata import combining, normalize

from sqlglot import exp

from agent.core.catalog import Catalog
from agent.core.errors import Refuse
from agent.core.job import ParameterValue, SqlTask
from agent.core.plan import MaskedPlan
from agent.core.problem import MOST, Problem
from agent.core.table import Disclosure
from agent.guard.relations import ROWS
from agent.guard.sql import Plan, admit, canonical, check_words, reparsed, shallow, written
from agent.guard.walk import walk
from agent.masking.exempt import exempt
from agent.masking.groups.proof import prove
from agent.masking.groups.released import check_released, left_out
from agent.masking.parameters import inlined
from agent.masking.policy import Policy
from agent.masking.subqueries import CTE_PREFIX, Builder
from agent.masking.tokens import pads
from agent.masking.visible import beneath_views, visible

_MASK_WORDS: Final = frozenset({"getvariable"})


def prepare(
    task: SqlTask,
    catalog: Catalog,
    policy: Policy,
    *,
    roles: Sequence[str],
    token_key: bytes | None,
    tenant: str,
    token_previous: bytes | None = None,
    policy_sha256: str = "",
    reveal: bool = False,
) -> MaskedPlan:
    """The whole pure part of a SQL job: guard, parameters, masks. Raises Refuse, or Fault for a missing token key.

    `reveal` puts the text that runs into the disclosure; it shows what views are made of.
    """
    shown = visible(catalog, policy)
    plan = admit(task, shown)
    check_bound(plan)
    made = rewrite(
        plan,
        catalog,
        policy,
        roles=roles,
        token_key=token_key,
        token_previous=token_previous,
        tenant=tenant,
        policy_sha256=policy_sha256,
    )
    made = replace(made, exempt=exempt(plan, catalog, policy, roles))
    return replace(made, disclosure=replace(made.disclosure, statement=made.sql)) if reveal else made


def check_bound(plan: Plan) -> None:
    """Every parameter of the statement has a value and the other way round. Raises Refuse(sql.parameter)."""
    code = "sql.parameter"
    missing = sorted(plan.names - set(plan.parameters))
    spare = sorted(set(plan.parameters) - plan.names)
    wrong = [Problem(code, f"The parameter {n} has no value.", f"Give {n} in `parameters`.", n) for n in missing]
    unread = "is not in the statement."
    wrong += [Problem(code, f"The parameter {n} {unread}", f"Write :{n}, or drop it.", n) for n in spare]
    if wrong:
        refusal = Refuse(code, wrong[0].message, wrong[0].hint)
        refusal.problems = tuple(wrong[:MOST])
        raise refusal


@shallow()
def rewrite(
    plan: Plan,
    catalog: Catalog,
    policy: Policy,
    *,
    roles: Sequence[str],
    token_key: bytes | None,
    tenant: str,
    token_previous: bytes | None = None,
    policy_sha256: str = "",
) -> MaskedPlan:
    """Mask every relation of an admitted plan; `catalog` is the source's whole catalog. Raises Refuse(sql.*)."""
    _check_names(plan.tree)
    if plan.dialect.inline_parameters:
        plan = replace(plan, tree=inlined(plan.tree, plan.parameters), names=frozenset(), parameters={})
    shown = visible(catalog, policy)
    builder = Builder(catalog, policy, roles, plan.dialect, beneath_views(catalog, policy))
    text = _masked(plan.tree.copy(), builder, shown, plan.outputs)
    if text is None:  # sqlglot normalises some constructs only while it writes: read it once through its own text
        builder = Builder(catalog, policy, roles, plan.dialect, builder.beneath)
        text = _masked(canonical(plan.tree, plan.dialect), builder, shown, plan.outputs)
    if text is None:
        raise Refuse(
            "sql.rewrite", "The masked statement does not read back as it was built.", "Write it more plainly."
        )
    if plan.explain:
        _check_explain(builder)
        text = f"EXPLAIN {text}"
    return MaskedPlan(
        sql=text,
        parameters=_bound(plan),
        disclosure=_disclosure(builder, policy, policy_sha256),
        variables=pads(token_key, tenant, builder.domains, previous=token_previous),
        unordered=builder.ordered,
    )


def _bound(plan: Plan) -> dict[str, ParameterValue]:
    return {name: plan.parameters[name] for name in sorted(plan.names) if name in plan.parameters}


def _name_outputs(tree: exp.Expression, texts: Sequence[str]) -> None:
    """Keep the column names that a user expects where the engine would show the rewritten text."""
    first = tree
    while not isinstance(first, exp.Select):
        if not isinstance(first.this, exp.Expression):
            return
        first = first.this
    if len(texts) != len(first.expressions):
        return
    for projection, text in zip(list(first.expressions), texts, strict=True):
        if not isinstance(projection.unnest(), (exp.Alias, exp.Column, exp.Star)):
            projection.replace(exp.Alias(this=projection.copy(), alias=exp.to_identifier(text, quoted=True)))


def _check_names(tree: exp.Expression) -> None:
    for node in tree.find_all(exp.Identifier):
        if _plain_letters(node.name).startswith("meridyen_"):
            raise Refuse("sql.relation", "Names that begin with meridyen_ are reserved.", "Use another name.")


def _plain_letters(name: str) -> str:
    """A name as the most lenient engine may compare it: without case, accents and dots."""
    if name.isascii():
        return name.lower()
    letters = (one for one in normalize("NFKD", name.casefold()) if not combining(one))
    return "".join(letters).replace("\u0131", "i")


def _masked(tree: exp.Expression, builder: Builder, shown: Catalog, outputs: Sequence[str]) -> str | None:
    """The masked text of a checked tree, proven; None when the text does not read back as the tree that was built."""
    dialect = builder.dialect
    _name_outputs(tree, outputs)
    tree = builder.rewrite(tree, shown)
    check_released(tree, builder.shape, builder.policy)
    built = hash(tree)  # sqlglot's trees are equal when their hashes are
    text = written(tree, dialect, spare=False)
    tokens = dialect.tokens(text)
    again = reparsed(text, dialect, tokens)
    if hash(again) != built:
        return None
    _prove(again, builder)
    if builder.people:
        prove(again, builder.policy.min_group_size)
    own = _MASK_WORDS | dialect.mask_functions | {f"meridyen_{domain}" for domain in builder.domains}
    check_words(text, tokens, dialect, own)
    return text


def _prove(again: exp.Expression, builder: Builder) -> None:
    """What will run: every table enclosed by its masks, everything else guarded once more. Raises Refuse(sql.*).

    A generator that writes a column without quotes takes it for a keyword: of a name, anything could be read there.
    """
    enclosed: set[int] = set()
    for node in again.find_all(exp.Table, exp.Column):
        if isinstance(node, exp.Column):
            if isinstance(node.this, exp.Identifier) and not node.this.args.get("quoted"):
                raise Refuse("sql.rewrite", "A name stands where a keyword belongs.", "Write a part of a date there.")
        elif isinstance(node, exp.Table) and not isinstance(node.this, ROWS) and not node.name.startswith(CTE_PREFIX):
            enclosed.add(id(_enclosing(node, builder)))
    walk(again, builder.dialect, skip=frozenset(enclosed))


def _enclosing(node: exp.Table, builder: Builder) -> exp.Expression:
    select = node.parent_select
    schema = node.args.get("db")
    expected = builder.tables.get((schema.name if schema is not None else "", node.name), ())
    if (
        not isinstance(select, exp.Select)
        or not isinstance(node.parent, exp.From)
        or node.parent.parent is not select
        or not isinstance(select.parent, exp.Subquery)
        or hash(select) not in expected
    ):
        raise Refuse("sql.rewrite", "A table is not enclosed by its masks.", "Write the query more plainly.")
    return select


def _check_explain(builder: Builder) -> None:
    if any(relation.definition is not None for relation in builder.touched):
        message = "EXPLAIN is not allowed over views: a plan shows what they are made of."
        raise Refuse("sql.explain", message, "Run the query itself.")
    for rules in builder.touched.values():
        if builder.people or set(rules.values()) != {"keep"}:
            raise Refuse(
                "sql.explain",
                "EXPLAIN is not allowed over protected tables: its estimates use raw statistics.",
                "Run the query itself.",
            )


def _disclosure(builder: Builder, policy: Policy, digest: str) -> Disclosure:
    columns = {
        f"{relation.schema}.{relation.name}.{column}": rule
        for relation, rules in builder.touched.items()
        for used in (builder.used[relation],)
        for column, rule in rules.items()
        if column in used
    }
    return Disclosure(
        source=builder.catalog.source,
        relations=tuple(sorted(f"{relation.schema}.{relation.name}" for relation in builder.touched)),
        columns=dict(sorted(columns.items())),
        policy_version=policy.version,
        policy_sha256=digest,
        notes=(left_out(policy),) if builder.people else (),
    )


__all__ = ["check_bound", "prepare", "rewrite"]
