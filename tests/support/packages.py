"""What is shipped, built once for all processes of a test run: wheelhouse, Debian packages, the machines' tree."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.machines import RELEASES, tree

ROOT = Path(__file__).parents[2]
RELEASE = "bookworm"
REVISIONS = ("1", "2")
"""The previous build, and this one."""


def shared(base: Path) -> Path:
    """One folder for all processes of this run, given a process's own; TEST_PACKAGES keeps it for later runs."""
    if kept := os.environ.get("TEST_PACKAGES"):
        return Path(kept)
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "packages"


def once(folder: Path, name: str, make: Callable[[Path], None]) -> Path:
    """`folder`/`name`, made by the first process that asks; the others wait for it. A failure is everybody's."""
    folder.mkdir(parents=True, exist_ok=True)
    made, fresh = folder / name, folder / f"{name}.new"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            make(fresh)
            fresh.rename(made)
    return made


def needs(*programs: str) -> None:
    """A machine that lacks one of them cannot show anything: that is a failure, not a skip."""
    missing = [program for program in programs if shutil.which(program) is None]
    assert not missing, f"{', '.join(missing)}: not installed. Fix: . packaging/ci/install.sh; install_systemd_tools"
    assert os.geteuid() == 0, "machines are booted by root. Fix: run these tests as root."


def script(*arguments: str | Path) -> str:
    """A program of packaging/, run with this Python; what it prints."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"{arguments[0]}: {done.stderr[-2000:]}"
    return done.stdout


def wheelhouse_at(folder: Path) -> None:
    """Fill a folder with the wheels of the agent, for the machines' Python; those that are there stay."""
    script("packaging/build/wheelhouse.py", "agent", "--output", folder, "--python", RELEASES[RELEASE])


def wheelhouse(folder: Path) -> Path:
    """The wheels of the agent."""
    return once(folder, "wheelhouse", wheelhouse_at)


def packages(folder: Path) -> dict[str, Path]:
    """Revision -> the Debian package."""

    def make(at: Path) -> None:
        script("packaging/deb/build.py", "--wheelhouse", wheels, "--output", at, "--revision", *REVISIONS)

    wheels = wheelhouse(folder)
    made = once(folder, "deb", make)
    return {file.name.split("_")[1].rsplit("-", 1)[1]: file for file in sorted(made.glob("*.deb"))}


def debian(folder: Path) -> Path:
    """The tree that machines boot."""
    needs("mmdebstrap", "systemd-nspawn")
    return once(folder, "tree", lambda at: tree(RELEASE, at / "root.tar")) / "root.tar"
