"""What is taken from uv.lock, and what is refused: packaging/build/wheelhouse.py and sbom.py."""

import importlib.util
import json
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
LOCKED = """\
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
numpy==2.5.5 ; python_full_version >= '3.12' --hash=sha256:cc
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:dd
Typing_Extensions==4.16.0 --hash=sha256:ee
"""


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"packaging_build_{name}", ROOT / f"packaging/build/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


wheelhouse, sbom = loaded("wheelhouse"), loaded("sbom")


def wheel(folder: Path, name: str, version: str, *headers: str) -> Path:
    file = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        text = "\n".join(["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *headers])
        archive.writestr(zipfile.ZipInfo(f"{name}-{version}.dist-info/METADATA"), text + "\n\n")
    return file


@pytest.mark.parametrize(("python", "numpy"), [("3.11", "2.4.6"), ("3.12", "2.5.5")])
def test_markers_are_asked_about_the_target_and_not_about_this_machine(python: str, numpy: str) -> None:
    target = wheelhouse.Target(python=python, machine="x86_64")
    found = wheelhouse.pins(LOCKED, target.environment())
    assert [pin.spec for pin in found] == [f"numpy=={numpy}", "typing-extensions==4.16.0"]


def test_a_pin_without_a_hash_is_refused() -> None:
    with pytest.raises(wheelhouse.WheelhouseError, match="numpy has no exact version with hashes"):
        wheelhouse.pins("numpy==2.4.6\n", wheelhouse.Target(python="3.11", machine="x86_64").environment())


def test_a_wheel_counts_by_its_hash_alone(tmp_path: Path) -> None:
    good = wheel(tmp_path, "one", "1.0")
    pin = wheelhouse.Pin(name="one", version="1.0", hashes=frozenset({wheelhouse.digest(good)}))
    assert wheelhouse.matching(tmp_path, [pin]) == ({"one": good}, [])
    good.write_bytes(good.read_bytes() + b"\0")
    assert wheelhouse.matching(tmp_path, [pin]) == ({}, [pin])


def test_the_bill_accounts_for_every_wheel(tmp_path: Path) -> None:
    one = wheel(tmp_path, "one", "1.0", "License-Expression: MIT", "Requires-Dist: two[x] (>=1); extra == 'more'")
    two = wheel(
        tmp_path, "two", "2.0", "License: " + "long " * 50, "Classifier: License :: OSI Approved :: BSD License"
    )
    listed = wheelhouse.requirements([one, two])
    components, dependencies = sbom.python_part(tmp_path, listed)
    assert [(c["purl"], c["licenses"]) for c in components] == [
        ("pkg:pypi/one@1.0", [{"expression": "MIT"}]),
        ("pkg:pypi/two@2.0", [{"license": {"name": "BSD License"}}]),
    ]
    assert dependencies[0] == {"ref": "pkg:pypi/one@1.0", "dependsOn": ["pkg:pypi/two@2.0"]}
    text = sbom.document("it", "1", components, dependencies)
    assert text == sbom.document("it", "1", list(reversed(components)), dependencies)
    assert json.loads(text)["dependencies"][0] == {"ref": "it@1", "dependsOn": ["pkg:pypi/one@1.0"]}
    two.unlink()
    with pytest.raises(sbom.BillError, match=r"no wheel in .* has the hash of two==2.0"):
        sbom.python_part(tmp_path, listed)
    with pytest.raises(sbom.BillError, match="without one exact version and one hash"):
        sbom.pinned("one>=1.0\n")


def test_the_base_images_packages_are_in_the_bill() -> None:
    status = (
        "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9+deb12u14\nArchitecture: amd64\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n"
    )
    (found,) = sbom.debian_part(status, sbom.release_of('ID=debian\nVERSION_ID="12"\n'))
    assert found["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12"
