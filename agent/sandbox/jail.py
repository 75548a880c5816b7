"""Turns a process that the sandbox's server has forked into one that can only compute -> the tier's jail.

Two steps, so that a process can be jailed ahead of its job: `shut` takes everything that does not depend on the job,
`lock` sets the job's own limits and system calls. Any failure is an exception, after which no code may run.
"""

import os
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from agent.sandbox import landlock, namespaces, places, process, seccomp, untrusted
from agent.sandbox.environment import ENVIRONMENT
from agent.sandbox.procfs import Procfs
from agent.sandbox.syscalls import clearenv, host

Tier = Literal["full", "container"]

OPEN_FILES = 64
THREADS = 256
"""More than this many threads of one job are too many; the supervisor counts them."""
_GIB = 1 << 30
_NICER = 5
_TEMPORARY: Final = "/tmp"  # noqa: S108 - in the job's own root
_DESCRIPTORS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Where one child is jailed. `server` is a pidfd, `proc` the /proc that shows the child, `scratch` its own folder.

    `version` is the newest Landlock ABI to use. In the full tier the scratch folder is made by the child itself.
    """

    tier: Tier
    version: int
    server: int
    proc: Procfs
    scratch: str
    scratch_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """One job's limits by the kernel: CPU seconds, bytes of memory (a backstop only)."""

    cpu_seconds: int
    memory_bytes: int


def shut(cell: Cell, keep: Collection[int]) -> int:
    """Leave the server: own session, environment, scratch, no privileges, no paths. Raises OSError.

    Returns how many bytes are mapped, for `lock`: from then on there is no /proc to look it up in.

    `keep` are the descriptors that stay open until `lock`, beside the cell's own: another job's must not.
    """
    process.keep_descriptors({0, 1, 2, cell.server, cell.proc.fd, *keep})
    os.setsid()
    process.die_with(cell.server)
    cell.proc.write("self/oom_score_adj", "1000")
    mapped = int(cell.proc.read("self/statm").split()[0]) * os.sysconf("SC_PAGESIZE")
    _yield_to_others()
    if cell.tier == "full":
        namespaces.own_scratch(cell.scratch_bytes)
    clear_environment(_usual(cell.scratch))
    os.chdir(cell.scratch)
    process.drop_capabilities()
    process.forbid_new_privileges()
    process.forbid_dumps()
    reads = (*places.code(), *places.LIBRARIES, *places.DEVICES, *places.FACTS, *places.own())
    landlock.restrict(read=reads, write=(cell.scratch, os.devnull), version=cell.version)
    seccomp.program(
        untrusted.rules(os.getpid(), own_root=cell.tier == "full"), host(), "unknown"
    )  # remembered for `lock`
    return mapped


def lock(cell: Cell, descriptors: Sequence[int], limits: Limits, mapped: int, keep: int) -> None:
    """The job's own descriptors as 0, 1, 2 and 3, its limits, and the list of system calls. Raises OSError.

    `mapped` is what `shut` returned. `keep` stays open beside them, for the one who calls to close.
    """
    if len(descriptors) != _DESCRIPTORS:
        raise OSError("a job has four descriptors")
    process.arrange_descriptors(descriptors)
    process.keep_descriptors({*range(_DESCRIPTORS), keep})
    process.limit_resources(
        cpu_seconds=limits.cpu_seconds,
        memory_bytes=limits.memory_bytes + 2 * _GIB,  # with less DuckDB fails and pyarrow hangs
        file_bytes=cell.scratch_bytes,
        open_files=OPEN_FILES,
        mapped_bytes=mapped,
    )
    seccomp.install(untrusted.rules(os.getpid(), own_root=cell.tier == "full"), "unknown")


def clear_environment(scratch: str) -> None:
    """The fixed environment, with the scratch folder as the place for temporary files."""
    clearenv()  # also what a library has set behind Python's back
    os.environ.clear()
    os.environ.update({**ENVIRONMENT, **dict.fromkeys(("TMPDIR", "HOME", "MPLCONFIGDIR"), scratch)})
    os.environ["JOBLIB_MULTIPROCESSING"] = "0"  # else it asks for semaphores, and warns that it gets none
    tempfile.tempdir = None  # a library may have asked for it in the server


def _usual(scratch: str) -> str:
    """The scratch folder under the name that programs expect it to have, where it goes by that name too."""
    return _TEMPORARY if os.path.realpath(_TEMPORARY) == scratch else scratch


def _yield_to_others() -> None:
    try:
        os.nice(_NICER)
    except OSError:  # a service manager may forbid it: it is a courtesy, not a wall
        return
