"""Everything that an installation without a network needs -> one signed tar file, the same bytes for the same input.

    openssl genpkey -algorithm ed25519 -out release.pem          # once; the public half goes to those who install
    python packaging/bundle/build.py --wheelhouse build/wheelhouse-3.11 --deb dist/*.deb --key release.pem --output dist

SHA256SUMS names every file, SHA256SUMS.sig signs it (Ed25519); install.sh checks both before it touches anything.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).parent
EPOCH: Final = "1704067200"
"""SOURCE_DATE_EPOCH where nobody set one: 2024-01-01."""
EXAMPLES: Final = (
    "config/sandbox.example.yaml",
    "config/sandbox.schema.json",
    "config/policy.example.yaml",
    "config/policy.schema.json",
    "docker-compose.hybrid.yaml",
    "docker-compose.airgapped.yaml",
    "packaging/docker/seccomp.json",
)
"""Files that are worth having at hand; those that this tree does not have are left out."""


class BundleError(Exception):
    """The bundle cannot be made; the text says why, and what to do."""


def contents(given: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """(place in the bundle, file): everything but the bill, the sums and the signature. Raises BundleError."""
    yield from wheels(given.wheelhouse)
    for folder, files in (("deb", given.deb), ("images", given.image)):
        for file in files:
            if not file.is_file():
                raise BundleError(f"{file}: no such file. Fix: build it first, or leave it out.")
            yield f"{folder}/{file.name}", file
    yield "install.sh", HERE / "install.sh"
    yield "LICENSE", ROOT / "LICENSE"
    for name in EXAMPLES:
        if (ROOT / name).is_file():
            yield f"examples/{Path(name).name}", ROOT / name
    for folder, place in ((ROOT / "packaging/systemd", "systemd"), (ROOT / "docs/operate", "docs")):
        for file in filter(Path.is_file, sorted(folder.rglob("*"))):
            yield f"{place}/{file.relative_to(folder)}", file


def wheels(wheelhouse: Path) -> Iterator[tuple[str, Path]]:
    """Those that the agent needs, whatever else lies there. Raises BundleError."""
    listed = wheelhouse / "requirements-agent.txt"
    if not listed.is_file():
        raise BundleError(f"{wheelhouse} is no wheelhouse. Fix: packaging/build/wheelhouse.py agent makes one.")
    wanted = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", listed.read_text()))
    found = {sha256(file): file for file in sorted(wheelhouse.glob("*.whl"))}
    if missing := wanted - set(found):
        raise BundleError(f"{len(missing)} wheels are missing in {wheelhouse}. Fix: make the wheelhouse anew.")
    yield from ((f"wheels/{found[one].name}", found[one]) for one in sorted(wanted))
    yield "wheels/requirements-agent.txt", listed


def sha256(file: Path) -> str:
    """In hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def bill(wheelhouse: Path, version: str, output: Path) -> None:
    """The bill of materials of what the wheels install. Raises BundleError."""
    program = ROOT / "packaging" / "build" / "sbom.py"
    command = [sys.executable, program, "--wheels", wheelhouse, "--name", "meridyen-agent", "--version", version]
    _run([*command, "--requirements", wheelhouse / "requirements-agent.txt", "--output", output])


def sign(sums: Path, key: Path) -> None:
    """SHA256SUMS.sig: 64 bytes. The same key and sums give the same signature. Raises BundleError."""
    signature = sums.with_name("SHA256SUMS.sig")
    _run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", sums, "-out", signature])
    if signature.stat().st_size != 64:  # noqa: PLR2004 - an Ed25519 signature
        raise BundleError(f"{key} is no Ed25519 key. Fix: openssl genpkey -algorithm ed25519 -out {key}")


def gathered(folder: Path, files: Iterable[tuple[str, Path]]) -> None:
    """Put files into their places. Raises BundleError when two want the same one."""
    for place, file in files:
        target = folder / place
        if target.exists():
            raise BundleError(f"two files want to be {place} in the bundle. Fix: give each another name.")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        target.chmod(0o755 if target.name == "install.sh" else 0o644)


def summed(folder: Path) -> Path:
    """SHA256SUMS over all files, in sha256sum's own form."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    sums = folder / "SHA256SUMS"
    sums.write_text("".join(f"{sha256(folder / name)}  {name}\n" for name in names))
    return sums


def packed(folder: Path, output: Path) -> Path:
    """One tar file; its wheels, packages and images are compressed already."""
    output.mkdir(parents=True, exist_ok=True)
    made = output / f"{folder.name}.tar"
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", EPOCH))

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        entry.mtime = epoch
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    with tarfile.open(made, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in [folder, *sorted(folder.rglob("*"))]:
            tar.add(path, str(path.relative_to(folder.parent)), recursive=False, filter=plain)
    return made


def make(given: argparse.Namespace) -> Path:
    """The bundle's path. Raises BundleError."""
    if not given.key.is_file():
        raise BundleError(f"{given.key}: no such key. Fix: openssl genpkey -algorithm ed25519 -out {given.key}")
    own = sorted(given.wheelhouse.glob("meridyen_agent-*.whl"))
    if len(own) != 1:
        raise BundleError(f"{given.wheelhouse} holds {len(own)} wheels of the agent. Fix: make the wheelhouse anew.")
    version = own[0].name.split("-")[1]
    with tempfile.TemporaryDirectory(prefix="meridyen-bundle-") as scratch:
        folder = Path(scratch, f"meridyen-agent-{version}-linux-{given.machine}")
        folder.mkdir()
        gathered(folder, contents(given))
        bill(given.wheelhouse.absolute(), version, folder / "sbom.cdx.json")
        (folder / "sbom.cdx.json").chmod(0o644)
        sign(summed(folder), given.key)
        return packed(folder, given.output)


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(command, check=False)
    if done.returncode != 0:
        raise BundleError(f"`{command[0]}` ended with {done.returncode}. Fix: see its own words above.")


def main() -> int:
    """The command line; prints the bundle's path and its key's digest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheelhouse", type=Path, required=True, help="made by packaging/build/wheelhouse.py agent")
    parser.add_argument("--deb", type=Path, nargs="*", default=[], help="Debian packages")
    parser.add_argument("--image", type=Path, nargs="*", default=[], help="images, as `docker save` writes them")
    parser.add_argument("--key", type=Path, required=True, help="private key that signs, Ed25519, PEM")
    parser.add_argument("--machine", default=os.uname().machine)
    parser.add_argument("--output", type=Path, required=True, help="folder of the bundle")
    given = parser.parse_args()
    try:
        sys.stdout.write(f"{make(given)}\n")
    except BundleError as error:
        sys.stderr.write(f"bundle: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
