"""An audit folder -> whether every byte of its chain and head is as it was written. Reads only."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.audit.lock import hold
from agent.audit.records import (
    EMPTY,
    FILE_NAME,
    HEAD_FILE,
    LOCK_FILE,
    MAX_LINE_BYTES,
    Head,
    check,
    file_name,
    head_message,
    parse_head,
)
from agent.wire.keys import VerifyKey

_MAX_HEAD_BYTES = 4096
_MAX_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found. `records` that verified in order, and the `head` they lead to."""

    ok: bool
    records: int
    head: Head
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The chain at one moment: sizes of its files by name, and the bytes of head.json."""

    sizes: dict[str, int]
    head: bytes | None


def verify(folder: Path, key: VerifyKey | None) -> Verdict:
    """Check the whole chain, while it may be written to. `key` is the agent's result key; None for an unsigned chain.

    A signed head without a key to check it by is a problem: nothing is taken on trust. A folder without any record
    is one as well. Raises nothing.
    """
    try:
        snapshot = _snapshot(folder)
    except OSError as error:
        return Verdict(ok=False, records=0, head=EMPTY, problems=(f"{folder} cannot be read: {error.strerror}",))
    problems = _missing(snapshot)
    head = EMPTY
    for name in sorted(snapshot.sizes):
        head, found = _check_file(folder / name, snapshot.sizes[name], head)
        if found is not None:
            problems.append(found)
            break
    else:
        problems += _check_head(snapshot.head, head, key)
    return Verdict(ok=not problems, records=head.seq, head=head, problems=tuple(problems[:_MAX_PROBLEMS]))


def _snapshot(folder: Path) -> _Snapshot:
    with _no_record_half_done(folder):
        sizes = {path.name: path.stat().st_size for path in folder.iterdir() if FILE_NAME.fullmatch(path.name)}
        head = None
        with contextlib.suppress(FileNotFoundError), (folder / HEAD_FILE).open("rb") as file:
            head = file.read(_MAX_HEAD_BYTES)
    return _Snapshot(sizes, head)


@contextmanager
def _no_record_half_done(folder: Path) -> Iterator[None]:
    """Keep writers out for a moment. A copy of a folder has no lock, and no writer."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        hold(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def _missing(snapshot: _Snapshot) -> list[str]:
    expected = [file_name(number) for number in range(1, len(snapshot.sizes) + 1)]
    if not expected:
        return ["there is no record; a folder that once had some was emptied"]
    return [f"{name} is missing" for name in expected if name not in snapshot.sizes]


def _check_file(path: Path, size: int, head: Head) -> tuple[Head, str | None]:
    """The head after the file's first `size` bytes, and the first problem."""
    left = size
    try:
        with path.open("rb") as file:
            while left:
                line = file.readline(min(left, MAX_LINE_BYTES))
                found = check(line)
                if found is None:
                    torn = "ends in a torn record" if not line.endswith(b"\n") else "was changed"
                    return head, f"{path.name} {torn} behind record {head.seq}"
                following, prev = found
                if following.seq != head.seq + 1 or prev != head.hash:
                    return head, f"{path.name} does not go on with record {head.seq + 1}: records were removed or added"
                head = following
                left -= len(line)
    except OSError as error:
        return head, f"{path.name} cannot be read: {error.strerror}"
    return head, None


def _check_head(data: bytes | None, head: Head, key: VerifyKey | None) -> list[str]:
    if data is None:
        return [f"{HEAD_FILE} is missing"]
    parsed = parse_head(data)
    if parsed is None:
        return [f"{HEAD_FILE} was changed"]
    written, signature = parsed
    problems = []
    if written.seq > head.seq:
        problems.append(f"records {head.seq + 1} to {written.seq} were cut off")
    elif written != head:
        problems.append(
            f"{HEAD_FILE} ends at record {written.seq}, the chain at {head.seq}: the writer was killed in between "
            "(its next start records that), or a record was added"
        )
    if (signature is None) != (key is None):
        problems.append(f"{HEAD_FILE} is not signed" if signature is None else f"{HEAD_FILE} is signed: give the key")
    elif signature is not None and key is not None and not key.verify(signature, head_message(written)):
        problems.append(f"the signature of {HEAD_FILE} is not this agent's")
    return problems
