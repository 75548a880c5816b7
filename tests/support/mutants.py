"""`make mutants`: change guard/ and masking/ in small ways, one at a time, and count the changes that a test notices.

mutmut makes the mutants (`[tool.mutmut]` in pyproject.toml says of what); `mutant_loop.py` lets the tests meet them. All
happens in build/mutants, a copy of the tree. What was found is kept there: a run that was stopped goes on where it was.
A kill stands until its function or the test that killed changes, a survival until anything changes. A mutant that no
test reaches counts as survived, and with `--patience` one that no test killed in that time: then the score is a least
one. Ends with 1 below the least score, with 2 when it could not come to its end.
"""

import argparse
import contextlib
import hashlib
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

LEAST: Final = 85.0
"""Per cent of the mutants that have to be killed."""
ROOT: Final = Path(__file__).parents[2]
COPY: Final = ROOT / "build" / "mutants"
MUTATED: Final = COPY / "mutants"
RESULTS: Final = COPY / "results.jsonl"
_COPIED: Final = ("agent", "benchmarks", "config", "docs", "tests", "pyproject.toml", "uv.lock", "README.md")
_STAMP: Final = COPY / "generated"
_PROCESSES: Final = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for."""

    only: str
    sample: int
    seed: int
    show: str
    patience: float = 0.0


def main(arguments: list[str]) -> int:
    """Run, print a table, return the exit code."""
    wanted = _wanted(arguments)
    made = _generate()
    if wanted.show:
        return _show(wanted.show, made)
    names = chosen(made, wanted)
    if not names:
        print(f"mutants: no mutant is called {wanted.only}", file=sys.stderr)
        return 2
    digests = _digests()
    known = _known(made, digests, wanted.patience)
    left = [name for name in names if name not in known]
    print(f"{len(names)} of {len(made)} mutants, {len(names) - len(left)} of them known from before")
    ended = _run(left, made, digests, wanted.patience) if left else 0
    found = {name: killed for name, killed in _known(made, digests, wanted.patience).items() if name in names}
    return _report(found, wanted, of=len(names), ended=ended)


def _wanted(arguments: list[str]) -> Wanted:
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("--only", default="*", help="the names of the mutants, as patterns")
    parser.add_argument("--sample", type=int, default=0, help="so many of them, by chance")
    parser.add_argument("--seed", type=int, default=None, help="the same chance again")
    parser.add_argument("--show", default="", help="what a mutant changes, and what became of it")
    parser.add_argument("--patience", type=float, default=0.0, help="processor seconds for one; 0 is no limit")
    given = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10_000) if given.seed is None else given.seed
    return Wanted(only=given.only or "*", sample=given.sample, seed=seed, show=given.show, patience=given.patience)


def chosen(names: Iterable[str], wanted: Wanted) -> list[str]:
    """The mutants to try. In no order of theirs: a run that is stopped early is a sample of the whole."""
    fitting = sorted(name for name in names if any(fnmatch(name, one) for one in wanted.only.split()))
    count = min(wanted.sample or len(fitting), len(fitting))
    return random.Random(wanted.seed if wanted.sample else 0).sample(fitting, count)


def wilson(killed: int, tried: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share, in per cent (Wilson 1927, the score interval)."""
    if not tried:
        return 0.0, 100.0
    z = 1.959964
    share, spread = killed / tried, z * z / tried
    middle = share + spread / 2
    half = z * math.sqrt(share * (1 - share) / tried + spread / (4 * tried))
    return 100 * (middle - half) / (1 + spread), 100 * (middle + half) / (1 + spread)


def _generate() -> dict[str, str]:
    """Bring the copy up to date. Name of each mutant -> what its function looked like when it was made."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]["do_not_mutate_patterns"]
    stamp = _of_text(json.dumps([rules, version("mutmut")]))
    if not _STAMP.exists() or _STAMP.read_text() != stamp:
        shutil.rmtree(MUTATED, ignore_errors=True)
    _STAMP.unlink(missing_ok=True)
    for name in _COPIED:
        _sync(ROOT / name, COPY / name)
    os.chdir(COPY)  # mutmut reads its configuration, and writes, where it runs
    from mutmut.__main__ import create_mutants_for_file
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.utils.file_utils import walk_mutatable_files
    from mutmut.utils.format_utils import get_mutant_name, mangled_name_from_mutant_name

    paths = sorted(walk_mutatable_files())
    for name in _COPIED:
        _sync(ROOT / name, MUTATED / name, but={COPY / path for path in paths})
    made = {}
    for path in paths:
        (MUTATED / path).parent.mkdir(parents=True, exist_ok=True)
        problem = create_mutants_for_file(path, MUTATED / path).error
        if problem is not None:
            raise problem
        data = SourceFileMutationData(path=path)
        data.load()
        functions = {get_mutant_name(path, name): digest for name, digest in data.hash_by_function_name.items()}
        made |= {name: stamp + functions[mangled_name_from_mutant_name(name)] for name in data.exit_code_by_key}
    _STAMP.write_text(stamp)
    return made


def _sync(source: Path, target: Path, but: Collection[Path] = ()) -> None:
    """Make the copy equal. Files that are equal keep their times: nothing is made anew for them."""
    if source.is_file():
        if COPY / source.relative_to(ROOT) in but:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.read_bytes() != source.read_bytes():
            shutil.copyfile(source, target)
        return
    wanted = {one.name for one in source.iterdir() if one.name != "__pycache__"}
    for old in target.iterdir() if target.is_dir() else ():
        kept = old.suffix in {".meta", ".spans"} and old.stem in wanted
        if old.name not in wanted and not kept and old.name != "__pycache__":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    for name in sorted(wanted):
        _sync(source / name, target / name, but)


def _of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _digests() -> dict[str, str]:
    """Of every file with tests, by its path; of all that takes part, by the empty path."""
    files = sorted(path for name in ("agent", "tests") for path in (COPY / name).rglob("*.*") if path.is_file())
    each = {str(path.relative_to(COPY)): hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files}
    each = {path: digest for path, digest in each.items() if not path.endswith(".pyc")}
    return {**each, "": _of_text(json.dumps(each))}


def _results() -> Iterator[dict[str, Any]]:
    for line in RESULTS.read_text().splitlines() if RESULTS.exists() else ():
        with contextlib.suppress(json.JSONDecodeError):  # the machine went down while it was written
            yield json.loads(line)


def _known(made: Mapping[str, str], digests: Mapping[str, str], patience: float = 0.0) -> dict[str, bool]:
    """What earlier runs found that still stands: whether the mutant was killed."""
    found = {}
    for one in _results():
        name = one["name"]
        by = one["by"].partition("::")[0] if one["killed"] else ""
        whole = one.get("whole", True) or patience
        if whole and made.get(name) == one["function"] and digests.get(by) == one["digest"]:
            found[name] = one["killed"]
    return found


def _killers() -> list[tuple[str, str]]:
    """Functions, each with a test that killed a mutant of it: most likely it kills others too."""
    return [(one["name"].partition("__mutmut_")[0], one["by"]) for one in _results() if one["by"]]


def _run(names: list[str], made: Mapping[str, str], digests: Mapping[str, str], patience: float) -> int:
    """Let the tests meet the mutants; the exit code."""
    options, tests = _arguments()
    order = {
        "names": names, "functions": {name: made[name] for name in names}, "digests": digests,
        "results": str(RESULTS), "reach": str(COPY / "reach.json"), "processes": _PROCESSES,
        "options": options, "tests": tests, "killers": _killers(), "patience": patience,
    }  # fmt: skip
    (COPY / "order.json").write_text(json.dumps(order))
    environment = dict(os.environ, PYTHONPATH=str(MUTATED), MUTANTS_ORDER=str(COPY / "order.json"))
    environment |= {"MUTANT_UNDER_TEST": "stats", "PY_IGNORE_IMPORTMISMATCH": "1"}
    command = [sys.executable, "-m", "pytest", *options, *tests]
    with subprocess.Popen(command, cwd=MUTATED, env=environment) as running:
        while True:
            try:
                return running.wait()
            except KeyboardInterrupt:  # it has heard it too, and ends by itself
                continue


def _arguments() -> tuple[list[str], list[str]]:
    """The options of pytest, and the tests that count."""
    from mutmut.configuration import config

    options = ["-q", "-s", "--tb=native", "--rootdir=.", f"--basetemp={COPY / 'tmp'}", *config().pytest_add_cli_args]
    return ["-p", "tests.support.mutant_loop", *options], config().pytest_add_cli_args_test_selection


def _show(name: str, made: Mapping[str, str]) -> int:
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    if name not in made:
        print(f"mutants: there is no mutant {name}", file=sys.stderr)
        return 2
    last = next((one for one in reversed([*_results()]) if one["name"] == name and one["function"] == made[name]), None)
    print(get_diff_for_mutant(name))
    print("not tried yet" if last is None else f"killed by {last['by']}" if last["killed"] else "survived")
    return 0


def _report(found: Mapping[str, bool], wanted: Wanted, *, of: int, ended: int) -> int:
    """Print survivors, the score of each module and of all; the exit code."""
    for name in sorted(name for name, killed in found.items() if not killed):
        print(f"survived: make mutants SHOW='{name}'")
    print(f"{'module':42}{'killed':>8}{'survived':>10}{'score':>8}")
    for module in sorted({_module(name) for name in found}):
        _line(module, [killed for name, killed in found.items() if _module(name) == module])
    score = _line("all", found.values())
    if wanted.sample or len(found) < of:
        low, high = wilson(sum(found.values()), len(found))
        print(f"by {len(found)} mutants, seed {wanted.seed}: {low:.1f} % to {high:.1f} % with 95 % confidence")
    if ended or len(found) < of:
        print(f"mutants: {of - len(found)} are left; the same command goes on with them", file=sys.stderr)
        return 2
    if score < LEAST:
        print(f"mutants: the score is below {LEAST:.0f} %", file=sys.stderr)
    return int(score < LEAST)


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def _line(name: str, kills: Iterable[bool]) -> float:
    ends = Counter(kills)
    score = 100 * ends[True] / ends.total() if ends else 0.0
    print(f"{name:42}{ends[True]:8}{ends[False]:10}{score:7.1f}%")
    return score


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
