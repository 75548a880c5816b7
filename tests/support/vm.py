"""`make test-vm`: the Debian package in a machine with a kernel of its own, emulated by QEMU; the newest systemd.

What a container cannot show: control groups (v2) with a memory controller, and the kernel's own kills for want of
memory. Everything is made in build/vm; the tree and the package are kept there, so that the second run is faster. An
emulated processor is slow: count on ten minutes.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.support.packages import ROOT, needs, script

RELEASE, PYTHON = "trixie", "3.13"
PACKAGES = "systemd,systemd-sysv,dbus,python3,ca-certificates,openssl,procps,linux-image-cloud-amd64,initramfs-tools"
FOLDER = ROOT / "build" / "vm"
BOOT_SECONDS = 1500
MEMORY_MB = 3072
CHECKS = Path(__file__).parent / "vm_checks.sh"
UNIT = """\
[Unit]
Description=What a container cannot show
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /srv/vm_checks.sh
ExecStopPost=systemctl --no-block poweroff
StandardOutput=append:/srv/checks.log
StandardError=append:/srv/checks.log
[Install]
WantedBy=multi-user.target
"""


def tree() -> Path:
    """A tar of Debian with a kernel, made once."""
    tar = FOLDER / f"{RELEASE}.tar"
    if not tar.exists():
        fresh = tar.with_suffix(".new.tar")
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", RELEASE, str(fresh)]
        subprocess.run(command, check=True)
        fresh.rename(tar)
    return tar


def package() -> Path:
    """The Debian package for that release; TEST_DEB names one that is built already."""
    if given := os.environ.get("TEST_DEB"):
        return Path(given)
    wheels, made = FOLDER / f"wheelhouse-{PYTHON}", FOLDER / "deb"
    script("packaging/build/wheelhouse.py", "agent", "--output", wheels, "--python", PYTHON)
    return Path(script("packaging/deb/build.py", "--wheelhouse", wheels, "--output", made).strip())


def disk(deb: Path) -> tuple[Path, Path, Path]:
    """(image, kernel, initial file system): the tree with the package and the checks in it."""
    root, image = FOLDER / "root", FOLDER / "disk.ext4"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    subprocess.run(["tar", "-xf", str(tree()), "-C", str(root), "--numeric-owner"], check=True)
    shutil.copyfile(deb, root / "srv" / "meridyen-agent.deb")
    shutil.copyfile(CHECKS, root / "srv" / CHECKS.name)
    shutil.copytree(ROOT / "config/demo/shop", root / "srv/shop")
    (root / "etc/systemd/system/checks.service").write_text(UNIT)
    wanted = root / "etc/systemd/system/multi-user.target.wants"
    wanted.mkdir(parents=True, exist_ok=True)
    (wanted / "checks.service").symlink_to("../checks.service")
    (root / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 1\n")
    kernel, initial = (next((root / "boot").glob(f"{name}-*")) for name in ("vmlinuz", "initrd.img"))
    for file in (kernel, initial):
        shutil.copyfile(file, FOLDER / file.name)
    image.unlink(missing_ok=True)
    subprocess.run(["mkfs.ext4", "-q", "-d", str(root), str(image), "4G"], check=True)
    shutil.rmtree(root)
    return image, FOLDER / kernel.name, FOLDER / initial.name


def boot(image: Path, kernel: Path, initial: Path) -> str:
    """Run the machine until it powers itself off; what the checks said."""
    console = FOLDER / "console.log"
    command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"]
    command += ["-m", str(MEMORY_MB), "-display", "none", "-monitor", "none", "-no-reboot", "-nic", "none"]
    command += ["-serial", f"file:{console}", "-drive", f"file={image},format=raw,if=virtio,cache=unsafe"]
    command += ["-kernel", str(kernel), "-initrd", str(initial)]
    command += ["-append", "root=/dev/vda rw console=ttyS0 systemd.mask=serial-getty@ttyS0.service"]
    subprocess.run(command, check=True, timeout=BOOT_SECONDS, stdin=subprocess.DEVNULL)
    kept = FOLDER / "checks.log"
    kept.unlink(missing_ok=True)
    subprocess.run(["debugfs", "-R", f"dump /srv/checks.log {kept}", str(image)], check=True, capture_output=True)
    return kept.read_text(errors="replace") if kept.exists() else ""


def main() -> int:
    """Print each check with its verdict; 1 when one does not hold, or when they did not come to their end."""
    needs("qemu-system-x86_64", "mmdebstrap", "mkfs.ext4", "debugfs")
    FOLDER.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    said = boot(*disk(package()))
    found = re.findall(r"^CHECK (ok|FAILED) (.*?)\r?$", said, re.MULTILINE)
    for verdict, what in found:
        sys.stdout.write(f"{verdict:7} {what}\n")
    whole = "CHECKS DONE" in said
    if not whole:
        sys.stdout.write(f"FAILED  the checks did not come to their end; see {FOLDER}/checks.log and console.log\n")
    sys.stdout.write(f"{len(found)} checks in {time.monotonic() - started:.0f} s\n")
    return 0 if whole and found and all(verdict == "ok" for verdict, _ in found) else 1


if __name__ == "__main__":
    sys.exit(main())
