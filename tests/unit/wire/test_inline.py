"""What a submitter sends along as JSON is the table that a program gets, type by type."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from agent.core.errors import Refuse
from agent.core.job import InlineTable
from agent.wire import frames
from agent.wire.columns import column_type
from agent.wire.inline import table


def column(kind: str, *values: Any) -> Any:
    made = table(InlineTable(columns=(("a", kind),), rows=tuple((value,) for value in values)))
    return made.column("a").combine_chunks()


@pytest.mark.parametrize(
    ("kind", "given", "arrow", "found"),
    [
        ("BOOLEAN", [True, None], pa.bool_(), [True, None]),
        ("BIGINT", [1, "9007199254740993", None], pa.int64(), [1, 9007199254740993, None]),
        ("uint8", [255], pa.uint8(), [255]),
        ("double", [1, 2.5, "NaN"], pa.float64(), [1.0, 2.5, "nan"]),
        ("varchar(10)", ["x", "", None], pa.string(), ["x", "", None]),
        ("date32[day]", ["2024-02-29"], pa.date32(), [date(2024, 2, 29)]),
        ("time64[us]", ["12:30:00.5"], pa.time64("us"), [time(12, 30, 0, 500_000)]),
        ("timestamp[us]", ["2024-02-29T12:00:00"], pa.timestamp("us"), [datetime(2024, 2, 29, 12)]),  # noqa: DTZ001
        (
            "timestamptz",
            ["2024-02-29T12:00:00+02:00", None],
            pa.timestamp("us", "UTC"),
            [datetime(2024, 2, 29, 10, tzinfo=UTC), None],
        ),
        ("timestamp", ["2024-02-29T12:00:00Z"], pa.timestamp("us", "UTC"), [datetime(2024, 2, 29, 12, tzinfo=UTC)]),
        ("DECIMAL(6, 2)", ["12.5", 3], pa.decimal128(6, 2), [Decimal("12.50"), Decimal("3.00")]),
        ("numeric", ["12.5", "0.125"], pa.decimal128(38, 3), [Decimal("12.500"), Decimal("0.125")]),
    ],
)
def test_each_type(kind: str, given: list[Any], arrow: Any, found: list[Any]) -> None:
    made = column(kind, *given)
    assert made.type == arrow
    assert [str(one) if str(one) == "nan" else one for one in made.to_pylist()] == found


def test_no_rows_make_an_empty_table_of_the_types() -> None:
    made = table(InlineTable(columns=(("a", "int64"), ("b", "text")), rows=()))
    assert (made.num_rows, made.schema.types) == (0, [pa.int64(), pa.string()])


def test_a_result_can_be_sent_back_in() -> None:
    """The types and values of an outcome are those that an inline table takes."""
    first = pa.table(
        {
            "n": pa.array([1, 2**60], pa.int64()),
            "d": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
            "day": pa.array([date(2024, 1, 1), None]),
            "at": pa.array([datetime(2024, 1, 1, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
            "s": ["x", None],
        }
    )
    columns, rows = frames.rows(first)
    sent = InlineTable(columns=tuple((c["name"], c["type"]) for c in columns), rows=tuple(map(tuple, rows)))
    assert table(sent).to_pylist() == first.to_pylist()


def test_what_the_schema_would_not_let_through_is_refused_here_too() -> None:
    for kind, value in (("int8", 300), ("blob", "x"), ("date", "tomorrow"), ("decimal(3,1)", "12.345")):
        with pytest.raises(Refuse) as caught:
            column(kind, value)
        assert caught.value.code == "python.input"


@pytest.mark.parametrize(
    "name", ["decimal(39,1)", "decimal(0,0)", "decimal(3,4)", "timestamp[us", "int128", "", "x" * 99]
)
def test_types_that_no_inline_table_has(name: str) -> None:
    assert column_type(name) is None
