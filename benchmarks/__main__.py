"""`python -m benchmarks [NAME …] [--json FILE]`: measure, print a table, write JSON."""

import argparse
import importlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.figures import HERE, Figure

ALL = (
    "guard", "masking", "pii", "worker", "sandbox", "service", "postgres",
    "router", "router_agent", "router_idle", "router_large",
)  # fmt: skip
LONG = ("agent_idle",)
"""Only when they are named: they take minutes."""


def main() -> None:
    """Exits 0 whatever the numbers are: they depend on the machine. A workload that does not run ends the program."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="What the line costs.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(ALL)}, all when none is given; or {' or '.join(LONG)}"
    )
    parser.add_argument("--json", type=Path, default=HERE / "results.json", metavar="FILE")
    given = parser.parse_args()
    unknown = set(given.names) - {*ALL, *LONG}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    for name in given.names or ALL:
        print(f"measuring {name} …", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="meridyen-bench-") as folder:
            figures += importlib.import_module(f"benchmarks.{name}").run(Path(folder))
    given.json.write_text(json.dumps(document(figures), indent=2) + "\n", encoding="utf-8")
    print(table(figures))


def document(figures: Iterable[Figure]) -> dict[str, Any]:
    """Figures with the machine that they were taken on."""
    return {
        "machine": {
            "python": platform.python_version(),
            "kernel": platform.release(),
            "architecture": platform.machine(),
            "processors": len(os.sched_getaffinity(0)),
            "load": os.getloadavg()[0],
        },
        "versions": {name: version(name) for name in ("meridyen-agent", "duckdb", "sqlglot", "pyarrow")},
        "figures": [asdict(figure) | {"within": figure.within} for figure in figures],
    }


def table(figures: Iterable[Figure]) -> str:
    """One line a figure."""
    lines = [f"{'':<46} {'measured':>12}   {'at most':>10}"]
    group = ""
    for figure in figures:
        if figure.group != group:
            group = figure.group
            lines.append(group)
        limit = "" if figure.limit is None else f"{figure.limit:g} {figure.unit}"
        mark = {True: "ok", False: "OVER", None: ""}[figure.within]
        lines.append(f"  {figure.name:<44} {figure.value:>9.2f} {figure.unit:<3} {limit:>11}  {mark}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    main()
