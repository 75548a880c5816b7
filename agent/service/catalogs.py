"""What workers read of sources, kept in memory for the next workers of the same source; opaque bytes, never on disk.

A worker's bytes go nowhere but into later orders for the same source under the same configuration, secrets included.
"""

from dataclasses import dataclass, replace
from hashlib import sha256

from agent.core.order import Order
from agent.core.ports import Clock, Ended

MAX_BYTES = 32 << 20
"""Of all sources together; the oldest goes first."""
MAX_LENT_BYTES = 8 << 20
"""Of all sources of one order."""


@dataclass(frozen=True, slots=True)
class _Kept:
    config: bytes
    since: float
    data: bytes


class Catalogs:
    """The newest catalog of each source, for as long as its configuration stays and its time lasts."""

    def __init__(self, clock: Clock) -> None:
        """Args: durations are taken from the monotonic clock."""
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    def lend(self, order: Order, ttl_seconds: float) -> Order:
        """The order with the catalogs of its sources, where one of at most `ttl_seconds` is at hand."""
        found = {name: self._fresh(name, source, ttl_seconds) for name, source in order.sources.items()}
        lent: dict[str, bytes] = {}
        for name, data in found.items():
            if data is not None and sum(map(len, lent.values())) + len(data) <= MAX_LENT_BYTES:
                lent[name] = data
        return replace(order, catalogs=lent) if lent else order

    def _fresh(self, name: str, source: str | None, ttl_seconds: float) -> bytes | None:
        kept = self._kept.get(name)
        if kept is None or source is None:
            return None
        if kept.config != _config(source) or self._clock.monotonic() - kept.since >= ttl_seconds:
            del self._kept[name]
            return None
        return kept.data

    def keep(self, order: Order, ended: Ended, *, begun: float, ttl_seconds: float) -> None:
        """Take what the worker of `order` read. `begun`: the monotonic time before it started.

        A worker that was lent catalogs and did not end well may have met its cause in them: they are forgotten.
        """
        if ended.report is None:
            for name in order.catalogs:
                self._kept.pop(name, None)
            return
        for name, data in ended.report.catalogs.items():
            source = order.sources.get(name)
            if data and source is not None and ttl_seconds > 0 and len(data) <= MAX_BYTES:
                self._keep(name, _Kept(_config(source), begun, data))

    def _keep(self, name: str, new: _Kept) -> None:
        known = self._kept.get(name)
        if known is not None and known.since > new.since and known.config == new.config:
            return  # a worker that began later was faster
        self._kept.pop(name, None)
        self._kept[name] = new
        while sum(len(kept.data) for kept in self._kept.values()) > MAX_BYTES:
            del self._kept[next(iter(self._kept))]


def _config(source: str) -> bytes:
    """The digest of a source's configuration, whose text holds secrets."""
    return sha256(source.encode("utf-8", "surrogatepass")).digest()
