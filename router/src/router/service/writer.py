"""Operations -> the store, as many in one commit as wait: group commit without lingering.

One thread writes. While it commits, what comes meanwhile waits, and goes together into the next commit: the more load,
the larger the batches, and a lone operation waits for nobody.
"""

import asyncio
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from router.core.ops import Op
from router.core.problem import RouterProblem
from router.store.port import Store, StoreError

MOST_IN_A_BATCH: Final = 512
"""Operations in one commit. Beyond it the next commit takes over: the first in must not wait for the thousandth."""

_LOGGER = logging.getLogger(__name__)

_Waiting = tuple[Op, "asyncio.Future[Any]"]
_Group = list[_Waiting]
"""What was put together, for one commit."""


class Writer:
    """Owns the store's writing side. `do` and `start` are called in the event loop, `close` too."""

    def __init__(self, store: Store, *, now: Callable[[], float] = time.time, most: int = MOST_IN_A_BATCH) -> None:
        """Args: `now` gives Unix seconds; `most` bounds a batch, 1 is a commit for each operation."""
        self._store, self._now, self._most = store, now, most
        self._waiting: OrderedDict[str, deque[_Group]] = OrderedDict()
        self._work = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to write."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="router-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Write what waits, and end."""
        with self._work:
            self._closing = True
            self._work.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def put(self, *operations: Op) -> "list[asyncio.Future[Any]]":
        """Queue operations behind one another, for the same commit; the futures of their answers."""
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Any]] = [loop.create_future() for _ in operations]
        with self._work:
            if self._closing:
                raise RouterProblem("shutting_down", retry_after=1.0)
            group = list(zip(operations, futures, strict=True))
            self._waiting.setdefault(_tenant(operations[0]), deque()).append(group)
            self._work.notify()
        for future in futures:
            future.add_done_callback(_retrieved)
        return futures

    async def do(self, operation: Op) -> Any:
        """The answer of one operation, when it is durable. Raises RouterProblem."""
        (future,) = self.put(operation)
        return await asyncio.shield(future)

    def _run(self) -> None:
        while batch := self._take():
            try:
                answers: list[object] = list(self._store.apply([op for op, _ in batch], self._now()))
                assert len(answers) == len(batch), "an answer for each"
            except StoreError as error:
                _LOGGER.error("%d operations were not written: %s", len(batch), error)  # noqa: TRY400 - no traceback: values
                answers = [RouterProblem("store.unavailable", retry_after=2.0)] * len(batch)
            except Exception as error:
                _LOGGER.exception("%d operations met a defect: %s", len(batch), type(error).__name__)
                answers = [RouterProblem("internal")] * len(batch)
            assert self._loop is not None, "started"
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_resolve, batch, answers)

    def _take(self) -> list[_Waiting]:
        """What waits, at most a batch of it, and from each tenant in turn; nothing when it is time to end."""
        with self._work:
            while not self._waiting and not self._closing:
                self._work.wait()
            batch: list[_Waiting] = []
            while self._waiting and len(batch) < self._most:
                tenant, groups = self._waiting.popitem(last=False)
                batch.extend(groups.popleft())
                if groups:
                    self._waiting[tenant] = groups
            return batch


def _tenant(op: Op) -> str:
    """Whose operation it is; the Router's own have none."""
    for found in (op, getattr(op, "agent", None), getattr(op, "job", None), getattr(op, "hello", None)):
        tenant = getattr(found, "tenant", None)
        if isinstance(tenant, str):
            return tenant
    return ""


def _retrieved(future: "asyncio.Future[Any]") -> None:
    """Whoever asked may have gone: then a problem is nobody's, and no reason for a line in the log."""
    if not future.cancelled():
        future.exception()


def _resolve(batch: list[_Waiting], answers: list[object]) -> None:
    for (_, future), answer in zip(batch, answers, strict=True):
        if future.done():
            continue
        if isinstance(answer, RouterProblem):
            future.set_exception(answer)
        else:
            future.set_result(answer)
