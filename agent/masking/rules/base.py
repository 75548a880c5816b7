"""What every rule shares: how it is written in YAML, and what it asks of a dialect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

Kind = Literal["text", "integer", "number", "date", "timestamp", "other"]
"""What a column's type lets a mask do; `other` fits only masks that do not read the value."""

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Applied:
    """A mask of the dialect, with literals for its placeholders. `as_text` casts the column to text first.

    `domain` names the token domain whose pads the mask reads.
    """

    mask: str
    literals: Mapping[str, Scalar] = field(default_factory=dict)
    as_text: bool = False
    domain: str | None = None


REDACT = Applied("redact")
"""What a rule falls back to where it does not fit the column's type."""


class Rule(Protocol):
    """One masking rule with its parameters."""

    @property
    def rule(self) -> str:
        """The rule's name in policies and disclosure records."""
        ...

    def applied(self, kind: Kind) -> Applied:
        """The mask for a column of this kind; `REDACT` where the rule has no meaning for it."""
        ...


class RuleModel(BaseModel):
    """Base of the rule models: frozen, no unknown parameters, no input in errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def spelled_out(written: object) -> object:
    """YAML shorthand -> model fields: `redact`, `{bucket: 10}`, `{token: {domain: email}}` become `{rule: …, …}`."""
    if isinstance(written, str):
        return {"rule": written}
    if written is None:  # YAML reads a bare `null` as nothing
        return {"rule": "null"}
    if isinstance(written, Mapping) and len(written) == 1 and "rule" not in written:
        ((name, value),) = written.items()
        return {"rule": name, **value} if isinstance(value, Mapping) else {"rule": name, "value": value}
    return written
