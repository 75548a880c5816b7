"""Duties run at once and again, a broken one is a finding, and a clock set back does not stop them."""

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from agent.service.board import Board
from agent.service.duties import Duties, Duty

pytestmark = pytest.mark.anyio


async def test_a_duty_runs_at_the_start_and_again() -> None:
    runs, third = 0, anyio.Event()

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            third.set()

    duties = Duties([Duty(name="often", every_seconds=0.01, run=run)], Board())
    duties.start()
    with anyio.fail_after(5):
        await third.wait()
    duties.stop()


async def test_a_broken_duty_is_a_finding_until_it_holds() -> None:
    board, tries, held = Board(), 0, anyio.Event()
    seen: list[str] = []

    async def run() -> None:
        nonlocal tries
        tries += 1
        seen.extend(health.line() for health in board.findings.values())
        if tries < 3:
            raise RuntimeError("a value that nobody may see")
        if tries == 4:
            held.set()

    duties = Duties([Duty(name="sweep", every_seconds=0.01, run=run)], board)
    duties.start()
    with anyio.fail_after(5):
        await held.wait()
    duties.stop()
    assert board.findings == {}
    assert seen
    assert all("'sweep' fails (RuntimeError)" in line and "value" not in line for line in seen)


async def test_a_clock_set_back_does_not_stop_duties() -> None:
    first, again = anyio.Event(), anyio.Event()

    async def run() -> None:
        (again if first.is_set() else first).set()

    duties = Duties([Duty(name="status", every_seconds=3600, run=run)], Board())
    duties.start()
    with anyio.fail_after(5):
        await first.wait()
    # What a clock set back by a day looks like to the scheduler: everything is due tomorrow.
    for job in duties._scheduler.get_jobs():
        job.modify(next_run_time=datetime.now(UTC) + timedelta(days=1))
    duties.realign()
    with anyio.fail_after(5):
        await again.wait()
    duties.stop()


async def test_stop_is_idempotent_and_nothing_runs_after_it() -> None:
    duties = Duties([], Board())
    duties.stop()
    duties.start()
    duties.stop()
    duties.stop()
