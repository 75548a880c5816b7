"""Many jobs in a row leave nothing behind."""

import os
import time
from pathlib import Path

import pytest

from agent.sandbox import scratch
from tests.unit.sandbox import bare

JOBS = 10_000
SETTLED = 500
"""The interpreter's own caches are filled by then."""


@pytest.mark.full
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("tier", ["full", "container"])
def test_ten_thousand_jobs_leave_nothing(tier: str) -> None:
    with bare.server(tier, "--at-once", "2") as server:
        for number in range(JOBS):
            said, done = server.run(f"open('x', 'w').write('y')\nsay({number})")
            assert (said, done.cause, done.status) == (number, "exit", 0)
            if number == SETTLED:
                before = held(server)
        after = held(server)
        assert after["processes"] == before["processes"]
        assert after["descriptors"] <= before["descriptors"]
        assert after["memory"] < before["memory"] * 1.05
        assert after["files"] <= 1


def held(server: bare.Bare) -> dict[str, int]:
    """Of the one process that forks: the innermost but the one that stands by."""
    time.sleep(1)  # so that one stands by
    pids = server.processes()
    pid = pids[1] if server.ready["tier"] == "full" else pids[0]
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    memory = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    mine = [path for path in Path(scratch.parent()).glob(f"{scratch.PREFIX}*") if path.stat().st_uid == os.getuid()]
    files = max((len(list(folder.iterdir())) for folder in mine), default=0)
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return {"processes": len(pids), "descriptors": descriptors, "memory": memory, "files": files}
