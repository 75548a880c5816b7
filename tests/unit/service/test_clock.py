"""Clock jumps are noticed, and for an hour nothing is dropped on the wall clock's word."""

from dataclasses import dataclass

import pytest

from agent.service.clock import DISTRUST_SECONDS, ClockWatch, Jump, SystemClock


@dataclass
class HandClock:
    wall: float = 1_000_000.0
    steady: float = 0.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0, 61.0, -61.0])
def test_a_jump_is_noticed_once(jump: float) -> None:
    clock, seen = HandClock(), list[Jump]()
    watch = ClockWatch(clock, on_jump=seen.append)
    clock.run(5)
    clock.wall += jump
    found = watch.look()
    assert found is not None
    assert found.seconds == pytest.approx(jump)
    clock.run(5)
    assert watch.look() is None
    assert seen == [found]


def test_slewing_and_long_runs_are_no_jump() -> None:
    clock = HandClock()
    watch = ClockWatch(clock)
    for _ in range(1000):
        clock.run(5)
        clock.wall += 0.5
        assert watch.look() is None
    assert watch.trusted()


def test_the_clock_is_distrusted_for_an_hour_of_steady_time() -> None:
    clock = HandClock()
    watch = ClockWatch(clock)
    clock.wall += 7 * 86_400
    assert not watch.trusted(), "a jump that no look has seen yet counts at once"
    clock.run(DISTRUST_SECONDS - 1)
    assert not watch.trusted()
    clock.run(2)
    assert watch.trusted()


def test_a_suspended_machine_counts_as_a_jump() -> None:
    clock = HandClock()
    watch = ClockWatch(clock)
    clock.run(10)
    clock.wall += 3 * 3600  # CLOCK_MONOTONIC stands still meanwhile
    assert watch.look() is not None


def test_system_clock_runs() -> None:
    clock = SystemClock()
    assert clock.now() > 1_700_000_000
    assert clock.monotonic() <= clock.monotonic()
