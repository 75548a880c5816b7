"""The hostile programs and what is no program, through the whole line: `agent exec --jsonl` of a real site."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from agent.sandbox import process
from agent.sandbox.syscalls import prctl
from tests.acceptance.conftest import Site, make_site
from tests.support import hostile_world
from tests.support.hostile_world import Case, World

CASES = hostile_world.cases()
QUICK = [case for case in CASES if case.category not in {"resource", "threads", "signals"}]
SLOW = [case for case in CASES if case not in QUICK]
SUBREAPER = 36
DF = {"kind": "sql", "source": "shop", "statement": "SELECT * FROM orders"}
LIMITS = "limits:\n  wall_seconds: 8\n  memory_mb: 512\n"
ENDS = {"completed", "refused", "failed"}

DEEP = "(" * 400 + "1" + ")" * 400
BAD: dict[str, tuple[str, set[str]]] = {
    "empty": ("", {"python.size"}),
    "only a comment": ("# nothing here\n", {"python.size"}),
    "too long": ("x = 1\n" * 50_000, {"python.size"}),
    "syntax": ("result = (1,\n", {"python.syntax"}),
    "indentation": ("if True:\nresult = 1\n", {"python.syntax"}),
    "tabs and spaces": ("if True:\n\tx = 1\n        y = 2\nresult = 1\n", {"python.syntax"}),
    "an unknown encoding": ("# -*- coding: klingon -*-\nresult = 1\n", {"ok", "python.syntax", "python.encoding"}),
    "NUL": ("result = 1\0\n", {"python.encoding"}),
    "nested too deep": (f"result = {DEEP}\n", {"python.depth", "python.syntax"}),
    "a refused module": ("import ctypes\n", {"python.import"}),
    "a missing module": ("import no_such_module\n", {"python.import"}),
    "a keyword in other letters": ("ｅｖａｌ('1')\nresult = 1\n", {"python.construct", "python.name"}),
    "a reserved name in other letters": ("result = ().__ｃlass__\n", {"python.name"}),
    "text that runs backwards": ("result = 1  # \u202e\u2066 ;import os\n", {"ok", "python.encoding"}),
    "a missing input": ("result = nowhere.head()\n", {"python.error", "python.input"}),
    "no result": ("x = 1\n", {"python.result", "ok"}),
    "not serialisable": ("result = object()\n", {"python.result"}),
    "a generator": ("result = (n for n in range(3))\n", {"python.result", "ok"}),
    "itself": ("result = []\nresult.append(result)\n", {"python.result"}),
    "too deep a result": ("x = 1\nfor _ in range(10 ** 5):\n    x = [x]\nresult = x\n", {"python.result"}),
    "ten gigabytes": ("result = 'x' * (10 << 30)\n", {"limit.memory", "python.error", "python.result"}),
    "a large result": ("result = 'x' * (80 << 20)\n", {"limit.bytes", "limit.memory", "python.result"}),
    "recursion": ("def f(n):\n    return f(n + 1)\nresult = f(0)\n", {"python.error"}),
    "windows line ends": ("x = 1\r\nresult = x + 1\r\n", {"ok"}),
    "a byte order mark": ("\ufeffresult = 2\n", {"ok"}),
    "old line ends": ("x = 1\rresult = 2\r", {"ok", "python.syntax"}),
    "no line end": ("result = 2", {"ok"}),
    "tabs": ("if True:\n\tresult = 2\n", {"ok"}),
}
"""What it is -> the program, and the codes that may come of it. Codes are published; nothing is an internal error."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = make_site(tmp_path_factory.mktemp("line") / "site")
    config = made.folder / "sandbox.yaml"
    config.write_text(config.read_text() + LIMITS)
    return made


@contextmanager
def nobody_left() -> Iterator[None]:
    """No process is left of what is started meanwhile: orphans would become children of this one."""
    process.become_subreaper()
    before = set(process.children())
    try:
        yield
        give_up = time.monotonic() + 10
        while set(process.children()) - before and time.monotonic() < give_up:
            time.sleep(0.05)
        assert set(process.children()) - before == set()
    finally:
        prctl(SUBREAPER, 0)


def outcomes(site: Site, programs: dict[str, str], every: int = 1) -> dict[str, dict[str, Any]]:
    """Reference -> outcome. After each, or every so many of them, comes an honest program that must go well."""
    lines = []
    for number, (name, code) in enumerate(programs.items()):
        lines.append({"ref": name, "kind": "python", "code": code, "inputs": {"df": DF}})
        if number % every == 0:
            lines.append({"ref": f"after {name}", "kind": "python", "code": "result = len(df)", "inputs": {"df": DF}})
    done = site.cli("exec", "--jsonl", "-", stdin="\n".join(map(json.dumps, lines)))
    assert done.returncode == 0, done.stderr[-2000:]
    found = {one["ref"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert found.keys() == {line["ref"] for line in lines}
    return found


def breaches(site: Site, chosen: list[Case]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with World() as world, nobody_left():
        got = outcomes(site, {str(case): world.fill(case.path.read_text()) for case in chosen})
        for name, outcome in got.items():
            wrong = world.breaches(json.dumps(outcome, ensure_ascii=False))
            if outcome["outcome"] not in ENDS or outcome.get("code") in {"internal.error", "worker.crashed"}:
                wrong.append(str(outcome)[:300])
            if (
                name.startswith("after ")
                and outcome.get("result", {}).get("value") != got[f"after {chosen[0]}"]["result"]["value"]
            ):
                wrong.append(f"the job that follows: {str(outcome)[:300]}")
            if wrong:
                found[name] = wrong
    return found


@pytest.mark.full
def test_some_hostile_programs_breach_nothing(site: Site) -> None:
    assert breaches(site, QUICK[::40]) == {}


@pytest.mark.full
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(8))
def test_hostile_programs_breach_nothing(site: Site, part: int) -> None:
    """Those that run into a limit cost seconds each, and are all run without the policy: here one in five."""
    assert breaches(site, (QUICK + SLOW[::5])[part::8]) == {}


@pytest.mark.full
def test_what_is_no_program_has_a_clear_outcome(site: Site) -> None:
    got = outcomes(site, {name: code for name, (code, _) in BAD.items()}, every=15)
    codes = {name: got[name].get("code") or "ok" for name in BAD}
    assert {name: code for name, code in codes.items() if code not in BAD[name][1]} == {}
    for name in got:
        assert got[name]["outcome"] == "completed" or (got[name]["message"] and "Traceback" not in got[name]["message"])
