from dataclasses import dataclass, field, asdict, replace
from typing import ClassVar, Optional


@dataclass(order=True)
class Order:
    order_id: int
    amount: float
    region: str = "unknown"
    tags: list[str] = field(default_factory=list, compare=False)
    currency: ClassVar[str] = "EUR"

    @property
    def is_big(self) -> bool:
        return self.amount > 100

    def __post_init__(self):
        self.region = self.region.strip().lower()


orders = [Order(int(r.order_id), float(r.amount), r.region) for r in df.itertuples(index=False)]
best = max(orders, key=lambda o: o.amount)
best = replace(best, tags=["top"])
result = {"best": asdict(best), "big": sum(o.is_big for o in orders), "currency": Order.currency}
