from collections.abc import Callable
from pathlib import Path

SCENARIO = Path(__file__).parent / "scenario_append.py"


def test_a_kill_before_any_step_leaves_a_chain_that_goes_on(crash: Callable[..., int]) -> None:
    assert crash("kill", SCENARIO) > 20


def test_a_power_cut_after_any_step_keeps_every_record_that_was_promised(crash: Callable[..., int]) -> None:
    assert crash("power", SCENARIO) > 20


def test_a_full_disk_refuses_and_leaves_a_chain_that_goes_on(
    crash: Callable[..., int], own_mounts: tuple[str, ...]
) -> None:
    assert crash("full", SCENARIO, *own_mounts) > 2
