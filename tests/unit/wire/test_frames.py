import datetime as dt
import errno
import io
import json
import weakref
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.errors import Fault
from agent.core.table import Disclosure, Masked
from agent.wire import cells, frames
from agent.wire.errors import ResultError

FORMATS = ["arrow", "parquet", "json", "csv"]
DISCLOSURE = Disclosure("shop", (), {}, 1, "")


def masked(table: Any, form: str, rows: int = 10_000) -> Masked:
    return Masked(table.schema, iter(table.to_batches(rows)), DISCLOSURE, form)


def encoded(table: Any, form: str, rows: int = 10_000) -> bytes:
    sink = io.BytesIO()
    assert frames.encode(masked(table, form, rows), sink.write) == frames.media_type(form)
    return sink.getvalue()


def through(table: Any, form: str, rows: int = 10_000) -> Any:
    return frames.decode(frames.media_type(form), encoded(table, form, rows))


RICH = pa.table(
    {
        "i": pa.array([1, None, -3], pa.int64()),
        "u": pa.array([2**64 - 1, 0, None], pa.uint64()),
        "f": pa.array([1.5, None, -0.1]),
        "b": pa.array([True, False, None]),
        "s": pa.array(["a,b", "", None]),
        "t": pa.array(['say "hi"\r\n', "=1+1", "Grüße"]),
        "d": pa.array([Decimal("1.50"), None, Decimal("-2.25")], pa.decimal128(10, 2)),
        "day": pa.array([dt.date(2020, 2, 29), None, dt.date(1, 1, 1)]),
        "at": pa.array([dt.datetime(2020, 1, 1, 12, 30, 15, 250), None, dt.datetime(1970, 1, 1)], pa.timestamp("us")),  # noqa: DTZ001
        "zone": pa.array([0, None, 1], pa.timestamp("us", "UTC")),
        "time": pa.array([dt.time(1, 2, 3), None, dt.time(23, 59, 59, 5)], pa.time64("us")),
        "raw": pa.array([b"\x00\xff", b"", None], pa.binary()),
    }
)
ODD = pa.table(
    {
        "interval": pa.array([(1, 2, 3), None], pa.month_day_nano_interval()),
        "list": pa.array([[1, 2**60], None]),
        "struct": pa.array([{"a": dt.date(2020, 1, 1)}, None]),
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        "inner": pa.array([{"a": (1, 2, 3)}, None], pa.struct([("a", pa.month_day_nano_interval())])),
        "null": pa.nulls(2),
        "nan": pa.array([float("nan"), float("inf")]),
    }
)


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_typed_formats_give_the_same_table(form: str) -> None:
    assert through(RICH, form).equals(RICH)


def test_arrow_keeps_every_type() -> None:
    assert through(ODD.drop_columns("nan"), "arrow").equals(ODD.drop_columns("nan"))


def test_json_finds_the_types_again() -> None:
    again = through(RICH, "json")
    assert again.equals(RICH)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_carries_every_value(form: str) -> None:
    for table in (RICH, ODD):
        again = through(table, form)
        assert again.column_names == table.column_names
        plain = [[cells.text(value) for value in row] for row in frames.rows(table)[1]]
        assert [[cells.text(value) for value in row] for row in frames.rows(again)[1]] == plain


@pytest.mark.parametrize("form", FORMATS)
def test_columns_whose_names_repeat_all_arrive(form: str) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "a", ""])
    again = through(table, form)
    assert again.column_names == ["a", "a", ""]
    assert [str(value) for value in frames.rows(again)[1][0]] == ["1", "2", "3"]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("batches", [[], [RICH.to_batches()[0].slice(0, 0)]])
def test_no_rows_are_a_result_too(form: str, batches: list[Any]) -> None:
    sink = io.BytesIO()
    frames.encode(Masked(RICH.schema, iter(batches), DISCLOSURE, form), sink.write)
    again = frames.decode(frames.media_type(form), sink.getvalue())
    assert again.column_names == RICH.column_names
    assert again.num_rows == 0


@pytest.mark.parametrize("form", FORMATS)
def test_one_column_of_nulls_keeps_its_rows(form: str) -> None:
    table = pa.table({"a": pa.array([None, "", None, "x", None])})
    assert through(table, form).column("a").to_pylist() == [None, "", None, "x", None]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["", 'say "hi"', "a,b", "a\nb", "a\r\nb", " a ", "é", "\x00", "a\tb"])
def test_any_column_name_arrives(form: str, name: str) -> None:
    table = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=[name, "other"])
    assert through(table, form).column_names == [name, "other"]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.mark.parametrize("form", FORMATS)
@given(rows=st.lists(st.tuples(st.none() | TEXT, st.none() | st.integers(-(2**63), 2**63 - 1)), max_size=8))
def test_texts_and_numbers_survive(form: str, rows: list[tuple[str | None, int | None]]) -> None:
    table = pa.table(
        {"s": pa.array([row[0] for row in rows], pa.string()), "n": pa.array([row[1] for row in rows], pa.int64())}
    )
    again = through(table, form, rows=3)
    assert again.column("s").to_pylist() == [row[0] for row in rows]
    numbers = [None if value is None else int(value) for value in again.column("n").to_pylist()]
    assert numbers == [row[1] for row in rows]


@pytest.mark.parametrize("form", FORMATS)
def test_dictionaries_that_change_between_batches_arrive(form: str) -> None:
    first = pa.record_batch({"e": pa.array(["a", "b"]).dictionary_encode()})
    second = pa.record_batch({"e": pa.array(["c", "a", None]).dictionary_encode()})
    sink = io.BytesIO()
    frames.encode(Masked(first.schema, iter([first, second]), DISCLOSURE, form), sink.write)
    columns, rows = frames.rows(frames.decode(frames.media_type(form), sink.getvalue()))
    assert [row[0] for row in rows] == ["a", "b", "c", "a", None]
    assert columns == [{"name": "e", "type": "string"}]


def test_the_json_is_columns_and_rows() -> None:
    found = json.loads(encoded(RICH.select(["i", "u", "d"]), "json"))
    assert found == {
        "columns": [
            {"name": "i", "type": "int64"},
            {"name": "u", "type": "uint64"},
            {"name": "d", "type": "decimal128(10, 2)"},
        ],
        "rows": [[1, str(2**64 - 1), "1.50"], [None, 0, None], [-3, None, "-2.25"]],
    }
    assert frames.rows(RICH.select(["i", "u", "d"])) == (found["columns"], found["rows"])


def test_the_json_of_special_numbers_is_json() -> None:
    def refuse(_: str) -> None:
        raise AssertionError

    found = json.loads(encoded(ODD, "json"), parse_constant=refuse)
    assert [row[-1] for row in found["rows"]] == ["NaN", "Infinity"]


def test_the_csv_is_rfc_4180_and_keeps_null_apart_from_empty() -> None:
    table = pa.table({"a": ["x", "", None], "b,c": ['"', "\n", "=1"]})
    assert encoded(table, "csv") == b'a,"b,c"\r\nx,""""\r\n"","\n"\r\n,=1\r\n'


def test_parquet_is_compressed_and_read_by_others() -> None:
    file = pq.ParquetFile(io.BytesIO(encoded(RICH, "parquet")))
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_parquet_takes_what_it_has_no_type_for_as_text() -> None:
    again = through(ODD, "parquet")
    assert again.column("interval").to_pylist() == ["P1M2DT0.000000003S", None]
    assert json.loads(again.column("inner").to_pylist()[0]) == {"a": "P1M2DT0.000000003S"}


UNION = pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("array", "texts"),
    [
        (UNION, ["1", "b"]),
        (pa.RunEndEncodedArray.from_arrays([1, 2], ["x", "y"]), ["x", "y"]),
        (pa.array([[1], [2]], pa.list_view(pa.int8())), ["[1]", "[2]"]),
    ],
    ids=["union", "run ends", "list view"],
)
def test_rare_types_arrive_in_every_format(form: str, array: Any, texts: list[str]) -> None:
    rows = frames.rows(through(pa.table({"a": array}), form))[1]
    assert [cells.text(row[0]) for row in rows] == texts


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("table", [RICH, ODD], ids=["rich", "odd"])
def test_an_opened_table_goes_on_in_any_format(form: str, table: Any) -> None:
    sink = io.BytesIO()
    assert frames.encode_table(through(table, "arrow"), form, sink.write) == frames.media_type(form)
    assert sink.getvalue() == encoded(table, form)


# streaming


def counted(batches: int, rows: int, seen: Callable[[], None], alive: list[Any]) -> Iterator[Any]:
    for start in range(batches):
        batch = pa.record_batch({"n": pa.array(range(start * rows, (start + 1) * rows))})
        alive.append(weakref.ref(batch))
        seen()
        yield batch


@pytest.mark.parametrize("form", FORMATS)
def test_rows_leave_as_they_come(form: str) -> None:
    """What was written before each batch was asked for grows, and old batches are let go."""
    written, marks, living, alive = [0], [], [], []

    def write(data: bytes) -> None:
        written[0] += len(data)

    def seen() -> None:
        marks.append(written[0])
        living.append(sum(reference() is not None for reference in alive))

    schema = pa.schema([("n", pa.int64())])
    batches = counted(60 if form == "parquet" else 15, 10_000, seen, alive)
    frames.encode(Masked(schema, batches, DISCLOSURE, form), write)
    group = 14 if form == "parquet" else 1
    assert all(marks[place + group + 1] > marks[place] for place in range(len(marks) - group - 1))
    assert marks[-1] > written[0] * 0.7
    assert max(living) <= group + 3


@pytest.mark.parametrize("form", FORMATS)
def test_a_fault_of_the_rows_comes_out_as_it_is(form: str) -> None:
    fault = Fault("limit.rows", "too many")

    def batches() -> Iterator[Any]:
        yield RICH.to_batches()[0]
        raise fault

    with pytest.raises(Fault) as caught:
        frames.encode(Masked(RICH.schema, batches(), DISCLOSURE, form), bytearray().extend)
    assert caught.value is fault


@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_comes_out_as_it_is(form: str) -> None:
    def write(_: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with pytest.raises(OSError, match="no space") as caught:
        frames.encode(masked(RICH, form), write)
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("form", FORMATS)
def test_every_piece_is_bytes(form: str) -> None:
    kinds: set[type] = set()
    frames.encode(masked(RICH, form), lambda piece: kinds.add(type(piece)))
    assert kinds == {bytes}


# decoding what is not whole


@pytest.mark.parametrize("form", ["arrow", "parquet", "json"])
def test_cut_rows_are_refused(form: str) -> None:
    whole = encoded(RICH, form)
    for data in (b"", whole[: len(whole) // 2], whole[:10], b"\x00" * 64):
        with pytest.raises(ResultError) as caught:
            frames.decode(frames.media_type(form), data)
        assert "whole" in str(caught.value)


@pytest.mark.parametrize("data", [b"{}", b"[]", b'{"columns":[],"rows":[[1]]}', b'{"columns":[1],"rows":[]}', b"\xff", b'{"columns":[{"name":"a"}],"rows":[]}', b'{"columns":[{"name":"a","type":"int64"}],"rows":[[1,2]]}', b'{"columns":[{"name":"a","type":"int64"}],"rows":[[1],[1,2]]}'])  # fmt: skip
def test_json_that_is_not_columns_and_rows_is_refused(data: bytes) -> None:
    with pytest.raises(ResultError):
        frames.decode("application/json", data)


def test_arrow_that_lies_about_itself_is_refused() -> None:
    """A well-framed stream whose texts are not UTF-8."""
    offsets = pa.array([0, 2], pa.int32()).buffers()[1]
    broken = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"\xffa")])
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, pa.schema([("a", pa.string())])) as writer:
        writer.write_batch(pa.record_batch([broken], names=["a"]))
    with pytest.raises(ResultError):
        frames.decode("application/vnd.apache.arrow.stream", sink.getvalue())


@pytest.mark.parametrize("data", [b"\xff", b"a,b\r\n1\r\n", b'a\r\n"x'])
def test_csv_that_is_not_a_table_is_refused(data: bytes) -> None:
    with pytest.raises(ResultError):
        frames.decode("text/csv", data)


def test_a_foreign_media_type_is_an_error() -> None:
    with pytest.raises(KeyError):
        frames.decode("application/x-python-pickle", b"")
    with pytest.raises(KeyError):
        frames.media_type("pickle")
