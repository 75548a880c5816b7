"""(stream, seq) of settled jobs -> which jobs of a stream never came. Reported, never blocking."""

import os
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

from agent.core.errors import AgentError
from agent.core.ports import Rejection
from agent.transport._files import read_once
from agent.wire import jws, strictjson
from agent.wire.keys import decode_base64url

WINDOW = 1000
"""How far behind the newest number of a stream a gap is still reported."""

_MAX_STREAMS = 256
_MAX_ARCHIVE = 2000
_MAX_RECORD_BYTES = 4096
_MAX_BYTES = 2 * 1024 * 1024
_KEPT = ("id", "tenant", "stream", "seq", "issued", "not_before", "expires", "result_until")


def headers(envelope: bytes) -> dict[str, object]:
    """What an archive keeps of a job: its signer, place and times; no task. Unverified, empty when unreadable."""
    try:
        header, payload, _ = jws.split(envelope, _MAX_BYTES)
        signer = strictjson.loads(decode_base64url(header.decode("ascii")), _MAX_BYTES)
        claims = strictjson.loads(decode_base64url(payload.decode("ascii")), _MAX_BYTES)
    except ValueError:
        return {}
    if not isinstance(signer, dict) or not isinstance(claims, dict):
        return {}
    kept = {name: claims[name] for name in _KEPT if isinstance(claims.get(name), str | int | float)}
    return {"kid": str(signer.get("kid")), **kept}


def number_of(record: object) -> tuple[str, int] | None:
    """The job's place in its stream, when it has one."""
    match record:
        case {"stream": str() as stream, "seq": int() as number} if number >= 0:
            return stream, number
        case _:
            return None


@dataclass(slots=True)
class _Stream:
    first: int
    last: int
    seen: set[int]


class Streams:
    """The numbers seen lately, per stream; the streams used least recently are forgotten. Not thread safe."""

    def __init__(self) -> None:
        """Nothing seen."""
        self._streams: OrderedDict[str, _Stream] = OrderedDict()

    def saw(self, place: tuple[str, int] | None) -> None:
        """A job with this place was settled."""
        if place is None:
            return
        name, number = place
        stream = self._streams.setdefault(name, _Stream(number, number, set()))
        self._streams.move_to_end(name)
        stream.first, stream.last = min(stream.first, number), max(stream.last, number)
        stream.first = max(stream.first, stream.last - WINDOW)
        stream.seen.add(number)
        if len(stream.seen) > 2 * WINDOW:
            stream.seen = {seen for seen in stream.seen if seen >= stream.first}
        if len(self._streams) > _MAX_STREAMS:
            self._streams.popitem(last=False)

    def gaps(self, held: Collection[tuple[str, int] | None]) -> tuple[str, ...]:
        """A sentence for each stream in which a number is neither settled nor among `held`."""
        sentences = []
        for name, stream in self._streams.items():
            numbers = range(stream.first, stream.last + 1)
            missing = [n for n in numbers if n not in stream.seen and (name, n) not in held]
            if missing:
                sentences.append(
                    f"In the stream {name!r} {len(missing)} of the jobs {stream.first} to {stream.last} never came, "
                    f"first {missing[0]}. Fix: look for it in failed/, or have it sent again as a new job."
                )
        return tuple(sentences)


def read_archive(folder: int) -> list[tuple[str, int]]:
    """The places of the jobs archived last (at most 2,000), by the names of their records."""
    names = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(".json"))
    places = (number_of(_record(name, folder)) for name in names[-_MAX_ARCHIVE:])
    return [place for place in places if place is not None]


def _record(name: str, folder: int) -> object:
    try:
        data = read_once(name, folder)
        return None if data is None or isinstance(data, Rejection) else strictjson.loads(data, _MAX_RECORD_BYTES)
    except (OSError, ValueError, AgentError):
        return None
