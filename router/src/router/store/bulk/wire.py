"""One transaction of PostgreSQL for many statements at once: they travel together."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg

from router.core.problem import RouterProblem
from router.store.tx import Row

Statement = tuple[str, Sequence[object]]


class Wire:
    """Statements with `%s` and arrays. `now` is the batch's moment, Unix seconds."""

    def __init__(self, connection: "psycopg.Connection[dict[str, Any]]", now: float, told: set[str]) -> None:
        """Args: `told` collects what other processes are told at the commit."""
        self._connection = connection
        self.now = now
        self._told = told

    def ask(self, *statements: Statement) -> list[list[Row]]:
        """The rows of each of these."""
        return [list(cursor.fetchall()) for cursor in self._run(statements)]

    def do(self, *statements: Statement) -> None:
        """Only their effect."""
        self._run(statements)

    def tell(self, keys: Iterable[str]) -> None:
        """See `router.store.tx.Tx.tell`."""
        self._told.update(keys)

    def _run(self, statements: Iterable[Statement]) -> "list[psycopg.Cursor[dict[str, Any]]]":
        cursors = []
        with self._connection.pipeline():
            for sql, parameters in statements:
                cursor = self._connection.cursor(binary=True)
                cursors.append(cursor.execute(sql, parameters))
        return cursors


def each(run: Sequence[Any], decide: Callable[[Any], object]) -> list[object]:
    """What `decide` says to each operation, a problem too."""
    answers: list[object] = []
    for op in run:
        try:
            answers.append(decide(op))
        except RouterProblem as problem:
            answers.append(problem)
    return answers


def unnested(kinds: Sequence[str]) -> str:
    """`unnest(…)` with a placeholder for an array of each of these SQL types. Binary: half the time of text."""
    return f"unnest({', '.join(f'%b::{kind}[]' for kind in kinds)})"


def columns(rows: Sequence[Sequence[object]], width: int) -> list[list[object]]:
    """Rows of `width` cells -> arrays for `unnested`."""
    return [[row[place] for row in rows] for place in range(width)]


def by(rows: Iterable[Row], name: str) -> dict[str, dict[str, Any]]:
    """Rows by one of their columns, to be changed in memory as they are changed in the store."""
    return {row[name]: dict(row) for row in rows}
