"""Wheels -> the images of the agent and the Router, built without a network.

    python packaging/build/images.py [--base-image IMAGE] [TARGET …]

Needs a Docker engine with BuildKit (the one that $DOCKER_HOST names; $DOCKER is the program). Which Python the base
image has is asked of the base image, and wheels for that one are taken. Prints name, size and digest of each image.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import wheelhouse

BASE_IMAGE: Final = "python:3.12-slim-bookworm"
SOURCES: Final = wheelhouse.ROOT / "packaging" / "docker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image: its name without the version, the target of the Dockerfile, and whose wheels are in it."""

    name: str
    target: str
    product: str
    suffix: str = ""

    def tags(self, version: str) -> tuple[str, str]:
        """The exact tag and the moving one."""
        return f"{self.name}:{version}{self.suffix}", f"{self.name}:{self.suffix.removeprefix('-') or 'latest'}"


IMAGES: Final[Mapping[str, Image]] = {
    "hybrid": Image(name="meridyen/sandbox", target="hybrid", product="agent"),
    "hybrid-analytics": Image(name="meridyen/sandbox", target="hybrid", product="agent-analytics", suffix="-analytics"),
    "airgapped": Image(name="meridyen/sandbox-airgapped", target="airgapped", product="agent"),
    "airgapped-analytics": Image(
        name="meridyen/sandbox-airgapped", target="airgapped", product="agent-analytics", suffix="-analytics"
    ),
    "router": Image(name="meridyen/router", target="router", product="router"),
}


class ImagesError(Exception):
    """No image: the text says why, and what to do."""


def version() -> str:
    """The project's."""
    return str(tomllib.loads((wheelhouse.ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def docker(*words: str, quiet: bool = False) -> str:
    """Run the Docker client and take what it prints. Raises ImagesError with its last words."""
    program = os.environ.get("DOCKER", "docker")
    environ = {**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}
    errors = subprocess.PIPE if quiet else None
    try:
        done = subprocess.run(
            [program, *words], env=environ, stdout=subprocess.PIPE, stderr=errors, text=True, check=False
        )
    except OSError:
        raise ImagesError(f"`{program}` cannot be started. Fix: install Docker, or name it in $DOCKER.") from None
    if done.returncode != 0:
        said = (done.stderr or "").strip().splitlines()[-1:]
        raise ImagesError(f"`docker {words[0]}` failed. {' '.join(said)} Fix: see above; is the engine running?")
    return done.stdout


def python_of(base: str) -> str:
    """X.Y of the base image's Python. Pulls the image where it is missing."""
    code = "import sys; print('{}.{}'.format(*sys.version_info[:2]))"
    try:
        return docker("run", "--rm", "--network", "none", "--entrypoint", "python3", base, "-c", code).strip()
    except ImagesError as error:
        raise ImagesError(
            f"The base image {base} is not there, or has no python3. {error} "
            "Fix: pull it, or name another one with --base-image (docs/operate/install-docker.md)."
        ) from None


def context(folder: Path, wheels: Path, products: Sequence[str]) -> Path:
    """What the builder gets to see: the Dockerfile, its scripts, and the wheels of these products."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "wheels").mkdir(parents=True)
    for name in ("Dockerfile", "agent.sh", "router.sh"):
        shutil.copy(SOURCES / name, folder / name)
    shutil.copy(Path(__file__).with_name("sbom.py"), folder / "sbom.py")
    named = ""
    for product in products:
        listed = wheels / f"requirements-{product}.txt"
        named += listed.read_text("utf-8")
        shutil.copy(listed, folder / "wheels")
    for wheel in wheels.glob("*.whl"):
        if wheelhouse.digest(wheel) in named:
            shutil.copy2(wheel, folder / "wheels")
    return folder


def build(image: Image, base: str, folder: Path) -> None:
    """One image from the context. No step of it has a network."""
    number = version()
    revision = os.environ.get("REVISION") or _revision()
    created = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    arguments = {
        "BASE_IMAGE": base,
        "PRODUCT": image.product,
        "VERSION": f"{number}{image.suffix}",
        "REVISION": revision,
        "CREATED": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created)),
    }
    words = ["build", "--network", "none", "--target", image.target]
    for name, value in arguments.items():
        words += ["--build-arg", f"{name}={value}"]
    for tag in image.tags(number):
        words += ["--tag", tag]
    docker(*words, str(folder))


def keep_bill(image: Image, folder: Path) -> Path:
    """The bill of materials of an image, beside it."""
    tag = image.tags(version())[0]
    bill = "/opt/meridyen/share/sbom.cdx.json"
    text = docker("run", "--rm", "--network", "none", "--entrypoint", "cat", tag, bill)
    file = folder / f"{tag.replace('/', '-').replace(':', '-')}.cdx.json"
    file.write_text(text, "utf-8")
    return file


def make(targets: Sequence[str], base: str, output: Path, cache: Path) -> None:
    """Build the images; wheels are kept in a folder of `cache`. Raises ImagesError, WheelhouseError."""
    chosen = [IMAGES[name] for name in targets]
    python = python_of(base)
    products = sorted({image.product for image in chosen})
    wheels = cache / f"wheelhouse-{python}"
    wheelhouse.filled(wheels, wheelhouse.Target(python=python, machine=platform.machine()), products)
    laid = context(output / "context", wheels, products)
    for image in chosen:
        build(image, base, laid)
        bill = keep_bill(image, output)
        tag = image.tags(version())[0]
        identity, size = docker("image", "inspect", "--format", "{{.Id}} {{.Size}}", tag).split()
        sys.stdout.write(f"{tag}  {int(size) / 1e6:.0f} MB  {identity}  {bill}\n")
        sys.stdout.flush()


def _revision() -> str:
    """The commit, where there is one."""
    try:
        done = subprocess.run(
            ["git", "-C", str(wheelhouse.ROOT), "rev-parse", "HEAD"],  # noqa: S607 - whichever git there is
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(IMAGES)}; default: all")
    parser.add_argument("--base-image", default=os.environ.get("BASE_IMAGE") or BASE_IMAGE)
    parser.add_argument("--output", type=Path, default=wheelhouse.ROOT / "build" / "images")
    parser.add_argument("--wheels", type=Path, default=wheelhouse.ROOT / "build", help="where wheelhouses are kept")
    given = parser.parse_args()
    if unknown := set(given.targets) - set(IMAGES):
        parser.error(f"unknown target: {', '.join(sorted(unknown))}")
    try:
        make(given.targets or list(IMAGES), given.base_image, given.output.absolute(), given.wheels.absolute())
    except (ImagesError, wheelhouse.WheelhouseError) as error:
        sys.stderr.write(f"images: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
