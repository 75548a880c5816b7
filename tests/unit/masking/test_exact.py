"""What leaves, or goes to a program, holds its visible values and nothing else: no row behind a cut, nothing in a gap."""

from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.table import Disclosure, Masked, Table
from agent.masking.exact import exact, exact_array
from agent.masking.policy import Policy
from agent.masking.release import release
from agent.sandbox.exchange import Input, Program
from agent.sandbox.exchange.pieces import pieces
from agent.wire import frames

HIDDEN = b"HIDDENXX"
WORD, NUMBER = HIDDEN.decode(), int.from_bytes(HIDDEN, "little")
PLAN = MaskedPlan(sql="SELECT 1", parameters={}, disclosure=Disclosure("shop", (), {}, 1, "0" * 64))

COLUMNS = {
    "whole numbers": pa.array([1, NUMBER] * 8),
    "decimals": pa.array([Decimal(1), Decimal(NUMBER)] * 8, pa.decimal128(38, 0)),
    "times": pa.array([1, NUMBER] * 8).view(pa.timestamp("us")),
    "bytes": pa.array([b"x" * 8, HIDDEN] * 8, pa.binary(8)),
    "texts": pa.array(["x", WORD] * 8),
    "large texts": pa.array(["x", WORD] * 8, pa.large_string()),
    "lists": pa.array([["x"], [WORD]] * 8),
    "lists of one length": pa.array([["x"], [WORD]] * 8, pa.list_(pa.string(), 1)),
    "structs": pa.array([{"k": "x", "n": 1}, {"k": WORD, "n": NUMBER}] * 8),
    "lists of structs": pa.array([[{"k": "x"}], [{"k": WORD}]] * 8),
    "maps": pa.array([[("x", 1)], [(WORD, NUMBER)]] * 8, pa.map_(pa.string(), pa.int64())),
    "text views": pa.array(["x", WORD * 3] * 8, pa.string_view()),
    "words": pa.array(["x", WORD] * 8).dictionary_encode(),
    "runs": pc.run_end_encode(pa.array(["x", WORD] * 8)),
    "either, sparse": pa.UnionArray.from_sparse(
        pa.array([0, 1] * 8, pa.int8()), [pa.array(["x", WORD] * 8), pa.array([1, NUMBER] * 8)]
    ),
    "either, dense": pa.UnionArray.from_dense(
        pa.array([0, 1] * 8, pa.int8()),
        pa.array([place // 2 for place in range(16)], pa.int32()),
        [pa.array(["x"] * 8), pa.array([NUMBER] * 8)],
    ),
}


def stored(array: Any) -> bytes:
    """All that a stream of this array holds."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([("x", array.type)])) as writer:
        writer.write_batch(pa.record_batch([array], names=["x"]))
    return bytes(sink.getvalue())


@pytest.mark.parametrize("name", COLUMNS)
def test_rows_behind_a_cut_are_gone(name: str) -> None:
    whole = COLUMNS[name]
    assert HIDDEN in stored(whole)
    for part in (whole.slice(0, 1), whole.slice(2, 1), whole.slice(14, 1)):
        made = exact_array(part)
        made.validate(full=True)
        assert (made.type, made.to_pylist()) == (whole.type, part.to_pylist())
        assert HIDDEN not in stored(made)


@pytest.mark.parametrize("name", COLUMNS)
def test_values_stay_as_they_are(name: str) -> None:
    for part in (COLUMNS[name], COLUMNS[name].slice(3), COLUMNS[name].slice(1, 4), COLUMNS[name].slice(0, 0)):
        made = exact_array(part)
        made.validate(full=True)
        assert made.type == part.type
        assert made.equals(part)


@pytest.mark.parametrize(
    "name", ["whole numbers", "decimals", "times", "bytes", "texts", "large texts", "lists", "structs"]
)
def test_nothing_lies_beneath_a_gap(name: str) -> None:
    whole = COLUMNS[name]
    kind = whole.type
    children = None
    if pa.types.is_struct(kind):
        children = [whole.field(place) for place in range(kind.num_fields)]
    elif pa.types.is_list(kind):
        children = [whole.values]
    seen = pa.array([True, False] * 8).buffers()[1]
    gaps = pa.Array.from_buffers(kind, 16, [seen, *whole.buffers()[1 : kind.num_buffers]], children=children)
    assert gaps.null_count == 8
    assert HIDDEN in stored(gaps)
    made = exact_array(gaps)
    made.validate(full=True)
    assert made.equals(gaps)
    assert HIDDEN not in stored(made)


OTHERS = [
    *(pa.null(), pa.bool_(), pa.float16(), pa.float32(), pa.uint8(), pa.date32(), pa.date64(), pa.time32("s")),
    *(
        pa.time64("ns"),
        pa.duration("us"),
        pa.timestamp("ns", "UTC"),
        pa.month_day_nano_interval(),
        pa.decimal256(50, 2),
    ),
    *(
        pa.decimal32(5, 1),
        pa.decimal64(9, 1),
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
        pa.uuid(),
        pa.struct([]),
    ),
    *(pa.large_list(pa.int8()), pa.list_view(pa.int8()), pa.large_list_view(pa.string()), pa.json_(pa.large_string())),
    *(pa.list_(pa.dictionary(pa.int8(), pa.string())), pa.map_(pa.string(), pa.struct([("a", pa.int8())]))),
]


@pytest.mark.parametrize("kind", OTHERS, ids=str)
def test_every_type_has_a_way(kind: pa.DataType) -> None:
    for given in (pa.nulls(3, kind), pa.nulls(3, kind).slice(1, 1), pa.nulls(0, kind)):
        made = exact_array(given)
        made.validate(full=True)
        assert made.equals(given)


def test_rows_without_columns_are_still_counted() -> None:
    batch = pa.record_batch({"n": [1, 2]}).select([])
    assert exact(batch).num_rows == batch.num_rows == 2


def test_memory_of_an_engine_does_not_leave_beneath_its_nulls() -> None:
    rows = duckdb.sql("SELECT CASE WHEN i % 2 = 0 THEN i + 1000000 END AS n FROM range(100) AS t(i)").to_arrow_table()
    made = exact_array(rows.column("n").chunk(0))
    numbers = pa.Array.from_buffers(pa.int64(), len(made), [None, made.buffers()[1]])
    assert [numbers[place].as_py() for place in range(len(made)) if not made[place].is_valid] == [0] * 50


def cut() -> Masked:
    """One row of two, as a row cap leaves it."""
    batch = pa.record_batch({name: column.slice(0, 2) for name, column in COLUMNS.items()})
    policy = Policy.model_validate({"version": 1, "default": "keep"})
    table = Table(batch.schema, iter([batch]))
    return release(table, PLAN, policy, Limits(rows=1), on_limit="truncate", format="arrow")


def test_a_cut_result_holds_no_row_behind_the_cut() -> None:
    sealed = bytearray()
    frames.encode(cut(), sealed.extend)
    with pa.ipc.open_stream(bytes(sealed)) as reader:
        table = reader.read_all()
    assert table.num_rows == 1
    held = [buffer for column in table.columns for chunk in column.chunks for buffer in chunk.buffers()]
    held += [buffer for chunk in table.column("words").chunks for buffer in chunk.dictionary.buffers()]
    assert not any(HIDDEN in bytes(buffer) for buffer in held if buffer is not None)


def test_a_cut_input_brings_no_row_behind_the_cut_to_its_program() -> None:
    masked = cut()
    plain = [name for name in COLUMNS if not name.startswith("either")]
    batches = [batch.select(plain) for batch in masked.batches]
    given = Input(batches[0].schema, batches)
    assert HIDDEN not in b"".join(map(bytes, pieces(Program(code="", inputs=("x",)), {"x": given})))
