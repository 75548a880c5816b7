"""Envelopes that wait for a slot, and polls that end when there is more to look for."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import anyio
import pytest

from agent.core.errors import TransportError
from agent.core.lane import Lane
from agent.core.ports import Offer
from agent.service.clock import SystemClock
from agent.service.waiting import Taken, Waiting, offers, taken
from agent.transport.filedrop import Config, FileDrop

pytestmark = pytest.mark.anyio
SQL: Mapping[Lane, int] = {"sql": 3, "python": 0}
BOTH: Mapping[Lane, int] = {"sql": 3, "python": 2}


async def line(_: Offer) -> None:
    """What would be done."""


def item(lane: Lane, name: str) -> Taken:
    return Taken(lane, Offer(name, b""), line)


def test_the_first_one_whose_lane_has_room_comes_first() -> None:
    waiting = Waiting([item("python", "a"), item("python", "b"), item("sql", "c")])
    waiting.add(item("sql", "d"))
    assert (len(waiting), waiting.lanes) == (4, {"sql", "python"})
    names = []
    while (found := waiting.next({"sql": 1, "python": 0})) is not None:
        names.append(found.offer.ref)
    assert names == ["c", "d"]
    assert waiting.lanes == {"python"}
    while (found := waiting.next({"sql": 1, "python": 1})) is not None:
        names.append(found.offer.ref)
    assert names == ["c", "d", "a", "b"]


def test_what_is_no_envelope_takes_a_slot_of_the_quick_ones() -> None:
    assert taken(Offer("x", b"\0" * 50), line).lane == "sql"


class Silent:
    """A carrier with a long poll that never finds anything, or fails."""

    def __init__(self, error: TransportError | None = None) -> None:
        self.asked: list[Mapping[Lane, int]] = []
        self._error = error

    async def offers(self, free: Mapping[Lane, int]) -> Sequence[Offer]:
        self.asked.append(free)
        if self._error is not None:
            raise self._error
        await anyio.sleep_forever()
        raise AssertionError


def freed_by(event: anyio.Event) -> Callable[[], Awaitable[None]]:
    async def freed() -> None:
        await event.wait()

    return freed


async def test_a_slot_that_is_given_back_ends_a_poll_that_left_its_lane_out() -> None:
    carrier, event = Silent(), anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep, 0)
        tasks.start_soon(_set_soon, event)
        with anyio.fail_after(5):
            assert await offers(carrier, SQL, freed_by(event)) is None  # type: ignore[arg-type]
    assert carrier.asked == [SQL]


async def _set_soon(event: anyio.Event) -> None:
    await anyio.wait_all_tasks_blocked()
    event.set()


async def test_a_poll_for_every_lane_goes_on() -> None:
    event = anyio.Event()
    event.set()
    with anyio.move_on_after(0.05) as scope:
        await offers(Silent(), BOTH, freed_by(event))  # type: ignore[arg-type]
    assert scope.cancelled_caught


@pytest.mark.parametrize("free", [BOTH, SQL])
async def test_only_the_carriers_own_error_gets_out(free: Mapping[Lane, int]) -> None:
    with pytest.raises(TransportError, match="the folder is gone"):
        await offers(Silent(TransportError("the folder is gone")), free, anyio.Event().wait)  # type: ignore[arg-type]


async def test_nothing_is_lost_when_a_slot_is_freed_while_files_are_claimed(tmp_path: Path) -> None:
    carrier = FileDrop(Config(path=tmp_path / "drop", poll_seconds=3600, settle_seconds=0), SystemClock())
    await carrier.recovered()
    found: list[Offer] = []
    for number in range(20):
        name = f"{number}.mjob"
        (tmp_path / "drop/inbox/new" / name).write_bytes(f"e30.{number:04d}.{'A' * 86}".encode())
        event = anyio.Event()
        event.set()  # a poll meets it at its first wait
        found += await offers(carrier, SQL, freed_by(event)) or ()
    assert sorted(offer.ref.partition(".")[0] for offer in found) == sorted(map(str, range(20)))
