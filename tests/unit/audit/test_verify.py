import shutil
import threading
from pathlib import Path

import pytest

from agent.audit.log import AuditLog
from agent.audit.records import check, render
from agent.audit.verify import verify
from agent.wire.keys import SigningKey

KEY = SigningKey.generate()
PUBLIC = KEY.public()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    log = AuditLog(tmp_path / "audit", KEY.sign, rotate_bytes=200)
    for number in range(4):
        log.append("event", number=number, text="ü")
    log.close()
    return tmp_path / "audit"


def chain(folder: Path) -> list[Path]:
    return sorted(folder.glob("audit-*.jsonl"))


def test_a_whole_chain_verifies(folder: Path) -> None:
    verdict = verify(folder, PUBLIC)
    assert (verdict.ok, verdict.records, verdict.problems) == (True, 4, ())


def test_any_changed_byte_is_found(folder: Path) -> None:
    for path in [*chain(folder), folder / "head.json"]:
        data = path.read_bytes()
        for position in range(len(data)):
            changed = bytearray(data)
            changed[position] ^= (1, 0x20, 0x80)[position % 3]
            path.write_bytes(changed)
            assert not verify(folder, PUBLIC).ok, (path.name, position)
        path.write_bytes(data)
    assert verify(folder, PUBLIC).ok


def test_any_removed_or_added_byte_is_found(folder: Path) -> None:
    for path in [*chain(folder), folder / "head.json"]:
        data = path.read_bytes()
        for position in range(0, len(data) + 1, 7):
            for changed in (data[:position] + data[position + 1 :], data[:position] + b" " + data[position:]):
                if changed != data:
                    path.write_bytes(changed)
                    assert not verify(folder, PUBLIC).ok, (path.name, position)
        path.write_bytes(data)


def test_a_cut_off_end_is_found(folder: Path) -> None:
    chain(folder)[-1].unlink()
    verdict = verify(folder, PUBLIC)
    assert not verdict.ok
    assert "cut off" in verdict.problems[0]


@pytest.mark.parametrize("index", [0, 1])
def test_a_missing_file_is_named(folder: Path, index: int) -> None:
    missing = chain(folder)[index]
    missing.unlink()
    assert f"{missing.name} is missing" in verify(folder, PUBLIC).problems


def test_swapped_records_are_found(folder: Path) -> None:
    first, second = chain(folder)[:2]
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    assert not verify(folder, PUBLIC).ok


def test_a_record_that_was_added_with_a_right_hash_is_found(folder: Path) -> None:
    head = (folder / "head.json").read_bytes()
    log = AuditLog(folder, KEY.sign)
    log.append("forged")
    log.close()
    (folder / "head.json").write_bytes(head)
    verdict = verify(folder, PUBLIC)
    assert not verdict.ok
    assert "or a record was added" in verdict.problems[0]


def test_a_record_that_was_forged_with_a_right_hash_of_its_own_is_found(folder: Path) -> None:
    first, second = chain(folder)[:2]
    found = check(first.read_bytes())
    assert found is not None
    line, _ = render(found[0], 0.0, "event", {"number": 99})
    second.write_bytes(line)
    verdict = verify(folder, PUBLIC)
    assert not verdict.ok
    assert "does not go on with record 3" in verdict.problems[0]


def test_a_chain_that_was_written_anew_needs_the_key(folder: Path) -> None:
    shutil.rmtree(folder)
    forger = SigningKey.generate()
    log = AuditLog(folder, forger.sign)
    log.append("event")
    log.close()
    assert verify(folder, PUBLIC).problems == ("the signature of head.json is not this agent's",)


def test_a_signed_head_is_not_taken_on_trust(folder: Path) -> None:
    assert verify(folder, None).problems == ("head.json is signed: give the key",)


def test_an_unsigned_head_does_not_pass_where_a_key_is_known(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, None)
    log.append("event")
    log.close()
    assert verify(tmp_path, PUBLIC).problems == ("head.json is not signed",)


def test_an_empty_or_missing_folder_does_not_verify(tmp_path: Path) -> None:
    assert not verify(tmp_path, PUBLIC).ok
    assert not verify(tmp_path / "missing", PUBLIC).ok


def test_a_torn_tail_is_reported(folder: Path) -> None:
    with chain(folder)[-1].open("ab") as file:
        file.write(b'{"seq":')
    assert "torn" in verify(folder, PUBLIC).problems[0]


def test_a_copy_without_its_lock_verifies(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in [*chain(folder), folder / "head.json"]:
        shutil.copy(path, copy)
    assert verify(copy, PUBLIC).ok


def test_a_chain_verifies_while_it_is_written(tmp_path: Path) -> None:
    log = AuditLog.exclusive(tmp_path, KEY.sign, rotate_bytes=3000)
    log.append("first")
    done = threading.Event()

    def write() -> None:
        for number in range(60):
            log.append("event", number=number)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    verdicts = []
    while not done.is_set():
        verdicts.append(verify(tmp_path, PUBLIC))
    thread.join()
    log.close()
    assert verdicts
    assert all(verdict.ok for verdict in verdicts), [verdict.problems for verdict in verdicts if not verdict.ok]
