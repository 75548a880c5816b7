"""`constant`: the same given value for every row."""

from typing import Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from agent.masking.rules.base import Applied, Kind, RuleModel


class Constant(RuleModel):
    """`{constant: "n/a"}`; null-ness is hidden too."""

    rule: Literal["constant"] = "constant"
    value: StrictBool | StrictInt | StrictFloat | StrictStr = Field(description="The value shown for every row.")

    def applied(self, kind: Kind) -> Applied:  # noqa: ARG002 - every rule has this shape
        """The literal."""
        return Applied("constant", {"value": self.value})
