"""Jobs that stand still until a test lets them go on."""

import contextlib
import os
import signal
import time
from pathlib import Path

from tests.support.links import DEADLINE_SECONDS, LinkSite


def freeze(link: LinkSite, count: int) -> set[int]:
    """Stop the workers of so many jobs, which have the source open: they hang, and cost no time of the machine."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while len(found := readers(link.root / "shop.sqlite")) < count:
        assert time.monotonic() < deadline, link.log()
        time.sleep(0.01)
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    return found


def readers(file: Path) -> set[int]:
    """Processes that have a file open."""
    found = set()
    for one in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if one.readlink() == file:
                found.add(int(one.parts[2]))
    return found
