"""The caps on what leaves: to the row and the byte, while it streams."""

import pyarrow as pa
import pytest

from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.table import Disclosure, Table
from agent.masking.policy import Policy
from agent.masking.release import release

SCHEMA = pa.schema([("n", pa.int64())])
DISCLOSURE = Disclosure("shop", (), {}, 1, "0" * 64)
PLAN = MaskedPlan(sql="SELECT 1", parameters={}, disclosure=DISCLOSURE)
ROW = 8
"""Bytes of a row."""


def batches(*sizes):
    start = 0
    for size in sizes:
        yield pa.record_batch([pa.array(range(start, start + size), pa.int64())], schema=SCHEMA)
        start += size


def released(sizes, *, rows=10_000, size=1 << 20, policy_rows=10_000, policy_bytes=1 << 20, on_limit="fail"):
    caps = {"max_rows": policy_rows, "max_bytes": policy_bytes}
    policy = Policy.model_validate({"version": 1, "default": "keep", "release": caps})
    table = Table(SCHEMA, batches(*sizes))
    limits = Limits(rows=rows, bytes=size)
    return release(table, PLAN, policy, limits, on_limit=on_limit, format="json")


def values(masked):
    return [value for batch in masked.batches for value in batch.column(0).to_pylist()]


def test_all_rows_below_the_caps_pass_as_they_are():
    masked = released((3, 0, 2))
    assert values(masked) == [0, 1, 2, 3, 4]
    assert (masked.tally.rows, masked.tally.bytes, masked.tally.truncated) == (5, 5 * ROW, False)
    assert (masked.schema, masked.disclosure, masked.format) == (SCHEMA, DISCLOSURE, "json")


@pytest.mark.parametrize(
    "caps", [{"rows": 4}, {"policy_rows": 4}, {"rows": 4, "policy_rows": 9}, {"rows": 9, "policy_rows": 4}]
)
def test_the_smaller_cap_on_rows_counts(caps):
    masked = released((3, 3), on_limit="truncate", **caps)
    assert values(masked) == [0, 1, 2, 3]
    assert (masked.tally.rows, masked.tally.bytes, masked.tally.truncated) == (4, 4 * ROW, True)
    with pytest.raises(Fault) as fault:
        values(released((3, 3), **caps))
    assert fault.value.code == "limit.rows"
    assert "rows" in fault.value.message


@pytest.mark.parametrize("sizes", [(4,), (3, 1), (1, 1, 1, 1)])
def test_exactly_at_the_cap_on_rows_nothing_is_cut(sizes):
    masked = released(sizes, rows=4)
    assert len(values(masked)) == 4
    assert not masked.tally.truncated


@pytest.mark.parametrize("caps", [{"size": 1024}, {"policy_bytes": 1024}])
def test_the_smaller_cap_on_bytes_counts(caps):
    masked = released((100, 100), on_limit="truncate", **caps)
    assert values(masked) == list(range(1024 // ROW))
    assert (masked.tally.bytes, masked.tally.truncated) == (1024, True)
    with pytest.raises(Fault) as fault:
        values(released((100, 100), **caps))
    assert fault.value.code == "limit.bytes"
    assert "bytes" in fault.value.message


def test_exactly_at_the_cap_on_bytes_nothing_is_cut():
    masked = released((64, 64), size=1024)
    assert len(values(masked)) == 128
    assert not masked.tally.truncated


def test_after_the_cut_the_source_is_not_asked_again():
    asked = []

    def source():
        for batch in batches(2, 2, 2):
            asked.append(batch.num_rows)
            yield batch

    policy = Policy.model_validate({"version": 1, "default": "keep"})
    masked = release(Table(SCHEMA, source()), PLAN, policy, Limits(rows=3), on_limit="truncate", format="json")
    assert values(masked) == [0, 1, 2]
    assert asked == [2, 2]


def test_a_batch_of_which_nothing_fits_is_not_passed_on():
    masked = released((2, 2), rows=2, on_limit="truncate")
    assert [batch.num_rows for batch in masked.batches] == [2]
    assert masked.tally.truncated


def test_a_batch_passes_by_itself():
    (batch,) = batches(3)
    policy = Policy.model_validate({"version": 1, "default": "keep"})
    masked = release(Table(SCHEMA, iter([batch])), PLAN, policy, Limits(), on_limit="fail", format="json")
    assert next(masked.batches).equals(batch)
