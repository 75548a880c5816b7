from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    x: float
    y: float = 0.0
    meta: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __add__(self, other: Point) -> Point:
        return Point(x=self.x + other.x, y=self.y + other.y)


@dataclasses.dataclass(frozen=True)
class Rounded:
    value: float

    def __post_init__(self):
        object.__setattr__(self, "value", round(self.value, 1))


total = Point(x=0.0)
for amount, discount in zip(df["amount"], df["discount"]):
    total = total + Point(x=amount, y=discount)
try:
    total.x = 3
except dataclasses.FrozenInstanceError:
    frozen = True
result = {"x": round(total.x, 2), "frozen": frozen, "rounded": Rounded(3.14159).value}
