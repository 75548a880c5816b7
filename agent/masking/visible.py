"""`Catalog`, `Policy` -> the catalog that a job may know of: what is denied or hidden does not exist."""

from dataclasses import replace

from agent.core.catalog import Catalog, Relation
from agent.guard.remember import by_identity
from agent.masking.policy import Policy


@by_identity
def visible(catalog: Catalog, policy: Policy) -> Catalog:
    """Relations that jobs may name, without the columns that `default: refuse` hides."""
    shown = (
        shorn(relation, catalog, policy) if policy.default == "refuse" else relation
        for relation in catalog.relations
        if policy.may_read(catalog, relation)
    )
    return replace(catalog, relations=tuple(relation for relation in shown if relation.columns))


@by_identity
def beneath_views(catalog: Catalog, policy: Policy) -> Catalog:
    """Relations that a view's definition may read: all but the hidden ones. A view may open what is not in `allow`."""
    kept = (relation for relation in catalog.relations if not policy.hides(catalog, relation))
    return replace(catalog, relations=tuple(kept))


def shorn(relation: Relation, catalog: Catalog, policy: Policy) -> Relation:
    """The relation without hidden columns. A view's unnamed columns stay: what is beneath them is masked."""
    if relation.definition is not None:
        return relation
    lines = policy.lines_of(catalog, relation)
    kept = tuple(column for column in relation.columns if lines and lines.naming(column) is not None)
    return replace(relation, columns=kept)
