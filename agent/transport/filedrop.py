"""Files in folders, for sites without any network: jobs in inbox/new, results in outbox/new."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field

from agent.core.errors import TransportError
from agent.core.lane import Lane
from agent.core.ports import Clock, Offer, Rejection, Sealed
from agent.transport import _folders as folders
from agent.transport._inbox import Inbox
from agent.transport._outbox import Outbox

_T = TypeVar("_T")


class Config(BaseModel):
    """Where the folders are. `inbox` and `outbox` may be links to other volumes; the rest lies on one."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    kind: Literal["filedrop"] = Field(default="filedrop", description="Jobs and results are files in folders.")
    path: Path = Field(
        description="Folder that holds inbox, processing, outbox, archive and failed; made when missing."
    )
    poll_seconds: float = Field(default=1, ge=0.01, le=3600, description="How often the inbox is looked at.")
    settle_seconds: float = Field(
        default=2, ge=0, le=3600, description="How long an unfinished file must stay unchanged before it is judged."
    )

    def open(self, clock: Clock) -> "FileDrop":
        """The transport. Touches nothing before `recovered` or `offers` is called."""
        return FileDrop(self, clock)


class FileDrop:
    """Satisfies `agent.core.ports.Transport`. File work runs in threads.

    `ref` is the job file's name and a mark of its content, the same after a restart.
    """

    def __init__(self, config: Config, clock: Clock) -> None:
        """Args: the folders; the clock that settling and archive records go by."""
        self._root = config.path.absolute()
        self._poll_seconds = config.poll_seconds
        self._clock = clock
        self._inbox = Inbox(self._root, settle_seconds=config.settle_seconds, clock=clock)
        self._outbox = Outbox(self._root)
        self._prepared = False

    def problems(self) -> tuple[str, ...]:
        """Sentences for status: entries that stay where they are, gaps in streams. Never waits."""
        return self._inbox.problems()

    def waiting(self) -> tuple[int, float | None] | None:
        """How many job files wait, and since when the oldest; None when the inbox cannot be read. Blocks."""
        try:
            return self._inbox.waiting()
        except TransportError:
            return None

    async def offers(self, free: Mapping[Lane, int]) -> Sequence[Offer]:
        """New envelopes of the lanes with room, oldest first: as many as fit whatever lanes they turn out to be of.

        With none, looks once more after `poll_seconds`. File work is not cut short by a cancellation: what it claimed
        is returned.
        """
        room = {lane: count for lane, count in free.items() if count > 0}
        most = min(room.values(), default=0)
        found = await self._run(lambda: self._inbox.poll(most, room)) if room else []
        if found:
            return found
        await anyio.sleep(self._poll_seconds)
        return await self._run(lambda: self._inbox.poll(most, room)) if room else []

    async def recovered(self) -> Sequence[Offer]:
        """Envelopes in processing that this run does not hold. Call before `offers`."""
        return await self._run(self._recover)

    async def begin(self, ref: str) -> bool:  # noqa: ARG002 - a file that was taken is held by nobody else
        """A job that was taken is this agent's own."""
        return True

    async def reject(self, ref: str, rejection: Rejection) -> None:
        """Move the file to failed/, with `<stem>.reason.json` beside it. Idempotent."""
        await self._run(lambda: self._inbox.reject(ref, rejection))

    async def deliver(self, sealed: Sealed) -> None:
        """Write outbox/new/<job id>.mres durably. Idempotent."""
        await self._run(lambda: self._outbox.deliver(sealed))

    async def settle(self, ref: str) -> None:
        """Replace the file by its headers in archive/. Idempotent."""
        await self._run(lambda: self._inbox.settle(ref, self._clock.now()))

    def _recover(self) -> Sequence[Offer]:
        with contextlib.suppress(TransportError):  # leftovers in the outbox are no reason to hold up jobs
            self._outbox.clear()
        return self._inbox.recovered()

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await anyio.to_thread.run_sync(self._work, work)

    def _work(self, work: Callable[[], _T]) -> _T:
        if not self._prepared:
            folders.prepare(self._root)
            self._prepared = True
        return work()
