import json
import struct
from dataclasses import asdict, replace

import pytest

from agent.core.outcome import Facts, Parcel, Part, Report
from agent.sandbox.answer import MAX_CATALOG_BYTES, MAX_REPORT_BYTES, Answer, decode, encode

SHA = "0" * 64
PARCEL = Parcel(
    job_id="01ARZ3NDEKTSV4RRFFQ69G5FAV",
    job_digest=SHA,
    result_id="01ARZ3NDEKTSV4RRFFQ69G5FAV",
    attempt=1,
    outcome="completed",
    code="ok",
    media_types=("application/json",),
    parts=(Part(SHA, 1040),),
    policy_version=1,
    policy_sha256="",
    isolation="landlock7+seccomp",
    disclosure_sha256="",
    recipient="A" * 43,
    sealed_key=bytes(range(80)),
)
REPORT = Report(PARCEL, Facts(statement="select ?", relations=("main.t",), rows=3, engine_seconds=0.5))


def framed(value: object) -> bytes:
    data = json.dumps(value).encode()
    return struct.pack(">I", len(data)) + data


def plain(answer: Answer) -> dict:
    data = encode(answer)
    return json.loads(data[4 : 4 + struct.unpack_from(">I", data)[0]])


WITH_CATALOG = replace(REPORT, catalogs={"shop": b"\0opaque\xff", "ledger": b"x"})


@pytest.mark.parametrize(
    "answer",
    [Answer(report=REPORT), Answer(report=WITH_CATALOG), Answer(failed="worker.isolation", log=("a", "b"))],
)
def test_an_answer_survives(answer: Answer) -> None:
    assert decode(encode(answer)) == answer


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0",
        encode(Answer(report=REPORT))[:-1],
        encode(Answer(report=REPORT)) + b"x",
        encode(Answer(report=WITH_CATALOG))[:-1],
        encode(Answer(report=WITH_CATALOG)) + b"x",
        framed(plain(Answer(report=REPORT)) | {"catalogs": ["shop"]})
        + struct.pack(">I", MAX_CATALOG_BYTES + 1)
        + bytes(MAX_CATALOG_BYTES + 1),
        framed(plain(Answer(report=REPORT)) | {"catalogs": ["shop", "shop"]}) + struct.pack(">I", 0) * 2,
        framed(plain(Answer(report=REPORT)) | {"catalogs": ["shop"]}),
        struct.pack(">I", MAX_REPORT_BYTES + 1) + bytes(MAX_REPORT_BYTES + 5),
        framed([]),
        b"\0\0\0\1{",
    ],
)
def test_what_is_cut_or_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="the answer"):
        decode(data)


def test_a_catalog_that_is_too_large_is_not_handed_on() -> None:
    largest = replace(REPORT, catalogs={"shop": bytes(MAX_CATALOG_BYTES)})
    assert decode(encode(Answer(report=largest))).report == largest
    assert (
        decode(encode(Answer(report=replace(REPORT, catalogs={"shop": bytes(MAX_CATALOG_BYTES + 1)})))).report == REPORT
    )


@pytest.mark.parametrize(
    "change",
    [
        {"parcel": None, "facts": None},
        {"facts": None},
        {"failed": "internal.error"},
        {"failed": "ok"},
        {"extra": 1},
        {"log": ["x"] * 33},
        {"facts": asdict(REPORT.facts) | {"rows": "3"}},
        {"facts": asdict(REPORT.facts) | {"extra": 1}},
    ],
)
def test_a_contradiction_or_an_unknown_field_is_refused(change: dict) -> None:
    with pytest.raises(ValueError, match="the answer"):
        decode(framed(plain(Answer(report=REPORT)) | change))


@pytest.mark.parametrize("change", [{"attempt": 0}, {"outcome": "fine"}, {"parts": []}, {"result_id": "../x"}])
def test_a_parcel_out_of_bounds_is_refused_without_its_values(change: dict) -> None:
    value = plain(Answer(report=REPORT))
    value["parcel"] |= change
    with pytest.raises(ValueError, match="not of its schema") as caught:
        decode(framed(value))
    assert "../x" not in str(caught.value)
