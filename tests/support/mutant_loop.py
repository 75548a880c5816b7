"""A pytest plugin in the place of its loop: the tests are collected once, then each mutant meets them in a fork.

mutmut's own loop collects them again for every mutant, which takes most of its time; and its forks know what the
functions with a cache answered before. A mutant meets the tests that reach its function, those first that killed others
of that function, up to the first that fails. What runs while modules are imported cannot be changed in a fork: such
mutants that survive there meet the tests once more in a process of their own.
"""

import contextlib
import gc
import importlib
import json
import math
import os
import pkgutil
import resource
import select
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest
from mutmut.mutation import trampoline
from mutmut.state import state
from mutmut.utils.format_utils import mangled_name_from_mutant_name

import agent.guard
import agent.masking

_MEMORY: Final = 4 << 30
"""Bytes that a mutant may take: one that never stops to grow ends by itself."""
_PAUSE_SECONDS: Final = 0.005
_SAY_SECONDS: Final = 20.0
_SOME: Final = 8
"""Tests of each file that are asked before the rest: tests of one file often notice the same."""
_MOST_LEFT_OUT: Final = 20
"""Tests that may fail without any mutant."""
_FAILED: Final = frozenset({1, 2, 3})
"""How pytest ends when a test failed, when a file could not be imported, and when it came down itself."""


@dataclass(slots=True)
class _Reach:
    """Which tests reach which function, and how long each takes."""

    tests: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    seconds: dict[str, float] = field(default_factory=dict)
    failing: list[str] = field(default_factory=list)

    def of(self, tests: Sequence[str]) -> float:
        """The seconds of these tests."""
        return sum(self.seconds[test] for test in tests)


@dataclass(slots=True)
class _Fork:
    name: str
    answers: int
    until: float


class _Watch:
    """Whether a test failed, and how."""

    failed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed += f"{report.nodeid}: {report.longreprtext}" if report.failed else ""


_IMPORTED: Final[dict[str, list[str]]] = {}
"""What runs while modules are imported -> the files with tests that ask for it; none where the agent itself does."""


def pytest_configure() -> None:
    """Import what is changed: what runs then runs whatever the tests are."""
    for package in (agent.guard, agent.masking):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    _IMPORTED.update({function: [] for function in state()._stats})


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Note what a file with tests asks for while it is imported."""
    state()._stats.clear()
    report = yield
    if isinstance(collector, pytest.Module):
        for function in state()._stats:
            if _IMPORTED.get(function) != []:
                _IMPORTED.setdefault(function, []).append(collector.nodeid)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Try every mutant that was asked for."""
    if "MUTANTS_ORDER" not in os.environ:  # in the process of one mutant: the plain loop
        return None  # type: ignore[return-value]
    order = json.loads(Path(os.environ["MUTANTS_ORDER"]).read_text())
    trampoline.set_mutant_under_test("")
    session.config._tmp_path_factory.getbasetemp()  # one for all forks
    gc.collect()
    gc.freeze()  # else the first collection in a fork copies all that they share
    _Loop(session, order, _reach(session, order)).run()
    gc.unfreeze()
    return True


def _reach(session: pytest.Session, order: dict[str, Any]) -> _Reach:
    """What the tests reach, by running them all once; known from before where nothing has changed."""
    path, digest = Path(order["reach"]), order["digests"][""]
    known = json.loads(path.read_text()) if path.exists() else {}
    if known.get("digest") != digest:
        print("running all tests once, to see what they reach", flush=True)
        path.unlink(missing_ok=True)
        pid = os.fork()
        if not pid:
            _measure(session, path, digest)
        if os.waitpid(pid, 0)[1] or not path.exists():
            pytest.exit("mutants: too many tests fail without any mutant (see above)", returncode=2)
        known = json.loads(path.read_text())
    reach = _Reach(seconds=known["seconds"], failing=known["failing"])
    for test, functions in known["reached"].items():
        for function in functions:
            reach.tests[function].append(test)
    return reach


def _measure(session: pytest.Session, path: Path, digest: str) -> NoReturn:
    """In a fork: run all tests, write down what each reached. A test that looks at frames fails among mutants."""
    trampoline.set_mutant_under_test("stats")
    reached, seconds, failing = {}, {}, []
    for item, took, failed in _run(session, session.items):
        if failed:
            failing.append(item.nodeid)
            print(f"left out, for it fails without any mutant: {item.nodeid}: {failed[-200:]}", flush=True)
        else:
            reached[item.nodeid] = sorted(state()._stats)
        state()._stats.clear()
        seconds[item.nodeid] = took
    if len(failing) <= _MOST_LEFT_OUT:
        path.write_text(json.dumps({"digest": digest, "reached": reached, "seconds": seconds, "failing": failing}))
    os._exit(0)


def _run(session: pytest.Session, items: Sequence[pytest.Item]) -> Iterator[tuple[pytest.Item, float, str]]:
    """Run the tests without a word; each with the seconds that it took, and how it failed."""
    plugins = session.config.pluginmanager
    plugins.unregister(name="terminalreporter")
    watch = _Watch()
    plugins.register(watch, "watch")
    for place, item in enumerate(items):
        following = items[place + 1] if place + 1 < len(items) else None
        watch.failed, start = "", time.process_time()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        yield item, time.process_time() - start, watch.failed


class _Loop:
    """Every mutant in turn, some at a time."""

    def __init__(self, session: pytest.Session, order: dict[str, Any], reach: _Reach) -> None:
        self.session, self.order, self.reach = session, order, reach
        self.items = {item.nodeid: item for item in session.items}
        self.killers: dict[str, Counter[str]] = defaultdict(Counter)
        for function, by in order["killers"]:
            self.killers[function][by] += 1
        self.running: dict[int, _Fork] = {}
        self.done: Counter[bool] = Counter()

    def run(self) -> None:
        """Up to the end, or to Ctrl-C: then what was found is kept and the rest is left."""
        said = time.monotonic()
        try:
            for name in self.order["names"]:
                while len(self.running) >= self.order["processes"]:
                    self._wait()
                self._start(name)
                if time.monotonic() > said + _SAY_SECONDS:
                    said = time.monotonic()
                    self._say()
            while self.running:
                self._wait()
        except KeyboardInterrupt:
            print("\nmutants: stopped", flush=True)
        finally:
            for pid in self.running:
                os.killpg(pid, signal.SIGKILL)
            self._say()

    def _say(self) -> None:
        text = f"{self.done.total()} of {len(self.order['names'])} tried, {self.done[False]} survived"
        print(text, flush=True)

    def _start(self, name: str) -> None:
        function = mangled_name_from_mutant_name(name)
        tests = self._tests(function)
        seconds = self.reach.of(list(self.items) if function in _IMPORTED else tests)
        if not tests and function not in _IMPORTED:
            self._keep(name, killed=False, by="")
            return
        receives, answers = os.pipe()
        pid = os.fork()
        if not pid:
            _become(math.ceil(10 + 8 * seconds))
            self._meet(name, [self.items[test] for test in tests], answers)
            os._exit(self._alone(name, _IMPORTED[function]) if function in _IMPORTED else 0)
        os.close(answers)
        with contextlib.suppress(OSError):  # it has done so itself
            os.setpgid(pid, pid)
        self.running[pid] = _Fork(name, receives, time.monotonic() + 120 + 40 * seconds)

    def _tests(self, function: str) -> list[str]:
        """Those that reach it: killers first, then some of each file, then the rest by file, the shortest first."""
        by_file = defaultdict(list)
        for test in self.reach.tests.get(function, []):
            by_file[test.partition("::")[0]].append(test)
        first = [test for test, _ in self.killers[function].most_common(8) if test in self.items]
        files = sorted(by_file.values(), key=lambda of: self.reach.of(of) / len(of))
        some = [test for of in files for test in of[:: max(1, len(of) // _SOME)]]
        return list(dict.fromkeys([*first, *some, *(test for of in files for test in of)]))

    def _meet(self, name: str, items: Sequence[pytest.Item], answers: int) -> None:
        """In a fork: run the tests on the mutant, as long as there is patience."""
        trampoline.set_mutant_under_test(name)
        trampoline.get_mutant_under_test = lambda: name  # a call of every function of the agent: without a detour
        start = time.process_time()
        for item, _, failed in _run(self.session, items):
            if failed:
                os.write(answers, item.nodeid.encode())
                os._exit(1)
            if self.order["patience"] and time.process_time() - start > self.order["patience"]:
                os.write(answers, b"?")
                os._exit(0)

    def _alone(self, name: str, files: Sequence[str]) -> int:
        """The tests from the imports on, in a process of its own; its exit code."""
        environment = {key: value for key, value in os.environ.items() if key != "MUTANTS_ORDER"}
        but = [
            f"--basetemp={self.order['results']}.{os.getpid()}",
            *(f"--deselect={one}" for one in self.reach.failing),
        ]
        command = [sys.executable, "-m", "pytest", *self.order["options"], "-x", *but, *(files or self.order["tests"])]
        code = subprocess.run(command, env={**environment, "MUTANT_UNDER_TEST": name}, check=False).returncode
        return int(code in _FAILED or code < 0)

    def _wait(self) -> None:
        """Until one has ended."""
        while True:
            for pid, fork in self.running.items():
                if time.monotonic() > fork.until:
                    os.killpg(pid, signal.SIGKILL)
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    break
            else:
                time.sleep(_PAUSE_SECONDS)
                continue
            break
        del self.running[pid]
        by = os.read(fork.answers, 4096).decode() if select.select([fork.answers], [], [], 0)[0] else ""
        os.close(fork.answers)
        self._keep(fork.name, killed=bool(status), by=by if status else "", whole=by != "?")

    def _keep(self, name: str, *, killed: bool, by: str, whole: bool = True) -> None:
        self.done[killed] += 1
        if by:
            self.killers[mangled_name_from_mutant_name(name)][by] += 1
        digest = self.order["digests"].get(by.partition("::")[0], "")
        line = {"name": name, "function": self.order["functions"][name], "killed": killed, "by": by, "digest": digest}
        with Path(self.order["results"]).open("a") as results:
            results.write(json.dumps(line if whole else {**line, "whole": False}) + "\n")


def _become(seconds: int) -> None:
    """A process that harms nobody: its own group, quiet, within limits."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + _MEMORY, held + _MEMORY))
