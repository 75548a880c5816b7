"""What one worker says through its own pipe before it exits: `Answer` <-> bytes."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.core.outcome import Facts, Report
from agent.core.ports import Finding
from agent.wire.errors import WireError
from agent.wire.sealing import parcel_from_json, parcel_to_json

MAX_REPORT_BYTES = 4 << 20
"""The largest report that is read. It names each sealed part in ~100 bytes, and there are at most 16,384."""
MAX_CATALOG_BYTES = 8 << 20
"""How large the catalogs are that are handed on, together: they have to fit into the next order too, in base64."""
MAX_CATALOGS = 64
_LENGTH = struct.Struct(">I")
MAX_BYTES = MAX_REPORT_BYTES + MAX_CATALOG_BYTES + (1 + MAX_CATALOGS) * _LENGTH.size
"""The largest answer that is read."""

Failure = Literal[
    "worker.isolation", "limit.memory", "limit.bytes", "spool.full", "source.unavailable", "internal.error"
]
"""The codes with which a worker may end without a sealed result."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A report, or the code of why there is none. `log` are lines for the site's log: class names and places only.

    An errand has `findings` instead of a report.
    """

    report: Report | None = None
    failed: Failure | None = None
    log: tuple[str, ...] = ()
    findings: tuple[Finding, ...] | None = None


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    parcel: dict[str, object] | None
    facts: Facts | None
    failed: Failure | None
    log: tuple[str, ...] = Field(max_length=32)
    findings: tuple[Finding, ...] | None
    catalogs: tuple[Annotated[str, Field(max_length=63)], ...] = Field(max_length=MAX_CATALOGS)


def encode(answer: Answer) -> bytes:
    """A length as u32 BE and as many bytes, again and again: the report as JSON, then the catalogs that it names.

    A catalog for which there is no room is left out: the next worker then asks the source itself. Raises ValueError for
    a report that is too large.
    """
    report = answer.report
    catalogs = {} if report is None else _fitting(report.catalogs)
    frame = _Frame(
        parcel=None if report is None else parcel_to_json(report.parcel),
        facts=None if report is None else report.facts,
        failed=answer.failed,
        log=answer.log,
        findings=answer.findings,
        catalogs=tuple(catalogs),
    )
    data = frame.model_dump_json().encode()
    if len(data) > MAX_REPORT_BYTES:
        raise ValueError("the answer is too large")
    return b"".join(_LENGTH.pack(len(piece)) + piece for piece in (data, *catalogs.values()))


def _fitting(catalogs: Mapping[str, bytes]) -> dict[str, bytes]:
    """Those that together are not too large, smaller ones first."""
    kept: dict[str, bytes] = {}
    for name, data in sorted(catalogs.items(), key=lambda item: len(item[1]))[:MAX_CATALOGS]:
        if sum(map(len, kept.values())) + len(data) <= MAX_CATALOG_BYTES:
            kept[name] = data
    return kept


def decode(data: bytes) -> Answer:
    """The reverse of `encode`. Raises ValueError, without a value in its text, on anything else, trailing bytes too."""
    said, rest = _split(data, MAX_REPORT_BYTES)
    try:
        frame = _Frame.model_validate_json(said)
        parcel = None if frame.parcel is None else parcel_from_json(frame.parcel)
    except (ValidationError, WireError):
        raise ValueError("the answer is not of its schema") from None
    if (parcel is None) != (frame.facts is None) or [parcel, frame.failed, frame.findings].count(None) != 2:  # noqa: PLR2004
        raise ValueError("the answer holds not exactly one of report, failure and findings")
    catalogs: dict[str, bytes] = {}
    for name in frame.catalogs:
        catalogs[name], rest = _split(rest, MAX_CATALOG_BYTES - sum(map(len, catalogs.values())))
    if rest or len(catalogs) < len(frame.catalogs):
        raise ValueError("the answer has bytes after its end, or a catalog twice")
    report = None if parcel is None or frame.facts is None else Report(parcel, frame.facts, catalogs)
    return Answer(report, frame.failed, frame.log, frame.findings)


def _split(data: bytes, limit: int) -> tuple[bytes, bytes]:
    """The first framed piece, and what stands behind it."""
    size = _LENGTH.unpack_from(data)[0] if len(data) >= _LENGTH.size else limit + 1
    if size > limit or len(data) < _LENGTH.size + size:
        raise ValueError("the answer is cut short, or a part of it is too large")
    return data[_LENGTH.size : _LENGTH.size + size], data[_LENGTH.size + size :]
