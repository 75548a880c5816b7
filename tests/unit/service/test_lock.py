"""Two services on one state folder: the second is refused and told who holds it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.core.errors import ConfigError
from agent.service.lock import LOCK_FILE, StateBusyError, hold

HOLDER = """
import sys, time
from pathlib import Path
from agent.service.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_second_holder_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StateBusyError, match=f"process {holder.pid} already runs") as caught, hold(tmp_path):
            pass
        assert caught.value.pid == holder.pid
        holder.kill()
        holder.wait()
        with hold(tmp_path):  # the lock died with its process, whatever the file says
            assert (tmp_path / LOCK_FILE).read_text() == f"{os.getpid()}\n"


def test_lock_is_free_again_after_use(tmp_path: Path) -> None:
    for _ in range(2):
        with hold(tmp_path), pytest.raises(StateBusyError), hold(tmp_path):
            pass


def test_a_child_that_survives_does_not_keep_the_lock(tmp_path: Path) -> None:
    spawn = "    import subprocess; subprocess.Popen(['/bin/cat'], close_fds=False)\n"
    script = HOLDER.replace("    print(", spawn + "    print(")
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.kill()
        holder.wait()
        holder.stdin.write("alive\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "alive\n", "the child is gone: the test proves nothing"
        with hold(tmp_path):
            pass


def test_a_symlink_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / LOCK_FILE).symlink_to(victim)
    with pytest.raises(ConfigError, match="state_dir"), hold(tmp_path):
        pass
    assert victim.read_text() == "precious"


def test_missing_folder_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"state_dir.*Fix: make the folder writable"), hold(tmp_path / "none"):
        pass
