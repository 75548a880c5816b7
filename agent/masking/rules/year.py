"""`year`: the first instant of the year."""

from typing import Literal

from agent.masking.rules.base import REDACT, Applied, Kind, RuleModel


class Year(RuleModel):
    """Dates stay dates, timestamps stay timestamps."""

    rule: Literal["year"] = "year"

    def applied(self, kind: Kind) -> Applied:
        """Other types are redacted."""
        return Applied(f"year_{kind}") if kind in {"date", "timestamp"} else REDACT
