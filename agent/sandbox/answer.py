"""What one worker says through its own pipe before it exits: `Answer` <-> bytes."""

import struct
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.core.outcome import Facts, Report
from agent.wire.errors import WireError
from agent.wire.sealing import parcel_from_json, parcel_to_json

MAX_BYTES = 4 << 20
"""The largest answer that is read. A report names each sealed part in ~100 bytes, and there are at most 16,384."""
_LENGTH = struct.Struct(">I")

Failure = Literal["worker.isolation", "limit.memory", "limit.bytes", "spool.full", "internal.error"]
"""The codes with which a worker may end without a sealed result."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A report, or the code of why there is none. `log` are lines for the site's log: class names and places only."""

    report: Report | None = None
    failed: Failure | None = None
    log: tuple[str, ...] = ()


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    parcel: dict[str, object] | None
    facts: Facts | None
    failed: Failure | None
    log: tuple[str, ...] = Field(max_length=32)


def encode(answer: Answer) -> bytes:
    """Its length as u32 BE, then JSON."""
    report = answer.report
    frame = _Frame(
        parcel=None if report is None else parcel_to_json(report.parcel),
        facts=None if report is None else report.facts,
        failed=answer.failed,
        log=answer.log,
    )
    data = frame.model_dump_json().encode()
    return _LENGTH.pack(len(data)) + data


def decode(data: bytes) -> Answer:
    """The reverse of `encode`. Raises ValueError, without a value in its text, on anything else, trailing bytes too."""
    if len(data) < _LENGTH.size or _LENGTH.unpack_from(data)[0] != len(data) - _LENGTH.size:
        raise ValueError("the answer is cut short or has bytes after its end")
    try:
        frame = _Frame.model_validate_json(data[_LENGTH.size :])
        parcel = None if frame.parcel is None else parcel_from_json(frame.parcel)
    except (ValidationError, WireError):
        raise ValueError("the answer is not of its schema") from None
    if (parcel is None) != (frame.facts is None) or (parcel is None) == (frame.failed is None):
        raise ValueError("the answer holds not exactly one of report and failure")
    report = None if parcel is None or frame.facts is None else Report(parcel, frame.facts)
    return Answer(report, frame.failed, frame.log)
