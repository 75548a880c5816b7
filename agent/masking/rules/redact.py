"""`redact`: one neutral value for every row, null or not."""

from typing import Literal

from agent.masking.rules.base import REDACT, Applied, Kind, RuleModel


class Redact(RuleModel):
    """`'***'` for text, a typed NULL for everything else."""

    rule: Literal["redact"] = "redact"

    def applied(self, kind: Kind) -> Applied:  # noqa: ARG002 - every rule has this shape
        """The placeholder of the column's type."""
        return REDACT
