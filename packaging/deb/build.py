"""A wheelhouse -> meridyen-agent_VERSION-REVISION_ARCH.deb, byte for byte the same each time.

    python packaging/deb/build.py --wheelhouse build/wheelhouse-3.11 --output dist

The package holds an environment of its own in /opt/meridyen, over Debian's interpreter of the wheelhouse's version: one
package a release of Debian. It needs `dpkg-deb` and an interpreter of that version here, for the bytecode.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).parent
UNITS: Final = ROOT / "packaging" / "systemd"
NAME: Final = "meridyen-agent"
EPOCH: Final = "1704067200"
"""SOURCE_DATE_EPOCH where nobody set one: 2024-01-01."""
PREFIX: Final = Path("opt/meridyen")
LEFT_OUT: Final = ("pandas/tests", "numpy/**/tests", "pyarrow/tests", "pyarrow/include", "pyarrow/src")
"""Of the libraries, what only their own tests and compilers use: a third of all files."""
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_PROGRAM: Final = """\
#!/opt/meridyen/bin/python3 -I
import sys

from agent.cli import main

sys.exit(main())
"""


class PackageError(Exception):
    """The package cannot be built; the text says why, and what to do."""


def version_of(wheelhouse: Path) -> tuple[str, str]:
    """(version of the agent, X.Y of the interpreter that the wheels are for). Raises PackageError."""
    own = [file.name.split("-")[1] for file in wheelhouse.glob("meridyen_agent-*.whl")]
    tags = {found[1] for file in wheelhouse.glob("*.whl") if (found := re.search(r"-cp3(\d+)-cp3\1-", file.name))}
    if len(own) != 1 or len(tags) != 1:
        raise PackageError(
            f"{wheelhouse} is no wheelhouse for one Python. Fix: packaging/build/wheelhouse.py makes one."
        )
    return own[0], f"3.{tags.pop()}"


def interpreter(python: str) -> str:
    """An interpreter of that version on this machine: bytecode is its own. Raises PackageError."""
    if python == "{}.{}".format(*sys.version_info[:2]):
        return sys.executable
    found = shutil.which(f"python{python}")
    if found is None:
        raise PackageError(
            f"python{python} is not installed here. Fix: install it, or build on that release of Debian."
        )
    return found


def environment(stage: Path, wheelhouse: Path, python: str) -> None:
    """The environment of /opt/meridyen, as `python -m venv` and pip would leave it, without running the target's."""
    prefix = stage / PREFIX
    packages = prefix / "lib" / f"python{python}" / "site-packages"
    packages.mkdir(parents=True)
    uv = Path(sys.prefix, "bin", "uv")
    command: list[str | Path] = [uv, "pip", "install", "--quiet", "--target", packages, "--python-version", python]
    command += ["--no-index", "--find-links", wheelhouse, "--require-hashes", "--no-deps", "--link-mode", "copy"]
    _run([*command, "--only-binary", ":all:", "-r", wheelhouse / "requirements-agent.txt"])
    shutil.rmtree(packages / "bin", ignore_errors=True)
    (packages / ".lock").unlink(missing_ok=True)
    for pattern in LEFT_OUT:
        for folder in sorted(packages.glob(pattern)):
            shutil.rmtree(folder)
    scripts = prefix / "bin"
    scripts.mkdir()
    (scripts / "python3").symlink_to(f"/usr/bin/python{python}")
    (scripts / "agent").write_text(_PROGRAM)
    (scripts / "agent").chmod(0o755)
    (prefix / "pyvenv.cfg").write_text(f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {python}\n")
    compile_all(stage, packages, interpreter(python))


def compile_all(stage: Path, packages: Path, python: str) -> None:
    """Bytecode that is never checked against its source: /opt is read-only for the agent, dpkg changes both together.

    In one process with a fixed seed: the order of sets and the sharing of constants are in the bytes.
    """
    options = ["-q", "-q", "-j", "1", "--invalidation-mode", "unchecked-hash"]
    paths = ["-s", str(stage), "-p", "/", str(packages)]
    command = [python, "-I", "-X", "frozen_modules=on", "-m", "compileall", *options, *paths]
    # Some libraries carry files that are templates or for other versions: compileall says 1, and leaves those out.
    done = subprocess.run(["env", "PYTHONHASHSEED=0", *command], check=False, stdout=subprocess.DEVNULL)  # noqa: S607
    if done.returncode not in (0, 1) or not list(packages.glob("agent/__pycache__/*.pyc")):
        raise PackageError("the bytecode could not be made. Fix: see the words above.")


def system_files(stage: Path) -> None:
    """Unit, account, folders and examples."""
    shared, documents = Path("usr/share") / NAME, Path("usr/share/doc") / NAME
    single = {
        UNITS / f"{NAME}.service": Path("usr/lib/systemd/system", f"{NAME}.service"),
        UNITS / f"{NAME}.sysusers": Path("usr/lib/sysusers.d", f"{NAME}.conf"),
        UNITS / f"{NAME}.tmpfiles": Path("usr/lib/tmpfiles.d", f"{NAME}.conf"),
        HERE / "sandbox.yaml": shared / "examples/sandbox.yaml",
        HERE / "policy.yaml": shared / "examples/policy.yaml",
        ROOT / "LICENSE": documents / "copyright",
    }
    for file in sorted((UNITS / "drop-ins").iterdir()):
        single[file] = shared / "drop-ins" / file.name
    for source, place in single.items():
        (stage / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, stage / place)
    (stage / "usr/bin").mkdir(parents=True)
    (stage / "usr/bin/agent").symlink_to(f"/{PREFIX}/bin/agent")


def control(stage: Path, version: str, python: str, machine: str) -> None:
    """DEBIAN/: what the package is and needs, its scripts, and the digests of its files."""
    folder = stage / "DEBIAN"
    folder.mkdir(exist_ok=True)
    files = [path for path in sorted(stage.rglob("*")) if path.is_file() and not path.is_symlink()]
    shipped = [path for path in files if folder not in path.parents]
    size = sum(path.stat().st_size for path in shipped) // 1024
    major, minor = python.split(".")
    text = (HERE / "control.in").read_text()
    values = {"VERSION": version, "ARCH": ARCHITECTURES[machine], "SIZE": str(size)}
    values |= {"PYTHON": python, "NEXT": f"{major}.{int(minor) + 1}"}
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    (folder / "control").write_text(text)
    for script in ("postinst", "prerm", "postrm"):
        shutil.copyfile(HERE / script, folder / script)
        (folder / script).chmod(0o755)
    sums = (f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(stage)}\n" for path in shipped)  # noqa: S324
    (folder / "md5sums").write_text("".join(sums))


def pack(stage: Path, output: Path) -> Path:
    """dpkg-deb over the stage, with the modes and the time that do not depend on who builds. The package's path."""
    for path in [stage, *sorted(stage.rglob("*"))]:
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runs else 0o644)
    output.mkdir(parents=True, exist_ok=True)
    epoch = os.environ.get("SOURCE_DATE_EPOCH", EPOCH)
    command = ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z6", "--threads-max=1", "--build", stage, output]
    said = _run(["env", f"SOURCE_DATE_EPOCH={epoch}", *command])
    return output / Path(said.rsplit("'", 2)[1]).name


def bill(stage: Path, wheelhouse: Path, version: str) -> None:
    """The bill of materials of what the wheels install, CycloneDX."""
    output = stage / "usr/share" / NAME / "sbom.cdx.json"
    command = [sys.executable, ROOT / "packaging/build/sbom.py", "--wheels", wheelhouse, "--name", NAME]
    wanted = wheelhouse / "requirements-agent.txt"
    _run([*command, "--version", version, "--requirements", wanted, "--output", output])


def staged(stage: Path, wheelhouse: Path) -> tuple[str, str]:
    """Everything but DEBIAN/; (version, interpreter)."""
    version, python = version_of(wheelhouse)
    environment(stage, wheelhouse, python)
    system_files(stage)
    bill(stage, wheelhouse, version)
    return version, python


def _run(command: Sequence[str | Path]) -> str:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise PackageError(f"`{command[0]}` ended with {done.returncode}. Fix: see its own words above.")
    return done.stdout


def main() -> int:
    """The command line; prints the packages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheelhouse", type=Path, required=True, help="made by packaging/build/wheelhouse.py agent")
    parser.add_argument("--output", type=Path, required=True, help="folder of the package")
    parser.add_argument("--machine", default=os.uname().machine, choices=sorted(ARCHITECTURES))
    parser.add_argument("--revision", nargs="+", default=["1"], help="Debian revision; several: a package for each")
    given = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="meridyen-deb-") as scratch:
            stage = Path(scratch, "stage")
            stage.mkdir()
            version, python = staged(stage, given.wheelhouse.absolute())
            for revision in given.revision:
                control(stage, f"{version}-{revision}", python, given.machine)
                sys.stdout.write(f"{pack(stage, given.output.absolute())}\n")
    except PackageError as error:
        sys.stderr.write(f"deb: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
