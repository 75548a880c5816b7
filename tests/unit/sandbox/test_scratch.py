import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.sandbox import scratch
from agent.sandbox.scratch import Folders, Watch, wipe

Alone = Callable[..., Any]

MIB = 1 << 20


def nested(top: Path, depth: int) -> None:
    """Deeper than any path can say."""
    here = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(os.open("file", os.O_CREAT, dir_fd=below))
        os.close(here)
        here = below
    os.close(here)


def test_wipe_takes_everything(tmp_path: Path) -> None:
    top = tmp_path / "scratch"
    top.mkdir()
    nested(top, 300)
    (top / os.fsdecode(b"\xff\n")).write_bytes(b"x")
    (top / "closed").mkdir()
    (top / "closed" / "inner").mkdir()
    (top / "closed" / "inner" / "file").touch()
    (top / "closed" / "inner").chmod(0)
    (top / "closed").chmod(0)
    for number in range(500):
        (top / f"{number}").touch(0)
    wipe(str(top))
    assert not top.exists()


def test_wipe_does_not_follow_links(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    top = tmp_path / "scratch"
    top.mkdir()
    (top / "link").symlink_to(kept)
    wipe(str(top))
    assert (kept / "file").exists()


def test_a_folder_within_its_bounds(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(MIB))
    assert Watch(str(tmp_path), 2 * MIB)() is None


def test_too_many_bytes_wherever_they_lie(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("x", "a/y", "a/b/z"):
        (tmp_path / name).write_bytes(os.urandom(MIB))
    assert Watch(str(tmp_path), 2 * MIB)() == "limit.scratch"


def test_too_many_files(tmp_path: Path) -> None:
    for number in range(scratch.MAX_FILES + 1):
        os.close(os.open(tmp_path / str(number), os.O_CREAT))
    assert Watch(str(tmp_path), MIB << 10)() == "limit.scratch"


def test_too_deep(tmp_path: Path) -> None:
    nested(tmp_path, 60)
    assert Watch(str(tmp_path), MIB << 10)() == "limit.scratch"


def test_what_cannot_be_looked_into_is_too_much(alone: Alone, tmp_path: Path) -> None:
    code = """
from agent.sandbox import process
from agent.sandbox.scratch import Watch
os.mkdir(sys.argv[1] + "/closed", 0)
process.drop_capabilities()
say(Watch(sys.argv[1], 1 << 30)())
"""
    assert alone(code, tmp_path) == "limit.scratch"


def test_a_look_that_took_long_is_followed_by_a_pause(tmp_path: Path) -> None:
    watch = Watch(str(tmp_path), MIB)
    assert watch() is None
    watch._next = float("inf")
    (tmp_path / "x").write_bytes(bytes(2 * MIB))
    assert watch() is None
    watch._next = 0
    assert watch() == "limit.scratch"


def test_what_a_killed_server_left_is_wiped_by_the_next(alone: Alone, tmp_path: Path) -> None:
    code = """
from agent.sandbox.scratch import Folders
folders = Folders(sys.argv[1])
open(folders.make() + "/data", "w").write("x")
say(folders.path)
sys.stdout.flush()
os._exit(0)
"""
    left = Path(alone(code, tmp_path))
    assert left.is_dir()
    mine = Folders(str(tmp_path))
    assert not left.exists()
    others = Folders(str(tmp_path))
    assert Path(mine.path).is_dir(), "a living server's folder was wiped"
    assert oct(Path(others.make()).stat().st_mode) == oct(0o40700)
    for folders in (mine, others):
        folders.close()
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_in_no_folder_end_the_oldest_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = Folders(str(tmp_path))
    first, second = (folders.watch(folders.make(), MIB) for _ in range(2))
    monkeypatch.setattr(folders, "_idle", folders._used() - (300 << 20))
    assert (second(), first()) == (None, "limit.scratch")
    folders.unwatch(first.path)
    assert second() == "limit.scratch"
    folders.unwatch(second.path)
    assert folders.watch(folders.make(), MIB)() is None, "what was there before counts for nobody"
    folders.close()


def test_an_unlinked_file_is_seen(tmp_path: Path) -> None:
    folders = Folders(scratch.parent())
    watch = folders.watch(folders.make(), MIB)
    path = Path(watch.path, "x")
    with path.open("w+b") as file:
        path.unlink()
        file.write(bytes(100))
        file.flush()
        assert watch() is None
        os.posix_fallocate(file.fileno(), 0, 300 << 20)
        assert watch() == "limit.scratch"
    folders.close()
