"""Who waits for what: something happened to a queue, a session or a job, and those who wait for just that are woken."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from router.core.news import job_key, session_key

__all__ = ["Bell", "job_key", "session_key"]


class Bell:
    """Rings are not kept: look first, then wait, within one `listening`. One event loop."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def ring(self, key: str) -> None:
        """Wake all that listen for `key`."""
        for event in self._waiting.get(key, ()):
            event.set()

    def ring_all(self) -> None:
        """Wake everybody."""
        for events in self._waiting.values():
            for event in events:
                event.set()

    @contextmanager
    def listening(self, *keys: str) -> Iterator[asyncio.Event]:
        """An event that is set at a ring of one of the keys; clear it before looking again."""
        event = asyncio.Event()
        for key in keys:
            self._waiting[key].add(event)
        try:
            yield event
        finally:
            for key in keys:
                self._waiting[key].discard(event)
                if not self._waiting[key]:
                    del self._waiting[key]

    def listeners(self) -> int:
        """How many listen; for figures."""
        return sum(map(len, self._waiting.values()))
