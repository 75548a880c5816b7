"""Machines that really boot: systemd as the first process of a container, over a tree that mmdebstrap made."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

RELEASES = {"bookworm": "3.11"}
"""Release of Debian -> its Python."""
PACKAGES = "systemd,systemd-sysv,dbus,python3,ca-certificates,openssl,procps"
SANDBOX_CALLS = "landlock_create_ruleset landlock_add_rule landlock_restrict_self"
"""What the container's own filter does not know yet."""
BOOT_SECONDS = 90.0
CLEAN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def tree(release: str, tar: Path) -> None:
    """A minimal Debian with systemd, as a tar file. Raises CalledProcessError."""
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", release, str(tar)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)


@dataclass(frozen=True, slots=True)
class Machine:
    """One that runs."""

    root: Path
    nspawn: "subprocess.Popen[bytes]"

    @classmethod
    def boot(cls, tar: Path, folder: Path, *options: str) -> Self:
        """Unpack and boot; returns when systemd has started everything."""
        root = folder / "root"
        root.mkdir(parents=True)
        # In memory: dpkg syncs thousands of files.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4g,mode=0755", "machine", str(root)], check=True)
        subprocess.run(["tar", "-xf", str(tar), "-C", str(root), "--numeric-owner"], check=True)
        root.chmod(0o755)
        (root / "etc/dpkg/dpkg.cfg.d/speed").write_text("force-unsafe-io\n")
        # It dies with this process, and its machine with it.
        command = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "systemd-nspawn",
            "--quiet",
            "--register=no",
            "--keep-unit",
            "--boot",
            "--console=read-only",
        ]
        command += ["--private-network", f"--system-call-filter={SANDBOX_CALLS}", f"--directory={root}", *options]
        with (folder / "console").open("wb") as console:
            nspawn = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
            )
        machine = cls(root, nspawn)
        try:
            machine.until(lambda: machine.leader() is not None, "the first process is there")
            machine.until(machine._booted, "systemd is up")
        except AssertionError as error:
            machine.close()
            raise AssertionError(f"{error}: {(folder / 'console').read_text(errors='replace')[-2000:]}") from None
        return machine

    def leader(self) -> int | None:
        """The machine's first process, as this one sees it."""
        assert self.nspawn.poll() is None, "systemd-nspawn has ended"
        children = Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def run(self, script: str, *, check: bool = True, seconds: float = 120.0) -> "subprocess.CompletedProcess[str]":
        """A shell script inside, as root. What it prints on either stream is in `stdout`."""
        enter = ["nsenter", "-t", str(self.leader()), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"]
        done = subprocess.run(
            [*enter, "sh", "-c", script],
            env=CLEAN,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=seconds,
        )
        assert not check or done.returncode == 0, f"{script}: {done.returncode}: {done.stdout[-3000:]}"
        return done

    def says(self, script: str) -> str:
        """What it prints, without blanks around it, however it ends."""
        return self.run(script, check=False).stdout.strip()

    def until(self, condition: Callable[[], bool], what: str, seconds: float = BOOT_SECONDS) -> None:
        """Wait. Raises AssertionError with `what` when it does not become true."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"never: {what}"
            time.sleep(0.1)

    def _booted(self) -> bool:
        return self.says("systemctl is-system-running") in {"running", "degraded"}

    def close(self) -> None:
        """End all of it, and remove its tree."""
        try:
            leader = self.leader()
        except (AssertionError, OSError):
            leader = None
        if leader is not None:
            os.kill(leader, signal.SIGKILL)
        try:
            self.nspawn.wait(20)
        except subprocess.TimeoutExpired:
            self.nspawn.kill()
            self.nspawn.wait()
        subprocess.run(["umount", "--lazy", str(self.root)], check=False)
