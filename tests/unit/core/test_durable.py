import errno
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.core import durable


@contextmanager
def limited(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_a_rename_never_takes_a_name_that_is_in_use(tmp_path: Path, folder: int) -> None:
    for kind in ("file", "folder", "link"):
        source, target = tmp_path / f"{kind}-source", tmp_path / f"{kind}-target"
        source.write_bytes(b"new")
        match kind:
            case "file":
                target.write_bytes(b"old")
            case "folder":
                target.mkdir()
            case _:
                target.symlink_to("/nowhere")
        with pytest.raises(FileExistsError):
            durable.rename_new(source.name, target.name, source_folder=folder, target_folder=folder)
        assert source.read_bytes() == b"new"
    assert (tmp_path / "file-target").read_bytes() == b"old"


def test_a_rename_without_the_kernels_help_looks_first(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "_LIBC", object())
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    with pytest.raises(FileExistsError):
        durable.rename_new("a", "b", source_folder=folder, target_folder=folder)
    durable.rename_new("a", "c", source_folder=folder, target_folder=folder)
    assert (tmp_path / "b").read_bytes() == b"b"
    assert (tmp_path / "c").read_bytes() == b"a"


def test_a_rename_moves_a_link_and_not_its_target(tmp_path: Path, folder: int) -> None:
    (tmp_path / "target").write_bytes(b"")
    (tmp_path / "link").symlink_to("target")
    durable.rename_new("link", "moved", source_folder=folder, target_folder=folder)
    assert (tmp_path / "moved").is_symlink()
    assert (tmp_path / "target").exists()


def test_a_rename_of_odd_names(tmp_path: Path, folder: int) -> None:
    (tmp_path / "\udcff\n").write_bytes(b"")
    durable.rename_new("\udcff\n", "\udcfe", source_folder=folder, target_folder=folder)
    assert [os.fsencode(path.name) for path in tmp_path.iterdir()] == [b"\xfe"]


def test_a_rename_tells_why_it_failed(folder: int) -> None:
    with pytest.raises(FileNotFoundError):
        durable.rename_new("missing", "b", source_folder=folder, target_folder=folder)


def test_a_file_that_cannot_be_written_whole_is_not_there(tmp_path: Path) -> None:
    with limited(1000), pytest.raises(OSError) as caught:
        durable.write_synced(tmp_path / "new", bytes(5000))
    assert caught.value.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []


def test_a_replacement_that_fails_leaves_the_old_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    durable.replace_file(path, b"old")
    with limited(1000), pytest.raises(OSError):
        durable.replace_file(path, bytes(5000))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    durable.replace_file(path, b"new", mode=0o640)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640 & ~current_umask()


def test_what_a_dead_run_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".file.tmp").write_bytes(b"half")
    durable.replace_file(tmp_path / "file", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_new_file_is_never_written_into_another(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        with pytest.raises(FileExistsError):
            durable.write_synced(tmp_path / name, b"new")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_folders_are_made_private_and_left_as_they_are(tmp_path: Path) -> None:
    durable.make_folder(tmp_path / "a/b")
    assert (tmp_path / "a").stat().st_mode & 0o777 == (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700
    (tmp_path / "a/b").chmod(0o750)
    durable.make_folder(tmp_path / "a/b")
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o750


def current_umask() -> int:
    umask = os.umask(0o022)
    os.umask(umask)
    return umask
