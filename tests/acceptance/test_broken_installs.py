"""Installations that cannot work: each says what is wrong with it and what to do, with the exit code of its kind."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from agent.service.checkup import kernel
from agent.service.checkup.kernel import Facts
from tests.acceptance.conftest import Site, environment, make_site
from tests.acceptance.test_bad_days import needs_mounts
from tests.acceptance.test_planted_causes import IN_DOCKER, doctor, said
from tests.support.silent import SILENT_AGENT

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]
SERVICE = 10_001
AGENT = SILENT_AGENT
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another account")


LIKE_ANYBODY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Root without its privileges over files: what belongs to another account is closed to it, as it is to everybody."""


def run(folder: Path, *prefix: str) -> "subprocess.CompletedProcess[str]":
    """`agent run`, which must end by itself, with a sentence and without a traceback."""
    command = [*prefix, *AGENT, "run", "--config", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment())
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site that another account can reach."""
    made = make_site(tmp_path / "site")
    for folder in (made.folder, *made.folder.parents):
        if folder in {Path("/tmp"), Path("/")} or folder.stat().st_uid != os.geteuid():
            break
        folder.chmod(0o755)
    return made


def give(folder: Path, user: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)


def test_no_configuration(tmp_path: Path) -> None:
    done = run(tmp_path / "nothing")
    assert done.returncode == 78
    assert "does not exist" in done.stderr
    assert "agent init" in done.stderr
    code, findings = doctor(tmp_path / "nothing", "configuration")
    assert (code, "agent init" in findings[0]["fix"]) == (78, True)


@needs_root
def test_a_key_of_root_under_the_account_of_the_image(site: Site) -> None:
    """What Docker makes of a file secret: it keeps the host's owner and mode."""
    key = site.folder / "state/identity/result.jwk"
    os.chown(key, SERVICE, SERVICE)
    done = run(site.folder, *LIKE_ANYBODY)
    assert done.returncode == 78
    assert f"{key}: cannot be opened (Permission denied). Fix: Check its owner and mode." in done.stderr
    give(site.folder, SERVICE)
    os.chown(key, 0, 0)
    code, findings = doctor(site.folder, "files")
    assert code == 77
    said(findings, str(key), "uid 10001.* cannot read it .mode 0600, owner uid 0", f"chown 10001 {key}.*Docker")


@needs_root
def test_a_secret_of_root(site: Site) -> None:
    give(site.folder, SERVICE)
    secret = site.folder / "password"
    secret.write_text("x")
    secret.chmod(0o600)
    config = json.dumps({"shop": {"type": "postgres", "host": "h", "database": "d", "user": "u", "password": f"file:{secret}"}})  # fmt: skip
    text = (site.folder / "sandbox.yaml").read_text()
    (site.folder / "sandbox.yaml").write_text(text[: text.index("sources:")] + f"sources: {config}\n")
    code, findings = doctor(site.folder, "files")
    assert code == 77
    said(findings, str(secret), "uid 10001.* cannot read it", "chown 10001")


@needs_root
def test_a_state_folder_of_somebody_else(site: Site) -> None:
    os.chown(site.folder / "state", SERVICE, SERVICE)
    done = run(site.folder, *LIKE_ANYBODY)
    assert done.returncode in {77, 78}
    assert str(site.folder / "state") in done.stderr
    assert "mode" in done.stderr or "owner" in done.stderr


def test_a_key_that_others_may_read(site: Site) -> None:
    key = site.folder / "state/identity/result.jwk"
    key.chmod(0o644)
    code, findings = doctor(site.folder, "files")
    assert code == 77
    said(findings, str(key), "is open to others .mode 0644", f"chmod 0600 {key}")
    done = run(site.folder)
    assert done.returncode == 78
    assert f"chmod 600 {key}" in done.stderr


def test_an_old_kernel_without_landlock_and_seccomp() -> None:
    lines = {one.check: one for one in kernel.looked_at(Facts("4.19.0-26-amd64", 0, False, "", kernel.facts().cgroup))}
    for check, found, fix in (
        ("kernel", "Linux 4.19.0-26-amd64", "upgrade the kernel"),
        ("Landlock", "every job fails with worker.isolation", "lsm=landlock"),
        ("seccomp", "no filters", "CONFIG_SECCOMP_FILTER"),
    ):
        assert lines[check].level == "error"
        assert found in lines[check].found
        assert fix in lines[check].fix
        assert lines[check].expected


@pytest.mark.parametrize("release", ["5.13.0", "6.1.0-18-amd64", "10.0"])
def test_a_kernel_that_is_young_enough(release: str) -> None:
    assert kernel.looked_at(Facts(release, 7, True, "", kernel.facts().cgroup))[0].level == "ok"


def test_no_user_namespaces(site: Site) -> None:
    code, findings = doctor(site.folder, "kernel", run=(*IN_DOCKER, *AGENT))
    assert code == 0, "only the better tier needs them"
    (line,) = [one for one in findings if one["check"] == "user namespaces"]
    assert line["level"] == "warning"
    assert "cannot be made (Operation not permitted)" in line["found"]
    assert "docs/operate/doctor.md" in line["fix"]


@needs_mounts
def test_a_volume_that_is_read_only(site: Site) -> None:
    state = site.folder / "state"
    script = f'mount --bind {state} {state} && mount -o remount,bind,ro {state} && exec "$@"'
    prefix = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh")
    done = run(site.folder, *prefix)
    assert done.returncode in {1, 77, 78}
    assert "Read-only file system" in done.stderr
    assert "Fix:" in done.stderr
    code, findings = doctor(site.folder, "disk", run=(*prefix, *AGENT))
    assert code == 1
    errors = {one["check"]: one for one in findings if one["level"] == "error"}
    assert set(errors) == {"disk: state", "disk: spool", "disk: audit"}
    assert "is mounted read-only" in errors["disk: audit"]["found"]
    assert "writable" in errors["disk: audit"]["fix"]
