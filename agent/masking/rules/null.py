"""`null`: a typed NULL for every row."""

from typing import Literal

from agent.masking.rules.base import Applied, Kind, RuleModel


class Null(RuleModel):
    """The column stays, its values do not."""

    rule: Literal["null"] = "null"

    def applied(self, kind: Kind) -> Applied:  # noqa: ARG002 - every rule has this shape
        """NULL of the column's type."""
        return Applied("null")
