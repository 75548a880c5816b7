"""How fast a caller may call: a bucket that fills at a rate, and empties by one a call."""

import time
from collections.abc import Callable
from typing import Final

from router.core.problem import RouterProblem

BURST_SECONDS: Final = 5.0
_MOST: Final = 10_000


class Pace:
    """One bucket a caller, in memory: each Router process counts for itself."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Args: `monotonic` gives seconds."""
        self._monotonic = monotonic
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, caller: str, rate: float) -> None:
        """Count one call, at `rate` calls a second on average and five seconds' worth at once.

        Raises RouterProblem(quota.rate).
        """
        now, most = self._monotonic(), max(1.0, rate * BURST_SECONDS)
        left, since = self._buckets.get(caller, (most, now))
        left = min(most, left + (now - since) * rate)
        if left < 1:
            raise RouterProblem("quota.rate", retry_after=max(1.0, (1 - left) / rate))
        if len(self._buckets) >= _MOST:
            self._buckets.clear()
        self._buckets[caller] = (left - 1, now)
