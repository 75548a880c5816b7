"""`make mutants`: change guard/ and masking/ in small ways, one at a time, and count the changes that a test notices.

Works in a copy of the tree, for mutmut leaves its files where it runs. A mutant that no test reaches counts as
survived. Arguments are names of mutants, `*` allowed; then only they count. Ends with 1 below the least score.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

LEAST: Final = 85.0
"""Per cent of the mutants that have to be killed."""

ROOT: Final = Path(__file__).parents[2]
COPY: Final = ROOT / "build" / "mutants"
_COPIED: Final = ("agent", "benchmarks", "config", "docs", "tests", "pyproject.toml", "uv.lock", "README.md")
_KILLED: Final = frozenset({1, 3, 24, 36, 152, 255, -24, -9, -11})
"""How pytest ended: a test failed, or the mutant ran out of time or brought the process down."""
_SURVIVED: Final = frozenset({0, 5, 33})
"""All tests passed, or none was there."""


def main(only: list[str]) -> int:
    """Run, print a table, return the exit code."""
    _copy()
    environment = dict(os.environ, PYTHONPATH=str(COPY / "mutants"))  # before the tree that is installed
    mutmut = Path(sys.executable).with_name("mutmut")
    ended = subprocess.run([mutmut, "run", "--max-children", "1", *only], cwd=COPY, env=environment, check=False)
    found = dict(_results(only))
    for name in sorted(name for name, code in found.items() if code in _SURVIVED):
        print("survived:", name)
    score = _report(found)
    if ended.returncode or None in found.values():
        print("mutants: the run did not come to its end", file=sys.stderr)
        return 1
    return int(score < LEAST)


def _copy() -> None:
    """Bring the copy up to date; what mutmut knows of mutants whose code has not changed stays."""
    for name in _COPIED:
        source, target = ROOT / name, COPY / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            COPY.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def _results(only: list[str]) -> Iterator[tuple[str, int | None]]:
    for path in (COPY / "mutants").rglob("*.meta"):
        codes = json.loads(path.read_text())["exit_code_by_key"]
        yield from ((n, code) for n, code in codes.items() if not only or any(fnmatch(n, one) for one in only))


def _report(found: dict[str, int | None]) -> float:
    """Print killed, survived and the score of each module and of all; the score of all, in per cent."""
    print(f"{'module':42}{'killed':>8}{'survived':>10}{'score':>8}")
    modules = sorted({_module(name) for name in found})
    for module in modules:
        _line(module, [code for name, code in found.items() if _module(name) == module])
    return _line("all", found.values())


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def _line(name: str, codes: Iterable[int | None]) -> float:
    ends = Counter("killed" if code in _KILLED else "survived" for code in codes if code is not None)
    score = 100 * ends["killed"] / ends.total() if ends else 0.0
    print(f"{name:42}{ends['killed']:8}{ends['survived']:10}{score:7.1f}%")
    return score


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
