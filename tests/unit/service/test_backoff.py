"""Full jitter after the cap."""

import pytest

from agent.service.backoff import full_jitter


@pytest.mark.parametrize("failures", [1, 2, 5, 50, 10_000])
@pytest.mark.parametrize("cap", [5.0, 60.0])
def test_never_above_the_cap_and_never_negative(failures: int, cap: float) -> None:
    waits = [full_jitter(failures, cap=cap) for _ in range(200)]
    assert all(0 <= wait <= cap for wait in waits)
    assert len({round(wait, 9) for wait in waits}) > 100, "no jitter"


def test_the_jitter_comes_after_the_cap() -> None:
    asked: list[tuple[float, float]] = []

    def top(low: float, high: float) -> float:
        asked.append((low, high))
        return high

    assert [full_jitter(n, cap=5, uniform=top) for n in (1, 2, 3, 4, 40)] == [1.0, 2.0, 4.0, 5, 5]
    assert {low for low, _ in asked} == {0.0}
