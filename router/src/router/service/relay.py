"""What other Router processes over the same database tell -> this one's pollers and waiting callers."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from router.core import news
from router.service.hub import Hub
from router.store.port import StoreError


class Listening(Protocol):
    """A store that other processes write to as well."""

    def listen(self, heard: Callable[[str], None], missed: Callable[[], None], stop: threading.Event) -> None:
        """See `router.store.postgres.PostgresStore.listen`."""
        ...


class Relay:
    """One thread that listens for one hub."""

    def __init__(self, store: Listening) -> None:
        self._store = store
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, hub: Hub) -> None:
        """Begin to listen; called in the event loop of the hub."""
        loop = asyncio.get_running_loop()

        def soon(call: Callable[..., None], *values: object) -> None:
            if not self._stop.is_set():
                loop.call_soon_threadsafe(call, *values)

        def listen() -> None:
            self._store.listen(lambda key: soon(heard, hub, key), lambda: soon(missed, hub), self._stop)

        self._thread = threading.Thread(target=listen, name="router-relay", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """End it."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)


def heard(hub: Hub, key: str) -> None:
    """Another process says what changed."""
    if key.startswith(news.QUEUE):
        hub.parking.wake(key.removeprefix(news.QUEUE))
    elif key.startswith(news.CLOSED):
        hub.sessions.pop(key.removeprefix(news.CLOSED), None)
    elif key == news.REVOKED:
        with suppress(StoreError):  # the next tick looks again
            hub.learn_revoked()
    else:
        hub.bell.ring(key)


def missed(hub: Hub) -> None:
    """Something may have gone unheard: everyone looks again."""
    hub.sessions.clear()
    hub.unsure = True
    hub.bell.ring_all()
