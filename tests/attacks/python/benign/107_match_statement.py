from dataclasses import dataclass


@dataclass
class Event:
    kind: str
    value: float


class Kind:
    format = "csv"


def describe(thing):
    match thing:
        case None:
            return "nothing"
        case Kind.format:
            return "format"
        case Event(kind="sale", value=v) if v > 100:
            return f"big sale {v:.0f}"
        case Event(kind=k):
            return k
        case {"region": str(region), **rest}:
            return f"{region} {sorted(rest)}"
        case [first, *others]:
            return f"{first}+{len(others)}"
        case int() | float():
            return "number"
        case _:
            return "other"


things = [None, Event("sale", 200.0), Event("refund", 1), {"region": "north", "n": 1}, [1, 2, 3], 4.5, "x", "csv"]
result = [describe(t) for t in things]
