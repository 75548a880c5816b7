import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from agent.core.errors import TransportError
from agent.core.ports import Sealed
from agent.transport._outbox import Outbox

JOB, OTHER = "01JD00000000000000000000J0", "01JD00000000000000000000J1"
RESULT = "01JD0000000000000000000001"
PARTS = b"sealed" * 100_000


@pytest.fixture
def outbox(drop: Any) -> Outbox:
    return Outbox(drop.root)


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    (tmp_path / "parts").write_bytes(PARTS)
    return Sealed(JOB, RESULT, b"mani.fest.one", tmp_path / "parts", 1e9)


def packed(sealed: Sealed) -> bytes:
    return b"MERIDYN1" + len(sealed.manifest).to_bytes(4, "big") + sealed.manifest + sealed.parts.read_bytes()


def test_a_result_is_named_by_its_job(drop: Any, outbox: Outbox, sealed: Sealed) -> None:
    outbox.deliver(sealed)
    assert drop.files("outbox/new") == {f"{JOB}.mres"}
    assert drop.files("outbox/tmp") == set()
    assert (drop.root / f"outbox/new/{JOB}.mres").read_bytes() == packed(sealed)
    assert sealed.parts.read_bytes() == PARTS


def test_the_same_result_twice_is_one(drop: Any, outbox: Outbox, sealed: Sealed) -> None:
    outbox.deliver(sealed)
    inode = (drop.root / f"outbox/new/{JOB}.mres").stat().st_ino
    Outbox(drop.root).deliver(sealed)
    assert drop.files("outbox/new") == {f"{JOB}.mres"}
    assert (drop.root / f"outbox/new/{JOB}.mres").stat().st_ino == inode


@pytest.mark.parametrize("change", ["manifest", "shorter", "longer", "flipped"])
def test_another_result_is_kept_beside_the_first(
    drop: Any, outbox: Outbox, sealed: Sealed, tmp_path: Path, change: str
) -> None:
    outbox.deliver(sealed)
    data = {"manifest": PARTS, "shorter": PARTS[:-1], "longer": PARTS + b"x", "flipped": PARTS[:-1] + b"x"}[change]
    (tmp_path / "second").write_bytes(data)
    manifest = b"mani.fest.two" if change == "manifest" else sealed.manifest
    second = Sealed(JOB, RESULT, manifest, tmp_path / "second", 1e9)
    for _ in range(2):
        outbox.deliver(second)
    assert drop.files("outbox/new") == {f"{JOB}.mres", f"{JOB}-2.mres"}
    assert (drop.root / f"outbox/new/{JOB}.mres").read_bytes() == packed(sealed)
    assert (drop.root / f"outbox/new/{JOB}-2.mres").read_bytes() == packed(second)


def test_what_already_has_the_name_is_neither_opened_nor_overwritten(
    drop: Any, outbox: Outbox, sealed: Sealed, tmp_path: Path
) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (drop.root / f"outbox/new/{JOB}.mres").symlink_to(tmp_path / "victim")
    os.mkfifo(drop.root / f"outbox/new/{JOB}-2.mres")
    (drop.root / f"outbox/new/{JOB}-3.mres").mkdir()
    outbox.deliver(sealed)
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert (drop.root / f"outbox/new/{JOB}-4.mres").read_bytes() == packed(sealed)


def test_a_half_written_result_of_an_earlier_run_is_written_anew(drop: Any, outbox: Outbox, sealed: Sealed) -> None:
    (drop.root / f"outbox/tmp/{JOB}.mres").write_bytes(packed(sealed)[:100])
    outbox.deliver(sealed)
    assert (drop.root / f"outbox/new/{JOB}.mres").read_bytes() == packed(sealed)
    assert drop.files("outbox/tmp") == set()


def test_a_link_in_outbox_tmp_is_not_written_through(drop: Any, outbox: Outbox, sealed: Sealed, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (drop.root / f"outbox/tmp/{JOB}.mres").symlink_to(tmp_path / "victim")
    outbox.deliver(sealed)
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert not (drop.root / f"outbox/new/{JOB}.mres").is_symlink()


def test_clear_removes_only_half_written_results(drop: Any, outbox: Outbox, sealed: Sealed) -> None:
    outbox.deliver(sealed)
    (drop.root / f"outbox/tmp/{OTHER}.mres").write_bytes(b"half")
    (drop.root / "outbox/tmp/notes.mres").write_bytes(b"somebody's")
    outbox.clear()
    assert drop.files("outbox/tmp") == {"notes.mres"}
    assert drop.files("outbox/new") == {f"{JOB}.mres"}


def test_a_result_that_does_not_fit_leaves_nothing_behind_and_can_follow(
    drop: Any, outbox: Outbox, sealed: Sealed
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(TransportError, match=str(drop.root / "outbox/tmp")):
            outbox.deliver(sealed)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert drop.files("outbox/tmp") == drop.files("outbox/new") == set()
    outbox.deliver(sealed)
    assert drop.files("outbox/new") == {f"{JOB}.mres"}


@pytest.mark.parametrize("name", ["outbox/tmp", "outbox/new"])
def test_a_missing_outbox_is_named(drop: Any, outbox: Outbox, sealed: Sealed, name: str) -> None:
    (drop.root / name).rmdir()
    with pytest.raises(TransportError, match=f"{drop.root / name}.*create it, or mount its volume"):
        outbox.deliver(sealed)


def test_an_outbox_that_was_swapped_for_a_link_is_not_used(
    drop: Any, outbox: Outbox, sealed: Sealed, tmp_path: Path
) -> None:
    (tmp_path / "victim").mkdir()
    (drop.root / "outbox/new").rmdir()
    (drop.root / "outbox/new").symlink_to(tmp_path / "victim")
    with pytest.raises(TransportError, match="real folder"):
        outbox.deliver(sealed)
    assert list((tmp_path / "victim").iterdir()) == []


def test_spooled_parts_that_are_gone_are_named(outbox: Outbox, sealed: Sealed) -> None:
    sealed.parts.unlink()
    with pytest.raises(TransportError, match=str(sealed.parts)):
        outbox.deliver(sealed)


def test_a_damaged_manifest_is_a_transport_error(drop: Any, outbox: Outbox, sealed: Sealed) -> None:
    with pytest.raises(TransportError, match="cannot be delivered"):
        outbox.deliver(Sealed(JOB, RESULT, b"", sealed.parts, 1e9))
    assert drop.files("outbox/tmp") == drop.files("outbox/new") == set()


@pytest.mark.parametrize("job_id", ["", "../../evil", "x", f"{JOB}/.."])
def test_a_job_id_never_leaves_the_folder(outbox: Outbox, sealed: Sealed, job_id: str) -> None:
    with pytest.raises(TransportError, match="not a ULID"):
        outbox.deliver(Sealed(job_id, RESULT, sealed.manifest, sealed.parts, 1e9))
