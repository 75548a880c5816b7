import base64
import datetime as dt
import json
import math
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire import cells


def json_text(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([True, None]), [True, None]),
        (pa.nulls(2), [None, None]),
        (pa.array([1, None, -5], pa.int8()), [1, None, -5]),
        (pa.array([2**53, 2**53 + 1, -(2**53), -(2**53) - 1, None]), [2**53, str(2**53 + 1), -(2**53), str(-(2**53) - 1), None]),
        (pa.array([2**64 - 1, 0], pa.uint64()), [str(2**64 - 1), 0]),
        (pa.array([], pa.int64()), []),
        (pa.array([1.5, None, math.nan, math.inf, -math.inf, -0.0]), [1.5, None, "NaN", "Infinity", "-Infinity", -0.0]),
        (pa.array([1.5, math.inf], pa.float32()), [1.5, "Infinity"]),
        (pa.array([1.5, math.nan], pa.float16()), [1.5, "NaN"]),
        (pa.array([Decimal("1.50"), None, Decimal("0.00")], pa.decimal128(10, 2)), ["1.50", None, "0.00"]),
        (pa.array([Decimal("1E+3")], pa.decimal128(10, 0)), ["1000"]),
        (pa.array([Decimal("0.0000000001")], pa.decimal128(20, 10)), ["0.0000000001"]),
        (pa.array([Decimal(10**38 - 1), Decimal(-7), None], pa.decimal128(38, 0)), [str(10**38 - 1), -7, None]),
        (pa.array([Decimal(10**75)], pa.decimal256(76, 0)), [str(10**75)]),
        (pa.array(["a", "", None, "é\n\x00"]), ["a", "", None, "é\n\x00"]),
        (pa.array(["a", None], pa.large_string()), ["a", None]),
        (pa.array(["a", None], pa.string_view()), ["a", None]),
        (pa.array([b"\x00\xff", b"", None]), ["AP8=", "", None]),
        (pa.array([b"ab"], pa.binary(2)), ["YWI="]),
        (pa.array([b"ab"], pa.large_binary()), ["YWI="]),
        (pa.array([b"ab"], pa.binary_view()), ["YWI="]),
        (pa.array([dt.date(2020, 2, 29), None]), ["2020-02-29", None]),
        (pa.array([-719529], pa.date32()), ["-0001-12-31"]),
        (pa.array([2**31 - 1, -(2**31) + 1], pa.date32()), ["infinity", "-infinity"]),
        (pa.array([86_400_000], pa.date64()), ["1970-01-02"]),
        (pa.array([dt.time(1, 2, 3), dt.time(1, 2, 3, 4), None]), ["01:02:03", "01:02:03.000004", None]),
        (pa.array([1], pa.time64("ns")), ["00:00:00.000000001"]),
        (pa.array([1], pa.time32("s")), ["00:00:01"]),
        (pa.array([0, 1_500_000, None], pa.timestamp("us")), ["1970-01-01T00:00:00", "1970-01-01T00:00:01.500000", None]),
        (pa.array([1], pa.timestamp("ns")), ["1970-01-01T00:00:00.000000001"]),
        (pa.array([0], pa.timestamp("s")), ["1970-01-01T00:00:00"]),
        (pa.array([0], pa.timestamp("us", "UTC")), ["1970-01-01T00:00:00Z"]),
        (pa.array([0], pa.timestamp("us", "Europe/Berlin")), ["1970-01-01T00:00:00Z"]),
        (pa.array([0], pa.timestamp("us", "No/Where")), ["1970-01-01T00:00:00Z"]),
        (pa.array([2**63 - 1, -(2**63) + 1], pa.timestamp("us")), ["infinity", "-infinity"]),
        (pa.array([2**63 - 1], pa.timestamp("us", "UTC")), ["infinity"]),
        (pa.array([0, 1_500, -1, None], pa.duration("ms")), ["PT0S", "PT1.5S", "-PT0.001S".replace("-PT", "PT-"), None]),
        (pa.array([(1, 2, 3_500_000_000), (0, 0, 0), (-1, 2, -1), None], pa.month_day_nano_interval()), ["P1M2DT3.5S", "PT0S", "P-1M2DT-0.000000001S", None]),
        (pa.array([[1, None], [], None], pa.list_(pa.int64())), [[1, None], [], None]),
        (pa.array([[2**60]], pa.large_list(pa.int64())), [[str(2**60)]]),
        (pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), [[1, 2], None]),
        (pa.array([[1], None, [2, 3]], pa.list_view(pa.int8())), [[1], None, [2, 3]]),
        (pa.array([{"a": 1, "b": b"x"}, None]), [{"a": 1, "b": "eA=="}, None]),
        (pa.array([[("k", 1), ("k", 2)], None], pa.map_(pa.string(), pa.int64())), [[{"key": "k", "value": 1}, {"key": "k", "value": 2}], None]),
        (pa.array(["a", "b", None, "a"]).dictionary_encode(), ["a", "b", None, "a"]),
        (pa.RunEndEncodedArray.from_arrays([2, 3], ["x", "y"]), ["x", "x", "y"]),
        (pa.UnionArray.from_sparse(pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, None]), pa.array(["a", "b", "c"])]), [1, "b", None]),
        (pa.UnionArray.from_dense(pa.array([0, 1, 1], pa.int8()), pa.array([0, 0, 1], pa.int32()), [pa.array([2**60]), pa.array(["a", "b"])]), [str(2**60), "a", "b"]),
        (pa.ExtensionArray.from_storage(pa.uuid(), pa.array([uuid.UUID(int=5).bytes, None], pa.binary(16))), [str(uuid.UUID(int=5)), None]),
        (pa.ExtensionArray.from_storage(pa.opaque(pa.binary(), "bignum", "DuckDB"), pa.array([b"a"])), ["YQ=="]),
    ],
)  # fmt: skip
def test_values_by_the_rules(array: Any, expected: list[Any]) -> None:
    found = cells.values(array)
    assert json_text(found) == json_text(expected)
    assert json_text(cells.values(pa.concat_arrays([array, array])[len(array) :])) == json_text(expected)
    for start in range(len(array)):
        assert json_text(cells.values(array[start:])) == json_text(expected[start:])
        assert json_text(cells.values(array[start : start + 1])) == json_text(expected[start : start + 1])
    texts = cells.texts(array)
    shown = [v if v is None or isinstance(v, str) else json.dumps(v, separators=(",", ":")) for v in expected]
    assert texts == shown


def test_a_struct_whose_names_repeat_loses_nothing() -> None:
    array = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    assert cells.values(array) == [[{"key": "a", "value": 1}, {"key": "a", "value": 2}]]


def test_a_null_struct_hides_its_children() -> None:
    array = pa.StructArray.from_arrays([pa.array(["hidden", "shown"])], names=["a"], mask=pa.array([True, False]))
    assert cells.values(array) == [None, {"a": "shown"}]


def test_text_that_is_not_utf8_is_replaced_and_never_raises() -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.array([0, 2, 3], pa.int32()).buffers()[1], pa.py_buffer(b"\xffab")]
    )
    assert cells.values(broken) == ["�a", "b"]
    large = pa.Array.from_buffers(
        pa.large_string(), 1, [None, pa.array([0, 2], pa.int64()).buffers()[1], pa.py_buffer(b"\xffa")]
    )
    assert cells.values(large) == ["�a"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (pa.int64(), "int64"),
        (pa.dictionary(pa.int8(), pa.string()), "string"),
        (pa.run_end_encoded(pa.int32(), pa.int8()), "int8"),
        (pa.uuid(), "fixed_size_binary[16]"),
        (pa.opaque(pa.binary(), "bignum", "DuckDB"), "binary"),
        (pa.decimal128(10, 2), "decimal128(10, 2)"),
        (pa.timestamp("us", "UTC"), "timestamp[us, tz=UTC]"),
    ],
)
def test_type_names(kind: Any, name: str) -> None:
    assert cells.type_name(kind) == name


KINDS: list[Any] = [
    *(pa.int8(), pa.int64(), pa.uint64(), pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.binary()),
    *(pa.date32(), pa.date64(), pa.decimal128(38, 5), pa.month_day_nano_interval()),
    *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")),
    *(pa.timestamp(unit, "Asia/Tokyo") for unit in ("s", "ms", "us", "ns")),
    *(pa.duration(unit) for unit in ("s", "ms", "us", "ns")),
    *(pa.time64("us"), pa.time64("ns"), pa.time32("s"), pa.time32("ms")),
]


@given(st.sampled_from(KINDS), st.binary(min_size=16, max_size=64))
def test_any_bits_of_any_type_give_json(kind: Any, data: bytes) -> None:
    """Values that no calendar and no Python type holds are shown, not raised."""
    if kind in (pa.string(), pa.binary()):
        array = pa.array([data], pa.binary())
        if kind == pa.string():
            offsets = pa.array([0, len(data)], pa.int32()).buffers()[1]
            array = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(data)])
    else:
        array = pa.Array.from_buffers(kind, len(data) * 8 // kind.bit_width, [None, pa.py_buffer(data)])
    found = cells.values(array)
    assert len(found) == len(array)
    json_text(found)
    assert [text for text in cells.texts(array) if text is None] == []


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)))
def test_integers_are_exact_in_every_reader_of_json(numbers: list[int | None]) -> None:
    found = cells.values(pa.array(numbers, pa.int64()))
    assert [None if value is None else int(value) for value in found] == numbers
    assert all(isinstance(value, str) or value is None or abs(value) <= 2**53 for value in found)


@given(
    st.lists(
        st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=3, max_value=10**9, min_value=-(10**9))
    )
)
def test_decimals_are_exact(numbers: list[Decimal | None]) -> None:
    found = cells.values(pa.array(numbers, pa.decimal128(20, 3)))
    assert [None if value is None else Decimal(value) for value in found] == numbers
    assert not any("E" in value for value in found if value is not None)


@given(st.lists(st.none() | st.binary()))
def test_bytes_are_exact(blobs: list[bytes | None]) -> None:
    found = cells.values(pa.array(blobs, pa.binary()))
    assert [None if value is None else base64.b64decode(value) for value in found] == blobs


@given(st.lists(st.none() | st.datetimes()))
def test_timestamps_are_exact(moments: list[dt.datetime | None]) -> None:
    found = cells.values(pa.array(moments, pa.timestamp("us")))
    assert [None if value is None else dt.datetime.fromisoformat(value) for value in found] == moments
