"""uv.lock -> a folder of wheels, each checked against its hash, and a requirements file for each product.

    python packaging/build/wheelhouse.py --output build/wheelhouse-3.12 --python 3.12

The folder is all that an installation needs, without a network:

    pip install --no-index --find-links FOLDER --require-hashes -r FOLDER/requirements-agent.txt

Two runs over the same tree give the same bytes. Wheels come from the package index that pip is set to; a wheel that is
in the folder already, with the right hash, is not asked for again.
"""

import argparse
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.markers import Marker, default_environment
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT: Final = Path(__file__).resolve().parents[2]
BACKEND: Final = Path(__file__).with_name("backend.txt")
PRODUCTS: Final[Mapping[str, tuple[str, ...]]] = {
    "agent": ("--package", "meridyen-agent"),
    "agent-analytics": ("--package", "meridyen-agent", "--extra", "analytics"),
    "router": ("--package", "meridyen-router", "--extra", "server"),
}
"""Product -> what of uv.lock belongs to it."""
OWN: Final[Mapping[str, tuple[str, ...]]] = {
    "agent": ("meridyen-agent",),
    "agent-analytics": ("meridyen-agent",),
    "router": ("meridyen-agent", "meridyen-router"),
}
"""Product -> our own distributions in it."""
GLIBC: Final = range(5, 37)
"""Wheels for glibc 2.N: Debian 12 has 2.36."""
EPOCH: Final = "1704067200"
"""SOURCE_DATE_EPOCH where nobody set one: 2024-01-01."""


class WheelhouseError(Exception):
    """A wheel is missing or is not what uv.lock says; the text says which, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One distribution as uv.lock has it. `hashes`: of every file that may stand for it, `sha256:…`."""

    name: str
    version: str
    hashes: frozenset[str]

    @property
    def spec(self) -> str:
        """`name==version`."""
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the wheels will run: a CPython on Linux with glibc."""

    python: str
    machine: str

    def tags(self) -> Iterator[str]:
        """Pip's options that make it choose for there, not for here."""
        yield from ("--implementation", "cp", "--python-version", self.python)
        for abi in (f"cp{self.python.replace('.', '')}", "abi3", "none"):
            yield from ("--abi", abi)
        for minor in reversed(GLIBC):
            yield from ("--platform", f"manylinux_2_{minor}_{self.machine}")
        for legacy in ("manylinux2014", "manylinux2010", "manylinux1", "linux"):
            yield from ("--platform", f"{legacy}_{self.machine}")

    def environment(self) -> dict[str, str]:
        """What markers are asked about."""
        here: dict[str, str] = {key: str(value) for key, value in default_environment().items()}
        return here | {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "os_name": "posix",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }


def pins(exported: str, environment: Mapping[str, str]) -> list[Pin]:
    """What `uv export` printed -> the pins that count in this environment. Raises WheelhouseError."""
    found: list[Pin] = []
    for line in exported.replace("\\\n", " ").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        spec, *hashes = line.split(" --hash=")
        requirement, _, marker = spec.partition(" ; ")
        name, equals, version = requirement.strip().partition("==")
        if not equals or not hashes:
            raise WheelhouseError(f"uv.lock: {name} has no exact version with hashes. Fix: make `uv lock` anew.")
        if not marker or Marker(marker.strip()).evaluate(dict(environment)):
            found.append(
                Pin(name=str(canonicalize_name(name)), version=version, hashes=frozenset(h.strip() for h in hashes))
            )
    return sorted(found, key=lambda pin: pin.name)


def digest(file: Path) -> str:
    """`sha256:…` of a file."""
    with file.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def matching(folder: Path, wanted: Iterable[Pin]) -> tuple[dict[str, Path], list[Pin]]:
    """(pin's name -> its wheel, pins without one). A wheel counts when uv.lock knows its hash."""
    wheels: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*.whl")):
        wheels.setdefault(str(parse_wheel_filename(file.name)[0]), []).append(file)
    here: dict[str, Path] = {}
    missing: list[Pin] = []
    for pin in wanted:
        good = next((file for file in wheels.get(pin.name, ()) if digest(file) in pin.hashes), None)
        if good is None:
            missing.append(pin)
        else:
            here[pin.name] = good
    return here, missing


def requirements(wheels: Iterable[Path]) -> str:
    """Pip's form, one wheel and one hash a line: what was downloaded is what will be installed."""
    lines = []
    for file in sorted(wheels):
        name, version, _, _ = parse_wheel_filename(file.name)
        lines.append(f"{name}=={version} --hash={digest(file)}")
    return "\n".join(sorted(lines)) + "\n"


def exported(options: Sequence[str]) -> str:
    """The locked distributions of a product, without our own."""
    command = ("uv", "export", "--frozen", "--no-dev", "--no-emit-workspace", "--no-annotate", "--no-header", "--quiet")
    return _output([*_tool(*command), *options])


def download(wanted: Sequence[Pin], target: Target, folder: Path) -> None:
    """Fetch wheels with pip from where it is set to; a file with another hash is an error. Raises WheelhouseError."""
    with tempfile.TemporaryDirectory() as scratch:
        listed = Path(scratch, "wanted.txt")
        listed.write_text(
            "".join(f"{pin.spec} {' '.join(f'--hash={one}' for one in sorted(pin.hashes))}\n" for pin in wanted)
        )
        got = Path(scratch, "wheels")
        command = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--only-binary", ":all:", *target.tags(), "--dest", str(got), "-r", str(listed)]
        _output(command)
        for file in sorted(got.iterdir()):
            shutil.move(file, folder / file.name)


def built(name: str, folder: Path) -> Path:
    """Build one of our own wheels, byte for byte the same each time. The build backend is pinned by hash."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", EPOCH)
    environ = {**os.environ, "SOURCE_DATE_EPOCH": epoch, "UV_PROJECT_ENVIRONMENT": str(Path(sys.prefix))}
    with tempfile.TemporaryDirectory() as scratch:
        command = _tool("uv", "build", "--quiet", "--wheel", "--package", name, "--out-dir", scratch)
        command += ["--build-constraints", str(BACKEND), "--require-hashes", *_certificates()]
        _output(command, environ)
        (wheel,) = Path(scratch).glob("*.whl")
        for old in folder.glob(f"{name.replace('-', '_')}-*.whl"):
            old.unlink()
        return Path(shutil.move(wheel, folder / wheel.name))


def filled(folder: Path, target: Target, products: Sequence[str] = tuple(PRODUCTS)) -> dict[str, Path]:
    """As `make`, one at a time: images and packages share the folder. Raises WheelhouseError."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return make(folder, target, products)


def make(folder: Path, target: Target, products: Sequence[str]) -> dict[str, Path]:
    """Fill the folder; product -> its requirements file. Wheels that no product asks for go. Raises WheelhouseError."""
    environment = target.environment()
    wanted = {product: pins(exported(PRODUCTS[product]), environment) for product in products}
    every = {pin.spec: pin for listed in wanted.values() for pin in listed}
    _, missing = matching(folder, every.values())
    if missing:
        download(missing, target, folder)
    here, missing = matching(folder, every.values())
    if missing:
        raise WheelhouseError(f"no wheel for {', '.join(pin.spec for pin in missing)}. Fix: see pip's words above.")
    own = {name: built(name, folder) for name in sorted({name for product in products for name in OWN[product]})}
    return _listed(folder, wanted, here, own)


def _listed(
    folder: Path, wanted: Mapping[str, Sequence[Pin]], here: Mapping[str, Path], own: Mapping[str, Path]
) -> dict[str, Path]:
    """Write the requirements files; remove wheels that no such file in the folder names."""
    files: dict[str, Path] = {}
    for product, listed in wanted.items():
        files[product] = folder / f"requirements-{product}.txt"
        parts = [here[pin.name] for pin in listed] + [own[name] for name in OWN[product]]
        files[product].write_text(requirements(parts))
    named = "".join(file.read_text() for file in folder.glob("requirements-*.txt"))
    for wheel in folder.glob("*.whl"):
        if digest(wheel) not in named:  # of a product that was asked for earlier, it stays
            wheel.unlink()
    return files


def _tool(*command: str) -> list[str]:
    """A program of the environment that this one runs in."""
    program = Path(sys.prefix, "bin", command[0])
    if not program.is_file():
        raise WheelhouseError(f"{program} is missing. Fix: `make setup`, and run this with its Python.")
    return [str(program), *command[1:]]


def _certificates() -> list[str]:
    """Trust whom the system trusts, where it says so: a site may have a certificate authority of its own."""
    return ["--system-certs"] if Path("/etc/ssl/certs/ca-certificates.crt").exists() else []


def _output(command: Sequence[str], environ: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        words = " ".join(command[:4])
        raise WheelhouseError(f"`{words} …` ended with {done.returncode}. Fix: see its own words above.")
    return done.stdout


def main() -> int:
    """The command line; prints the requirements files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("products", nargs="*", metavar="PRODUCT", help=f"of {', '.join(PRODUCTS)}; default: all")
    parser.add_argument("--output", type=Path, required=True, help="folder of the wheels")
    parser.add_argument("--python", default="{}.{}".format(*sys.version_info[:2]), help="X.Y of the target")
    parser.add_argument("--machine", default=platform.machine(), help="processor of the target")
    given = parser.parse_args()
    if unknown := set(given.products) - set(PRODUCTS):
        parser.error(f"unknown product: {', '.join(sorted(unknown))}")
    target = Target(python=given.python, machine=given.machine)
    try:
        files = filled(given.output.absolute(), target, given.products or list(PRODUCTS))
    except WheelhouseError as error:
        sys.stderr.write(f"wheelhouse: {error}\n")
        return 1
    sys.stdout.writelines(f"{file}\n" for file in files.values())
    return 0


if __name__ == "__main__":
    sys.exit(main())
