"""Where the interpreter, its libraries and this package lie, and the few other files that libraries want to read."""

import os
import sys
import sysconfig
from contextlib import suppress
from functools import cache
from pathlib import Path

import agent

LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo")
# Not /dev/zero: to map it is shared memory.
DEVICES = ("/dev/null", "/dev/urandom")
FACTS = ("/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu", "/proc/sys/vm/overcommit_memory")
# For workers. DuckDB aborts the process when it may not read both of these.
CONTROL_GROUPS = ("/proc/self/cgroup", "/sys/fs/cgroup")
_GROUP_LIMITS = (
    *("memory.max", "memory.high", "cpu.max", "memory.limit_in_bytes", "cpu.cfs_quota_us", "cpu.cfs_period_us"),
)


def own() -> tuple[str, ...]:
    """What a process may read of itself, beyond code: its maps, which tell the libraries that it has loaded, and the
    limits of its control group, for DuckDB aborts a process that may not read them. Not the tree of groups: it tells
    what else runs.
    """  # noqa: D205
    groups: list[str] = []
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            base = f"/sys/fs/cgroup/{controllers}{path}" if controllers else f"/sys/fs/cgroup{path}"
            groups += [f"{base.rstrip('/')}/{name}" for name in _GROUP_LIMITS]
    return ("/proc/self/maps", "/proc/self/cgroup", *groups)


@cache
def code() -> tuple[str, ...]:
    """Where the interpreter, its libraries and this package lie. Never the folder that the package lies in."""
    schemes = sysconfig.get_paths()
    parts = {schemes[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    parts |= {f"{sys.base_prefix}/lib", str(Path(agent.__file__).parent)}
    return tuple(sorted(parts))


def links(path: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """The symbolic links that lead to what `path` means, as (place, target), and where it really lies.

    With these links and that place a path has the same meaning under another root. Raises OSError for a loop.
    """
    found: list[tuple[str, str]] = []
    for _ in range(40):
        steps = Path(path).parts
        for count in range(2, len(steps) + 1):
            place = str(Path(*steps[:count]))
            if Path(place).is_symlink():
                target = os.readlink(place)  # noqa: PTH115 - its text, as it stands
                found.append((place, target))
                path = os.path.normpath(Path(place).parent / target / Path(*steps[count:]))
                break
        else:
            return tuple(found), path
    raise OSError(f"too many symbolic links at {path}")
