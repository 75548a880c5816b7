"""The idle service: how soon it is there, and what memory it and its warm server take."""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Figure

START_LIMIT_SECONDS = 0.5
RSS_LIMIT_MB = 80.0
STARTS = 5
SETTLE_SECONDS = 3.0
_AGENT = (sys.executable, "-m", "agent")
_PATIENCE_SECONDS = 30.0


def run(folder: Path) -> Iterator[Figure]:
    """Seconds from exec to the first status and to taking jobs, and MiB of memory once it idles."""
    site = folder / "site"
    subprocess.run([*_AGENT, "init", str(site)], check=True, stdout=subprocess.DEVNULL)
    starts = [_cold_start(site) for _ in range(STARTS)]
    for name, seconds, limit in (
        ("cold start: first status", [first for first, _ in starts], START_LIMIT_SECONDS),
        ("cold start: takes jobs", [ready for _, ready in starts], None),
    ):
        detail = {"runs": STARTS, "fastest": min(seconds)}
        yield Figure(group="service", name=name, value=statistics.median(seconds), unit="s", limit=limit, detail=detail)
    with _service(site) as pid:
        _status_with(site, "taking_jobs")
        time.sleep(SETTLE_SECONDS)
        members = _tree(pid)
        resident, own = _rollup(pid, "Rss"), _rollup(pid, "Pss")
        whole = sum(_rollup(member, "Pss") for member in members)
    yield Figure(
        group="service",
        name="idle RSS of the service process",
        value=resident,
        unit="MiB",
        limit=RSS_LIMIT_MB,
        detail={"pss": own},
    )
    yield Figure(
        group="service", name="idle PSS of the whole tree", value=whole, unit="MiB", detail={"processes": len(members)}
    )


def _cold_start(site: Path) -> tuple[float, float]:
    started = time.perf_counter()
    with _service(site):
        _status_with(site, "version")
        first = time.perf_counter() - started
        _status_with(site, "taking_jobs")
        return first, time.perf_counter() - started


def _status_with(site: Path, field: str) -> None:
    """Wait until the service's status has a true `field`."""
    status = site / "state" / "status.json"
    deadline = time.perf_counter() + _PATIENCE_SECONDS
    while time.perf_counter() < deadline:
        if status.exists() and json.loads(status.read_bytes())[field]:
            return
        time.sleep(0.002)
    raise SystemExit("the service did not become ready")


@contextmanager
def _service(site: Path) -> Iterator[int]:
    (site / "state" / "status.json").unlink(missing_ok=True)
    with (site / "agent.log").open("ab") as log:
        service = subprocess.Popen(
            [*_AGENT, "run", "--config", str(site / "sandbox.yaml")], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            yield service.pid
        finally:
            service.send_signal(signal.SIGTERM)
            try:
                service.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                service.kill()
                service.wait()


def _tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for member in found:
        found += parents.get(member, [])
    return found


def _rollup(pid: int, field: str) -> float:
    """MiB of a field of smaps_rollup."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == field:
            return int(rest.split()[0]) / 1024
    raise SystemExit(f"the kernel does not tell {field}")
