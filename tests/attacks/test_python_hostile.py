"""Hostile programs in the real sandbox, without the policy in front of it: what they breach is observed, not believed.

A part runs by default, in one mode of each tier; `make test-slow` runs all in four, and each without any layer, where it
must breach.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import hostile_world
from tests.support.hostile_world import Case, World
from tests.support.prison import DOCKER, FULL_UNPRIVILEGED, MODES, Mode, Prison

CASES = hostile_world.cases()
SLOW = {"resource", "threads", "signals"}
"""Categories whose programs run into a limit."""
WALL_SECONDS = 5.0
SLOW_WALL_SECONDS = 0.8
WITHOUT_LAYERS = Path(hostile_world.__file__).with_name("without_layers.py")
NEW = 60
"""So many programs at least are not the shared ones, which have numbers below 200."""


FROM_FAR = {"055_duckdb_load_extension"}
"""Breaches only where its server far away can be reached, which it cannot from the namespaces of that proof."""


def breaches(mode: Mode, chosen: list[Case]) -> dict[str, list[str]]:
    """Program -> what it breached, for those that breached anything."""
    found = {}
    with Prison(mode) as prison:
        assert prison.ready.tier == mode.tier, [reason for reason in prison.ready.reasons if reason.level != "ok"]
        for case in chosen:
            slow = case.category in SLOW
            wall = SLOW_WALL_SECONDS if slow else WALL_SECONDS
            with World(mode.uid) as world:
                outcome = prison.run(world.fill(case.path.read_text()), wall, watch=slow)
                wrong = world.breaches(outcome.said) + prison.breaches(outcome, wall)
            if wrong:
                found[str(case)] = wrong
    return found


def a_part(offset: int) -> list[Case]:
    """An eighth of the quick programs, and a few of those that run into a limit: a second of each is a second of work."""
    quick = [case for case in CASES if case.category not in SLOW]
    slow = [case for case in CASES if case.category in SLOW]
    return quick[offset::8] + slow[offset::24]


@pytest.mark.parametrize(
    ("mode", "offset"), [pytest.param(FULL_UNPRIVILEGED, 0, marks=pytest.mark.full), (DOCKER, 1)], ids=str
)
def test_a_part_breaches_nothing(mode: Mode, offset: int) -> None:
    assert breaches(mode, a_part(offset)) == {}


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_nothing_breaches(mode: Mode) -> None:
    assert breaches(mode, CASES) == {}


def without_layers(chosen: list[Case]) -> dict[str, list[str]]:
    """Program -> what it does where nothing holds it, in namespaces of its own."""
    command = [sys.executable, str(WITHOUT_LAYERS), *(str(case.path) for case in chosen)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"OPENBLAS_NUM_THREADS": "1"})
    if "no namespaces here" in done.stderr:
        pytest.skip("no user namespaces here: a program without any layer would harm this machine")
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.full
@pytest.mark.timeout(600)
def test_some_breach_where_no_layer_is() -> None:
    """So that it shows early when this suite could see nothing any more."""
    chosen = [case for case in CASES if case.control and case.category not in {*SLOW, "process"}][::25]
    found = without_layers(chosen)
    assert [name for name, wrong in found.items() if not wrong] == []
    assert len(found) == len(chosen) > 4


@pytest.mark.full
@pytest.mark.timeout(900)
def test_every_program_breaches_where_no_layer_is() -> None:
    chosen = [case for case in CASES if case.control and str(case) not in FROM_FAR]
    with ThreadPoolExecutor(2) as pool:
        found = {
            name: wrong
            for part in pool.map(without_layers, (chosen[::2], chosen[1::2]))
            for name, wrong in part.items()
        }
    assert [name for name, wrong in found.items() if not wrong] == []
    assert len(found) == len(chosen)


def test_the_corpus_is_whole() -> None:
    assert len([case for case in CASES if int(case.path.stem[:3]) >= 200]) >= NEW
    assert len({case.path.stem[:3] for case in CASES}) == len(CASES)
