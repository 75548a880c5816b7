"""One measured number and its limit; medians of interleaved runs."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`value` in `unit`; `limit` is the most it may be, None when there is none. `detail` goes into the JSON only."""

    group: str
    name: str
    value: float
    unit: str
    limit: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def within(self) -> bool | None:
        """Whether the limit is kept; None without one."""
        return None if self.limit is None else self.value <= self.limit


def timed(call: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def interleaved(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Wall seconds of every call of every round. Turn about, so that a slow moment of the machine meets all alike."""
    for call in calls.values():
        call()  # caches are filled, as they are in the warm server
    gc.collect()
    gc.freeze()  # as the warm server does before it forks: no job pays for looking through what it did not make
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(timed(call))
    gc.unfreeze()
    return found


def milliseconds(seconds: list[float]) -> dict[str, float]:
    """Median, fastest and 95th percentile, in ms."""
    ordered = sorted(seconds)
    return {
        "median": statistics.median(ordered) * 1000,
        "fastest": ordered[0] * 1000,
        "p95": ordered[int(len(ordered) * 0.95)] * 1000,
        "runs": len(ordered),
    }


def peak(pid: int) -> int:
    """The most that was ever resident, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("the kernel does not tell the peak")


def text(name: str) -> str:
    """A workload file, without the newline at its end."""
    return (HERE / name).read_text(encoding="utf-8").strip()
