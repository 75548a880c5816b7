"""The second net over Arrow batches: every shape that holds texts, every action, and the fast path."""

import struct
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from agent.core.errors import Refuse
from agent.core.table import Table, Tally
from agent.masking.pii.config import PiiNet
from agent.masking.pii.kinds import KINDS, USUAL
from agent.masking.pii.net import Net
from agent.masking.policy import Policy

LEAK = "card 4111 1111 1111 1111 of ann@example.org"
CLEAN = "card [card] of [email]"
TEXTS = ["a", LEAK, None, "x"]
MASKED = ["a", CLEAN, None, "x"]
NESTED = [[], ["a", LEAK], None, ["x", None]]
SHAPES: dict[str, tuple[Any, list[Any]]] = {
    "string": (pa.array(TEXTS), MASKED),
    "large_string": (pa.array(TEXTS, pa.large_string()), MASKED),
    "string_view": (pa.array(TEXTS, pa.string_view()), MASKED),
    "dictionary": (pa.array(TEXTS).dictionary_encode(), MASKED),
    "list": (pa.array(NESTED), [[], ["a", CLEAN], None, ["x", None]]),
    "large_list": (pa.array(NESTED, pa.large_list(pa.string())), [[], ["a", CLEAN], None, ["x", None]]),
    "struct": (
        pa.array([{"t": "a", "n": 1}, {"t": LEAK, "n": 2}, None, {"t": None, "n": 3}]),
        [{"t": "a", "n": 1}, {"t": CLEAN, "n": 2}, None, {"t": None, "n": 3}],
    ),
    "list of structs": (
        pa.array([[{"t": "a"}], [{"t": LEAK}, {"t": "b"}], None, []]),
        [[{"t": "a"}], [{"t": CLEAN}, {"t": "b"}], None, []],
    ),
    "fixed list": (
        pa.array([["a", "b"], [LEAK, "b"], None, ["c", "d"]], pa.list_(pa.string(), 2)),
        [["a", "b"], None, None, ["c", "d"]],
    ),
    "map": (
        pa.array([[("k", "v")], [("k", LEAK)], None, []], pa.map_(pa.string(), pa.string())),
        [[("k", "v")], None, None, []],
    ),
    "runs": (
        pa.RunEndEncodedArray.from_arrays(pa.array([1, 2, 4], pa.int32()), pa.array(["a", LEAK, "x"])),
        ["a", CLEAN, "x", "x"],
    ),
    "json": (
        pa.array(["{}", '{"m": "ann@example.org", "n": 4111111111111111}', None, "[1]"]),
        ["{}", '{"m": "[email]", "n": "[card]"}', None, "[1]"],
    ),
    "int64": (pa.array([1, 4111111111111111, None, 2]), [1, None, None, 2]),
    "uint64": (pa.array([1, 4111111111111111, None, 2], pa.uint64()), [1, None, None, 2]),
    "double": (pa.array([1.5, 4111111111111111.0, None, float("inf")]), [1.5, None, None, float("inf")]),
    "decimal": (pa.array([1, 4111111111111111, None, 2], pa.decimal128(38, 0)), [1, None, None, 2]),
}


def released(
    columns: Mapping[str, Any], config: Any, *, exempt: tuple[str, ...] = (), cut: bool = False
) -> tuple[Any, Tally]:
    batch = pa.RecordBatch.from_pydict(dict(columns))
    batch = batch.slice(1) if cut else batch
    tally = Tally()
    table = Net(PiiNet.model_validate(config), Table(batch.schema, iter([batch])), tally, exempt).table()
    batches = list(table.batches)
    for one in batches:
        one.validate(full=True)
        assert one.schema == table.schema
    return batches[0], tally


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("cut", [False, True])
def test_mask_replaces_the_hit_and_nothing_else(name: str, cut: bool) -> None:
    array, wanted = SHAPES[name]
    batch, tally = released({"c": array}, "mask", cut=cut)
    assert batch.column(0).type == array.type
    assert batch.column(0).to_pylist() == (wanted[1:] if cut else wanted)
    assert tally.pii.keys() <= {"c: card", "c: email"}
    assert tally.pii["c: card"] == 1
    assert tally.suppressed == 0


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("action", ["mask", "drop_row"])
def test_no_byte_of_a_hit_is_sealed(name: str, action: str) -> None:
    """Also not beneath a null."""
    batch, _ = released({"c": SHAPES[name][0]}, action)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    number = 4111111111111111
    data = sink.getvalue().to_pybytes()
    forms = [b"4111 1111", b"ann@", number.to_bytes(8, "little"), struct.pack("<d", number)]
    assert [form for form in forms if form in data] == []


@pytest.mark.parametrize("name", SHAPES)
def test_drop_row_drops_that_row(name: str) -> None:
    array, _ = SHAPES[name]
    batch, tally = released({"i": pa.array([0, 1, 2, 3], pa.int8()), "c": array}, "drop_row", cut=True)
    assert batch.column(0).to_pylist() == [2, 3]
    assert tally.suppressed == 1


@pytest.mark.parametrize("name", SHAPES)
def test_refuse_names_columns_and_kinds_and_no_value(name: str) -> None:
    with pytest.raises(Refuse) as refused:
        released({"c": SHAPES[name][0]}, "refuse")
    assert refused.value.code == "policy.pii"
    assert "c (card)" in refused.value.message
    assert "4111" not in refused.value.message + refused.value.hint
    assert "ann" not in refused.value.message + refused.value.hint


@pytest.mark.parametrize("name", SHAPES)
def test_report_only_counts(name: str) -> None:
    array, _ = SHAPES[name]
    batch, tally = released({"c": array}, "report")
    assert batch.column(0).equals(array)
    assert tally.pii["c: card"] == 1


def test_off_looks_at_nothing() -> None:
    batch, tally = released({"c": pa.array(TEXTS)}, "off")
    assert batch.column(0).to_pylist() == TEXTS
    assert tally.pii == {}


def test_a_clean_batch_goes_on_as_the_same_object() -> None:
    batch = pa.RecordBatch.from_pydict(
        {"a": ["x", "2024-01-01 12:00:00"], "n": [1, 2], "t": ["tok_" + "1" * 32, "***@example.org"]}
    )
    table = Net(PiiNet(action="mask"), Table(batch.schema, iter([batch])), Tally()).table()
    assert next(iter(table.batches)) is batch


@pytest.mark.parametrize("action", ["mask", "drop_row"])
def test_names_of_columns_are_output_too(action: str) -> None:
    """A pivot makes names of values."""
    batch, tally = released({"ann@example.org": pa.array([1, 2])}, action)
    assert batch.schema.names == ["[email]"]
    assert batch.num_rows == 2
    assert tally.pii == {"(column names): email": 1}
    with pytest.raises(Refuse) as refused:
        released({"ann@example.org": pa.array([1, 2])}, "refuse")
    assert "ann" not in refused.value.message


def test_a_name_with_a_hit_is_masked_in_counts_and_refusals_too() -> None:
    _, tally = released({"ann@example.org": pa.array([LEAK])}, "mask")
    assert set(tally.pii) == {"(column names): email", "[email]: card", "[email]: email"}


def test_kinds_may_have_actions_of_their_own() -> None:
    config = {"action": "mask", "actions": {"card": "refuse", "email": "off", "ip": "report"}}
    batch, tally = released({"c": pa.array(["ann@example.org", "203.0.113.9", "219-09-1234"])}, config)
    assert batch.column(0).to_pylist() == ["ann@example.org", "203.0.113.9", "[us_ssn]"]
    assert tally.pii == {"c: ip": 1, "c: us_ssn": 1}
    with pytest.raises(Refuse):
        released({"c": pa.array(["4111111111111111"])}, config)


def test_numbers_can_be_left_alone() -> None:
    batch, _ = released({"c": pa.array([4111111111111111])}, {"action": "mask", "numbers": False})
    assert batch.column(0).to_pylist() == [4111111111111111]


def test_weak_forms_count_where_the_column_speaks_of_them() -> None:
    columns = {
        "bsn": pa.array(["111222333"]),
        "customerSSN": pa.array([219091234]),
        "id": pa.array([219091234]),
        "order": pa.array(["111222333"]),
    }
    batch, _ = released(columns, "mask")
    assert batch.to_pylist() == [{"bsn": "[nl_bsn]", "customerSSN": None, "id": 219091234, "order": "111222333"}]


def test_exempt_columns_are_not_looked_at_unless_two_have_the_name() -> None:
    batch, tally = released({"c": pa.array(TEXTS)}, "mask", exempt=("c",))
    assert batch.column(0).to_pylist() == TEXTS
    assert tally.pii == {}
    twice = pa.RecordBatch.from_arrays([pa.array(TEXTS), pa.array(TEXTS)], names=["c", "c"])
    net = Net(PiiNet(action="mask"), Table(twice.schema, iter([twice])), Tally(), ("c",))
    assert next(iter(net.table().batches)).column(0).to_pylist() == MASKED


def test_words_of_a_dictionary_that_no_row_uses_are_masked_too() -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int8()), pa.array(["a", LEAK]))
    batch, _ = released({"c": array}, "mask")
    assert batch.column(0).dictionary.to_pylist() == ["a", CLEAN]


def test_text_that_is_not_unicode_is_still_looked_at() -> None:
    raw = pa.array([b"\xff ann@example.org"]).view(pa.string())
    batch, _ = released({"c": pa.array([None, None], pa.string()).take(pa.array([0]))}, "mask")
    assert batch.num_rows == 1
    tally = Tally()
    odd = pa.RecordBatch.from_arrays([raw], names=["c"])
    clean = next(iter(Net(PiiNet(action="mask"), Table(odd.schema, iter([odd])), tally).table().batches))
    assert clean.column(0).to_pylist() == ["\ufffd [email]"]


@pytest.mark.parametrize("mode", ["sparse", "dense"])
def test_a_union_is_masked(mode: str) -> None:
    codes, parts = pa.array([0, 1], pa.int8()), [pa.array([LEAK, "b"]), pa.array([1, 2])]
    offsets = pa.array([0, 1], pa.int32())
    union = (
        pa.UnionArray.from_sparse(codes, parts) if mode == "sparse" else pa.UnionArray.from_dense(codes, offsets, parts)
    )
    batch, _ = released({"c": union}, "mask")
    assert batch.column(0).to_pylist() == [None, 2]
    assert LEAK.encode() not in b"".join(bytes(buffer) for buffer in batch.column(0).field(0).buffers() if buffer)


@pytest.mark.parametrize("written", ["off", "mask", "drop_row", "refuse", "report"])
def test_the_short_form_is_the_action(written: str) -> None:
    policy = Policy.model_validate({"version": 1, "default": "keep", "release": {"pii_net": written}})
    assert policy.release.pii_net == PiiNet(action=written)
    assert Policy.model_validate_json(policy.model_dump_json()) == policy
    assert set(policy.release.pii_net.effective()) == (set() if written == "off" else set(USUAL))


@pytest.mark.parametrize(
    "written",
    [
        "masks",
        {"action": "mask", "kinds": ["emails"]},
        {"action": "mask", "exempt": ["a.b.c"]},
        {"act": "mask"},
        True,
        {"actions": {"x": "mask"}},
    ],
)
def test_anything_else_is_an_error(written: object) -> None:
    with pytest.raises(ValidationError):
        PiiNet.model_validate(written)


def test_kinds_restrict_and_keep_their_order() -> None:
    net = PiiNet.model_validate({"action": "mask", "kinds": ["email", "secret"], "actions": {"ip": "drop_row"}})
    assert list(net.effective().items()) == [("secret", "mask"), ("email", "mask"), ("ip", "drop_row")]
    assert set(USUAL) == set(KINDS) - {"ip"}
