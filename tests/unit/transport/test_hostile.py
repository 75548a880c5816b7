"""What strangers put into the inbox. Nothing is followed, waited for, overwritten or lost; jobs beside it go on."""

import errno
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.core.errors import TransportError
from agent.transport import _inbox
from agent.transport._names import filed_as, is_job_name, shown

GIB = 1 << 30


def reason(drop: Any, stem: str) -> dict[str, str]:
    members: dict[str, str] = json.loads((drop.failed / f"{stem}.reason.json").read_bytes())
    return members


def one_job_passes(drop: Any, whole: bytes) -> None:
    """A job that came after everything else in the inbox is offered nevertheless."""
    (drop.new / "good.mjob").write_bytes(whole)
    assert drop.names(drop.settled()) == ["good.mjob"]


def test_a_link_is_moved_not_followed(drop: Any, whole: bytes, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"canary")
    (drop.new / "evil.mjob").symlink_to(secret)
    (drop.new / "shadow.mjob").symlink_to("/etc/shadow")
    (drop.new / "dangling.mjob").symlink_to("/nowhere")
    (drop.new / "loop.mjob").symlink_to("loop.mjob")
    one_job_passes(drop, whole)
    assert drop.files("inbox/new") == set()
    for stem in ("evil", "shadow", "dangling", "loop"):
        assert (drop.failed / f"{stem}.mjob").is_symlink()
        assert reason(drop, stem)["code"] == "file.kind"
    assert b"canary" not in (drop.failed / "evil.reason.json").read_bytes()
    assert secret.read_bytes() == b"canary"


def test_a_fifo_without_a_writer_does_not_stall(drop: Any, whole: bytes) -> None:
    os.mkfifo(drop.new / "pipe.mjob")
    one_job_passes(drop, whole)
    assert stat.S_ISFIFO((drop.failed / "pipe.mjob").lstat().st_mode)
    assert reason(drop, "pipe")["code"] == "file.kind"


def test_a_socket_and_a_folder_are_moved_whole(drop: Any, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(drop.new)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.mjob")
    (drop.new / "folder.mjob").mkdir()
    (drop.new / "folder.mjob" / "inside.mjob").write_bytes(whole)
    one_job_passes(drop, whole)
    assert reason(drop, "socket")["code"] == reason(drop, "folder")["code"] == "file.kind"
    assert (drop.failed / "folder.mjob" / "inside.mjob").read_bytes() == whole


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_not_opened(drop: Any, whole: bytes) -> None:
    try:
        os.mknod(drop.new / "zero.mjob", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("no devices in this container")
    one_job_passes(drop, whole)
    assert reason(drop, "zero")["code"] == "file.kind"


def test_a_hard_link_is_refused_once_it_stays(drop: Any, whole: bytes, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(whole)
    os.link(tmp_path / "outside", drop.new / "hard.mjob")
    assert drop.box.poll(4) == []
    one_job_passes(drop, whole)
    assert reason(drop, "hard")["code"] == "file.kind"
    assert (tmp_path / "outside").read_bytes() == whole


def test_a_delivery_by_link_and_unlink_is_no_hard_link(drop: Any, whole: bytes) -> None:
    (drop.root / "inbox/tmp/a.mjob").write_bytes(whole)
    os.link(drop.root / "inbox/tmp/a.mjob", drop.new / "a.mjob")
    assert drop.box.poll(4) == []
    (drop.root / "inbox/tmp/a.mjob").unlink()
    assert drop.names(drop.box.poll(4)) == ["a.mjob"]


def test_a_link_that_is_made_after_the_look_is_caught_when_read(
    drop: Any, whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (drop.new / "a.mjob").write_bytes(whole)
    real = _inbox.rename_new

    def rename(source: str, target: str, *, source_folder: int, target_folder: int) -> None:
        real(source, target, source_folder=source_folder, target_folder=target_folder)
        if target == "a.mjob":
            os.link(drop.processing / "a.mjob", tmp_path / "second")

    monkeypatch.setattr(_inbox, "rename_new", rename)
    assert drop.box.poll(4) == []
    assert reason(drop, "a")["code"] == "file.kind"


@pytest.mark.parametrize("size", [_inbox.MAX_ENVELOPE_BYTES + 1, GIB])
def test_a_file_that_is_too_large_is_not_read(
    drop: Any, whole: bytes, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (drop.new / "large.mjob").touch()
    os.truncate(drop.new / "large.mjob", size)
    read: list[str] = []
    real = _inbox.read_once
    monkeypatch.setattr(_inbox, "read_once", lambda name, folder: read.append(name) or real(name, folder))
    one_job_passes(drop, whole)
    assert "large.mjob" not in read
    assert reason(drop, "large")["code"] == "envelope.too_large"
    assert (drop.failed / "large.mjob").stat().st_size == size


def test_a_file_of_the_largest_size_is_offered(drop: Any) -> None:
    data = b"x" * _inbox.MAX_ENVELOPE_BYTES
    (drop.new / "a.mjob").write_bytes(data)
    assert [len(offer.envelope) for offer in drop.settled()] == [len(data)]


def test_a_file_that_grows_after_the_look_at_its_size_is_not_read_for_ever(
    drop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (drop.processing / "a.mjob").touch()
    real = os.fstat

    def grow(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        if stat.S_ISREG(found.st_mode):
            os.truncate(drop.processing / "a.mjob", GIB)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", grow)
        assert drop.box.recovered() == []
    assert reason(drop, "a")["code"] == "envelope.too_large"


FOREIGN = {
    b"..mjob": "_",
    b".mjob": "_mjob",
    b".hidden.mjob": "_hidden",
    b"notes.txt": "notes",
    b"a.mjob.part": "a.mjob",
    b"A.MJOB": "A",
    b"new\nline.mjob": "new_line",
    b"\x1b[2Jclear.mjob": "_[2Jclear",
    b"\xff\xfe.mjob": "__",
    b"right\xe2\x80\xaeleft.mjob": "right_left",
    b"...": "_.",
    b"reason.json": "reason",
    b"-rf.txt": "-rf",
    b"x" * 255: "x" * 200 + "~",
}


@pytest.mark.parametrize("name", FOREIGN, ids=lambda name: ascii(name)[:30])
def test_a_foreign_name_is_kept_under_a_plain_one(drop: Any, whole: bytes, name: bytes) -> None:
    path = os.fsencode(drop.new) + b"/" + name
    with open(path, "wb") as file:  # noqa: PTH123  the name is bytes
        file.write(b"precious")
    assert drop.box.poll(4) == []
    assert os.path.lexists(path)  # it may be a delivery in progress
    one_job_passes(drop, whole)
    assert not os.path.lexists(path)
    (kept,) = [entry for entry in drop.failed.iterdir() if not entry.name.endswith(".reason.json")]
    assert kept.read_bytes() == b"precious"
    assert kept.name.isprintable()
    assert not kept.name.startswith(".")
    (why,) = [entry for entry in drop.failed.iterdir() if entry.name.endswith(".reason.json")]
    assert why.name.startswith(FOREIGN[name])
    members = json.loads(why.read_bytes())
    assert members["code"] == "file.foreign"
    assert members["file"].isprintable()


@pytest.mark.parametrize("character", ["x", "é", "字"])
def test_a_job_with_the_longest_name_can_be_rejected(drop: Any, character: str) -> None:
    name = character * (250 // len(character.encode())) + ".mjob"
    (drop.new / name).write_bytes(b"garbage")
    (offer,) = drop.settled()
    drop.box.reject(offer.ref, _inbox.KIND)
    kept, why = sorted(drop.failed.iterdir(), key=lambda path: path.suffix, reverse=True)
    assert kept.read_bytes() == b"garbage"
    assert why.name == kept.stem + ".reason.json"
    assert json.loads(why.read_bytes())["file"] == name


def test_names_that_differ_only_in_what_is_replaced_are_both_kept(drop: Any) -> None:
    for name in (b"a\x01.txt", b"a\x02.txt", b"a_.txt", b"a_.csv"):
        with open(os.fsencode(drop.new) + b"/" + name, "wb") as file:  # noqa: PTH123  the name is bytes
            file.write(name)
    drop.settled()
    kept = {path.read_bytes() for path in drop.failed.iterdir() if path.suffix != ".json"}
    assert kept == {b"a\x01.txt", b"a\x02.txt", b"a_.txt", b"a_.csv"}
    stems = {path.name.removesuffix(".reason.json") for path in drop.failed.iterdir() if path.suffix == ".json"}
    assert {path.stem for path in drop.failed.iterdir() if path.suffix != ".json"} == stems


def test_names() -> None:
    assert is_job_name("a b.mjob")
    assert is_job_name("ä.mjob")
    assert not any(is_job_name(name) for name in (".mjob", "..mjob", "a.mjob ", "a\n.mjob", "\udcff.mjob", "a.Mjob"))
    assert shown("\udcff\n") == "\\xff\\n"
    assert filed_as("a.tar.gz") == ("a.tar", ".gz")
    assert filed_as("noext") == ("noext", "")


def test_thousands_of_foreign_files_do_not_hold_up_a_job(drop: Any, whole: bytes) -> None:
    for number in range(1000):
        (drop.new / f"{number}.txt").touch()
        os.utime(drop.new / f"{number}.txt", (number, number))
    drop.box.poll(4)
    drop.clock.seconds += 2
    (drop.new / "good.mjob").write_bytes(whole)
    assert drop.names(drop.box.poll(4)) == ["good.mjob"]
    before = len(drop.files("inbox/new"))
    drop.box.poll(4)
    assert len(drop.files("inbox/new")) == before - _inbox.REFUSED


def test_one_poll_looks_at_so_many_entries_and_says_when_there_are_more(
    drop: Any, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_inbox, "LISTED", 50)
    for number in range(120):
        (drop.new / f"{number}.mjob").write_bytes(whole)
    offers = drop.box.poll(200)
    assert len(offers) == 50
    assert "50 entries or more wait" in drop.box.problems()[0]
    assert len(drop.box.poll(200)) == 50
    assert len(drop.box.poll(200)) == 20
    assert drop.box.problems() == ()


def test_an_entry_that_cannot_be_moved_is_reported_and_tried_again(
    drop: Any, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = _inbox.file_away

    def refuse(name: str, folder: int, failed: int, why: Any) -> None:
        if name == "stuck":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        real(name, folder, failed, why)

    monkeypatch.setattr(_inbox, "file_away", refuse)
    (drop.new / "stuck").mkdir()
    one_job_passes(drop, whole)
    (problem,) = drop.box.problems()
    assert "'stuck'" in problem
    assert "busy" in problem
    monkeypatch.setattr(_inbox, "file_away", real)
    assert "stuck" in drop.files("inbox/new")
    drop.clock.seconds += _inbox.RETRY_SECONDS
    drop.box.poll(4)
    assert drop.files("inbox/new") == set()
    assert drop.box.problems() == ()


def test_a_claimed_file_that_cannot_be_read_is_offered_once_it_can(
    drop: Any, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str, folder: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    (drop.new / "a.mjob").write_bytes(whole[:-1])
    drop.box.poll(4)
    drop.clock.seconds += 2
    with monkeypatch.context() as patch:
        patch.setattr(_inbox, "read_once", broken)
        assert drop.box.poll(4) == []
        assert drop.files("processing") == {"a.mjob"}
        assert "Input/output error" in drop.box.problems()[0]
    assert drop.names(drop.box.poll(4)) == ["a.mjob"]
    assert drop.box.problems() == ()


def test_a_recovered_file_that_cannot_be_read_is_offered_once_it_can(
    drop: Any, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str, folder: int) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    (drop.processing / "a.mjob").write_bytes(whole)
    with monkeypatch.context() as patch:
        patch.setattr(_inbox, "read_once", broken)
        assert drop.box.recovered() == []
    assert drop.names(drop.box.poll(4)) == ["a.mjob"]


def test_a_claim_that_could_not_be_synced_is_offered_once_it_can(
    drop: Any, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    (drop.new / "a.mjob").write_bytes(whole)
    with monkeypatch.context() as patch:
        patch.setattr(_inbox, "sync_folder", broken)
        with pytest.raises(TransportError, match="Input/output error"):
            drop.box.poll(4)
    assert drop.names(drop.box.poll(4)) == ["a.mjob"]


def test_what_is_foreign_on_another_volume_stays_there_with_a_reason(drop: Any, whole: bytes) -> None:
    other = Path("/dev/shm") / f"drop-{os.getpid()}"
    if not other.parent.is_dir() or other.parent.stat().st_dev == drop.root.stat().st_dev:
        pytest.skip("no second volume")
    other.mkdir()
    try:
        (drop.root / "inbox/new").rmdir()
        (drop.root / "inbox/new").symlink_to(other)
        (drop.root / "inbox/tmp").rmdir()
        (drop.root / "inbox/new").unlink()
        (drop.root / "inbox").rmdir()
        (drop.root / "inbox").symlink_to(other)
        (other / "new").mkdir()
        (drop.new / "link.mjob").symlink_to("/etc/shadow")
        one_job_passes(drop, whole)
        assert drop.files("inbox/new") == {"link.mjob"}
        assert drop.files("failed") == {"link.reason.json"}
        assert "same volume" in drop.box.problems()[0]
        drop.clock.seconds += _inbox.RETRY_SECONDS
        drop.box.poll(4)
        assert drop.files("failed") == {"link.reason.json"}
    finally:
        subprocess.run(["rm", "-r", str(other)], check=True)


UNPRIVILEGED = Path(__file__).parent / "unprivileged.py"


def test_an_account_without_rights_names_what_it_may_not_do() -> None:
    done = subprocess.run([sys.executable, UNPRIVILEGED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
