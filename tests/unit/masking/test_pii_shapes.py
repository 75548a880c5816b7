"""The second net's array by array: types at the edges of what it looks at, wide offsets, several hits and actions."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from agent.masking.pii.arrow import Found, Scanner, holds
from agent.masking.pii.kinds import KINDS

CARD = 4111111111111111
LEAK, CLEAN = "a 4111111111111111 b", "a [card] b"


def scan(array: Any, *, name: str = "c", numbers: bool = True, **actions: Any) -> Found | None:
    return Scanner(name, actions or {"card": "mask"}, numbers=numbers).scan(array)


def masked(array: Any, **more: Any) -> Any:
    found = scan(array, **more)
    assert found is not None
    assert found.array.type == array.type
    found.array.validate(full=True)
    return found.array.to_pylist()


WHOLE = [pa.int64(), pa.uint64(), pa.float64(), pa.decimal128(20, 0), pa.decimal256(40, 0)]


@pytest.mark.parametrize("kind", WHOLE, ids=str)
def test_whole_numbers_are_looked_at(kind: pa.DataType) -> None:
    assert holds(kind)
    values = [1, CARD, None]
    array = pa.array([Decimal(v) if v is not None and pa.types.is_decimal(kind) else v for v in values]).cast(kind)
    assert masked(array) == [1, None, None]


def test_a_decimal_of_hundreds_is_a_whole_number() -> None:
    kind = pa.decimal128(14, -2)
    card = next(n for n in range(4 * 10**15, 5 * 10**15, 100) if KINDS["card"].number(n))
    assert masked(pa.array([Decimal(card), Decimal(100)], kind)) == [None, Decimal(100)]


@pytest.mark.parametrize(
    "kind",
    [pa.int8(), pa.int16(), pa.float32(), pa.bool_(), pa.date32(), pa.binary(), pa.decimal128(20, 1), pa.decimal128(20, 2),
     pa.timestamp("us"), pa.null(), pa.list_(pa.int8()), pa.struct([("a", pa.date32())]), pa.dictionary(pa.int8(), pa.binary())],
    ids=str,
)  # fmt: skip
def test_what_holds_no_whole_number_and_no_text_is_not(kind: pa.DataType) -> None:
    assert not holds(kind)
    assert (
        scan(pa.array([None], kind) if not pa.types.is_dictionary(kind) else pa.array([b"x"]).dictionary_encode())
        is None
    )


@pytest.mark.parametrize(
    "kind",
    [pa.int32(), pa.uint32(), pa.string(), pa.large_string(), pa.string_view(), pa.list_(pa.string()), pa.list_(pa.int64(), 2),
     pa.struct([("a", pa.date32()), ("b", pa.string())]), pa.map_(pa.int8(), pa.string()), pa.dictionary(pa.int8(), pa.string()),
     pa.run_end_encoded(pa.int16(), pa.int64()), pa.json_()],
    ids=str,
)  # fmt: skip
def test_what_holds_one_somewhere_is(kind: pa.DataType) -> None:
    assert holds(kind)


@pytest.mark.parametrize("kind", [pa.int32(), pa.uint32()], ids=str)
def test_narrow_numbers_are_compared_within_what_they_can_hold(kind: pa.DataType) -> None:
    top = 2**31 - 1 if kind == pa.int32() else 2**32 - 1
    array = pa.array([219_091_234, 1, top, None], kind)
    assert masked(array, name="ssn", us_ssn="mask", card="mask") == [None, 1, top, None]
    assert scan(array, us_ssn="mask") is None  # the name does not speak of it
    assert scan(array, name="ssn", numbers=False, us_ssn="mask") is None


@pytest.mark.parametrize(
    ("value", "hit"),
    [
        (CARD, True),
        (CARD + 0.5, False),
        (float("inf"), False),
        (float("-inf"), False),
        (float("nan"), False),
        (-CARD, False),
    ],
)
def test_a_float_that_is_whole_is_a_number(value: float, hit: bool) -> None:
    assert (scan(pa.array([0.0, value, 4e15])) is not None) == hit


def test_the_edges_of_the_ranges_count() -> None:
    made = scan(pa.array([4000000000000002, 4999999999999996, 3999999999999999, 1]))
    assert made is not None
    assert made.array.to_pylist() == [None, None, 3999999999999999, 1]
    assert made.hits == {"card": 2}
    assert scan(pa.array([2**62, 2**63 - 1])) is None
    assert scan(pa.array([2**64 - 1], pa.uint64())) is None
    assert scan(pa.array([None, None], pa.int64())) is None
    assert scan(pa.array([], pa.int64())) is None


def test_only_the_kinds_that_number_in_this_column_are_asked() -> None:
    array = pa.array([10000000146, 86095742719])
    assert scan(array, tr_tckn="mask", de_steuer_id="mask") is None
    assert masked(array, name="tckn", tr_tckn="mask", de_steuer_id="mask") == [None, 86095742719]
    assert masked(array, name="steuer_id", tr_tckn="mask", de_steuer_id="mask") == [10000000146, None]


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.large_list(pa.string())], ids=str)
@pytest.mark.parametrize("cut", [0, 1, 2])
def test_lists_keep_their_lengths_and_their_nulls(kind: pa.DataType, cut: int) -> None:
    values = [["x", LEAK, None], None, [], [LEAK], ["y"], [LEAK, LEAK]]
    wanted = [["x", CLEAN, None], None, [], [CLEAN], ["y"], [CLEAN, CLEAN]]
    array = pa.array(values, kind).slice(cut)
    found = scan(array, card="drop_row")
    assert found is not None
    assert found.array.to_pylist() == wanted[cut:]
    assert found.array.type == kind
    assert found.array.null_count == (1 if cut < 2 else 0)
    assert found.drop == {place - cut for place in (0, 3, 5) if place >= cut}
    assert found.hits == {"card": 4 if cut == 0 else 3}
    assert scan(pa.array([["x"], None], kind)) is None


def test_the_parts_of_a_struct_are_looked_at_each() -> None:
    kind = pa.struct(
        [pa.field("t", pa.string()), pa.field("d", pa.date32()), pa.field("n", pa.int64(), nullable=False)]
    )
    day = dt.date(2024, 1, 1)
    array = pa.array(
        [{"t": LEAK, "d": day, "n": 1}, None, {"t": "x", "d": day, "n": 2}, {"t": None, "d": None, "n": CARD}], kind
    )
    found = scan(array, card="drop_row")
    assert found is not None
    assert found.hits == {"card": 2}
    assert found.drop == {0, 3}
    assert found.array.to_pylist()[0] == {"t": CLEAN, "d": day, "n": 1}
    assert found.array.to_pylist()[1] is None
    assert found.array.to_pylist()[3]["n"] is None
    assert [found.array.type.field(i).name for i in range(3)] == ["t", "d", "n"]
    assert scan(array.slice(2, 1)) is None


def test_an_extension_type_is_looked_at_in_its_storage() -> None:
    array = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": "x"}', f'{{"a": "{LEAK}"}}', None]))
    assert masked(array) == ['{"a": "x"}', '{"a": "a [card] b"}', None]
    assert scan(array.slice(0, 1)) is None
    assert scan(pa.array([None], pa.json_())) is None


@pytest.mark.parametrize("ends", [pa.int16(), pa.int32(), pa.int64()], ids=str)
def test_runs_stay_runs(ends: pa.DataType) -> None:
    array = pa.RunEndEncodedArray.from_arrays(pa.array([1, 3], ends), pa.array(["x", LEAK]))
    assert masked(array) == ["x", CLEAN, CLEAN]
    found = scan(array)
    assert found is not None
    assert found.hits == {"card": 2}


@pytest.mark.parametrize("ordered", [False, True])
def test_a_dictionary_keeps_its_order_and_counts_rows(ordered: bool) -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([1, 0, 1, None], pa.int8()), pa.array(["x", LEAK]), ordered=ordered)
    found = scan(array, card="drop_row")
    assert found is not None
    assert (found.array.type.ordered, found.array.to_pylist()) == (ordered, [CLEAN, "x", CLEAN, None])
    assert (found.hits, found.drop) == ({"card": 2}, {0, 2})
    unused = pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int8()), pa.array(["x", LEAK]))
    found = scan(unused, card="drop_row")
    assert found is not None
    assert (found.hits, found.drop) == ({"card": 1}, set())
    told = scan(array, card="report")
    assert told is not None
    assert told.array is array


def test_a_map_is_emptied_where_it_has_a_hit_and_only_there() -> None:
    kind = pa.map_(pa.string(), pa.string())
    array = pa.array([[("k", LEAK)], [("k", "v")], None, [(LEAK, "v")]], kind)
    found = scan(array, card="drop_row")
    assert found is not None
    assert found.array.to_pylist() == [None, [("k", "v")], None, None]
    assert (found.hits, found.drop) == ({"card": 2}, {0, 3})
    told = scan(array, card="report")
    assert told is not None
    assert told.array is array
    both = scan(array, card="report", email="mask")
    assert both is not None
    assert both.array is array
    assert scan(array.slice(1, 2)) is None


def test_a_union_is_emptied_or_refused_and_never_told() -> None:
    """A union has no nulls of its own."""
    codes, texts = pa.array([0, 1], pa.int8()), [pa.array([LEAK, "y"]), pa.array([1.5, 2.5], pa.float32())]
    found = scan(pa.UnionArray.from_sparse(codes, texts))
    assert found is not None
    assert found.array.to_pylist() == [None, 2.5]


def test_every_hit_of_a_text_is_counted_and_only_those_that_are_masked_go() -> None:
    text = "219-09-1234 ann@example.org 4111111111111111 4111111111111111"
    found = scan(pa.array([text, "x", text]), us_ssn="report", email="mask", card="drop_row")
    assert found is not None
    assert found.hits == {"us_ssn": 2, "email": 2, "card": 4}
    assert found.drop == {0, 2}
    assert found.array.to_pylist() == ["219-09-1234 [email] [card] [card]", "x", "219-09-1234 [email] [card] [card]"]
    told = scan(pa.array([text]), us_ssn="report", email="report", card="report")
    assert told is not None
    assert told.array.to_pylist() == [text]
    assert told.drop == set()


def test_a_named_column_lets_weaker_forms_through_the_gate() -> None:
    array = pa.array(["219091234", "111222333"])
    assert scan(array, us_ssn="mask", nl_bsn="mask") is None
    assert masked(array, name="bsn", us_ssn="mask", nl_bsn="mask") == ["219091234", "[nl_bsn]"]
    assert masked(array, name="ssn", us_ssn="mask", nl_bsn="mask")[0] == "[us_ssn]"


def test_a_text_in_another_encoding_keeps_its_place() -> None:
    raw = pa.array([b"\xffplain", b"\xff 4111111111111111", b"4111111111111111"]).view(pa.string())
    found = scan(raw)
    assert found is not None
    clean = found.array.cast(pa.binary()).to_pylist()
    assert clean == [b"\xffplain", "\ufffd [card]".encode(), b"[card]"]
