"""`month`: the first instant of the month."""

from typing import Literal

from agent.masking.rules.base import REDACT, Applied, Kind, RuleModel


class Month(RuleModel):
    """Dates stay dates, timestamps stay timestamps."""

    rule: Literal["month"] = "month"

    def applied(self, kind: Kind) -> Applied:
        """Other types are redacted."""
        return Applied(f"month_{kind}") if kind in {"date", "timestamp"} else REDACT
