"""Whether the rows of a whole statement may leave: none of people, and groups only where the policy asks for that."""

from typing import Final

from sqlglot import exp

from agent.dialects.base import words
from agent.masking.groups.shapes import EXAMPLE, Shape, refused
from agent.masking.policy import Policy

_COLLECTS: Final = (
    exp.ArrayAgg, exp.ArrayConcatAgg, exp.ArrayUnionAgg, exp.ArrayUniqueAgg, exp.GroupConcat, exp.JSONArrayAgg,
    exp.JSONBObjectAgg, exp.JSONObjectAgg, exp.ObjectAgg, exp.List, exp.AnonymousAggFunc, exp.CombinedAggFunc,
    exp.ParameterizedAgg, exp.CombinedParameterizedAgg,
)  # fmt: skip
_COLLECTING: Final = words(
    """array_agg arrayagg collect_list collect_set group_concat group_array grouparray groupuniqarray histogram
    json_agg jsonb_agg json_arrayagg json_group_array json_group_object json_object_agg jsonb_object_agg json_objectagg
    list list_agg listagg lttb map_agg multimap_agg reservoir_quantile string_agg wm_concat xmlagg array_concat_agg"""
)
"""Aggregates that put the rows of a group into one value."""


def check_released(tree: exp.Expression, shape: Shape, policy: Policy) -> None:
    """Raises Refuse(policy.aggregate) for rows that the policy lets leave in groups only."""
    if shape.keys:
        message = f"Rows of people leave only in groups of at least {policy.min_group_size}."
        raise refused(message)
    if not policy.release.require_aggregate:
        return
    if not shape.grouped:
        raise refused("Only grouped or aggregated rows may leave.")
    for node in tree.find_all(exp.Func):
        name = str(node.this) if isinstance(node, exp.Anonymous) else str(node.sql_name())
        if isinstance(node, _COLLECTS) or name.lower() in _COLLECTING:
            raise refused("This aggregate puts the rows of a group into one value.", EXAMPLE)


def left_out(policy: Policy) -> str:
    """What the disclosure of a counted statement says. How many groups were left out would tell of them."""
    return f"Groups and values of fewer than {policy.min_group_size} people were left out."
