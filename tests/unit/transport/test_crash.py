import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHM = Path("/dev/shm")


@pytest.mark.parametrize("scenario", ["job", "reject"])
@pytest.mark.parametrize("mode", ["kill", "power"])
def test_no_kill_and_no_power_cut_loses_a_job_or_a_result(crash: Callable[..., int], mode: str, scenario: str) -> None:
    assert crash(mode, HERE / f"scenario_{scenario}.py") > 10


def test_no_kill_loses_or_doubles_a_job_from_another_volume(crash: Callable[..., int], tmp_path: Path) -> None:
    if not SHM.is_dir() or SHM.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second volume")
    assert crash("kill", HERE / "scenario_carry.py") > 5


@pytest.mark.parametrize("scenario", ["job", "reject"])
def test_a_full_disk_loses_no_job_and_no_result(
    crash: Callable[..., int], scenario: str, own_mounts: tuple[str, ...]
) -> None:
    assert crash("full", HERE / f"scenario_{scenario}.py", *own_mounts) > 0


READ_ONLY = """
import subprocess, sys
from pathlib import Path
from agent.core.errors import TransportError
from agent.core.ports import Sealed
from agent.transport import _folders
from agent.transport._outbox import Outbox

root = Path(sys.argv[1])
_folders.prepare(root / "drop")
(root / "parts").write_bytes(b"sealed")
sealed = Sealed("01JD00000000000000000000J0", "01JD0000000000000000000001", b"m", root / "parts", 1e9)
outbox = root / "drop/outbox"
subprocess.run(["mount", "--bind", outbox, outbox], check=True)
subprocess.run(["mount", "-o", "remount,ro,bind", outbox], check=True)
try:
    Outbox(root / "drop").deliver(sealed)
except TransportError as error:
    print(error)
subprocess.run(["mount", "-o", "remount,rw,bind", outbox], check=True)
Outbox(root / "drop").deliver(sealed)
print(sorted(path.name for path in outbox.rglob("*.mres")))
"""


def test_an_outbox_that_is_mounted_read_only_keeps_the_result_for_later(
    tmp_path: Path, own_mounts: tuple[str, ...]
) -> None:
    command = [*own_mounts, sys.executable, "-c", READ_ONLY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    error, delivered = done.stdout.splitlines()
    assert f"{tmp_path}/drop/outbox/tmp" in error
    assert "mount its volume writable" in error
    assert delivered == "['01JD00000000000000000000J0.mres']"
