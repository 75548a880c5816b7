"""One engine with all images for the tests of this folder, and sites as a person lays them out."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import packages
from tests.support.engine import BASE, ROOT, Engine, base_image

BUILT = ("hybrid", "airgapped", "router", "hybrid-analytics")


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """With the base image; nothing of ours is built yet."""
    folder = tmp_path_factory.mktemp("engine", numbered=True)
    base = packages.once(
        packages.shared(tmp_path_factory.getbasetemp()), "docker-base", lambda d: base_image(d / "base.tar")
    )
    started = Engine.start(folder / "e")
    try:
        started.run(f"docker import {base}/base.tar {BASE}")
        yield started
    finally:
        started.close()


@pytest.fixture(scope="session")
def images(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the bills of materials lie; the images are in the engine. Its network can reach nothing at all."""
    output = tmp_path_factory.mktemp("images") / "images"
    program = [sys.executable, str(ROOT / "packaging/build/images.py"), "--base-image", BASE, "--output", str(output)]
    done = subprocess.run(
        [*program, "--wheels", str(ROOT / "build"), *BUILT],
        env={**os.environ, **engine.environ, "PATH": f"{engine.environ['PATH']}:{Path(sys.prefix) / 'bin'}"},
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(done.stdout.splitlines()) == len(BUILT), done.stdout
    return output


@dataclass(frozen=True, slots=True)
class Site:
    """A folder as a checkout has it, and the engine beside it."""

    engine: Engine
    folder: Path

    def run(
        self, script: str, *, check: bool = True, stdin: str = "", **more: str
    ) -> "subprocess.CompletedProcess[str]":
        return self.engine.run(script, cwd=self.folder, check=check, stdin=stdin, **more)

    def says(self, script: str, stdin: str = "") -> str:
        return self.run(script, stdin=stdin).stdout.strip()


def site(engine: Engine, folder: Path) -> Site:
    """What somebody has who was given the files."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "config", folder / "config", ignore=shutil.ignore_patterns("state", "drop", "sandbox.yaml"))
    shutil.copytree(ROOT / "packaging/docker", folder / "packaging/docker")
    for name in ("docker-compose.hybrid.yaml", "docker-compose.airgapped.yaml"):
        shutil.copy(ROOT / name, folder / name)
    return Site(engine, folder)


@pytest.fixture(scope="module")
def fresh(engine: Engine, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for a module; whatever it started is gone after it."""
    made = site(engine, tmp_path_factory.mktemp("site"))
    try:
        yield made
    finally:
        for name in ("hybrid --profile local-router", "airgapped --profile local-submitter"):
            file, _, profile = name.partition(" ")
            made.run(f"docker-compose -f docker-compose.{file}.yaml {profile} down --volumes --timeout 5", check=False)
