"""`Catalog`, `Policy` -> the catalog that a job may know of: what is denied or hidden does not exist."""

from dataclasses import replace

from agent.core.catalog import Catalog, Relation
from agent.guard.remember import by_identity
from agent.masking.policy import Policy, first_naming


@by_identity
def visible(catalog: Catalog, policy: Policy) -> Catalog:
    """Relations that jobs may name, without the columns that `default: refuse` hides."""
    shown = (
        shorn(relation, catalog, policy) if policy.default == "refuse" else relation
        for relation in catalog.relations
        if policy.may_read(catalog.source, relation.schema, relation.name)
    )
    return replace(catalog, relations=tuple(relation for relation in shown if relation.columns))


@by_identity
def beneath_views(catalog: Catalog, policy: Policy) -> Catalog:
    """Relations that a view's definition may read: all but the denied ones. A view may open what is not in `allow`."""
    kept = (r for r in catalog.relations if not policy.denies(catalog.source, r.schema, r.name))
    return replace(catalog, relations=tuple(kept))


def shorn(relation: Relation, catalog: Catalog, policy: Policy) -> Relation:
    """The relation without hidden columns. A view's unnamed columns stay: what is beneath them is masked."""
    if relation.definition is not None:
        return relation
    lines = policy.lines_on(catalog.source, relation.schema, relation.name)
    if any(line.match.endswith(".*") for line in lines):
        return relation
    kept = tuple(c for c in relation.columns if lines and first_naming(c.name, lines) is not None)
    return replace(relation, columns=kept)
