"""Modes and owners -> what an account may do: judged without asking the kernel as somebody else."""

import os
from pathlib import Path

import pytest

from agent.service.checkup import account, disk, files
from agent.service.checkup.account import ENTER, READ, WRITE, Account
from agent.service.checkup.files import Held

OTHER = Account(os.geteuid() + 10_001, frozenset({os.getegid() + 10_001}))
OWN = Account(os.geteuid(), frozenset({os.getegid()}))
GROUP = Account(os.geteuid() + 10_001, frozenset({os.getegid()}))


@pytest.fixture
def reachable(tmp_path: Path) -> Path:
    """A folder that every account can enter: below /tmp, folders of tests are their owner's alone."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder not in {Path("/"), Path("/tmp")}:
            folder.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("mode", "who", "wanted", "may"),
    [
        (0o600, OTHER, READ, False),
        (0o604, OTHER, READ, True),
        (0o640, GROUP, READ, True),
        (0o640, GROUP, WRITE, False),
        (0o604, GROUP, READ, False),
        (0o750, OTHER, ENTER, False),
        (0o007, GROUP, READ | WRITE | ENTER, False),
        (0o000, Account(0, frozenset()), READ | WRITE, True),
    ],
)
def test_the_most_special_bits_count(tmp_path: Path, mode: int, who: Account, wanted: int, may: bool) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(mode)
    assert who.may(path.stat(), wanted) is may


def one(held: Held, who: Account) -> tuple[str, str, str]:
    (finding,) = files.looked_at([held], who)
    return finding.level, finding.found, finding.fix


def test_a_key(reachable: Path) -> None:
    key = reachable / "key"
    key.touch(0o600)
    assert one(Held(key, "key"), OWN)[0] == "ok"
    level, found, fix = one(Held(key, "key"), OTHER)
    assert (level, f"chown {OTHER.uid} {key}" in fix, "cannot read it" in found) == ("error", True, True)
    key.chmod(0o640)
    assert one(Held(key, "key"), OWN)[::2] == ("error", f"chmod 0600 {key}")


def test_a_secret_and_a_plain_file(reachable: Path) -> None:
    path = reachable / "file"
    path.touch(0o644)
    path.chmod(0o644)
    assert one(Held(path, "secret"), OWN)[0] == "error"
    assert one(Held(path, "plain"), OTHER)[0] == "ok"
    path.chmod(0o666)
    assert one(Held(path, "plain"), OWN)[0] == "error"


def test_what_is_missing_or_something_else(reachable: Path) -> None:
    assert files.looked_at([Held(reachable / "none", "plain", optional=True)], OWN) == ()
    assert one(Held(reachable / "none", "plain"), OWN)[1] == "is missing"
    assert one(Held(reachable, "key"), OWN)[1] == "is something else"


def test_a_folder_that_is_closed_on_the_way(reachable: Path) -> None:
    inner = reachable / "closed" / "inner"
    inner.mkdir(parents=True)
    inner.chmod(0o755)
    inner.parent.chmod(0o700)
    level, found, fix = one(Held(inner, "shared"), OTHER)
    assert (level, str(inner.parent) in found, "chmod a+x" in fix) == ("error", True, True)


def test_who_runs_the_service(tmp_path: Path) -> None:
    assert account.of_service(tmp_path, uid=10_001).uid == 10_001
    assert account.of_service(tmp_path, uid=0).uid == os.geteuid(), "the owner of the state folder"
    assert account.of_service(tmp_path / "none", uid=0).uid == 0


def test_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def look() -> tuple[str, str]:
        (finding,) = disk.looked_at({"state": tmp_path / "not" / "yet"})
        return finding.level, finding.found

    assert look()[0] == "ok"
    monkeypatch.setattr(disk, "LOW_BYTES", 2**62)
    assert look()[0] == "warning"
    monkeypatch.setattr(disk, "LEAST_BYTES", 2**61)
    assert look()[0] == "error"
    monkeypatch.setattr(disk, "_write", lambda _: "No space left on device")
    assert "takes no data (No space left on device)" in look()[1]
    assert list(tmp_path.iterdir()) == [], "nothing is left of the trial"
