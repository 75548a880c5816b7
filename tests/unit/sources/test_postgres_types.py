"""The table of docs/sources/postgres.md, column by column, on a real server."""

from collections.abc import Iterator
from typing import Any

import pytest

from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.ports import Connection
from agent.core.table import Disclosure
from agent.sources.postgres import Config
from agent.wire import cells
from tests.support.postgres import Postgres

SCRIPT = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE TYPE "numeric" AS ENUM ('no number');
"""
WIDE = "1" * 60


@pytest.fixture(scope="module")
def con(postgres: Postgres) -> Iterator[Connection]:
    source = Config.model_validate(postgres.config(postgres.database("types", SCRIPT)))
    with source.open("shop", Limits()) as opened:
        yield opened


def ask(con: Connection, sql: str) -> tuple[str, list[Any]]:
    """The type of the one column, and its values as the published format has them."""
    table = con.run(MaskedPlan(sql=sql, parameters={}, disclosure=Disclosure("shop", (), {}, 1, "")))
    batches: list[Any] = list(table.batches)
    assert all(batch.schema == table.schema for batch in batches)
    return str(table.schema.types[0]), [value for batch in batches for value in cells.values(batch.column(0))]


@pytest.mark.parametrize(
    ("expression", "kind", "value"),
    [
        ("(-32768)::smallint", "int16", -32768),
        ("2147483647::int", "int32", 2**31 - 1),
        ("(-9223372036854775808)::bigint", "int64", str(-(2**63))),
        ("4294967295::oid", "int64", 2**32 - 1),
        ("'NaN'::real", "float", "NaN"),
        ("'-Infinity'::float8", "double", "-Infinity"),
        ("0.1::float8", "double", 0.1),
        ("12345678.90::numeric(10,2)", "decimal128(10, 2)", "12345678.90"),
        (f"{WIDE}.5::numeric(70,1)", "decimal256(70, 1)", f"{WIDE}.5"),
        ("0.10::numeric", "decimal128(38, 2)", "0.10"),
        (f"{WIDE}.25::numeric", "decimal256(76, 2)", f"{WIDE}.25"),
        ("(-1e-20)::numeric", "decimal128(38, 20)", "-0.00000000000000000001"),
        (f"{WIDE}{WIDE}::numeric", "string", WIDE + WIDE),
        ("'NaN'::numeric", "string", "NaN"),
        ("'-Infinity'::numeric", "string", "-Infinity"),
        ("sum(1.50::numeric(5,2))", "decimal128(38, 2)", "1.50"),
        ("'12.30'::money", "decimal128(21, 4)", "12.3000"),
        ("true", "bool", True),
        ("'é漢😀'::text", "string", "é漢😀"),
        ("'ab'::char(4)", "string", "ab  "),
        ("'ab'::name", "string", "ab"),
        ("'x'::\"char\"", "string", "x"),
        ("'ok'::public.mood", "string", "ok"),
        ("'no number'::public.\"numeric\"", "string", "no number"),
        ("'{\"a\": 1.0}'::json", "string", '{"a": 1.0}'),
        ("'{\"a\":1.0}'::jsonb", "string", '{"a": 1.0}'),
        ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid", "string", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("'\\x00ff'::bytea", "binary", "AP8="),
        ("'2024-02-29'::date", "date32[day]", "2024-02-29"),
        ("'infinity'::date", "date32[day]", "infinity"),
        ("'-infinity'::date", "date32[day]", "-infinity"),
        ("'2024-01-02 03:04:05.678901'::timestamp", "timestamp[us]", "2024-01-02T03:04:05.678901"),
        ("'infinity'::timestamp", "timestamp[us]", "infinity"),
        ("'-infinity'::timestamptz", "timestamp[us, tz=UTC]", "-infinityZ"),
        ("'2024-01-02 03:04:05+02'::timestamptz", "timestamp[us, tz=UTC]", "2024-01-02T01:04:05Z"),
        ("'23:59:59.5'::time", "time64[us]", "23:59:59.500000"),
        ("'12:00+02'::timetz", "string", "12:00:00+02"),
        ("'1 mon -2 days 3.5 s'::interval", "month_day_nano_interval", "P1M-2DT3.5S"),
        ("'{1,NULL,3}'::int[]", "list<item: int32>", [1, None, 3]),
        ("'{a,NULL}'::text[]", "list<item: string>", ["a", None]),
        ("'{}'::float8[]", "list<item: double>", []),
        ("'{ok}'::public.mood[]", "list<item: string>", ["ok"]),
        ("'{1.50}'::numeric[]", "list<item: string>", ["1.50"]),
        ("'{infinity}'::date[]", "list<item: string>", ["infinity"]),
        ("'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'::uuid[]", "list<item: string>", None),
        ("'::1/64'::inet", "string", "::1/64"),
        ("'10.0.0.0/8'::cidr", "string", "10.0.0.0/8"),
        ("'08:00:2b:01:02:03'::macaddr", "string", "08:00:2b:01:02:03"),
        ("B'101'", "string", "101"),
        ("'[1,5)'::int4range", "string", "[1,5)"),
        ("'{[1,3)}'::int4multirange", "string", "{[1,3)}"),
        ("'(1,2)'::point", "string", "(1,2)"),
        ("'b a'::tsvector", "string", "'a' 'b'"),
        ("'0/16'::pg_lsn", "string", "0/16"),
        ("'(1,x)'::public.pair", "string", "(1,x)"),
        ("ROW(1, 'x')", "string", "(1,x)"),
        ("'pg_class'::regclass", "string", "pg_class"),
        ("5::public.positive", "int32", 5),
    ],
)
def test_a_type_survives(con: Connection, expression: str, kind: str, value: Any) -> None:
    found, values = ask(con, f"SELECT {expression} AS x")
    assert found == kind
    if value is not None:
        assert values == [value.removesuffix("Z") if value == "-infinityZ" else value]
    nothing, nulls = ask(con, f"SELECT CASE WHEN false THEN ({expression}) END AS x")
    assert nulls == [None]
    if not kind.startswith("decimal") and kind != "string":
        assert nothing == kind


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("'24:00'::time", "24:00"),
        ("'infinity'::interval", "interval"),
        ("'3000000 hours'::interval", "interval"),
        ("'{{1,2},{3,4}}'::int[]", "several dimensions"),
        ("'{{a},{b}}'::text[]", "several dimensions"),
        ("'[0:1][0:1]={{1,2},{3,4}}'::numeric[]", "several dimensions"),
        ("'[2:3]={1,2}'::int[]", "does not begin at 1"),
        ("'NaN'::numeric(5,2)", "NaN"),
        ("'294270-01-01'::timestamp", "later than results"),
    ],
)
def test_what_cannot_be_carried_is_said(con: Connection, expression: str, said: str) -> None:
    with pytest.raises(Fault, match=said) as caught:
        ask(con, f"SELECT {expression} AS x")
    assert caught.value.code == "source.error"
    assert caught.value.hint


def test_order_names_and_repeated_names_stay_under_a_cast(con: Connection) -> None:
    sql = 'SELECT i AS a, \'::1\'::inet AS "a b""c", i AS a FROM generate_series(3, 1, -1) i ORDER BY i DESC'
    table = con.run(MaskedPlan(sql=sql, parameters={}, disclosure=Disclosure("shop", (), {}, 1, "")))
    assert table.schema.names == ["a", 'a b"c', "a"]
    batches: list[Any] = list(table.batches)
    assert batches[0].column(2).to_pylist() == [3, 2, 1]


def test_as_many_columns_as_the_server_can_have(con: Connection) -> None:
    sql = "SELECT " + ", ".join(f"'10.0.0.1'::inet AS c{number}" for number in range(1600))
    assert len(con.run(MaskedPlan(sql=sql, parameters={}, disclosure=Disclosure("s", (), {}, 1, ""))).schema) == 1600
