"""Fields <-> the exact bytes of one line of the chain, and of head.json. Pure."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

GENESIS: Final = "0" * 64
MAX_LINE_BYTES: Final = 1024 * 1024
HEAD_FILE: Final = "head.json"
LOCK_FILE: Final = "lock"
FILE_NAME = re.compile(r"audit-([0-9]{6})\.jsonl", re.ASCII)

RESERVED = frozenset({"seq", "time", "prev", "event", "hash"})
_LINE = re.compile(
    rb'\{"seq":(?P<seq>[1-9][0-9]{0,17}),"time":"[0-9TZ:.-]{20,30}","prev":"(?P<prev>[0-9a-f]{64})","event":'
    rb'[^\n]*(?P<suffix>,"hash":"(?P<hash>[0-9a-f]{64})")\}\n'
)
_HEAD_CONTEXT = b"meridyen-audit-head+v1\x00"


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: number of the last record (0 before the first) and its hash."""

    seq: int
    hash: str


EMPTY: Final = Head(0, GENESIS)


def file_name(number: int) -> str:
    """Name of the chain's file `number`, from 1."""
    return f"audit-{number:06d}.jsonl"


def render(head: Head, now: float, event: str, fields: Mapping[str, object]) -> tuple[bytes, Head]:
    """The line that follows `head`, with its newline, and the new head. `now` in Unix seconds.

    hash = SHA-256(prev in hex, then the line without `,"hash":"..."` and newline). Raises ValueError or TypeError for
    fields that are not JSON, reserved, or larger than 1 MiB together.
    """
    if RESERVED & fields.keys():
        raise ValueError("a field has a reserved name")
    time = datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    members = {"seq": head.seq + 1, "time": time, "prev": head.hash, "event": event, **fields}
    body = json.dumps(members, allow_nan=False, separators=(",", ":")).encode("ascii")
    if len(body) > MAX_LINE_BYTES - 128:
        raise ValueError("the record is larger than 1 MiB")
    digest = _digest(head.hash.encode("ascii"), body)
    return body[:-1] + f',"hash":"{digest}"}}\n'.encode("ascii"), Head(head.seq + 1, digest)


def check(line: bytes) -> tuple[Head, str] | None:
    """The head that a whole line makes and the hash it follows; None unless every byte is as `render` wrote it."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    body = line[: found.start("suffix")] + b"}"
    if _digest(found["prev"], body) != found["hash"].decode("ascii"):
        return None
    return Head(int(found["seq"]), found["hash"].decode("ascii")), found["prev"].decode("ascii")


def head_message(head: Head) -> bytes:
    """What is signed for a head. The prefix keeps it apart from everything else that the key signs."""
    return _HEAD_CONTEXT + f"{head.seq}:{head.hash}".encode("ascii")


def render_head(head: Head, sign: Callable[[bytes], bytes] | None) -> bytes:
    """The exact bytes of head.json; `signature` is base64url, or null without a key."""
    signature = None if sign is None else _text(sign(head_message(head)))
    return json.dumps({"seq": head.seq, "hash": head.hash, "signature": signature}).encode("ascii") + b"\n"


def parse_head(data: bytes) -> tuple[Head, bytes | None] | None:
    """Head and signature; None unless every byte is as `render_head` wrote it."""
    try:
        members = json.loads(data)
        head = Head(int(members["seq"]), str(members["hash"]))
        text = members["signature"]
        signature = None if text is None else base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        made = render_head(head, None if signature is None else lambda _: signature)
    except (ValueError, KeyError, TypeError):
        return None
    return (head, signature) if made == data else None


def _digest(prev: bytes, body: bytes) -> str:
    return sha256(prev + body).hexdigest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
