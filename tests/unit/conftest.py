import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

RUNNER = Path(__file__).parent / "crash_runner.py"


@pytest.fixture(scope="session")
def own_mounts(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The start of a command line that may mount filesystems of its own; skips where the machine does not let it."""
    before = ("unshare", "-rm")
    target: Path = tmp_path_factory.mktemp("mount")
    try:
        probe = subprocess.run([*before, "mount", "-t", "tmpfs", "tmpfs", target], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if probe.returncode:
        pytest.skip("no mounts in user namespaces here; other tests hold the same by RLIMIT_FSIZE and modes")
    return before


@pytest.fixture
def crash(tmp_path: Path) -> Callable[..., int]:
    """Runs a scenario file under `kill`, `power` or `full` (see crash_runner.py), and gives the number of cases."""

    def run(mode: str, scenario: Path, *before: str) -> int:
        command = [*before, sys.executable, RUNNER, mode, scenario, tmp_path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return int(done.stdout)

    return run
