"""Kind of a task -> the lane whose slots it takes: a Python job never takes one that the others need."""

from typing import Final, Literal

Lane = Literal["sql", "python"]
LANES: Final[tuple[Lane, ...]] = ("sql", "python")


def lane_of(kind: str | None) -> Lane:
    """The lane of a kind; what is no known kind will be rejected quickly, among the quick ones."""
    return "python" if kind == "python" else "sql"
