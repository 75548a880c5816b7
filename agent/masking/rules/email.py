"""`email`: the domain of an address, without the person."""

from typing import Literal

from agent.masking.rules.base import REDACT, Applied, Kind, RuleModel


class Email(RuleModel):
    """`ann@example.org` becomes `***@example.org`; a text without `@` becomes `***`."""

    rule: Literal["email"] = "email"

    def applied(self, kind: Kind) -> Applied:
        """Only texts hold addresses."""
        return Applied("email") if kind == "text" else REDACT
