"""`last4`: the last four characters of a text of eight or more."""

from typing import Literal

from agent.masking.rules.base import Applied, Kind, RuleModel


class Last4(RuleModel):
    """Short for `{partial: {keep_last: 4}}`."""

    rule: Literal["last4"] = "last4"

    def applied(self, kind: Kind) -> Applied:
        """Numbers and dates are read as text first; nothing of a text shorter than twice the kept part is shown."""
        return Applied("partial_last", {"keep": 4, "least": 8}, as_text=kind != "text")
