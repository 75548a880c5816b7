import traceback
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.ports import Connection
from agent.sources._duckdb_faults import running_fault
from agent.sources.duckdb import Config

Plans = Callable[..., MaskedPlan]
Files = Callable[..., Path]

CANARY = "900-55-0001"


@pytest.fixture(scope="module")
def con(shared_duck: Files) -> Iterator[Connection]:
    path = shared_duck(
        f"CREATE TABLE people AS SELECT range AS id, '{CANARY}' AS ssn FROM range(25000)",
        "CREATE TYPE mood AS ENUM ('sad', 'never-used')",
    )
    with Config(type="duckdb", path=path).open("shop", Limits()) as opened:
        yield opened


def rows(table: Any) -> list[dict[str, Any]]:
    return [row for batch in table.batches for row in batch.to_pylist()]


def test_rows_stream_in_batches(con: Connection, plan: Plans) -> None:
    table = con.run(plan("SELECT id, id AS other FROM people"))
    assert table.schema.equals(pa.schema([("id", pa.int64()), ("other", pa.int64())]))
    assert [batch.num_rows for batch in table.batches] == [10_000, 10_000, 5_000]


def test_rows_come_before_the_statement_has_ended(con: Connection, plan: Plans) -> None:
    table = con.run(plan("SELECT range AS i FROM range(1_000_000_000_000)"))
    assert next(table.batches).num_rows == 10_000


def test_a_second_run_ends_the_first(con: Connection, plan: Plans) -> None:
    first = con.run(plan("SELECT id FROM people"))
    next(first.batches)
    assert rows(con.run(plan("SELECT 1 AS a"))) == [{"a": 1}]
    assert con.catalog().relations


def test_parameters_are_bound_by_name(con: Connection, plan: Plans) -> None:
    values = {"a": "x' OR 1=1", "b": 7, "c": 1.5, "d": True, "e": None}
    assert rows(con.run(plan("SELECT $a AS a, $b AS b, $c AS c, $d AS d, $e AS e", values))) == [values]


def test_names_may_repeat(con: Connection, plan: Plans) -> None:
    table = con.run(plan("SELECT 1 AS a, 'x' AS a, '10:00:00+02'::TIMETZ AS a"))
    assert table.schema.names == ["a", "a", "a"]
    assert [column.to_pylist() for column in next(table.batches).columns] == [[1], ["x"], ["10:00:00+02"]]


CARRIED = [
    ("340282366920938463463374607431768211455::UHUGEINT", pa.string(), "340282366920938463463374607431768211455"),
    ("'10:00:00+05:30'::TIMETZ", pa.string(), "10:00:00+05:30"),
    ("'0101'::BIT", pa.string(), "0101"),
    ("(-5)::BIGNUM", pa.string(), "-5"),
    ("'POINT(1 2)'::GEOMETRY", pa.string(), "POINT (1 2)"),
    ("{'a': 1}::VARIANT", pa.string(), '{"a":1}'),
    ("union_value(n := 2)::UNION(n INTEGER, s VARCHAR)", pa.string(), "2"),
    ("'sad'::mood", pa.string(), "sad"),
    ("['sad'::mood]", pa.list_(pa.field("l", pa.string())), ["sad"]),
    ("['0101'::BIT]::BIT[1]", pa.list_(pa.field("", pa.string()), 1), ["0101"]),
    ("99999999999999999999999999999999999999::HUGEINT", pa.decimal128(38, 0), Decimal(10**38 - 1)),
    ("sum(range)", pa.decimal128(38, 0), Decimal(0)),
    ("1.50::DECIMAL(10,2)", pa.decimal128(10, 2), Decimal("1.50")),
    ("uuid_extract_version('00000000-0000-4000-8000-000000000000'::UUID)", pa.uint32(), 4),
    ("'00000000-0000-4000-8000-000000000000'::UUID", pa.string(), "00000000-0000-4000-8000-000000000000"),
    ("NULL", pa.null(), None),
]


@pytest.mark.parametrize(("sql", "kind", "value"), CARRIED, ids=[sql for sql, _, _ in CARRIED])
def test_no_value_is_changed_on_the_way_to_arrow(
    con: Connection, plan: Plans, sql: str, kind: pa.DataType, value: Any
) -> None:
    table = con.run(plan(f"SELECT {sql} AS x, $p AS p FROM range(1)", {"p": 1}))
    assert table.schema.field("x").type.equals(kind)
    assert rows(table) == [{"x": value, "p": 1}]


def test_nested_types_are_changed_where_they_must_be_and_nowhere_else(con: Connection, plan: Plans) -> None:
    table = con.run(plan("""SELECT {'a b': 'sad'::mood, 'c': [1]} AS s, map {'k': 5::BIGNUM} AS m"""))
    assert rows(table) == [{"s": {"a b": "sad", "c": [1]}, "m": [("k", "5")]}]
    assert table.schema.field("s").type.field("c").type.value_type == pa.int32()


def test_labels_of_an_enum_that_no_row_has_stay_at_the_site(con: Connection, plan: Plans) -> None:
    table = con.run(plan("SELECT 'sad'::mood AS m, NULL::mood AS n"))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for batch in table.batches:
            writer.write_batch(batch)
    assert b"never-used" not in sink.getvalue().to_pybytes()


def test_order_survives_the_casts(con: Connection, plan: Plans) -> None:
    plain = [row["id"] for row in rows(con.run(plan("SELECT id FROM people ORDER BY hash(id)")))]
    cast = [row["id"] for row in rows(con.run(plan("SELECT '01'::BIT AS b, id FROM people ORDER BY hash(id)")))]
    assert cast == plain != sorted(plain)


def test_times_are_in_utc(con: Connection, plan: Plans) -> None:
    table = con.run(plan("SELECT '2024-01-01 00:00:00+02'::TIMESTAMPTZ AS t"))
    assert table.schema.field("t").type == pa.timestamp("us", tz="UTC")


PADS = bytes(range(64)) + bytes(range(64, 128))


def test_variables_hold_the_pads(con: Connection, plan: Plans) -> None:
    table = con.run(
        plan(
            "SELECT getvariable('meridyen_x_i') AS i, getvariable('meridyen_x_o') AS o", variables={"meridyen_x": PADS}
        )
    )
    assert rows(table) == [{"i": PADS[:64], "o": PADS[64:]}]


@pytest.mark.parametrize("variables", [{"a b": PADS}, {"x); --": PADS}, {"x": PADS[:-1]}, {"": PADS}, {"X": PADS}])
def test_variables_of_another_shape_are_a_defect(con: Connection, plan: Plans, variables: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match="plain name"):
        con.run(plan("SELECT 1", variables=variables))


FAILS = [
    ("SELECT nope FROM people", "source.binding"),
    ("SELECT * FROM nope", "source.binding"),
    ("SELECT nope(1)", "source.binding"),
    ("SELECT 1 +", "source.binding"),
    ("SELECT $a", "source.error"),
    ("SELECT CAST(ssn AS INTEGER) FROM people", "source.error"),
    (f"SELECT CAST('{CANARY}' AS INTEGER)", "source.error"),
    ("SELECT error(ssn) FROM people", "source.error"),
    ("SELECT 1 // (id - id) FROM people", "source.error"),
    ("SELECT (id + 100)::UTINYINT FROM people", "source.error"),
    ("SELECT 170141183460469231731687303715884105727::HUGEINT", "source.error"),  # no Arrow decimal is so wide
    ("SELECT sum(9223372036854775807::HUGEINT * 9223372036854775807 * 9) FROM people", "source.error"),
    # The first batches are out when this one fails.
    ("SELECT CAST(CASE WHEN id = 24000 THEN ssn ELSE '1' END AS INTEGER) FROM people", "source.error"),
]


@pytest.mark.parametrize(("sql", "code"), FAILS, ids=[sql for sql, _ in FAILS])
def test_errors_carry_no_value(con: Connection, plan: Plans, sql: str, code: str) -> None:
    with pytest.raises(Fault) as caught:
        rows(con.run(plan(sql)))
    fault = caught.value
    assert fault.code == code
    assert fault.hint
    assert fault.__cause__ is None
    assert fault.__context__ is None
    assert CANARY not in "".join(traceback.format_exception(fault))
    assert CANARY not in f"{fault.message}{fault.hint}"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError("Out of Memory Error: failed to allocate"), "limit.memory"),
        (MemoryError(), "limit.memory"),
        (OSError("INTERRUPT Error: Interrupted!"), "limit.wall"),
        (OSError("IO Error: Could not read"), "source.error"),
        (RuntimeError("Out of Memory, said a value"), "source.error"),
        (ValueError(f"{CANARY} Error: x"), "source.error"),
    ],
)
def test_errors_are_told_apart_by_their_class(error: Exception, code: str) -> None:
    fault = running_fault(error)
    assert fault.code == code
    assert CANARY not in fault.message
