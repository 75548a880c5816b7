"""A real Docker engine in folders and a network of its own: nothing of the machine's is touched, and all of it goes."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

ROOT = Path(__file__).parents[2]
BASE = "meridyen-test/base:bookworm"
NEEDED = ("dockerd", "docker-init", "mmdebstrap", "iptables", "ip", "setpriv", "unshare", "nsenter")
"""What packaging/ci/install-docker.sh brings."""
START_SECONDS = 60.0
IMAGES_MB = 9 * 1024
SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Engine:
    """One that runs. `tools` is a folder with the clients that fit it."""

    folder: Path
    daemon: "subprocess.Popen[bytes]"

    @classmethod
    def start(cls, folder: Path) -> Self:
        """Returns when it answers. Fails where something that it needs is missing: a skipped proof is none."""
        missing = [name for name in NEEDED if shutil.which(name, path=SYSTEM) is None]
        if missing or os.geteuid() != 0:
            pytest.fail(f"needs root and packaging/ci/install-docker.sh; missing: {', '.join(missing)}")
        tools = folder / "bin"
        tools.mkdir(parents=True)
        (tools / "docker").symlink_to("/usr/bin/docker")
        command = ["dockerd", "--data-root", f"{folder}/root", "--exec-root", f"{folder}/exec", "-p", f"{folder}/pid"]
        command += ["-H", f"unix://{folder}/docker.sock", "--storage-driver", "overlay2"]
        # In a network of its own from its first moment, with a loopback that is up, and mounts of its own, which go with
        # it; its images in memory, where there is enough. It ends with this process.
        (folder / "root").mkdir()
        memory = (
            f"mount -t tmpfs -o size={IMAGES_MB}m,mode=0711 images {folder}/root && "
            if _memory_mb() > IMAGES_MB + 4 * 1024
            else ""
        )
        enter = ["setpriv", "--pdeathsig", "TERM", "unshare", "--net", "--mount"]
        enter += ["sh", "-c", f'ip link set lo up && {memory}exec "$@"', "sh"]
        with (folder / "log").open("wb") as log:
            daemon = subprocess.Popen(
                [*enter, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": SYSTEM},
                start_new_session=True,
            )  # fmt: skip
        engine = cls(folder, daemon)
        deadline = time.monotonic() + START_SECONDS
        while engine.run("docker version", check=False).returncode != 0:
            if daemon.poll() is not None or time.monotonic() > deadline:
                engine.close()
                pytest.fail(f"dockerd does not answer: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.2)
        return engine

    @property
    def environ(self) -> Mapping[str, str]:
        """For programs that are to meet this engine, and nothing of the machine's settings."""
        binaries = f"{self.folder}/bin:{ROOT}/.venv/bin:{SYSTEM}"
        return {
            "PATH": binaries,
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "DOCKER": "/usr/bin/docker",
            "DOCKER_HOST": f"unix://{self.folder}/docker.sock",
        }

    def run(
        self,
        script: str,
        *,
        cwd: Path | None = None,
        check: bool = True,
        seconds: float = 200.0,
        stdin: str = "",
        **more: str,
    ) -> "subprocess.CompletedProcess[str]":
        """A bash script in the engine's network, as a person beside it would type it; `more` are variables."""
        done = subprocess.run(
            ["nsenter", f"--net=/proc/{self.daemon.pid}/ns/net", "bash", "-euc", script],
            cwd=cwd or self.folder, env={**self.environ, **more}, input=stdin, capture_output=True, text=True,
            check=False, timeout=seconds,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    def says(self, script: str, *, cwd: Path | None = None, stdin: str = "") -> str:
        """What it prints, without blanks around it."""
        return self.run(script, cwd=cwd, stdin=stdin).stdout.strip()

    def close(self) -> None:
        """Ends every container, then itself; its folders go."""
        if self.daemon.poll() is None:
            self.run("docker ps -aq | xargs -r docker rm -f -v", check=False)
            self.daemon.send_signal(signal.SIGTERM)
            try:
                self.daemon.wait(30)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
        subprocess.run(["rm", "-rf", str(self.folder)], check=False)  # thousands of files, and none of them a surprise


def _memory_mb() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable:"))


def base_image(tar: Path) -> None:
    """What stands in for the public base image where no registry can be reached: Debian with its Python."""
    packages = "--include=python3,python3-venv,ca-certificates"
    command = ["mmdebstrap", "--quiet", "--variant=minbase", packages, "bookworm", str(tar)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
