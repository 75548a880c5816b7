r"""Wheels (and Debian packages) -> a CycloneDX 1.6 bill of materials, the same bytes for the same input.

    python packaging/build/sbom.py --wheels FOLDER --requirements FOLDER/requirements-agent.txt \
      --name meridyen/sandbox --version 0.1.0 --output sbom.cdx.json

Standard library only: it also runs inside the build of an image, where `--dpkg /var/lib/dpkg/status` adds what the base
image holds. Every wheel that the requirements name is in it with its hash and licence; one that is missing is an error.
"""

import argparse
import hashlib
import json
import os
import re
import sys
import time
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Any, Final

SPEC: Final = "1.6"
EPOCH: Final = "1704067200"
_MOST_LICENCE: Final = 80
"""Longer texts in the old `License` field are the licence itself, not its name."""
_LICENCE_CLASSIFIER: Final = "License :: OSI Approved :: "
_REQUIRED: Final = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


class BillError(Exception):
    """Something that is installed cannot be accounted for; the text says what."""


def canonical(name: str) -> str:
    """A distribution's name as package URLs write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(text: str) -> dict[str, tuple[str, str]]:
    """A hashed requirements file -> name -> (version, SHA-256). Raises BillError."""
    found: dict[str, tuple[str, str]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"([^=\s]+)==(\S+)\s+--hash=sha256:([0-9a-f]{64})\s*", line)
        if match is None:
            raise BillError(f"a requirement without one exact version and one hash: {line[:60]}")
        found[canonical(match[1])] = (match[2], match[3])
    return found


def metadata(wheel: Path) -> Message:
    """What the wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
        if len(names) != 1:
            raise BillError(f"{wheel.name} is not a wheel")
        return HeaderParser().parsestr(archive.read(names[0]).decode("utf-8", "replace"))


def licence(about: Message) -> dict[str, Any]:
    """CycloneDX `licenses`: the SPDX expression if it has one, else a name; none when it says nothing."""
    expression = about.get("License-Expression")
    if expression:
        return {"licenses": [{"expression": expression.strip()}]}
    named = [line.removeprefix(_LICENCE_CLASSIFIER) for line in about.get_all("Classifier", ())
             if line.startswith(_LICENCE_CLASSIFIER)]  # fmt: skip
    old = (about.get("License") or "").strip()
    if old and len(old) <= _MOST_LICENCE and "\n" not in old:
        named = [old]
    return {"licenses": [{"license": {"name": name}} for name in named]} if named else {}


def needed(about: Message) -> set[str]:
    """Names of the distributions that it may need, also by an extra: the reader keeps those that are there."""
    matches = (_REQUIRED.match(line) for line in about.get_all("Requires-Dist", ()))
    return {canonical(match[1]) for match in matches if match is not None}


def python_part(wheels: Path, requirements: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Components and their dependencies. Raises BillError when a wheel is missing or has another hash."""
    wanted = pinned(requirements)
    files = {hashlib.sha256(file.read_bytes()).hexdigest(): file for file in sorted(wheels.glob("*.whl"))}
    components, dependencies = [], []
    for name, (version, sha256) in sorted(wanted.items()):
        if sha256 not in files:
            raise BillError(f"no wheel in {wheels} has the hash of {name}=={version}")
        about, reference = metadata(files[sha256]), f"pkg:pypi/{name}@{version}"
        components.append(
            {
                "type": "library",
                "bom-ref": reference,
                "name": name,
                "version": version,
                "purl": reference,
                "hashes": [{"alg": "SHA-256", "content": sha256}],
                **licence(about),
            }
        )
        on = sorted(f"pkg:pypi/{other}@{wanted[other][0]}" for other in needed(about) if other in wanted)
        dependencies.append({"ref": reference, "dependsOn": on})
    return components, dependencies


def debian_part(status: str, release: str) -> Iterator[dict[str, Any]]:
    """Components from dpkg's list of installed packages. `release`: such as `debian-12`."""
    for block in status.split("\n\n"):
        about = HeaderParser().parsestr(block.strip() + "\n\n")
        if not str(about.get("Status", "")).endswith(" installed"):
            continue
        name, version, machine = about["Package"], about["Version"], about["Architecture"]
        purl = (
            f"pkg:deb/debian/{name}@{version.replace('+', '%2B').replace(':', '%3A')}?arch={machine}&distro={release}"
        )
        yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def document(
    name: str, version: str, components: Iterable[Mapping[str, Any]], dependencies: Iterable[Mapping[str, Any]]
) -> str:
    """The bill as JSON. Its serial number comes from its content, its time from SOURCE_DATE_EPOCH."""
    listed = sorted(components, key=lambda one: str(one["bom-ref"]))
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", EPOCH))))
    body = json.dumps(listed, sort_keys=True)
    root = f"{name}@{version}"
    mentioned = {reference for one in dependencies for reference in one["dependsOn"]}
    top = [one["bom-ref"] for one in listed if one["bom-ref"] not in mentioned]
    plain = {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{root}#{body}')}",
        "version": 1,
        "metadata": {
            "timestamp": stamp,
            "component": {"type": "application", "bom-ref": root, "name": name, "version": version},
        },
        "components": listed,
        "dependencies": [{"ref": root, "dependsOn": top}, *dependencies],
    }
    return json.dumps(plain, indent=2, sort_keys=True) + "\n"


def release_of(text: str) -> str:
    """`ID-VERSION_ID` of an os-release file."""
    pairs = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return f"{pairs.get('ID', 'linux')}-{pairs.get('VERSION_ID', '0')}".replace('"', "")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, required=True, help="folder with the wheels")
    parser.add_argument("--requirements", type=Path, required=True, help="which of them, one hash each")
    parser.add_argument("--dpkg", type=Path, help="dpkg's status file of the base image")
    parser.add_argument("--os-release", type=Path, default=Path("/etc/os-release"))
    parser.add_argument("--name", required=True, help="what the bill is of")
    parser.add_argument("--version", required=True)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    try:
        components, dependencies = python_part(given.wheels, given.requirements.read_text("utf-8"))
    except BillError as error:
        sys.stderr.write(f"sbom: {error}\n")
        return 1
    if given.dpkg is not None and given.dpkg.is_file():
        release = release_of(given.os_release.read_text("utf-8"))
        components += debian_part(given.dpkg.read_text("utf-8", "replace"), release)
    given.output.write_text(document(given.name, given.version, components, dependencies), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
