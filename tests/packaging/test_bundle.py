"""What is shipped: the same bytes from every build, refused when anything was changed, installed without a network."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import packages
from tests.support.machines import CLEAN

pytestmark = [pytest.mark.full, pytest.mark.bundle, pytest.mark.timeout(900)]
ROOT = packages.ROOT
PAGE = ROOT / "docs/operate/install-bundle.md"


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    packages.needs("unshare", "openssl", "dpkg-deb")
    return packages.shared(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """release.pem and other.pem, and their public halves."""
    at = tmp_path_factory.mktemp("keys")
    for name in ("release", "other"):
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", at / f"{name}.pem"], check=True)
        subprocess.run(
            ["openssl", "pkey", "-in", at / f"{name}.pem", "-pubout", "-out", at / f"{name}.pub.pem"], check=True
        )
    return at


def bundled(folder: Path, keys: Path, output: Path) -> Path:
    image = keys / "sandbox.tar"
    image.write_bytes(b"as docker save wrote it")
    deb = packages.packages(folder)["2"]
    said = packages.script(
        "packaging/bundle/build.py", "--wheelhouse", packages.wheelhouse(folder), "--deb", deb, "--image", image,
        "--key", keys / "release.pem", "--output", output,
    )  # fmt: skip
    return Path(said.strip())


@pytest.fixture(scope="module")
def bundle(folder: Path, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundled(folder, keys, tmp_path_factory.mktemp("bundle"))


def unpacked(bundle: Path, at: Path) -> Path:
    subprocess.run(["tar", "-xf", str(bundle), "-C", str(at)], check=True)
    (found,) = at.iterdir()
    return found


@pytest.fixture(scope="module")
def whole(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(bundle, tmp_path_factory.mktemp("whole"))


def install(bundle: Path, *options: str | Path) -> "subprocess.CompletedProcess[str]":
    """install.sh in a namespace without any network, as another shell than bash."""
    return subprocess.run(
        ["unshare", "-n", "sh", str(bundle / "install.sh"), *map(str, options)],
        env=CLEAN,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )


def test_two_builds_are_the_same_bytes(folder: Path, keys: Path, bundle: Path, tmp_path: Path) -> None:
    """Our own wheel, the package and the bundle; the second time as people build it, from nothing but the tree."""
    first = packages.wheelhouse(folder)
    shutil.copytree(first, tmp_path / "wheels")
    (own,) = (tmp_path / "wheels").glob("meridyen_agent-*.whl")
    own.unlink()
    python = packages.RELEASES[packages.RELEASE]
    names = {"WHEELS": tmp_path / "wheels", "DIST": tmp_path / "dist", "TARGET": python, "REVISION": "2"}
    names |= {"KEY": keys / "release.pem", "IMAGES": keys / "sandbox.tar"}
    command = ["make", "bundle", *(f"{name}={value}" for name, value in names.items())]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (deb,), (tar,) = (tmp_path / "dist").glob("*.deb"), (tmp_path / "dist").glob("*.tar")
    assert sha256(own) == sha256(first / own.name)
    assert sha256(deb) == sha256(packages.packages(folder)["2"])
    assert sha256(tar) == sha256(bundle)


def test_every_command_of_the_page_runs(bundle: Path, keys: Path, tmp_path: Path) -> None:
    """But `make bundle`, which the test above runs."""
    shutil.copyfile(keys / "release.pub.pem", tmp_path / "release.pub.pem")
    (tmp_path / bundle.name).hardlink_to(bundle)
    _, *blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    script = "set -e\n" + "".join(blocks).replace("/opt/", f"{tmp_path}/")
    command = ["unshare", "-n", "sh", "-c", script]
    done = subprocess.run(command, cwd=tmp_path, env=CLEAN, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Signature Verified Successfully" in done.stdout
    assert re.search(r"^meridyen-agent \d", done.stdout, re.MULTILINE)
    run_a_job(tmp_path / "meridyen-0.1.0/bin/agent", tmp_path)


def test_the_bundle_holds_what_it_lists_and_a_bill_of_materials(whole: Path) -> None:
    names = {str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file()}
    listed = [line.split("  ", 1)[1] for line in (whole / "SHA256SUMS").read_text().splitlines()]
    assert set(listed) == names - {"SHA256SUMS", "SHA256SUMS.sig"}
    assert {"install.sh", "images/sandbox.tar", "systemd/meridyen-agent.service"} <= names
    assert {"examples/sandbox.example.yaml", "docs/install-bundle.md", "wheels/requirements-agent.txt"} <= names
    bill = json.loads((whole / "sbom.cdx.json").read_text())
    named = {component["name"] for component in bill["components"]}
    assert {"meridyen-agent", "pyarrow", "duckdb", "cryptography"} <= named
    wheels = {name.split("/")[1].split("-")[0].replace("_", "-").lower() for name in names if name.endswith(".whl")}
    assert named == wheels


def test_nothing_in_the_package_belongs_to_its_builder(folder: Path, tmp_path: Path) -> None:
    deb = packages.packages(folder)["2"]
    listed = subprocess.run(["dpkg-deb", "-c", str(deb)], capture_output=True, text=True, check=True).stdout
    owners = {line.split()[1] for line in listed.splitlines()}
    times = {line.split()[3] for line in listed.splitlines()}
    assert owners == {"root/root"}
    assert times == {"2024-01-01"}
    assert [line for line in listed.splitlines() if line[0] != "l" and "w" in line[4:10]] == []
    subprocess.run(["dpkg-deb", "-x", str(deb), str(tmp_path)], check=True)
    command = ["grep", "-rlE", f"{ROOT}|meridyen-deb-", str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.stdout == ""


def other_bytes(bundle: Path, keys: Path) -> None:
    wheel = next((bundle / "wheels").glob("meridyen_agent-*.whl"))
    data = bytearray(wheel.read_bytes())
    data[len(data) // 2] ^= 1
    wheel.write_bytes(bytes(data))


def one_more(bundle: Path, keys: Path) -> None:
    (bundle / "wheels/extra-1.0-py3-none-any.whl").write_bytes(b"")


def one_less(bundle: Path, keys: Path) -> None:
    next((bundle / "deb").iterdir()).unlink()


def link(bundle: Path, keys: Path) -> None:
    (bundle / "wheels/requirements-agent.txt").unlink()
    (bundle / "wheels/requirements-agent.txt").symlink_to(keys / "requirements.txt")


def open_folder(bundle: Path, keys: Path) -> None:
    (bundle / "wheels").chmod(0o777)


def strangers(bundle: Path, keys: Path) -> None:
    os.chown(bundle / "SHA256SUMS", 12345, 12345)


def other_sums(bundle: Path, keys: Path) -> None:
    other_bytes(bundle, keys)
    lines = [line.split("  ", 1)[1] for line in (bundle / "SHA256SUMS").read_text().splitlines()]
    (bundle / "SHA256SUMS").write_text("".join(f"{sha256(bundle / name)}  {name}\n" for name in lines))


def signed_by_another(bundle: Path, keys: Path) -> None:
    other_sums(bundle, keys)
    subprocess.run(
        ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", keys / "other.pem", "-in", bundle / "SHA256SUMS",
         "-out", bundle / "SHA256SUMS.sig"],
        check=True,
    )  # fmt: skip


def no_signature(bundle: Path, keys: Path) -> None:
    (bundle / "SHA256SUMS.sig").unlink()


def empty_signature(bundle: Path, keys: Path) -> None:
    (bundle / "SHA256SUMS.sig").write_bytes(b"")


CHANGES: list[tuple[Callable[[Path, Path], None], str]] = [
    (other_bytes, "a file was changed"),
    (one_more, "its files are not those that it lists"),
    (one_less, "its files are not those that it lists"),
    (link, "neither file nor folder"),
    (open_folder, "others may change this"),
    (strangers, "others may change this"),
    (other_sums, "the signature is not by"),
    (signed_by_another, "the signature is not by"),
    (no_signature, "the signature is not by"),
    (empty_signature, "the signature is not by"),
]


@pytest.mark.parametrize(("change", "sentence"), CHANGES, ids=[change.__name__ for change, _ in CHANGES])
def test_a_changed_bundle_installs_nothing(
    whole: Path, keys: Path, tmp_path: Path, change: Callable[[Path, Path], None], sentence: str
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(whole, bundle, copy_function=os.link)
    for file in [path for path in bundle.rglob("*") if path.is_file() and path.stat().st_size < 1 << 24]:
        data, mode = file.read_bytes(), file.stat().st_mode
        file.unlink()  # what is changed below is this copy's own
        file.write_bytes(data)
        file.chmod(mode)
    change(bundle, keys)
    done = install(bundle, "--key", keys / "release.pub.pem", "--venv", tmp_path / "made")
    assert done.returncode == 1, done.stdout
    assert sentence in done.stdout
    assert not (tmp_path / "made").exists()


def test_a_key_that_came_with_the_bundle_proves_nothing(whole: Path, keys: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(whole)
    shutil.copyfile(keys / "release.pub.pem", whole / "release.pub.pem")
    try:
        done = install(tmp_path / "link", "--key", whole / "release.pub.pem", "--check")
    finally:
        (whole / "release.pub.pem").unlink()
    assert done.returncode == 1
    assert "the key must not come with the bundle" in done.stdout


@pytest.mark.parametrize("options", [[], ["--check"], ["--venv"], ["--deb", "--key"], ["--all"]], ids=" ".join)
def test_a_call_without_key_or_task_does_nothing(whole: Path, options: list[str]) -> None:
    done = install(whole, *options)
    assert done.returncode == 2
    assert "--key release.pub.pem --deb" in done.stdout


def test_a_folder_that_is_there_is_left_alone(whole: Path, keys: Path, tmp_path: Path) -> None:
    done = install(whole, "--key", keys / "release.pub.pem", "--venv", tmp_path)
    assert done.returncode == 1
    assert "exists already" in done.stdout
    assert list(tmp_path.iterdir()) == []


def run_a_job(agent: Path, folder: Path) -> None:
    """With an agent that was just installed, where there is no network."""

    def says(*words: str) -> str:
        command = ["unshare", "-n", str(agent), *words]
        clean = {**CLEAN, "HOME": str(folder)}
        ran = subprocess.run(command, env=clean, cwd=folder, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    site = folder / "site"
    says("init", str(site), "--tenant", "acme")
    (folder / "data").mkdir()
    (folder / "data/orders.csv").write_text("item,amount\nnut,2\nbolt,3\n")
    config, policy = site / "sandbox.yaml", site / "policy.yaml"
    config.write_text(config.read_text().replace("sources: {}", "sources: {shop: {type: duckdb, path: ../data}}"))
    policy.write_text(policy.read_text().replace("rules: []", 'rules: [{match: "shop.*.*.*", rule: keep}]'))
    (folder / "q.sql").write_text("SELECT sum(amount) AS total FROM orders")
    said = json.loads(says("exec", str(folder / "q.sql"), "--source", "shop", "--config", str(site), "--json"))
    assert said["rows"] == [[5]]


def test_the_bundles_entries_are_plain(bundle: Path) -> None:
    with tarfile.open(bundle) as tar:
        for entry in tar:
            assert entry.isfile() or entry.isdir()
            assert (entry.uid, entry.gid, entry.mtime) == (0, 0, 1704067200)
            assert entry.mode in {0o644, 0o755}
