"""An agent in hybrid mode with nothing to do: what its processes take of a processor, and its service of memory."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.router_idle import _wait_for as answers
from benchmarks.service import _rollup as rollup
from benchmarks.service import _service as service
from benchmarks.service import _status_with as status_with
from benchmarks.service import _tree as tree
from tests.support.servers import free_port

GROUP = "agent, idle"
SETTLE_SECONDS = 30.0
"""The warm servers load what they need for jobs, once."""
SECONDS = 60.0
CPU_LIMIT_PERCENT = 0.2
RSS_LIMIT_MIB = 80.0
_SCHED_CLOCK = 2
"""CPUCLOCK_SCHED: which clock of a process is meant by the lowest bits of a clock's number."""


def run(folder: Path) -> Iterator[Figure]:
    """The share of one core that the whole tree takes, long poll and all, and the service's resident memory."""
    with _router(folder / "router") as port:
        site = _enrolled(folder, port)
        with service(site) as pid:
            status_with(site, "taking_jobs")
            time.sleep(SETTLE_SECONDS)
            members = tree(pid)
            before, began = {one: _processor(one) for one in members}, time.monotonic()
            time.sleep(SECONDS)
            spent = {one: _processor(one) - before[one] for one in members}
            seconds = time.monotonic() - began
            if tree(pid) != members:
                raise SystemExit("the agent's processes changed: it was not idle")
            resident = rollup(pid, "Rss")
    yield Figure(
        group=GROUP,
        name=f"processor, the whole tree over {SECONDS:.0f} s",
        value=sum(spent.values()) / seconds * 100,
        unit="%",
        limit=CPU_LIMIT_PERCENT,
        detail={"processes": len(members), "service": spent[pid] / seconds * 100},
    )
    yield Figure(group=GROUP, name="RSS of the service process", value=resident, unit="MiB", limit=RSS_LIMIT_MIB)


@contextmanager
def _router(data: Path) -> Iterator[int]:
    port = free_port()
    _call("router", "init", "--data", str(data))
    command = [_program("router"), "serve", "--data", str(data), "--listen", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            answers(port)
            yield port
        finally:
            process.terminate()
            process.wait(30)


def _enrolled(folder: Path, port: int) -> Path:
    """A site as `agent init` makes it, enrolled."""
    site, data, token = folder / "site", folder / "router", folder / "token"
    ca = ("--ca-file", str(data / "ca-bundle.pem"))
    _call("agent", "init", str(site), "--router", f"https://localhost:{port}", *ca)
    where = ("--data", str(data), "--tenant", "default", "--pool", "default", "--output", str(token))
    _call("router", "token", "create", *where)
    _call("agent", "enroll", "--config", str(site), "--token-file", str(token))
    return site


def _call(name: str, *arguments: str) -> None:
    subprocess.run([_program(name), *arguments], check=True, stdout=subprocess.DEVNULL)


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _processor(pid: int) -> float:
    """Seconds that a process has had of a processor, threads that have ended too. To the nanosecond: it is little."""
    return time.clock_gettime((~pid << 3) | _SCHED_CLOCK)
