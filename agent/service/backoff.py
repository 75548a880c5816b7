"""Full jitter: a random wait between nothing and the capped exponential, the jitter applied after the cap.

Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 ("Full Jitter").
"""

import random
from collections.abc import Callable

BASE_SECONDS = 0.5
_LARGEST_POWER = 32

_uniform = random.SystemRandom().uniform


def full_jitter(failures: int, *, cap: float, uniform: Callable[[float, float], float] = _uniform) -> float:
    """Seconds to wait after the `failures`-th failure in a row (from 1), at most `cap`."""
    return uniform(0.0, min(cap, BASE_SECONDS * 2 ** min(failures, _LARGEST_POWER)))
