"""A plan -> the columns of its result that the policy takes out of the second net's sight."""

from collections import Counter
from collections.abc import Sequence

from agent.core.catalog import Catalog
from agent.guard.sql import Plan, shallow
from agent.masking.lineage import Lineage, Output
from agent.masking.patterns import matches
from agent.masking.policy import Policy
from agent.masking.subqueries import Builder
from agent.masking.visible import beneath_views, visible


@shallow()
def exempt(plan: Plan, catalog: Catalog, policy: Policy, roles: Sequence[str]) -> frozenset[str]:
    """Names of columns that are one exempt column of the catalog, unchanged.

    Where a column comes from counts, not its alias, which the statement chooses. What is computed is looked at.
    """
    globs = policy.release.pii_net.exempt
    if not globs:
        return frozenset()
    builder = Builder(catalog, policy, roles, plan.dialect, beneath_views(catalog, policy))
    tree = builder.rewrite(plan.tree.copy(), visible(catalog, policy))
    outputs = Lineage(builder).outputs(tree) or ()
    named = Counter(one.name.casefold() for one in outputs)  # an engine may rename the second of two
    found = (one.name for one in outputs if _is_exempt(one, catalog.source, globs))
    return frozenset(name for name in found if named[name.casefold()] == 1)


def _is_exempt(output: Output, source: str, globs: Sequence[str]) -> bool:
    if not output.known or not output.plain or len(output.origins) != 1:
        return False
    path = [part.casefold() for part in (source, *next(iter(output.origins)))]
    return any(matches(glob, path) for glob in globs)
