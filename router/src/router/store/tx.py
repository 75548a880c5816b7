"""One open transaction, as the operations need it: statements with `?`, rows by column name."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Row = Mapping[str, Any]


class Tx(Protocol):
    """A transaction of either engine. `now` is the batch's moment, Unix seconds."""

    @property
    def now(self) -> float:
        """Unix seconds; the same for the whole batch."""
        ...

    @property
    def lock(self) -> str:
        """What ends a SELECT whose rows will be changed; empty where one writer has the whole file."""
        ...

    @property
    def skip_locked(self) -> str:
        """The same, passing over rows that another process is changing."""
        ...

    def run(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Execute; how many rows it concerned."""
        ...

    def one(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """The first row."""
        ...

    def all(self, sql: str, parameters: Sequence[object] = ()) -> Sequence[Row]:
        """All rows."""
        ...

    def tell(self, *keys: str) -> None:
        """What changed, as `router.core.news` names it: other processes hear of it when the transaction commits."""
        ...
