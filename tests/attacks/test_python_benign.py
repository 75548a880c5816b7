"""What analysts and models write runs in both tiers, every time, and gives the same in each."""

from pathlib import Path

import pytest

from tests.support.hostile_world import BENIGN
from tests.support.prison import DOCKER, FULL_UNPRIVILEGED, Outcome, Prison

PROGRAMS = sorted(BENIGN.glob("*.py"))
PACKAGES = sorted((BENIGN / "packages").glob("*.py"))
WALL_SECONDS = 60.0
TIMES = 10


def trouble(outcome: Outcome) -> str:
    """Why it is no good outcome; empty for a good one."""
    if outcome.done is None or (outcome.done.cause, outcome.done.status) != ("exit", 0):
        return f"{outcome.done}"
    if outcome.answer is None or outcome.answer.code != "ok":
        return outcome.said[:300]
    return "" if outcome.answer.result != "none" or outcome.answer.outputs else "no result"


def given(outcome: Outcome) -> object:
    """The result, to be compared."""
    held = outcome.answer
    return None if held is None else (repr(held.value), None if held.frame is None else held.frame.to_pydict())


def run(programs: list[Path], times: int) -> dict[str, str]:
    """Program -> what went wrong, in either tier or between the two."""
    found: dict[str, str] = {}
    with Prison(FULL_UNPRIVILEGED, policy=True) as full, Prison(DOCKER, policy=True) as container:
        assert (full.ready.tier, container.ready.tier) == ("full", "container")
        for program in programs * times:
            text = program.read_text()
            outcomes = [prison.run(text, WALL_SECONDS) for prison in (full, container)]
            wrong = [trouble(outcome) for outcome in outcomes]
            if any(wrong):
                found[program.stem] = " / ".join(wrong)
            elif "time" not in text and "random" not in text and given(outcomes[0]) != given(outcomes[1]):
                found[program.stem] = "the tiers differ"
    return found


def test_everyday_programs_run_in_both_tiers() -> None:
    assert run([*PROGRAMS[::9], BENIGN / "118_datetime_arithmetic.py"], 1) == {}


@pytest.mark.full
@pytest.mark.timeout(900)
def test_everyday_programs_run_every_time() -> None:
    assert run(PROGRAMS, TIMES) == {}


@pytest.mark.full
@pytest.mark.timeout(600)
def test_programs_of_the_packages_run_in_both_tiers() -> None:
    assert run(PACKAGES, 1) == {}
