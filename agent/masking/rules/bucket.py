"""`bucket`: the lower bound of a band of the given width."""

from typing import Literal

from pydantic import Field

from agent.masking.rules.base import REDACT, Applied, Kind, RuleModel


class Bucket(RuleModel):
    """`{bucket: 10000}`: 913511.25 becomes 910000."""

    rule: Literal["bucket"] = "bucket"
    value: float = Field(gt=0, allow_inf_nan=False, description="Width of a band.")

    def applied(self, kind: Kind) -> Applied:
        """Numbers only."""
        return Applied("bucket", {"width": _plain(self.value)}) if kind in {"integer", "number"} else REDACT


def _plain(value: float) -> float | int:
    return int(value) if value.is_integer() else value
