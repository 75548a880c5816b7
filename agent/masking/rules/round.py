"""`round`: a number rounded to a count of digits; negative counts round before the point."""

from typing import Literal

from pydantic import Field

from agent.masking.rules.base import REDACT, Applied, Kind, RuleModel


class Round(RuleModel):
    """`{round: -3}`: 913511.25 becomes 914000."""

    rule: Literal["round"] = "round"
    value: int = Field(ge=-12, le=12, description="Digits after the decimal point; negative ones before it.")

    def applied(self, kind: Kind) -> Applied:
        """Numbers only."""
        if kind not in {"integer", "number"}:
            return REDACT
        if self.value > 0:
            return Applied("round", {"digits": self.value})
        return Applied("round_to", {"unit": 10**-self.value})
