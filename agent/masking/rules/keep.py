"""`keep`: the value as it is."""

from typing import Literal

from agent.masking.rules.base import Applied, Kind, RuleModel


class Keep(RuleModel):
    """The column is not protected."""

    rule: Literal["keep"] = "keep"

    def applied(self, kind: Kind) -> Applied:  # noqa: ARG002 - every rule has this shape
        """The bare column."""
        return Applied("keep")
