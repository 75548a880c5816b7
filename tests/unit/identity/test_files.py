import errno
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from agent.core.errors import ConfigError
from agent.identity import files


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 10)
    assert files.read(path, 10) == b"x" * 10


def test_a_file_that_is_too_large_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 11)
    with pytest.raises(ConfigError, match="larger than 10") as caught:
        files.read(path, 10)
    assert caught.value.key == str(path)


def test_a_missing_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist") as caught:
        files.read(tmp_path / "a", 10)
    assert caught.value.fix


@pytest.mark.parametrize("kind", ["folder", "fifo", "device"])
def test_what_is_not_a_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path = Path("/dev/zero")
    with pytest.raises(ConfigError, match="not a regular file"):
        files.read(path, 10)


@pytest.mark.parametrize("open_to", [0o640, 0o604, 0o610, 0o601, 0o620, 0o602, 0o660, 0o666])
def test_a_private_file_open_to_others_is_refused_with_the_remedy(tmp_path: Path, open_to: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"secret")
    path.chmod(open_to)
    with pytest.raises(ConfigError) as caught:
        files.read(path, 10, private=True)
    assert "secret" not in str(caught.value)
    assert caught.value.fix == f"chmod 600 {path}"
    path.chmod(0o600)
    assert files.read(path, 10, private=True) == b"secret"
    path.chmod(0o400)
    assert files.read(path, 10, private=True) == b"secret"


def test_a_file_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    path.chmod(0o646)
    with pytest.raises(ConfigError) as caught:
        files.read(path, 10)
    assert caught.value.fix == f"chmod o-w {path}"


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_a_new_file_has_its_mode_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        files.create(tmp_path / "a", b"x", 0o600)
        files.create(tmp_path / "b", b"x", 0o644)
    finally:
        os.umask(before)
    assert (mode(tmp_path / "a"), mode(tmp_path / "b")) == (0o600, 0o644)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(ConfigError, match="never overwritten"):
        files.create(path, b"new", 0o600)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError):
        files.create(tmp_path / "a", b"new", 0o600)
    assert not (tmp_path / "elsewhere").exists()


def test_without_hard_links_nothing_is_overwritten_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "not here")

    monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "a"
    files.create(path, b"new", 0o600)
    assert (path.read_bytes(), mode(path)) == (b"new", 0o600)
    with pytest.raises(ConfigError, match="never overwritten"):
        files.create(path, b"newer", 0o600)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        files.create(tmp_path / "no" / "a", b"x", 0o600)


def test_replace_keeps_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.replace(path, b"one", 0o640)
    assert (path.read_bytes(), mode(path)) == (b"one", 0o640)
    path.chmod(0o600)
    files.replace(path, b"two", 0o640)
    assert (path.read_bytes(), mode(path)) == (b"two", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_replace_goes_through_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"one")
    link.symlink_to(real)
    files.replace(link, b"two", 0o640)
    assert link.is_symlink()
    assert real.read_bytes() == b"two"


def test_a_failed_replace_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def broken(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="no space"):
        files.replace(path, b"new", 0o640)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [files.create, files.replace])
def test_file_and_folder_are_on_disk_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def remember(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", remember)
    write(tmp_path / "a", b"x", 0o600)
    assert len(synced) == 2
    assert Path(synced[0]).parent == tmp_path
    assert synced[1] == str(tmp_path)


def test_a_failed_link_is_an_error_and_not_another_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(os, "link", broken)
    with pytest.raises(ConfigError, match="cannot be written"):
        files.create(tmp_path / "a", b"x", 0o600)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    fstat = os.fstat

    def grow(descriptor: int) -> os.stat_result:
        found = fstat(descriptor)
        path.write_bytes(b"x" * 100)
        return found

    monkeypatch.setattr(os, "fstat", grow)
    with pytest.raises(ConfigError, match="larger than 10"):
        files.read(path, 10)


def test_a_large_file_is_refused_without_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(os, "fdopen", never)
    with pytest.raises(ConfigError, match="larger than 10"):
        files.read(path, 10)


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    contents = {bytes([letter]) * 100_000 for letter in b"abcd"}
    files.replace(path, b"a" * 100_000, 0o640)
    seen: set[bytes] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.add(path.read_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    for content in sorted(contents) * 5:
        files.replace(path, content, 0o640)
    stop.set()
    watcher.join()
    assert seen <= contents
