from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.errors import Fault
from agent.sources._storage_classes import tabled

MUCH = 10**9


def read(chunks: Any, *, ahead_rows: int = MUCH, ahead_bytes: int = MUCH) -> tuple[pa.DataType, list[Any]]:
    table = tabled(
        ["x"], iter([[(value,) for value in chunk] for chunk in chunks]), ahead_rows=ahead_rows, ahead_bytes=ahead_bytes
    )
    batches = list(table.batches)
    assert all(batch.schema.equals(table.schema) for batch in batches)
    return table.schema.field("x").type, [value for batch in batches for value in batch.column(0).to_pylist()]


@pytest.mark.parametrize(
    ("chunks", "kind", "values"),
    [
        ([], pa.null(), []),
        ([[]], pa.null(), []),
        ([[None, None]], pa.null(), [None, None]),
        ([[1, None]], pa.int64(), [1, None]),
        ([[2**63 - 1, -(2**63)]], pa.int64(), [2**63 - 1, -(2**63)]),
        ([[1, 2.5]], pa.float64(), [1.0, 2.5]),
        ([[1], [None], [2.5]], pa.float64(), [1.0, None, 2.5]),
        ([[2**53 + 1, 2.5]], pa.string(), ["9007199254740993", "2.5"]),
        ([[2**53 + 1], [2.5]], pa.string(), ["9007199254740993", "2.5"]),
        ([[2**53 + 1], [1]], pa.int64(), [2**53 + 1, 1]),
        ([["a"], [None]], pa.string(), ["a", None]),
        ([["a", 1, 2.5, None, b"\x01\xff"]], pa.string(), ["a", "1", "2.5", None, "X'01FF'"]),
        ([[1], ["a"], [b"\xff"], [1.5]], pa.string(), ["1", "a", "X'FF'", "1.5"]),
        ([[b"a"], [b"b"]], pa.binary(), [b"a", b"b"]),
        ([[b"a"], [1]], pa.string(), ["X'61'", "1"]),
        ([[float("inf"), -float("inf")]], pa.float64(), [float("inf"), -float("inf")]),
    ],
)
def test_a_column_has_the_narrowest_type_that_holds_all_of_it(chunks: Any, kind: pa.DataType, values: Any) -> None:
    assert read(chunks) == (kind, values)


VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text("aé\x00'", max_size=3),
    st.binary(max_size=3),
)


@given(st.lists(st.lists(VALUES, max_size=4), max_size=4))
def test_no_value_is_lost_whatever_is_mixed(chunks: Any) -> None:
    kind, values = read(chunks)
    given_values = [value for chunk in chunks for value in chunk]
    assert [value is None for value in values] == [value is None for value in given_values]
    for value, original in zip(values, given_values, strict=True):
        if original is None:
            continue
        if kind in (pa.int64(), pa.binary()):
            assert value == original
        elif kind == pa.float64():
            assert value == original == float(original)
        elif isinstance(original, bytes):
            assert bytes.fromhex(value[2:-1]) == original
        elif isinstance(original, float):
            assert float(value) == original
        elif isinstance(original, int):
            assert float(value) == original or int(value) == original
        else:
            assert value == original


def test_reading_ahead_stops_at_the_sizes() -> None:
    pulled = []

    def chunks() -> Iterator[list[tuple[int]]]:
        for at in range(100):
            pulled.append(at)
            yield [(at,)] * 10

    table = tabled(["x"], chunks(), ahead_rows=25, ahead_bytes=MUCH)
    assert len(pulled) == 3
    assert sum(batch.num_rows for batch in table.batches) == 1000
    pulled.clear()
    tabled(["x"], chunks(), ahead_rows=MUCH, ahead_bytes=100)
    assert len(pulled) == 2


def test_what_comes_late_fits_or_is_an_error() -> None:
    assert read([[1], [2]], ahead_rows=0) == (pa.int64(), [1, 2])
    assert read([[1.5], [2]], ahead_rows=0) == (pa.float64(), [1.5, 2.0])
    assert read([[1], [2**60]], ahead_rows=0) == (pa.int64(), [1, 2**60])
    assert read([["a"], [2], [b"x"]], ahead_rows=0) == (pa.string(), ["a", "2", "X'78'"])
    assert read([[None], [2], ["a"]], ahead_rows=0) == (pa.string(), [None, "2", "a"])
    for late in (["canary"], [2.5], [b"x"]):
        with pytest.raises(Fault, match="changes its type late") as caught:
            read([[1], late], ahead_rows=0)
        assert caught.value.code == "source.error"


def test_columns_do_not_share_their_types() -> None:
    table = tabled(["a", "a"], iter([[(1, "x")], [(2.5, None)]]), ahead_rows=MUCH, ahead_bytes=MUCH)
    assert table.schema.types == [pa.float64(), pa.string()]
    assert [batch.num_rows for batch in table.batches] == [1, 1]
