import errno
import io
import random
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any, BinaryIO

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.core.errors import Fault
from agent.core.outcome import Completed, Failed, Outcome, Parcel, Part, Refused
from agent.core.table import Disclosure, Masked, Tally
from agent.wire import frames, sealing
from agent.wire.errors import ResultError, WireError
from agent.wire.models import PART_BYTES, TAG_BYTES, ManifestModel
from agent.wire.sealing import (
    SealContext,
    check_parts,
    manifest,
    open_result,
    parcel_from_json,
    parcel_to_json,
    seal,
)

DISCLOSURE = Disclosure("shop", ("main.orders",), {"main.orders.name": "redact"}, 1, "ab" * 32, ("a note",))
CANARY = "canary-4711"


def masked(text: str = CANARY, form: str = "csv", rows: int = 3) -> Masked:
    table = pa.table({"name": [text] * rows})
    return Masked(table.schema, iter(table.to_batches()), DISCLOSURE, form, Tally(rows=rows, bytes=1, truncated=True))


def incompressible(size: int) -> Masked:
    text = random.Random(size).randbytes(size // 2).hex()
    return masked(text, rows=1)


class Sealed:
    """A sealed outcome with its manifest, and ways to tamper with both."""

    def __init__(self, outcome: Outcome, context: SealContext) -> None:
        sink = io.BytesIO()
        self.parcel = seal(outcome, context=context, sink=sink)
        self.data = sink.getvalue()
        self.manifest = manifest(self.parcel, audit_seq=1, audit_hash="cd" * 32)

    def pieces(self) -> list[bytes]:
        found, rest = [], self.data
        while rest:
            length = 4 + int.from_bytes(rest[:4], "big")
            found.append(rest[:length])
            rest = rest[length:]
        return found

    def arranged(self, order: list[int]) -> tuple[ManifestModel, bytes]:
        """The parts in another order, under a manifest that agrees: only the cipher can object."""
        pieces, parts = self.pieces(), self.manifest.parts
        model = self.manifest.model_copy(update={"parts": tuple(parts[i] for i in order)})
        return model, b"".join(pieces[i] for i in order)


@pytest.fixture
def context(make: ModuleType) -> SealContext:
    found: SealContext = make.context()
    return found


@pytest.fixture(scope="module")
def three(make: ModuleType) -> Sealed:
    """A result of three parts."""
    return Sealed(Completed(incompressible(2 * PART_BYTES + 100)), make.context())


# the way there and back


@pytest.mark.parametrize("form", ["arrow", "parquet", "json", "csv"])
def test_completed_rows_come_back(make: ModuleType, context: SealContext, form: str) -> None:
    sealed = Sealed(Completed(masked(form=form)), context)
    opened = open_result(sealed.manifest, io.BytesIO(sealed.data), make.ALICE_OPEN)
    media, data = opened.members[f"rows.{form}"]
    assert list(opened.members) == [f"rows.{form}"]
    assert frames.decode(media, data).column("name").to_pylist() == [CANARY] * 3
    outcome = opened.outcome
    assert (outcome.outcome, outcome.code, outcome.rows, outcome.truncated) == ("completed", "ok", 3, True)
    assert [(column.name, column.type) for column in outcome.columns] == [("name", "string")]
    assert outcome.disclosure is not None
    assert outcome.disclosure.columns == {"main.orders.name": "redact"}
    assert outcome.disclosure.notes == ("a note",)
    assert (outcome.policy.version, outcome.policy.sha256) == (1, "ab" * 32)
    assert sealed.manifest.media_types == (frames.media_type(form), "application/json")
    assert len(sealed.manifest.disclosure_sha256) == 64


@pytest.mark.parametrize(
    ("outcome", "code", "has_disclosure"),
    [
        (Refused("sql.function", "No.", "Use another."), "sql.function", False),
        (Failed("limit.wall", "Too long."), "limit.wall", False),
        (Failed("limit.rows", "Too many.", "Less.", DISCLOSURE), "limit.rows", True),
    ],
)
def test_other_outcomes_come_back(
    make: ModuleType, context: SealContext, outcome: Refused | Failed, code: str, has_disclosure: bool
) -> None:
    sealed = Sealed(outcome, context)
    opened = open_result(sealed.manifest, io.BytesIO(sealed.data), make.ALICE_OPEN)
    assert opened.members == {}
    assert (opened.outcome.code, opened.outcome.message, opened.outcome.hint) == (code, outcome.message, outcome.hint)
    assert (opened.outcome.disclosure is not None) is has_disclosure
    assert bool(sealed.manifest.disclosure_sha256) is has_disclosure
    assert sealed.manifest.outcome == type(outcome).__name__.lower()
    assert sealed.manifest.media_types == ("application/json",)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(rows=st.lists(st.none() | st.text(max_size=300), max_size=30))
def test_any_rows_come_back(make: ModuleType, rows: list[str | None]) -> None:
    table = pa.table({"name": pa.array(rows, pa.string())})
    result = Masked(table.schema, iter(table.to_batches(7)), DISCLOSURE, "arrow")
    sealed = Sealed(Completed(result), make.context())
    opened = open_result(sealed.manifest, io.BytesIO(sealed.data), make.ALICE_OPEN)
    assert frames.decode(*opened.members["rows.arrow"]).column("name").to_pylist() == rows


def test_large_results_come_in_full_parts(make: ModuleType, three: Sealed) -> None:
    assert [part.size for part in three.parcel.parts] == [PART_BYTES + TAG_BYTES] * 3
    opened = open_result(three.manifest, io.BytesIO(three.data), make.ALICE_OPEN)
    assert len(opened.members["rows.csv"][1]) == 2 * PART_BYTES + 100 + len("name\r\n\r\n")


@pytest.mark.parametrize("size", [PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES])
def test_the_last_flag_is_right_at_every_boundary(size: int) -> None:
    sink = io.BytesIO()
    sealer = sealing._Sealer("01HF7YAT00TESTVECTR0000002", sink)
    for start in range(0, size, 1_000_003):
        sealer.write(bytes(min(1_000_003, size - start)))
        assert len(sealer._buffer) <= PART_BYTES
    sealer.finish()
    assert len(sealer.parts) == -(-size // PART_BYTES)
    assert sum(part.size - TAG_BYTES for part in sealer.parts) == size


def test_more_parts_than_the_format_allows_are_a_fault(monkeypatch: pytest.MonkeyPatch, context: SealContext) -> None:
    monkeypatch.setattr(sealing, "MAX_PARTS", 1)
    with pytest.raises(Fault) as caught:
        seal(Completed(incompressible(PART_BYTES)), context=context, sink=io.BytesIO())
    assert caught.value.code == "limit.bytes"


# what others may see


def test_nothing_readable_is_outside_the_seal(context: SealContext) -> None:
    for outcome in (
        Completed(masked(form="csv")),
        Refused("sql.function", CANARY, CANARY),
        Failed("source.error", CANARY),
    ):
        sealed = Sealed(outcome, context)
        for seen in (sealed.data, repr(sealed.parcel).encode(), sealed.manifest.model_dump_json().encode()):
            for secret in (CANARY, "name", "orders", "a note", "redact"):
                assert secret.encode() not in seen


@pytest.mark.parametrize("words", [1, 10, 40])
def test_refusals_of_different_lengths_look_alike(context: SealContext, words: int) -> None:
    sealed = Sealed(Refused("sql.function", "word " * words), context)
    assert [part.size for part in sealed.parcel.parts] == [1024 + TAG_BYTES]


def test_every_seal_has_a_key_of_its_own(monkeypatch: pytest.MonkeyPatch, context: SealContext) -> None:
    keys: list[bytes] = []
    generate = AESGCM.generate_key

    def remember(bits: int) -> bytes:
        keys.append(generate(bits))
        return keys[-1]

    monkeypatch.setattr(sealing.AESGCM, "generate_key", remember)
    first = Sealed(Failed("source.error", "x"), context)
    again = Sealed(Failed("source.error", "x"), context)
    assert len(set(keys)) == 2
    assert first.data != again.data
    assert first.parcel.sealed_key != again.parcel.sealed_key
    for sealed in (first, again):
        for key in keys:
            assert key not in sealed.data + sealed.parcel.sealed_key


# who may open what


def test_another_key_cannot_open(make: ModuleType, context: SealContext) -> None:
    sealed = Sealed(Completed(masked()), context)
    with pytest.raises(ResultError, match="another key"):
        open_result(sealed.manifest, io.BytesIO(sealed.data), make.BOB_OPEN)
    claimed = sealed.manifest.model_copy(update={"recipient": make.BOB_OPEN.kid})
    with pytest.raises(ResultError, match="cannot be opened"):
        open_result(claimed, io.BytesIO(sealed.data), make.BOB_OPEN)


def test_a_result_opens_for_the_job_that_was_sent(make: ModuleType, context: SealContext) -> None:
    sealed = Sealed(Completed(masked()), context)
    assert open_result(sealed.manifest, io.BytesIO(sealed.data), make.ALICE_OPEN, job_digest=context.job_digest)
    with pytest.raises(ResultError, match="another job"):
        open_result(sealed.manifest, io.BytesIO(sealed.data), make.ALICE_OPEN, job_digest="0" * 64)


@pytest.mark.parametrize("change", [{"job_digest": "0" * 64}, {"result_id": "01HF7YAT00TESTVECTR0000009"}])
def test_the_content_key_is_bound_to_job_and_result(
    make: ModuleType, context: SealContext, change: dict[str, str]
) -> None:
    sealed = Sealed(Completed(masked()), context)
    moved = sealed.manifest.model_copy(update=change)
    with pytest.raises(ResultError, match="cannot be opened"):
        open_result(moved, io.BytesIO(sealed.data), make.ALICE_OPEN)


def test_results_of_two_jobs_cannot_be_swapped(make: ModuleType, context: SealContext) -> None:
    one = Sealed(Completed(masked("one")), context)
    two = Sealed(Completed(masked("two")), replace(context, job_id="01HF7YAT00TESTVECTR0000005", job_digest="1" * 64))
    third = Sealed(Completed(masked("three")), context)
    for other in (two, third):
        with pytest.raises(ResultError, match="changed"):
            open_result(one.manifest, io.BytesIO(other.data), make.ALICE_OPEN)
        swapped = one.manifest.model_copy(update={"parts": other.manifest.parts})
        with pytest.raises(ResultError, match="does not belong"):
            open_result(swapped, io.BytesIO(other.data), make.ALICE_OPEN)
        keyed = swapped.model_copy(update={"sealed_key": other.manifest.sealed_key})
        if other is two:
            with pytest.raises(ResultError, match="cannot be opened"):
                open_result(keyed, io.BytesIO(other.data), make.ALICE_OPEN)


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "failed"},
        {"code": "sql.node"},
        {"disclosure_sha256": ""},
        {"disclosure_sha256": "0" * 64},
        {"policy_version": 2},
        {"policy_sha256": "00" * 32},
        {"media_types": ("application/json",)},
        {"media_types": ("text/csv", "text/csv")},
    ],
)
def test_a_manifest_that_contradicts_the_content_is_refused(
    make: ModuleType, context: SealContext, change: dict[str, Any]
) -> None:
    sealed = Sealed(Completed(masked()), context)
    with pytest.raises(ResultError, match="contradict"):
        open_result(sealed.manifest.model_copy(update=change), io.BytesIO(sealed.data), make.ALICE_OPEN)


# parts


def refused(model: ManifestModel, data: bytes, key: Any) -> str:
    with pytest.raises(ResultError) as caught:
        open_result(model, io.BytesIO(data), key)
    return str(caught.value)


@pytest.mark.parametrize(
    "order", [[1, 0, 2], [0, 2, 1], [2, 1, 0], [0, 1], [0], [1, 2], [2], [0, 0, 2], [0, 1, 2, 2], [0, 1, 1, 2]]
)
def test_parts_in_another_order_are_refused_even_by_a_manifest_that_agrees(
    make: ModuleType, three: Sealed, order: list[int]
) -> None:
    model, data = three.arranged(order)
    assert "does not belong" in refused(model, data, make.ALICE_OPEN)
    assert refused(three.manifest, data, make.ALICE_OPEN)


def test_parts_of_another_result_do_not_fit_in(make: ModuleType, three: Sealed) -> None:
    other = Sealed(Completed(incompressible(2 * PART_BYTES + 100)), make.context())
    parts = (three.manifest.parts[0], other.manifest.parts[1], three.manifest.parts[2])
    mixed = three.manifest.model_copy(update={"parts": parts})
    data = three.pieces()[0] + other.pieces()[1] + three.pieces()[2]
    assert "part 1 does not belong" in refused(mixed, data, make.ALICE_OPEN)


def test_cut_and_lengthened_parts_are_refused(make: ModuleType, three: Sealed) -> None:
    whole, piece = three.data, len(three.data) // 3
    for cut in (0, 3, 4, 5, piece - 1, piece, piece + 3, 2 * piece, len(whole) - 1):
        assert "part" in refused(three.manifest, whole[:cut], make.ALICE_OPEN)
    for more in (b"\x00", b"\x00" * 4, three.pieces()[2]):
        assert "after the last part" in refused(three.manifest, whole + more, make.ALICE_OPEN)


def test_every_flipped_byte_of_a_part_is_refused(make: ModuleType, context: SealContext) -> None:
    sealed = Sealed(Failed("source.error", "x"), context)
    for place in range(len(sealed.data)):
        changed = bytearray(sealed.data)
        changed[place] ^= 1
        with pytest.raises(ResultError):
            open_result(sealed.manifest, io.BytesIO(bytes(changed)), make.ALICE_OPEN)


def test_every_flipped_byte_of_a_part_is_refused_by_the_cipher_too(make: ModuleType, context: SealContext) -> None:
    sealed = Sealed(Failed("source.error", "x"), context)
    for place in range(4, len(sealed.data), 7):
        changed = bytearray(sealed.data)
        changed[place] ^= 1
        digest = sealing.sha256(changed[4:]).hexdigest()
        parts = (sealed.manifest.parts[0].model_copy(update={"sha256": digest}),)
        agreeing = sealed.manifest.model_copy(update={"parts": parts})
        assert "does not belong" in refused(agreeing, bytes(changed), make.ALICE_OPEN)


def test_content_that_is_no_outcome_is_refused(make: ModuleType, context: SealContext) -> None:
    """A worker that lies can seal anything; the opener still reads nothing but the format."""
    for plain in (b"\x00" * 1024, b"\xff" * 1024, b"{}".ljust(1024, b"\x00")):
        sink = io.BytesIO()
        sealer = sealing._Sealer(context.result_id, sink)
        sealer.write(plain)
        sealer.finish()
        sealed_key = sealing._SUITE.encrypt(
            sealer.key, context.recipient.handle, info=sealing._info(context.result_id, context.job_digest)
        )
        honest = Sealed(Failed("source.error", "x"), context)
        parcel = replace(honest.parcel, parts=tuple(sealer.parts), sealed_key=sealed_key)
        with pytest.raises(ResultError):
            open_result(
                manifest(parcel, audit_seq=1, audit_hash="cd" * 32), io.BytesIO(sink.getvalue()), make.ALICE_OPEN
            )


# check_parts: what the service can check without a key


def test_the_service_can_check_the_parts(three: Sealed) -> None:
    check_parts(three.parcel.parts, io.BytesIO(three.data))
    wrong = [three.data[:-1], three.data + b"x", b"", three.data[1:], b"".join(reversed(three.pieces()))]
    for data in wrong:
        with pytest.raises(ResultError):
            check_parts(three.parcel.parts, io.BytesIO(data))
    with pytest.raises(ResultError):
        check_parts(three.parcel.parts[:2], io.BytesIO(three.data))
    with pytest.raises(ResultError):
        check_parts([*three.parcel.parts, Part(three.parcel.parts[0].sha256, 1)], io.BytesIO(three.data))


# streams


class Dribble(io.RawIOBase):
    """An unbuffered stream that takes and gives a few bytes at a time."""

    def __init__(self, data: bytes = b"") -> None:
        self.inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self.inner.read(min(len(buffer), 777))
        buffer[: len(piece)] = piece
        return len(piece)

    def write(self, data: Any) -> int:
        return self.inner.write(bytes(data)[:777])


def test_short_reads_and_writes_are_made_whole(make: ModuleType, context: SealContext) -> None:
    sink = Dribble()
    parcel = seal(Completed(masked(rows=500)), context=context, sink=sink)  # type: ignore[arg-type]
    model = manifest(parcel, audit_seq=1, audit_hash="cd" * 32)
    source: BinaryIO = Dribble(sink.inner.getvalue())  # type: ignore[assignment]
    assert open_result(model, source, make.ALICE_OPEN).outcome.code == "ok"


def test_a_full_disk_comes_out_as_it_is(context: SealContext) -> None:
    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "no space")

    with pytest.raises(OSError, match="no space"):
        seal(Completed(masked()), context=context, sink=Full())


def test_a_fault_of_the_rows_comes_out_and_a_second_seal_is_whole(make: ModuleType, context: SealContext) -> None:
    schema = pa.schema([("name", pa.string())])
    fault = Fault("limit.rows", "too many")

    def batches() -> Iterator[Any]:
        yield pa.record_batch({"name": [random.Random(1).randbytes(3 * PART_BYTES).hex()]})
        raise fault

    sink = io.BytesIO()
    with pytest.raises(Fault) as caught:
        seal(Completed(Masked(schema, batches(), DISCLOSURE, "arrow")), context=context, sink=sink)
    assert caught.value is fault
    assert sink.tell() > PART_BYTES
    sink.seek(0)
    sink.truncate()
    parcel = seal(Failed("limit.rows", "too many"), context=context, sink=sink)
    model = manifest(parcel, audit_seq=1, audit_hash="cd" * 32)
    assert open_result(model, io.BytesIO(sink.getvalue()), make.ALICE_OPEN).outcome.code == "limit.rows"


# parcels between worker and service


def test_a_parcel_survives_the_pipe(three: Sealed) -> None:
    assert parcel_from_json(parcel_to_json(three.parcel)) == three.parcel


@pytest.mark.parametrize(
    "change",
    [
        {"parts": []},
        {"attempt": 0},
        {"outcome": "rejected"},
        {"sealed_key": "B" * 107},
        {"sealed_key": 1},
        {"note": 1},
        {"job_id": "../x"},
        {"code": "A"},
        {"recipient": ""},
    ],
)
def test_a_parcel_of_a_worker_gone_wrong_is_refused(three: Sealed, change: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        parcel_from_json({**parcel_to_json(three.parcel), **change})
    with pytest.raises(WireError):
        parcel_from_json([])


def test_the_manifest_holds_the_whole_parcel(three: Sealed) -> None:
    model = three.manifest.model_dump(mode="json")
    assert model.pop("audit_head") == {"seq": 1, "hash": "cd" * 32}
    assert model == parcel_to_json(three.parcel)
    assert set(model) == set(Parcel.__dataclass_fields__)


def test_a_result_beyond_its_cap_is_ended(context: SealContext) -> None:
    capped = replace(context, max_bytes=1024)
    with pytest.raises(Fault) as caught:
        seal(Refused("sql.parse", "x" * 5000), context=capped, sink=io.BytesIO())
    assert caught.value.code == "limit.bytes"
