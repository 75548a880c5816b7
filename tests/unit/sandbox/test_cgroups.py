"""The layout of control groups; where the kernel has a v2 hierarchy that may be written, also a real one."""

import os
import subprocess
from pathlib import Path

import pytest

from agent.sandbox import cgroups
from agent.sandbox.cgroups import Groups

REAL = [Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that behaves as cgroupfs does: a new group has its files at once, and goes with them."""
    (tmp_path / "unit" / "agent").mkdir(parents=True)
    (tmp_path / "unit" / "cgroup.subtree_control").touch()
    (tmp_path / "own").write_text("4:memory:/elsewhere\n0::/unit/agent\n")
    make, remove = os.mkdir, os.rmdir

    def mkdir(name: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        make(name, mode, dir_fd=dir_fd)
        for file in ("memory.max", "pids.max", "cpu.weight", "cgroup.procs", "cgroup.kill"):
            os.close(os.open(f"{name}/{file}", os.O_CREAT, dir_fd=dir_fd))

    def rmdir(name: str, *, dir_fd: int | None = None) -> None:
        for file in ("memory.max", "pids.max", "cpu.weight", "cgroup.procs", "cgroup.kill"):
            os.unlink(f"{name}/{file}", dir_fd=dir_fd)
        remove(name, dir_fd=dir_fd)

    monkeypatch.setattr(cgroups.os, "mkdir", mkdir)
    monkeypatch.setattr(cgroups.os, "rmdir", rmdir)
    return tmp_path


def test_a_job_gets_a_group_beside_the_agents_own(tree: Path) -> None:
    groups, finding = cgroups.found(str(tree), str(tree / "own"))
    assert groups is not None
    assert finding.level == "ok"
    group = groups.make(4242, memory_bytes=100 << 20)
    assert group is not None
    (made,) = (tree / "unit").glob("sandbox-*")
    assert (made / "memory.max").read_text() == str(356 << 20)
    assert (made / "pids.max").read_text() == "257"
    assert int((made / "cpu.weight").read_text()) < 100
    assert (made / "cgroup.procs").read_text() == "4242"
    group.close()
    assert not made.exists()


def test_without_delegation_there_are_none(tmp_path: Path) -> None:
    for text in ("", "0::/\n", "4:memory:/x\n", "0::/missing/agent\n"):
        (tmp_path / "own").write_text(text)
        groups, finding = cgroups.found(str(tmp_path), str(tmp_path / "own"))
        assert (groups, finding.level) == (None, "note")
        assert "Delegate" in finding.fix


def test_a_kernel_without_the_controllers_has_none() -> None:
    mount = next((path for path in REAL if (path / "cgroup.controllers").exists()), None)
    if mount is None or not os.access(mount, os.W_OK) or "memory" in (mount / "cgroup.controllers").read_text():
        pytest.skip("no v2 hierarchy without the memory controller that may be written")
    before = sorted(path.name for path in mount.iterdir())
    with pytest.raises(OSError, match=r"memory|Invalid|No such"):
        Groups(str(mount))
    assert sorted(path.name for path in mount.iterdir()) == before


def test_a_real_group_takes_a_process_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel itself says to mkdir, cgroup.procs, cgroup.kill and rmdir, without limits where there are none."""
    mount = next((path for path in REAL if (path / "cgroup.controllers").exists()), None)
    if mount is None or not os.access(mount / "cgroup.procs", os.W_OK):
        pytest.skip("no v2 hierarchy that may be written")
    monkeypatch.setattr(cgroups, "CONTROLLERS", ())
    monkeypatch.setattr(cgroups, "_LIMITS", ())
    monkeypatch.setattr(cgroups, "zip", lambda *_, strict: (), raising=False)
    groups = Groups(str(mount))
    with subprocess.Popen(["sleep", "60"]) as child:
        group = groups.make(child.pid, memory_bytes=1)
        assert group is not None
        (made,) = mount.glob(f"sandbox-{os.getpid()}-*")
        assert (made / "cgroup.procs").read_text().split() == [str(child.pid)]
        group.close()  # it ends what is in it
        assert child.wait(10) == -9
    group.close()
    assert not made.exists()
