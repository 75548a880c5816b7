"""Envelopes that are held and wait for a slot of their lane, and the picking up of more for the lanes that have one."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import anyio

from agent.core.errors import TransportError
from agent.core.lane import Lane, lane_of
from agent.core.ports import Offer, Transport
from agent.wire.signing import peek_kind

Line = Callable[[Offer], Awaitable[None]]


class Taken(NamedTuple):
    """An envelope, what is to be done with it, and the lane whose slot that takes."""

    lane: Lane
    offer: Offer
    line: Line


def taken(offer: Offer, line: Line) -> Taken:
    """The lane is read from the very bytes that are verified before anything is run: no other task comes of them."""
    return Taken(lane_of(peek_kind(offer.envelope)), offer, line)


class Waiting:
    """First come, first served, but no lane waits for another."""

    def __init__(self, items: Iterable[Taken]) -> None:
        """Args: what waits from the start."""
        self._items = deque(items)

    def __len__(self) -> int:
        """How many wait."""
        return len(self._items)

    @property
    def lanes(self) -> frozenset[Lane]:
        """Lanes in which somebody waits."""
        return frozenset(item.lane for item in self._items)

    def add(self, item: Taken) -> None:
        """Put one at the end."""
        self._items.append(item)

    def next(self, free: Mapping[Lane, int]) -> Taken | None:
        """Take the first one whose lane has a free slot."""
        found = next((item for item in self._items if free[item.lane]), None)
        if found is not None:
            self._items.remove(found)
        return found


async def offers(
    transport: Transport,
    free: Mapping[Lane, int],
    freed: Callable[[], Awaitable[None]],
    asked: Callable[[], Awaitable[None]] = anyio.sleep_forever,
) -> Sequence[Offer] | None:
    """What the transport has for lanes with room. None when something came first that has to be judged anew.

    That is `asked`, and while not all lanes have room `freed`. Raises TransportError.
    """
    found: Sequence[Offer] | None = None
    failure: TransportError | None = None

    async def until(event: Callable[[], Awaitable[None]]) -> None:
        await event()
        either.cancel_scope.cancel()

    async with anyio.create_task_group() as either:
        either.start_soon(until, asked)
        if not all(free.values()):
            either.start_soon(until, freed)
        try:
            found = await transport.offers(free)
        except TransportError as error:
            failure = error
        either.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return found
