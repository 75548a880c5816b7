"""Parts that no result will need any more -> deleted: those of uploads that were never completed.

A result's parts come before its manifest. When the job ends without it (the agent is gone, a later attempt counted, the
time was over), nothing else names them.
"""

from typing import Final

from router.store.port import Parts, Store

LOOK_SECONDS: Final = 600.0


class Sweep:
    """Since when each upload is known to be abandoned. In memory: after a restart their time begins anew."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._looked: float | None = None

    def due(self, now: float) -> bool:
        """Whether it is time to look again. `now`: Unix seconds."""
        return self._looked is None or not 0 <= now - self._looked < LOOK_SECONDS

    def look(self, store: Store, parts: Parts, now: float, keep_seconds: float) -> tuple[str, ...]:
        """Delete what has been abandoned for so long; the ids of those results. Blocking. Raises StoreError.

        No clock but this process's is asked: ids say when an agent thinks that it was.
        """
        self._looked = now
        abandoned = store.abandoned(parts.owners())
        self._since = {result: self._since.get(result, now) for result in abandoned}
        over = tuple(sorted(result for result, since in self._since.items() if now - since >= keep_seconds))
        for result in over:
            parts.drop(result)
            del self._since[result]
        return over
