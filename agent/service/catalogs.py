"""What workers read of sources, kept in memory for the next workers of the same source; opaque bytes, never on disk.

A worker's bytes go nowhere but into later orders for the same source under the same configuration, secrets included.
"""

from dataclasses import dataclass, replace
from hashlib import sha256

from agent.core.order import Order
from agent.core.ports import Clock, Ended

MAX_BYTES = 32 << 20
"""Of all sources together; the oldest goes first."""


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
        """The order with the catalog of its source, where one of at most `ttl_seconds` is at hand."""
        kept = self._kept.get(order.source_name)
        if kept is None or order.source is None:
            return order
        if kept.config != _config(order.source) or self._clock.monotonic() - kept.since >= ttl_seconds:
            del self._kept[order.source_name]
            return order
        return replace(order, catalog=kept.data)

    def keep(self, order: Order, ended: Ended, *, begun: float, ttl_seconds: float) -> None:
        """Take what the worker of `order` read. `begun`: the monotonic time before it started.

        A worker that was lent a catalog and did not end well may have met its cause in it: it is forgotten.
        """
        if ended.report is None:
            if order.catalog is not None:
                self._kept.pop(order.source_name, None)
            return
        data = ended.report.catalog
        if not data or order.source is None or ttl_seconds <= 0 or len(data) > MAX_BYTES:
            return
        known = self._kept.get(order.source_name)
        if known is not None and known.since > begun and known.config == _config(order.source):
            return  # a worker that began later was faster
        self._kept.pop(order.source_name, None)
        self._kept[order.source_name] = _Kept(_config(order.source), begun, data)
        while sum(len(kept.data) for kept in self._kept.values()) > MAX_BYTES:
            del self._kept[next(iter(self._kept))]


def _config(source: str) -> bytes:
    """The digest of a source's configuration, whose text holds secrets."""
    return sha256(source.encode("utf-8", "surrogatepass")).digest()
