"""The frame of an answer: every allowed table comes through, everything else is refused, and nothing crashes."""

import datetime as dt
import decimal
import os
import random
import struct

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.sandbox.exchange import stream

COLUMNS = {
    "bool": pa.array([True, None, False]),
    "int8": pa.array([1, None, -128], pa.int8()),
    "uint64": pa.array([2**64 - 1, 0, None], pa.uint64()),
    "half": pa.array([1.5, None, 0.0], pa.float16()),
    "double": pa.array([float("nan"), float("-inf"), None]),
    "decimal": pa.array([decimal.Decimal("1.23"), None, decimal.Decimal("-9.99")]),
    "wide": pa.array([decimal.Decimal(10) ** 50, None, None], pa.decimal256(60, 2)),
    "text": pa.array(["", "ä\0", None]),
    "large": pa.array(["x", None, "y"], pa.large_string()),
    "bytes": pa.array([b"", b"\xff", None]),
    "date": pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31), None]),
    "time": pa.array([dt.time(23, 59, 59, 999999), None, dt.time()]),
    "stamp": pa.array([0, None, 2**62], pa.timestamp("ns")),
    "zoned": pa.array([0, None, 1], pa.timestamp("us", "Europe/Vienna")),
    "offset": pa.array([0, None, 1], pa.timestamp("s", "+05:30")),
    "span": pa.array([0, None, -1], pa.duration("ms")),
    "list": pa.array([[1, None], None, []]),
    "struct": pa.array([{"a": 1, "b": ["x"]}, None, {"a": None, "b": None}]),
    "deep": pa.array([[[[[1]]]], None, [[[[]]]]]),
}
WHOLE = pa.table(COLUMNS)


def ipc(table: pa.Table, **options: object) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("name", COLUMNS)
def test_every_allowed_type_comes_through(name: str) -> None:
    table = WHOLE.select([name])
    assert str(stream.read(stream.write(table), 3).to_pydict()) == str(table.to_pydict())


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
            st.one_of(st.none(), st.text()),
            st.one_of(st.none(), st.floats()),
            st.one_of(st.none(), st.datetimes()),
            st.one_of(st.none(), st.lists(st.binary(max_size=5), max_size=3)),
        ),
        max_size=20,
    )
)
@settings(max_examples=30, deadline=None)
def test_any_rows_come_through(rows: list[tuple[object, ...]]) -> None:
    kinds = (pa.int64(), pa.string(), pa.float64(), pa.timestamp("us"), pa.list_(pa.binary()))
    columns = list(zip(*rows, strict=True)) or [()] * len(kinds)
    table = pa.table([pa.array(c, k) for c, k in zip(columns, kinds, strict=True)], names=list("abcde"))
    assert stream.read(stream.write(table), len(rows)).equals(table, check_metadata=True) or "nan" in str(rows)


def field(kind: pa.DataType) -> pa.Table:
    return pa.table([pa.array([None], kind)], names=["x"])


REFUSED = {
    "dictionary": pa.table({"x": pa.array(["a"]).dictionary_encode()}),
    "run ends": pa.table({"x": pa.RunEndEncodedArray.from_arrays([1], ["a"])}),
    "extension": pa.table({"x": pa.array([b"0" * 16], pa.uuid())}),
    "unknown extension": pa.table(
        [pa.array([1])], schema=pa.schema([pa.field("x", pa.int64(), metadata={"ARROW:extension:name": "own"})])
    ),
    "null type": field(pa.null()),
    "map": field(pa.map_(pa.string(), pa.int64())),
    "view": field(pa.string_view()),
    "fixed binary": field(pa.binary(3)),
    "fixed list": field(pa.list_(pa.int8(), 3)),
    "large list": field(pa.large_list(pa.int8())),
    "interval": field(pa.month_day_nano_interval()),
    "date64": field(pa.date64()),
    "union": pa.table({"x": pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])}),
    "empty struct": field(pa.struct([])),
    "nested empty struct": field(pa.list_(pa.struct([]))),
    "too deep": pa.table({"x": [[[[[[1]]]]]]}),
    "two names": pa.table([pa.array([1]), pa.array([2])], names=["x", "x"]),
    "long name": pa.table([pa.array([1])], names=["x" * 256]),
    "long inner name": pa.table({"x": [{"y" * 256: 1}]}),
    "many columns": pa.table([pa.array([1], pa.int8())] * 4097, names=[str(i) for i in range(4097)]),
    "strange zone": field(pa.timestamp("us", "../../etc/passwd")),
    "zone with a line end": field(pa.timestamp("us", "UTC\n")),
    "one row more": pa.table({"x": [1, 2, 3, 4]}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_allowed_is_refused(name: str) -> None:
    with pytest.raises(stream.StreamError):
        stream.read(ipc(REFUSED[name]), 3)


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_compressed_data_is_refused_before_arrow_allocates_for_it(codec: str) -> None:
    with pytest.raises(stream.StreamError, match="compressed"):
        stream.read(ipc(pa.table({"x": ["a" * 1000] * 1000}), compression=codec), 1000)


def test_many_batches_and_trailing_bytes_are_refused() -> None:
    many = ipc(pa.Table.from_batches(pa.table({"x": [1]}).to_batches() * 17))
    whole = stream.write(WHOLE)
    for data in (many, whole + b"\0" * 8, whole[:-8], whole[:-1], b"", whole[8:], whole + whole, b"\0" * 64):
        with pytest.raises(stream.StreamError):
            stream.read(data, 1000)


def test_a_second_schema_and_a_batch_first_are_refused() -> None:
    schema = WHOLE.schema.serialize().to_pybytes()
    batch = WHOLE.to_batches()[0].serialize().to_pybytes()
    end = struct.pack("<II", 0xFFFFFFFF, 0)
    assert stream.read(schema + batch + end, 3).num_rows == 3
    for data in (schema + schema + end, batch + end, end, schema + batch, batch + schema + end):
        with pytest.raises(stream.StreamError):
            stream.read(data, 3)


def test_text_that_is_not_utf8_is_refused() -> None:
    offsets, data = pa.py_buffer(struct.pack("<ii", 0, 2)), pa.py_buffer(b"\xff\xfe")
    bad = pa.Array.from_buffers(pa.string(), 1, [None, offsets, data])
    with pytest.raises(stream.StreamError):
        stream.read(ipc(pa.table({"x": bad})), 1)


def test_offsets_that_point_outside_are_refused() -> None:
    offsets, data = pa.py_buffer(struct.pack("<ii", 0, 2**30)), pa.py_buffer(b"ab")
    whole = ipc(pa.table({"x": pa.array(["ab"])}))
    bad = whole.replace(struct.pack("<ii", 0, 2), struct.pack("<ii", 0, 2**30), 1)
    assert bad != whole
    assert offsets.size
    assert data.size
    with pytest.raises(stream.StreamError):
        stream.read(bad, 1)


def test_metadata_does_not_come_through() -> None:
    table = WHOLE.select(["text"]).replace_schema_metadata({"pandas": "x"})
    assert stream.read(ipc(table), 3).schema.metadata is None


def flipped(data: bytes, rng: random.Random) -> bytes:
    spoiled = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(spoiled))
        spoiled[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, spoiled[at] ^ (1 << rng.randrange(8))))
    if rng.random() < 0.1:
        start = rng.randrange(0, len(spoiled), 8)
        del spoiled[start : start + 8 * rng.randrange(1, 9)]
    return bytes(spoiled)


def fuzz(rounds: int, seed: int) -> int:
    """In a child: 0 when each spoiled table was read or refused, and everything that was read could be used."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = _fuzz(rounds, seed)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _fuzz(rounds: int, seed: int) -> int:
    from agent.wire import cells

    rng, read = random.Random(seed), 0
    whole = [stream.write(WHOLE), *(stream.write(WHOLE.select([name])) for name in COLUMNS)]
    for _ in range(rounds):
        try:
            table = stream.read(flipped(rng.choice(whole), rng), 1000)
        except stream.StreamError:
            continue
        read += 1
        for column in table.columns:
            for chunk in column.chunks:
                cells.values(chunk)
    return 0 if read > rounds // 100 else 2


def test_spoiled_bytes_never_crash_the_reader() -> None:
    assert fuzz(2000, 4) == 0


@pytest.mark.full
@pytest.mark.parametrize("seed", range(8))
def test_many_more_spoiled_bytes(seed: int) -> None:
    assert fuzz(20_000, seed) == 0


def test_a_buffer_at_an_odd_address_is_refused() -> None:
    odd = pa.py_buffer(b"\0" * 17).slice(1)
    batch = pa.record_batch([pa.Array.from_buffers(pa.int64(), 2, [None, odd])], names=["x"])
    with pytest.raises(stream.StreamError, match="aligned"):
        stream._check_buffers(batch)
    stream._check_buffers(pa.record_batch({"x": [1, 2]}))
