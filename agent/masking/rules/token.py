"""`token`: a keyed, stable stand-in that can be joined within its domain."""

from typing import Literal

from pydantic import Field

from agent.masking.rules.base import Applied, Kind, RuleModel


class Token(RuleModel):
    """HMAC-SHA256 under a key of tenant and domain. Keeps equality and frequency: not for columns of few values."""

    rule: Literal["token"] = "token"
    domain: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$", description="Tokens of one domain can be joined.")

    def applied(self, kind: Kind) -> Applied:
        """Every type is read as text first, so that equal values of two columns agree."""
        return Applied("token", as_text=kind != "text", domain=self.domain)
