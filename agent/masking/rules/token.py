"""`token`: a keyed, stable stand-in that can be joined within its domain."""

from typing import Final, Literal

from pydantic import Field

from agent.masking.rules.base import Applied, Kind, RuleModel

PREVIOUS: Final = "0"
"""Stands before a domain whose pads are of the previous key: no domain begins with a digit."""


class Token(RuleModel):
    """HMAC-SHA256 under a key of tenant and domain. Keeps equality and frequency: not for columns of few values."""

    rule: Literal["token"] = "token"
    domain: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$", description="Tokens of one domain can be joined.")
    key: Literal["current", "previous"] = Field(
        default="current", description="Which of two live keys; tokens of one key can be joined."
    )

    def applied(self, kind: Kind) -> Applied:
        """Every type is read as text first, so that equal values of two columns agree."""
        return Applied("token", as_text=kind != "text", domain=self.pads)

    @property
    def pads(self) -> str:
        """The name under which the engine finds the pads of the domain and the key."""
        return self.domain if self.key == "current" else f"{PREVIOUS}{self.domain}"
