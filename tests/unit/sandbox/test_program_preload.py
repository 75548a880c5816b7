"""What the server does before it forks, in a process of its own with the server's environment."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.sandbox.environment import ENVIRONMENT

LOOK = """
import json, os, sys
from agent.sandbox.program import DEFAULT, warm
from agent.sandbox import process
before = set(os.listdir("/proc/self/fd"))
warm(json.loads(sys.argv[1]) or DEFAULT)
fonts = sys.modules.get("matplotlib.font_manager")
print(json.dumps({
    "threads": len(process.threads()),
    "loaded": sorted(name for name in ("pandas", "pyarrow.dataset", "pyarrow.acero", "matplotlib.pyplot", "duckdb", "polars", "json")
                     if name in sys.modules),
    "files": len(set(os.listdir("/proc/self/fd")) - before),
    "fonts": sorted({"matplotlib" in font.fname for font in fonts.fontManager.ttflist}) if fonts else [],
    "backend": sys.modules["matplotlib"].get_backend() if fonts else "",
    "cpus": sys.modules["pyarrow"].cpu_count(),
    "timer": __import__("threading").Timer.__name__,
    "folder": os.environ.get("MPLCONFIGDIR"),
}), flush=True)
os._exit(0)
"""


def look(*names: str) -> dict[str, object]:
    command = [sys.executable, "-I", "-c", LOOK, json.dumps(names)]
    done = subprocess.run(command, env=dict(ENVIRONMENT), capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout.splitlines()[-1])


def test_a_warm_server_has_one_thread_its_own_fonts_and_nothing_open() -> None:
    found = look()
    assert found["loaded"] == ["duckdb", "json", "matplotlib.pyplot", "pandas", "pyarrow.acero", "pyarrow.dataset"]
    assert (found["fonts"], found["backend"].lower(), found["cpus"]) == ([True], "agg", 1)
    assert (found["timer"], found["folder"]) == ("Timer", None)
    assert found["threads"] == 1
    assert found["files"] == 0
    assert not Path(ENVIRONMENT["HOME"]).exists()


@pytest.mark.full
def test_a_library_that_starts_threads_or_is_not_installed_is_passed_over() -> None:
    found = look("pyarrow", "polars", "statsmodels.api", "no_such_library")
    assert "polars" not in found["loaded"]


@pytest.mark.full
def test_a_thread_that_is_left_is_an_error() -> None:
    code = (
        "import threading, time\nfrom agent.sandbox.program import warm\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "try:\n    warm(())\nexcept RuntimeError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        env=dict(ENVIRONMENT),
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.startswith("the server has threads: ")
