import enum
from collections import namedtuple
from enum import Enum, IntEnum, auto
from typing import NamedTuple, TypedDict, Literal, Protocol, Generic, TypeVar, get_type_hints


class Band(Enum):
    LOW = "low"
    HIGH = "high"

    @classmethod
    def of(cls, value):
        return cls.HIGH if value > 100 else cls.LOW


class Level(IntEnum):
    A = auto()
    B = auto()


class Row(NamedTuple):
    region: str
    total: float = 0.0


class Report(TypedDict, total=False):
    title: str
    rows: list


Pair = namedtuple("Pair", ["left", "right"])
T = TypeVar("T")


class Box(Generic[T]):
    def __init__(self, item: T) -> None:
        self.item = item


row = Row("north", 3.5)._replace(total=4.0)
pair = Pair(1, 2)
report: Report = {"title": "x", "rows": [row._asdict()]}
result = {
    "bands": [b.name for b in Band],
    "of": Band.of(150).value,
    "level": int(Level.B),
    "row": row._asdict(),
    "pair": pair._asdict() | {"sum": sum(pair)},
    "box": Box[int](3).item,
    "fields": list(Row._fields),
    "hints": sorted(get_type_hints(Row)),
    "members": list(Band.__members__),
    "title": report["title"],
}
