import fcntl
import hashlib
import json
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.audit import lock
from agent.audit.log import AuditLog
from agent.audit.records import EMPTY, Head
from agent.audit.verify import verify
from agent.core.errors import AuditError
from agent.wire.keys import SigningKey

KEY = SigningKey.generate()


def lines(folder: Path) -> list[bytes]:
    return [
        line for path in sorted(folder.glob("audit-*.jsonl")) for line in path.read_bytes().splitlines(keepends=True)
    ]


def records(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines(folder)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def log(folder: Path) -> Iterator[AuditLog]:
    log = AuditLog(folder, KEY.sign, now=lambda: 1_700_000_000.25)
    yield log
    log.close()


def test_a_line_has_exactly_the_published_bytes(log: AuditLog, folder: Path) -> None:
    head = log.append("started", job="J", rows=3, text="ü\n")
    body = (
        '{"seq":1,"time":"2023-11-14T22:13:20.250000Z","prev":"' + "0" * 64 + '","event":"started","job":"J","rows":3,'
        '"text":"\\u00fc\\n"}'
    )
    digest = hashlib.sha256(("0" * 64 + body).encode()).hexdigest()
    assert lines(folder) == [(body[:-1] + f',"hash":"{digest}"}}\n').encode()]
    assert head == Head(1, digest)
    assert log.head == head


def test_each_record_names_the_one_before(log: AuditLog, folder: Path) -> None:
    for number in range(5):
        log.append("event", number=number)
    chain = records(folder)
    assert [record["seq"] for record in chain] == [1, 2, 3, 4, 5]
    assert [record["prev"] for record in chain[1:]] == [record["hash"] for record in chain[:-1]]


def test_a_later_run_goes_on(log: AuditLog, folder: Path) -> None:
    first = log.append("one")
    log.close()
    again = AuditLog(folder, KEY.sign)
    assert again.head == first
    assert again.append("two").seq == 2
    again.close()
    assert verify(folder, KEY.public()).ok


def test_files_are_private(log: AuditLog, folder: Path) -> None:
    log.append("one")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_an_unsigned_chain(folder: Path) -> None:
    log = AuditLog(folder, None)
    log.append("one")
    log.close()
    assert json.loads((folder / "head.json").read_bytes())["signature"] is None
    assert verify(folder, None).ok


@pytest.mark.parametrize(
    "fields",
    [{"value": object()}, {"value": float("nan")}, {"hash": "x"}, {"seq": 1}, {"prev": ""}, {"text": "x" * (1 << 20)}],
    ids=["object", "nan", "hash", "seq", "prev", "large"],
)
def test_a_record_that_cannot_be_written_is_refused_without_its_value(
    log: AuditLog, folder: Path, fields: dict[str, object]
) -> None:
    log.append("one")
    with pytest.raises(AuditError) as caught:
        log.append("two", **fields)
    assert "xxxx" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert log.append("three").seq == 2
    assert verify(folder, KEY.public()).ok


def test_the_chain_goes_on_in_the_next_file(folder: Path) -> None:
    log = AuditLog(folder, KEY.sign, rotate_bytes=1000)
    for number in range(20):
        log.append("event", number=number)
    log.close()
    assert len(list(folder.glob("audit-*.jsonl"))) > 3
    verdict = verify(folder, KEY.public())
    assert (verdict.ok, verdict.records) == (True, 20)


def test_several_writers_share_a_chain(folder: Path) -> None:
    logs = [AuditLog(folder, KEY.sign, rotate_bytes=2000) for _ in range(3)]

    def write(log: AuditLog) -> None:
        for number in range(10):
            log.append("event", number=number)

    threads = [threading.Thread(target=write, args=(log,)) for log in logs for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for log in logs:
        log.close()
    verdict = verify(folder, KEY.public())
    assert (verdict.ok, verdict.records) == (True, 60), verdict.problems


def test_an_exclusive_log_has_the_folder_alone(folder: Path) -> None:
    alone = AuditLog.exclusive(folder, KEY.sign)
    for opened in (AuditLog, AuditLog.exclusive):
        with pytest.raises(AuditError, match="another process"):
            opened(folder, KEY.sign)
    alone.close()
    AuditLog(folder, KEY.sign).close()


def test_a_shared_log_keeps_an_exclusive_one_out(log: AuditLog, folder: Path) -> None:
    with pytest.raises(AuditError, match="another process"):
        AuditLog.exclusive(folder, KEY.sign)


def test_a_lock_that_is_never_given_up_ends_in_an_error(
    log: AuditLog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "WAIT_SECONDS", 0.0)
    with (folder / "lock").open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(AuditError, match="locked by another process"):
            log.append("one")
    assert log.append("one").seq == 1


def torn(folder: Path, data: bytes) -> Path:
    last = max(folder.glob("audit-*.jsonl"))
    with last.open("ab") as file:
        file.write(data)
    return last


@pytest.mark.parametrize(
    "data", [b"{", b'{"seq":2,"time":"' + b"x" * 70_000, b"\x00" * 4096], ids=["short", "long", "zeros"]
)
def test_a_torn_tail_is_cut_and_recorded(log: AuditLog, folder: Path, data: bytes) -> None:
    log.append("one")
    log.close()
    torn(folder, data)
    again = AuditLog(folder, KEY.sign)
    again.append("two")
    again.close()
    chain = records(folder)
    assert [record["event"] for record in chain] == ["one", "audit.torn_tail", "two"]
    assert (chain[1]["bytes"], chain[1]["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert verify(folder, KEY.public()).ok


def test_a_torn_first_record_is_cut(log: AuditLog, folder: Path) -> None:
    log.close()
    (folder / "audit-000001.jsonl").write_bytes(b'{"seq":1')
    again = AuditLog(folder, KEY.sign)
    again.close()
    assert [record["event"] for record in records(folder)] == ["audit.torn_tail"]


def test_a_torn_tail_that_another_writer_left_is_cut_by_the_next_append(log: AuditLog, folder: Path) -> None:
    log.append("one")
    torn(folder, b"{")
    log.append("two")
    assert [record["event"] for record in records(folder)] == ["one", "audit.torn_tail", "two"]


def test_a_promised_record_that_is_torn_is_no_torn_tail(log: AuditLog, folder: Path) -> None:
    log.append("one")
    log.append("two")
    log.close()
    last = folder / "audit-000001.jsonl"
    data = last.read_bytes()
    last.write_bytes(data[:-5])
    with pytest.raises(AuditError, match=r"head\.json says 2"):
        AuditLog(folder, KEY.sign)
    assert last.read_bytes() == data[:-5]


def test_a_head_one_behind_is_put_right_and_recorded(log: AuditLog, folder: Path) -> None:
    log.append("one")
    before = (folder / "head.json").read_bytes()
    log.append("two")
    log.close()
    (folder / "head.json").write_bytes(before)
    again = AuditLog(folder, KEY.sign)
    again.close()
    chain = records(folder)
    assert [record["event"] for record in chain] == ["one", "two", "audit.head_behind"]
    assert chain[2]["record"] == 2
    assert verify(folder, KEY.public()).ok


def change_last_line(folder: Path) -> None:
    path = folder / "audit-000001.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"event":"two"', b'"event":"TWO"'))


def cut_last_line(folder: Path) -> None:
    path = folder / "audit-000001.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def remove_head(folder: Path) -> None:
    (folder / "head.json").unlink()


def remove_chain(folder: Path) -> None:
    (folder / "audit-000001.jsonl").unlink()


def forge_head(folder: Path) -> None:
    cut_last_line(folder)
    seq, digest = 1, json.loads((folder / "audit-000001.jsonl").read_bytes())["hash"]
    (folder / "head.json").write_text(json.dumps({"seq": seq, "hash": digest, "signature": "A" * 86}) + "\n")


def strip_signature(folder: Path) -> None:
    head = json.loads((folder / "head.json").read_bytes())
    (folder / "head.json").write_text(json.dumps({**head, "signature": None}) + "\n")


@pytest.mark.parametrize(
    "tamper", [change_last_line, cut_last_line, remove_head, remove_chain, forge_head, strip_signature]
)
def test_a_changed_end_is_not_written_on(log: AuditLog, folder: Path, tamper: Callable[[Path], None]) -> None:
    log.append("one")
    log.append("two")
    log.close()
    tamper(folder)
    before = lines(folder)
    with pytest.raises(AuditError, match="agent audit verify"):
        AuditLog(folder, KEY.sign)
    assert lines(folder) == before


def test_an_open_log_does_not_go_on_over_a_cut_chain(log: AuditLog, folder: Path) -> None:
    log.append("one")
    log.append("two")
    cut_last_line(folder)
    with pytest.raises(AuditError):
        log.append("three")


def test_a_missing_file_in_the_middle_stops_the_log(folder: Path) -> None:
    log = AuditLog(folder, KEY.sign, rotate_bytes=1)
    for event in ("one", "two", "three"):
        log.append(event)
    log.close()
    (folder / "audit-000002.jsonl").unlink()
    with pytest.raises(AuditError, match="one of its files is missing"):
        AuditLog(folder, KEY.sign)


def test_a_link_in_the_place_of_a_chain_file_is_not_written_through(folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    folder.mkdir()
    (folder / "audit-000001.jsonl").symlink_to(victim)
    with pytest.raises(AuditError):
        AuditLog(folder, KEY.sign).append("one")
    assert victim.read_bytes() == b""


def test_a_write_that_is_cut_short_is_taken_back(log: AuditLog, folder: Path) -> None:
    log.append("one")
    size = (folder / "audit-000001.jsonl").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
    try:
        with pytest.raises(AuditError, match="File too large"):
            log.append("two", text="x" * 500)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert (folder / "audit-000001.jsonl").stat().st_size == size
    assert log.append("three").seq == 2
    assert verify(folder, KEY.public()).ok


def test_a_head_that_cannot_be_written_takes_its_record_back(log: AuditLog, folder: Path) -> None:
    log.append("one")
    blocker = folder / ".head.json.tmp"
    blocker.mkdir()
    with pytest.raises(AuditError):
        log.append("two")
    blocker.rmdir()
    assert log.append("three").seq == 2
    assert [record["event"] for record in records(folder)] == ["one", "three"]


def test_errors_name_the_folder_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "audit").write_bytes(b"")
    with pytest.raises(AuditError) as caught:
        AuditLog(tmp_path / "audit", KEY.sign)
    assert str(tmp_path / "audit") in str(caught.value)
    assert "writable" in str(caught.value)


def test_a_log_that_was_never_written_is_empty(log: AuditLog, folder: Path) -> None:
    assert log.head == EMPTY
    assert not os.path.lexists(folder / "head.json")
