import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from agent.core.errors import TransportError
from agent.core.ports import Rejection
from agent.transport import _inbox
from agent.wire.signing import job_digest

JOB = "01JD00000000000000000000J0"
REJECTION = Rejection("envelope.signature", "The signature does not match.", "Sign it again.")


def envelope(**payload: Any) -> bytes:
    def segment(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{segment({'alg': 'Ed25519', 'kid': 'K'})}.{segment(payload)}.{'A' * 86}".encode()


def test_a_whole_envelope_is_offered_at_once_and_held(drop: Any, whole: bytes) -> None:
    (drop.new / "a.mjob").write_bytes(whole)
    (offer,) = drop.box.poll(4)
    assert (offer.ref, offer.envelope) == (drop.ref("a.mjob"), whole)
    assert drop.files("inbox/new") == set()
    assert drop.files("processing") == {"a.mjob"}
    assert drop.box.poll(4) == []


def test_the_oldest_come_first_and_never_more_than_are_free(drop: Any, whole: bytes) -> None:
    for name, age in (("b", 30), ("c", 10), ("a", 20)):
        path = drop.new / f"{name}.mjob"
        path.write_bytes(whole)
        os.utime(path, (age, age))
    assert drop.names(drop.box.poll(2)) == ["c.mjob", "a.mjob"]
    assert drop.box.poll(0) == []
    assert drop.names(drop.box.poll(2)) == ["b.mjob"]


@pytest.mark.parametrize("length", [0, 1, 5, 50, 90])
def test_an_unfinished_file_is_left_alone_until_it_stops_changing(drop: Any, whole: bytes, length: int) -> None:
    path = drop.new / "a.mjob"
    path.write_bytes(whole[:length])
    for _ in range(3):
        assert drop.box.poll(4) == []
        drop.clock.seconds += 1.9
        with path.open("ab") as file:
            file.write(b"x")
    path.write_bytes(whole[:length])
    assert drop.box.poll(4) == []
    drop.clock.seconds += 1.9
    assert drop.box.poll(4) == []
    drop.clock.seconds += 0.1
    (offer,) = drop.box.poll(4)
    assert offer.envelope == whole[:length]


def test_an_unfinished_file_that_is_finished_is_offered(drop: Any, whole: bytes) -> None:
    (drop.new / "a.mjob").write_bytes(whole[:20])
    assert drop.box.poll(4) == []
    (drop.new / "a.mjob").write_bytes(whole)
    assert [offer.envelope for offer in drop.box.poll(4)] == [whole]


def test_a_file_is_read_again_only_when_it_changed(drop: Any, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    real = _inbox.read_once
    monkeypatch.setattr(_inbox, "read_once", lambda name, folder: reads.append(name) or real(name, folder))
    (drop.new / "a.mjob").write_bytes(whole[:20])
    for _ in range(5):
        drop.box.poll(4)
    assert reads == ["a.mjob"]


def test_inbox_tmp_is_never_touched(drop: Any, whole: bytes) -> None:
    (drop.root / "inbox/tmp/a.mjob").write_bytes(whole)
    os.mkfifo(drop.root / "inbox/tmp/fifo")
    assert drop.settled() == []
    assert drop.files("inbox/tmp") == {"a.mjob", "fifo"}


def test_a_second_file_of_the_same_name_waits_for_the_first(drop: Any) -> None:
    first, second = envelope(id=JOB), envelope(id=JOB, seq=2)
    (drop.new / "a.mjob").write_bytes(first)
    (offer,) = drop.box.poll(4)
    (drop.new / "a.mjob").write_bytes(second)
    (drop.new / "b.mjob").write_bytes(first)
    assert drop.names(drop.settled()) == ["b.mjob"]
    assert (drop.processing / "a.mjob").read_bytes() == first
    drop.box.settle(offer.ref, 1.0)
    assert [offer.envelope for offer in drop.box.poll(4)] == [second]


def test_recovered_are_those_that_an_earlier_run_held(drop: Any, whole: bytes) -> None:
    for name in ("a.mjob", "b.mjob"):
        (drop.new / name).write_bytes(whole)
    drop.box.poll(4)
    assert drop.box.recovered() == []
    again = drop.opened()
    offers = again.recovered()
    assert drop.names(offers) == ["a.mjob", "b.mjob"]
    assert [offer.envelope for offer in offers] == [whole, whole]
    assert again.recovered() == []


def test_a_later_file_of_the_same_name_is_not_what_an_earlier_ref_means(drop: Any) -> None:
    (drop.new / "a.mjob").write_bytes(envelope(id=JOB))
    (first,) = drop.box.poll(4)
    drop.box.settle(first.ref, 1.0)
    later = envelope(id=JOB, seq=2)
    (drop.new / "a.mjob").write_bytes(later)
    drop.box.poll(4)
    for box in (drop.box, drop.opened()):
        box.settle(first.ref, 2.0)
        box.reject(first.ref, REJECTION)
    assert (drop.processing / "a.mjob").read_bytes() == later
    assert drop.files("failed") == set()


@pytest.mark.parametrize("ref", ["", "@", "a.mjob", "../../inbox/new/x.mjob@", "../archive/x@0"])
def test_a_ref_that_was_never_given_means_nothing(drop: Any, ref: str) -> None:
    (drop.processing / "a.mjob").write_bytes(envelope(id=JOB))
    drop.box.settle(ref, 1.0)
    drop.box.reject(ref, REJECTION)
    assert drop.files("processing") == {"a.mjob"}


def test_a_ref_reaches_no_other_folder(drop: Any, whole: bytes) -> None:
    (drop.root / "inbox/tmp/x.mjob").write_bytes(whole)
    ref = f"../inbox/tmp/x.mjob@{job_digest(whole)[:16]}"
    drop.box.settle(ref, 1.0)
    drop.box.reject(ref, REJECTION)
    assert drop.files("inbox/tmp") == {"x.mjob"}
    assert drop.files("archive") == drop.files("failed") == set()


def test_a_job_that_an_earlier_run_held_can_be_settled_before_it_is_recovered(drop: Any) -> None:
    (drop.new / "a.mjob").write_bytes(envelope(id=JOB))
    (offer,) = drop.box.poll(4)
    drop.opened().settle(offer.ref, 1.0)
    assert drop.files("archive") == {f"{JOB}.json"}
    assert drop.files("processing") == set()


def test_recovered_judges_what_lies_in_processing(drop: Any, whole: bytes) -> None:
    (drop.processing / "link.mjob").symlink_to("/etc/passwd")
    (drop.processing / "notes.txt").write_bytes(b"notes")
    (drop.processing / ".0000.partial").write_bytes(b"half")
    (drop.processing / "a.mjob").write_bytes(whole)
    assert drop.names(drop.box.recovered()) == ["a.mjob"]
    assert drop.files("processing") == {"a.mjob"}
    assert drop.files("failed") == {"link.mjob", "link.reason.json", "notes.txt", "notes.reason.json"}


def test_a_rejected_file_keeps_its_bytes_beside_the_reason(drop: Any, whole: bytes) -> None:
    (drop.new / "a.mjob").write_bytes(whole)
    (offer,) = drop.box.poll(4)
    for _ in range(2):
        drop.box.reject(offer.ref, REJECTION)
    assert drop.files("failed") == {"a.mjob", "a.reason.json"}
    assert (drop.failed / "a.mjob").read_bytes() == whole
    assert json.loads((drop.failed / "a.reason.json").read_bytes()) == {
        "code": "envelope.signature",
        "message": "The signature does not match.",
        "hint": "Sign it again.",
        "file": "a.mjob",
    }
    assert drop.files("processing") == set()


def test_nothing_in_failed_is_overwritten(drop: Any, whole: bytes) -> None:
    (drop.failed / "a.mjob").write_bytes(b"earlier")
    (drop.failed / "a-2.reason.json").write_bytes(b"somebody's")
    for _ in range(3):
        (drop.new / "a.mjob").write_bytes(whole)
        (offer,) = drop.box.poll(4)
        drop.box.reject(offer.ref, REJECTION)
    assert (drop.failed / "a.mjob").read_bytes() == b"earlier"
    assert (drop.failed / "a-2.reason.json").read_bytes() == b"somebody's"
    expected = {f"{stem}{end}" for stem in ("a-3", "a-4", "a-5") for end in (".mjob", ".reason.json")}
    assert drop.files("failed") == {"a.mjob", "a-2.reason.json"} | expected
    for stem in ("a-3", "a-4", "a-5"):
        assert (drop.failed / f"{stem}.mjob").read_bytes() == whole
        assert json.loads((drop.failed / f"{stem}.reason.json").read_bytes())["code"] == "envelope.signature"


def test_a_rejection_that_fails_can_be_tried_again(drop: Any, whole: bytes) -> None:
    (drop.new / "a.mjob").write_bytes(whole)
    (offer,) = drop.box.poll(4)
    drop.failed.rename(drop.root / "elsewhere")
    with pytest.raises(TransportError, match="failed"):
        drop.box.reject(offer.ref, REJECTION)
    assert drop.files("processing") == {"a.mjob"}
    (drop.root / "elsewhere").rename(drop.failed)
    drop.box.reject(offer.ref, REJECTION)
    assert drop.files("failed") == {"a.mjob", "a.reason.json"}


def test_settling_keeps_headers_only(drop: Any) -> None:
    data = envelope(
        id=JOB, tenant="t", stream="s", seq=1, issued=1.0, not_before=2.0, expires=3.0, result_until=4.0, priority=0,
        requested_by={"user": "ana"}, task={"kind": "sql", "statement": "select canary"},
    )  # fmt: skip
    (drop.new / "a.mjob").write_bytes(data)
    (offer,) = drop.box.poll(4)
    for _ in range(2):
        drop.box.settle(offer.ref, 99.0)
    assert drop.files("processing") == set()
    assert drop.files("archive") == {f"{JOB}.json"}
    assert json.loads((drop.root / f"archive/{JOB}.json").read_bytes()) == {
        "file": "a.mjob", "digest": job_digest(data), "kid": "K", "id": JOB, "tenant": "t", "stream": "s", "seq": 1,
        "issued": 1.0, "not_before": 2.0, "expires": 3.0, "result_until": 4.0, "settled": 99.0,
    }  # fmt: skip


def test_the_archive_holds_what_was_offered_not_what_its_owner_wrote_later(drop: Any) -> None:
    data = envelope(id=JOB)
    path = drop.new / "a.mjob"
    path.write_bytes(data)
    with path.open("r+b") as owner:
        (offer,) = drop.box.poll(4)
        owner.write(envelope(id="01JD00000000000000000000ZZ"))
        owner.flush()
        drop.box.settle(offer.ref, 1.0)
    assert drop.files("archive") == {f"{JOB}.json"}


def test_archive_records_are_not_overwritten(drop: Any) -> None:
    for seq in (1, 2):
        (drop.new / "a.mjob").write_bytes(envelope(id=JOB, seq=seq))
        (offer,) = drop.box.poll(4)
        drop.box.settle(offer.ref, 1.0)
    assert drop.files("archive") == {f"{JOB}.json", f"{JOB}-2.json"}


def test_an_archive_name_never_leaves_its_folder(drop: Any) -> None:
    data = envelope(id="../../../evil")
    (drop.new / "a.mjob").write_bytes(data)
    (offer,) = drop.box.poll(4)
    drop.box.settle(offer.ref, 1.0)
    assert drop.files("archive") == {f"{job_digest(data)}.json"}


def settle(drop: Any, *numbers: int) -> None:
    for number in numbers:
        (drop.new / "a.mjob").write_bytes(envelope(id=JOB, stream="plant", seq=number))
        (offer,) = drop.box.poll(4)
        drop.box.settle(offer.ref, 1.0)


def test_gaps_in_a_stream_are_reported_until_they_close(drop: Any) -> None:
    settle(drop, 1, 2, 5)
    (problem,) = drop.box.problems()
    assert "'plant'" in problem
    assert "2 of the jobs 1 to 5" in problem
    settle(drop, 3, 4)
    assert drop.box.problems() == ()


def test_a_job_that_is_being_worked_on_is_no_gap(drop: Any) -> None:
    settle(drop, 1)
    (drop.new / "b.mjob").write_bytes(envelope(id=JOB, stream="plant", seq=2))
    drop.box.poll(4)
    settle(drop, 3)
    assert drop.box.problems() == ()


def test_gaps_are_known_after_a_restart(drop: Any) -> None:
    settle(drop, 1, 3)
    again = drop.opened()
    again.recovered()
    assert len(again.problems()) == 1


@pytest.mark.parametrize("name", ["inbox/new", "processing", "failed"])
def test_a_missing_folder_is_named_with_its_remedy(drop: Any, name: str, whole: bytes) -> None:
    (drop.new / "a.mjob").write_bytes(whole)
    (drop.root / name).rename(drop.root / "elsewhere")
    with pytest.raises(TransportError, match=f"{drop.root / name}.*create it, or mount its volume"):
        drop.box.poll(4)
    (drop.root / "elsewhere").rename(drop.root / name)
    assert len(drop.box.poll(4)) == 1


@pytest.mark.parametrize("name", ["inbox/new", "processing", "failed"])
def test_a_folder_that_was_swapped_for_a_link_is_not_followed(
    drop: Any, name: str, whole: bytes, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious.txt").write_bytes(b"precious")
    (drop.root / name).rmdir()
    (drop.root / name).symlink_to(victim)
    with pytest.raises(TransportError, match="real folder"):
        drop.settled()
    assert {path.name for path in victim.iterdir()} == {"precious.txt"}
