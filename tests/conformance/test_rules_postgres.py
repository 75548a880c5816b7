"""Every masking rule over every kind of column of a real PostgreSQL: none raises, NULLs stay where they may, types hold."""

import hashlib
import hmac
from decimal import Decimal

import psycopg
import pytest

from agent.core.catalog import Column
from agent.dialects import DIALECTS
from agent.masking.expressions import kind_of, masked
from agent.masking.tokens import pads
from tests.conformance.test_rules import CASES, ONE_FOR_ALL, rule_of

POSTGRES = DIALECTS["postgres"]
KEY = b"k" * 32
TYPES = """CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN addr AS varchar(80); CREATE DOMAIN pos AS numeric(4,2);
CREATE TYPE pair AS (a int, b text);"""
COLUMNS = {
    "text": ["''", "'a'", "'ann@example.org'", "'@'", "'a@b@c'", "'a@'", "'ünïcödé 😀 text'", r"E'\n\t\\'", "NULL"],
    "varchar(20)": ["'ann@example.org'", "NULL"],
    "char(12)": ["'a'", "'ann@b.org'", "NULL"],
    "bpchar": ["'ann@b.org'", "NULL"],
    "name": ["'ann@b.org'", "NULL"],
    '"char"': ["'a'", "NULL"],
    "smallint": ["-32768", "32767", "0", "NULL"],
    "integer": ["-2147483648", "2147483647", "0", "NULL"],
    "bigint": ["-9223372036854775808", "9223372036854775807", "999999999999999999", "NULL"],
    "numeric(12,2)": ["9999999999.99", "-9999999999.99", "'NaN'", "0", "NULL"],
    "numeric(3,3)": ["0.999", "-0.999", "NULL"],
    "numeric(4,-2)": ["999900", "-999900", "NULL"],
    "numeric": ["'Infinity'", "'-Infinity'", "'NaN'", "1e131000", "-1e131000", "1e-16000", "913511.25", "NULL"],
    "double precision": ["'Infinity'", "'-Infinity'", "'NaN'", "1e308", "-1e308", "5e-324", "-0.0", "NULL"],
    "real": ["'Infinity'", "'NaN'", "3.4e38", "-3.4e38", "1e-45", "NULL"],
    "money": ["'92233720368547758.07'", "'-92233720368547758.08'", "NULL"],
    "date": ["'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'", "'0001-01-01'", "'2024-02-29'", "NULL"],
    "timestamp": ["'infinity'", "'-infinity'", "'4713-01-01 BC'", "'294276-12-31'", "'2024-02-29 10:11:12.3'", "NULL"],
    "timestamp(3)": ["'2024-02-29 10:11:12.3456'", "NULL"],
    "timestamptz": ["'infinity'", "'4713-11-25 BC'", "'294276-12-31'", "'2024-02-29 10:11:12+02'", "NULL"],
    "time": ["'23:59:59'", "'24:00'", "NULL"],
    "timetz": ["'00:00:00+15:59'", "NULL"],
    "interval": ["'1 month'", "'178000000 years'", "NULL"],
    "boolean": ["true", "NULL"],
    "uuid": ["'123e4567-e89b-12d3-a456-426614174000'", "NULL"],
    "bytea": [r"'\xaa00'", "NULL"],
    "json": ["""'{"a": 1}'""", "NULL"],
    "jsonb": ["""'{"a": 1}'""", "NULL"],
    "inet": ["'10.0.0.1/8'", "NULL"],
    "cidr": ["'10.0.0.0/8'", "NULL"],
    "macaddr": ["'08:00:2b:01:02:03'", "NULL"],
    "int[]": ["'{1,NULL}'", "NULL"],
    "text[]": ["'{ann@b.org}'", "NULL"],
    "numeric(4,2)[]": ["'{99.99}'", "NULL"],
    "int4range": ["'[1,5)'", "NULL"],
    "bit(4)": ["'0101'", "NULL"],
    "bit varying(8)": ["'0101'", "NULL"],
    "point": ["'(1,2)'", "NULL"],
    "tsvector": ["'a b'", "NULL"],
    "xml": ["NULL"],
    "mood": ["'sad'", "NULL"],
    "mood[]": ["'{sad}'", "NULL"],
    "addr": ["'ann@b.org'", "NULL"],
    "pos": ["99.99", "NULL"],
    "pair": ["'(1,x)'", "NULL"],
    "oid": ["1", "NULL"],
}
KEEPS_TYPE = {"last4", "partial", "email", "constant", "token"}
NO_CAST = {'"char"', "numeric(4,-2)", "point", "xml", "mood", "mood[]", "addr", "pos", "pair", "oid", "cidr", "macaddr", "tsvector",
           "bit varying(8)"}  # fmt: skip
"""Types without a typed NULL: no statement may name them, so no mask does."""


@pytest.fixture(scope="module")
def engine(postgres):
    name = postgres.database("rules_of_postgres", TYPES)
    with postgres.admin(name) as con:
        for table, (type_text, values) in enumerate(COLUMNS.items()):
            con.execute(f"CREATE TABLE t{table} (n int, c {type_text})")
            for number, value in enumerate(values):
                con.execute(f"INSERT INTO t{table} VALUES ({number}, {value})")
        _hold_pads(con)
        con.execute("SET timezone = 'Pacific/Kiritimati'")
        yield con


def _hold_pads(con):
    for variable, both in pads(KEY, "t", ["person"]).items():
        for end, half in (("i", both[:64]), ("o", both[64:])):
            con.execute("SELECT set_config(%s, %s, false)", [f"meridyen.{variable}_{end}", half.hex()])


def _mask(type_text, written):
    return POSTGRES.generate(masked(Column("c", type_text), rule_of(written), POSTGRES))


@pytest.mark.parametrize(("name", "written"), CASES, ids=str)
def test_total(name, written, engine):
    for table, type_text in enumerate(COLUMNS):
        mask = _mask(type_text, written)
        ask = f"SELECT ({mask})::text, c IS NULL, pg_typeof({mask}) = pg_typeof(c) FROM t{table} ORDER BY n"
        try:
            shown = engine.execute(ask, prepare=True).fetchall()
        except psycopg.Error as error:
            pytest.fail(f"{type_text}: {mask}: {error}")
        applied = rule_of(written).applied(kind_of(type_text, POSTGRES)).mask
        if applied in ONE_FOR_ALL:
            assert len({row[0] for row in shown}) == 1, type_text
        else:
            assert all(row[0] is None for row in shown if row[1]), type_text
        if applied == "null" or (name not in KEEPS_TYPE and kind_of(type_text, POSTGRES) not in {"text", "other"}):
            assert {row[2] for row in shown} == {type_text not in NO_CAST}, f"{type_text}: {mask}"


@pytest.mark.parametrize("type_text", ["mood", "mood[]", "addr", "pair"])
@pytest.mark.parametrize(("name", "written"), CASES, ids=str)
def test_no_mask_names_a_type_of_the_database(name, written, type_text):
    if name != "keep":
        assert type_text.removesuffix("[]") not in _mask(type_text, written)


@pytest.mark.parametrize(
    ("type_text", "written", "value", "shown"),
    [
        ("text", "last4", "'4929000000000001'", "***0001"),
        ("text", "last4", "'1234567'", "***"),
        ("bigint", "last4", "4929000000000001", "***0001"),
        ("text", {"partial": {"keep_first": 2, "keep_last": 2}}, "'abcdefgh'", "ab***gh"),
        ("text", {"partial": {"keep_first": 2, "keep_last": 2}}, "'abcdefg'", "***"),
        ("text", {"partial": {"keep_first": 3}}, "'abcdefgh'", "abc***"),
        ("text", "email", "'ann@example.org'", "***@example.org"),
        ("text", "email", "'\"a@b\"@c.org'", "***@c.org"),
        ("text", "email", "'ann@'", "***@"),
        ("text", "email", "'no address'", "***"),
        ("date", "year", "'2024-02-29'", "2024-01-01"),
        ("date", "month", "'2024-02-29'", "2024-02-01"),
        ("date", "year", "'infinity'", None),
        ("timestamp", "month", "'2024-02-29 10:11:12'", "2024-02-01 00:00:00"),
        ("numeric(12,2)", {"bucket": 10_000}, "913511.25", "910000.00"),
        ("numeric(12,2)", {"bucket": 0.5}, "2.75", "2.50"),
        ("double precision", {"bucket": 10}, "-1.5", "-10"),
        ("integer", {"bucket": 10}, "-10", "-10"),
        ("bigint", {"bucket": 10}, "999999999999999999", "999999999999999990"),
        ("smallint", {"bucket": 10_000}, "-32768", None),
        ("numeric(12,2)", {"round": -3}, "913511.25", "914000.00"),
        ("double precision", {"round": 1}, "2.25", "2.3"),
        ("numeric(3,3)", {"round": 0}, "0.999", None),
    ],
    ids=str,
)  # fmt: skip
def test_values(type_text, written, value, shown, engine):
    mask = _mask(type_text, written)
    asked = engine.execute(f"SELECT ({mask})::text FROM (SELECT CAST({value} AS {type_text}) AS c) AS t")
    assert asked.fetchone() == (shown,)


@pytest.mark.parametrize(
    ("type_text", "value", "text"),
    [
        ("text", "'ünïcödé 😀'", "ünïcödé 😀"),
        ("text", "''", ""),
        ("text", r"'back\slash''s'", r"back\slash's"),
        ("varchar(20)", "'ann@example.org'", "ann@example.org"),
        ("integer", "-42", "-42"),
        ("numeric(12,2)", "12.50", "12.50"),
        ("date", "'2024-02-29'", "2024-02-29"),
        ("uuid", "'123E4567-e89b-12d3-a456-426614174000'", "123e4567-e89b-12d3-a456-426614174000"),
    ],
)
def test_tokens_are_those_of_every_engine(type_text, value, text, engine):
    both = pads(KEY, "t", ["person"])["meridyen_person"]
    key = bytes(byte ^ 0x36 for byte in both[:64])
    expected = "tok_" + hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:32]
    mask = _mask(type_text, {"token": {"domain": "person"}})
    assert engine.execute(f"SELECT {mask} FROM (SELECT {value}::{type_text} AS c) t").fetchone() == (expected,)


def test_bands_hold_their_values(engine):
    mask = _mask("numeric(12,2)", {"bucket": 7})
    rows = engine.execute(
        f"SELECT c, {mask} FROM (SELECT i * 0.37 AS c FROM generate_series(-99, 99) AS i) t"
    ).fetchall()
    assert all(low <= value < low + 7 and low % 7 == 0 for value, low in rows if isinstance(low, Decimal))
