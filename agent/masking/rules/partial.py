"""`partial`: a few characters at one or both ends of a text."""

from typing import Literal, Self

from pydantic import Field, model_validator

from agent.masking.rules.base import Applied, Kind, RuleModel


class Partial(RuleModel):
    """`{partial: {keep_first: 2, keep_last: 4}}`; a text shorter than twice the kept part shows nothing."""

    rule: Literal["partial"] = "partial"
    keep_first: int = Field(default=0, ge=0, le=32, description="Characters kept at the start.")
    keep_last: int = Field(default=0, ge=0, le=32, description="Characters kept at the end.")

    @model_validator(mode="after")
    def _keeps_something(self) -> Self:
        if not self.keep_first + self.keep_last:
            raise ValueError("give keep_first or keep_last; to show nothing use redact")
        return self

    def applied(self, kind: Kind) -> Applied:
        """Numbers and dates are read as text first."""
        least = 2 * (self.keep_first + self.keep_last)
        if not self.keep_first:
            return Applied("partial_last", {"keep": self.keep_last, "least": least}, as_text=kind != "text")
        literals = {"first": self.keep_first, "last": self.keep_last, "least": least}
        return Applied("partial", literals, as_text=kind != "text")
