"""A status.json and its age -> whether the process that wrote it still lives, though it does not answer."""

import os
import time
from pathlib import Path

_START: int = 19
"""Place of starttime behind the name in /proc/PID/stat (proc_pid_stat(5), field 22)."""


def lives(pid: object, age_seconds: float, proc: Path = Path("/proc")) -> bool:
    """Whether process `pid` is older than the file: one that got the same number later is another one."""
    if not isinstance(pid, int):
        return False
    try:
        fields = (proc / str(pid) / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
        begun = int(fields[_START]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return False
    return fields[0] not in {"Z", "X"} and time.clock_gettime(time.CLOCK_BOOTTIME) - begun >= age_seconds
