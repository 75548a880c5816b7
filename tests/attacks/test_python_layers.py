"""Each layer of the sandbox is really on: it stops a program by itself, and its absence shows before any job runs."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SUPPORT = Path(__file__).parents[1] / "support"

ALONE = {
    *("descriptors", "environment", "pid namespace", "net namespace", "mount namespace and own root"),
    *("ipc namespace", "uts namespace", "Landlock", "seccomp", "DUMPABLE"),
    *(f"RLIMIT_{name}" for name in ("AS", "CORE", "CPU", "FSIZE", "MEMLOCK", "MSGQUEUE", "NOFILE", "SIGPENDING")),
}
WITH_PRIVILEGES = {"capabilities", "NO_NEW_PRIVS", "user namespace"}
"""Layers that take something away only from an account that has it, or needs one to set its trap."""

MISSING = {
    "descriptors": "descriptors",
    "environment": "environment",
    "session": "processes",
    "no new privileges": "jail",
    "dumpable": "privileges",
    "Landlock": "Landlock",
    "seccomp": "seccomp",
    "RLIMIT_AS": "limits",
    "RLIMIT_CORE": "limits",
    "RLIMIT_CPU": "limits",
    "RLIMIT_FSIZE": "limits",
    "RLIMIT_MEMLOCK": "limits",
    "RLIMIT_MSGQUEUE": "limits",
    "RLIMIT_NOFILE": "limits",
    "RLIMIT_SIGPENDING": "limits",
}
MISSING_IN_FULL = {
    "capabilities": "privileges",
    "user namespace": "jail",
    "pid namespace": "child",
    "net namespace": "namespaces",
    "mount namespace": "child",
    "uts namespace": "child",
    "own root": "own root",
    "read-only root": "own root",
    "scratch of its own": "scratch",
    "scratch without programs": "scratch",
    "scratch with a size": "scratch",
}
"""Layer -> the check that must say so. Where the jail cannot even be made without it, `child` or `jail` does."""


def run(program: str, *arguments: str) -> Any:
    command = [sys.executable, "-I", str(SUPPORT / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.full
@pytest.mark.timeout(600)
def test_each_layer_alone_stops_a_program_that_nothing_else_stops() -> None:
    found = run("one_layer.py")
    expected = ALONE | (WITH_PRIVILEGES if os.getuid() == 0 else set())
    assert found.keys() == expected
    free = {layer: without for layer, (without, _) in found.items() if without != "done"}
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        free.pop("RLIMIT_CORE", None)  # there is none to take away
    assert free == {}, "not stopped by the layer, but by something else"
    assert {layer for layer, (_, under) in found.items() if under == "done" or under.startswith("the layer")} == set()


@pytest.mark.parametrize("tier", ["container", "full"])
def test_a_missing_layer_shows_before_any_job(tier: str) -> None:
    found = run("missing_layers.py", tier)
    assert found.pop("nothing is missing") == [True, []]
    expected = MISSING | (MISSING_IN_FULL if tier == "full" else {})
    if os.getuid() == 0:
        expected |= {"ipc namespace": "namespaces"} if tier == "full" else {"capabilities": "privileges"}
    elif resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        del expected["RLIMIT_CORE"], found["RLIMIT_CORE"]
    assert found.keys() == expected.keys()
    for layer, check in expected.items():
        stands, wrong = found[layer]
        assert stands is False, layer
        assert any(finding.startswith(f"{tier}: {check}:") for finding in wrong), (layer, wrong)


SUPERVISED = {
    "limit.wall": "while True: pass",
    "limit.memory": "data = []\nwhile True: data.append(b'x' * (1 << 20))",
    "limit.threads": "import threading, time\nkeep = threading.Event()\ntry:\n    while True:\n"
    "        threading.Thread(target=keep.wait, daemon=True).start()\nexcept RuntimeError:\n    time.sleep(15)",
}


def test_the_supervisor_ends_what_the_kernel_lets_run() -> None:
    from tests.support.prison import CONTAINER, Prison

    with Prison(CONTAINER) as prison:
        causes = {}
        for cause, code in SUPERVISED.items():
            outcome = prison.run(code, 1.0 if cause == "limit.wall" else 20.0)
            assert outcome.done is not None
            causes[cause] = outcome.done.cause
        assert causes == {cause: cause for cause in SUPERVISED}
        files = "for n in range(64):\n    f = open(f'f{n}', 'wb')\n    f.write(bytes(8 << 20))\n    f.close()\nimport time\ntime.sleep(5)"
        outcome = prison.run(files, 20.0)
        assert outcome.done is not None
        assert outcome.done.cause == "limit.scratch"
        flood = prison.run("import sys\nfor _ in range(64): sys.stdout.write('x' * 65536)\nresult = 1", 20.0)
        assert (flood.printed.stdout_cut, flood.answer is not None and flood.answer.value) == (True, 1)
