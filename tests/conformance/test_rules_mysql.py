"""Every masking rule over every kind of column, on a real MariaDB: total, and for tokens the value of every engine."""

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import pytest

from agent.core.catalog import Column
from agent.dialects import DIALECTS
from agent.masking.expressions import kind_of, masked
from agent.masking.policy import Policy
from agent.masking.tokens import pads
from tests.support.mariadb import MariaDb

MYSQL = DIALECTS["mysql"]
RULES: list[Any] = [
    *("keep", "redact", "null", {"constant": "n/a"}, {"constant": 0}, "last4", {"partial": {"keep_last": 2}}),
    *({"partial": {"keep_first": 1, "keep_last": 1}}, "email", "year", "month", {"bucket": 10_000}, {"bucket": 0.5}),
    *({"bucket": 1e-200}, {"round": 1}, {"round": 12}, {"round": -3}, {"round": -12}, {"round": 0}),
    {"token": {"domain": "person"}},
]
ONE_FOR_ALL = {"redact", "null", "constant"}
TEXTS = [
    "''",
    "'a'",
    "'ann@example.org'",
    "'@'",
    "'a@b@c'",
    "'ann＠example.org'",
    "'ünïcödé 😀 text'",
    r"'nul \0 \\ %'",
    "NULL",
]
SMALL_TEXTS = ["''", "'a'", "'ann@example.org'", "'ünï'", "NULL"]
DATES = [
    "'0000-00-00'",
    "'2024-00-00'",
    "'2024-02-00'",
    "'0001-01-01'",
    "'0050-06-07'",
    "'9999-12-31'",
    "'2024-02-29'",
    "NULL",
]
COLUMNS = {
    "varchar(80)": TEXTS,
    "longtext": TEXTS,
    "varchar(80) character set latin1": SMALL_TEXTS,
    "varchar(80) character set ucs2": SMALL_TEXTS,
    "varchar(80) character set utf8mb4 collate utf8mb4_bin": TEXTS,
    "varchar(80) character set utf8mb4 collate utf8mb4_unicode_ci": TEXTS,
    "char(20)": ["''", "'abcdefghij  '", "NULL"],
    "tinyint": ["-128", "127", "NULL"],
    "tinyint(1)": ["0", "1", "NULL"],
    "int": ["-2147483648", "2147483647", "0", "NULL"],
    "bigint": ["-9223372036854775808", "9223372036854775807", "NULL"],
    "bigint unsigned": ["18446744073709551615", "0", "NULL"],
    "decimal(12,2)": ["9999999999.99", "-9999999999.99", "NULL"],
    "decimal(65,30)": ["99999999999999999999999999999999999.999999999999999999999999999999", "NULL"],
    "decimal(10,0) unsigned": ["9999999999", "NULL"],
    "float": ["3.4e38", "-1.5", "NULL"],
    "double": ["1.7976931348623157e308", "-1.7976931348623157e308", "2.2e-308", "-0.0", "NULL"],
    "date": DATES,
    "datetime": [*DATES, "'2024-02-29 23:59:59'"],
    "datetime(6)": [*DATES, "'9999-12-31 23:59:59.999999'"],
    "timestamp null": ["'0000-00-00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "NULL"],
    "time": ["'838:59:59'", "'-838:59:59'", "NULL"],
    "year": ["1901", "0", "NULL"],
    "json": ["'{\"a\": 1}'", "NULL"],
    "enum('ann','bob')": ["'ann'", "''", "NULL"],
    "set('x','y')": ["'x,y'", "''", "NULL"],
    "bit(8)": ["b'00110001'", "NULL"],
    "binary(4)": [r"'\0\xff'", "NULL"],
    "blob": ["x'fffe4078797a'", "''", "NULL"],
    "uuid": ["'123e4567-e89b-12d3-a456-426614174000'", "NULL"],
    "inet6": ["'::1'", "NULL"],
}


def rule_of(written: Any) -> Any:
    line = {"match": "*.*.*.*", "rule": written}
    keys = {"token": "env:K"}
    return Policy.model_validate({"version": 1, "default": "redact", "keys": keys, "rules": [line]}).rules[0].rule


def catalogued(type_text: str) -> str:
    """A catalog says nothing of character sets, and calls enumerations what their values are."""
    return (
        "varchar" if type_text[:4] in {"enum", "set("} else type_text.partition(" character")[0].removesuffix(" null")
    )


def mask_of(type_text: str, written: Any) -> str:
    return MYSQL.generate(masked(Column("c", catalogued(type_text)), rule_of(written), MYSQL))


@pytest.fixture(scope="module")
def cursor(mariadb: MariaDb) -> Iterator[Any]:
    mariadb.database("masks")
    with mariadb.admin("masks") as con, con.cursor() as cursor:
        cursor.execute("SET sql_mode = '', time_zone = '+00:00'")
        for table, (type_text, values) in enumerate(COLUMNS.items()):
            cursor.execute(f"CREATE TABLE t{table} (n int, c {type_text})")
            for number, value in enumerate(values):
                cursor.execute(f"INSERT INTO t{table} VALUES ({number}, {value})")
        cursor.execute("SET sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'")
        for name, both in pads(b"k" * 32, "t", ["person"]).items():
            cursor.execute(f"SET @{name}_i = x'{both[:64].hex()}', @{name}_o = x'{both[64:].hex()}'")
        yield cursor


@pytest.mark.parametrize("written", RULES, ids=str)
def test_masks_are_total(written: Any, cursor: Any) -> None:
    for table, type_text in enumerate(COLUMNS):
        cursor.execute(f"SELECT CAST({mask_of(type_text, written)} AS CHAR), c IS NULL FROM t{table} ORDER BY n")
        shown = cursor.fetchall()
        applied = rule_of(written).applied(kind_of(catalogued(type_text), MYSQL)).mask
        if applied in ONE_FOR_ALL:
            assert len({str(value) for value, _ in shown}) == 1, type_text
        else:
            assert all(value is None for value, null in shown if null), type_text


@pytest.mark.parametrize("written", RULES, ids=str)
def test_masks_read_back_as_they_were_written(written: Any) -> None:
    for type_text in COLUMNS:
        text = mask_of(type_text, written)
        (tree,) = MYSQL.parse(f"SELECT {text}")
        assert tree is not None
        assert MYSQL.generate(tree) == f"SELECT {text}"


def test_nothing_of_the_person_is_left_of_an_address(cursor: Any) -> None:
    """A collation may take another character for an @."""
    for collation in ("utf8mb4_unicode_ci", "utf8mb4_bin", "utf8mb4_general_ci"):
        column = Column("c", "varchar(80)")
        mask = MYSQL.generate(masked(column, rule_of("email"), MYSQL))
        for value in ("ann＠example.org", "ann@example.org", "ann﹫example.org"):
            cursor.execute(f"SELECT {mask} FROM (SELECT %s COLLATE {collation} AS c) AS t", [value])
            assert "ann" not in cursor.fetchall()[0][0]


@pytest.mark.parametrize(
    ("written", "type_text", "value", "shown"),
    [
        ("last4", "varchar(80)", "4929000000000001", "***0001"),
        ("last4", "varchar(80)", "1234567", "***"),
        ({"partial": {"keep_first": 2, "keep_last": 2}}, "varchar(80)", "abcdefgh", "ab***gh"),
        ({"partial": {"keep_first": 2, "keep_last": 2}}, "varchar(80)", "abcdefg", "***"),
        ({"partial": {"keep_first": 3}}, "varchar(80)", "abcdefgh", "abc***"),
        ("email", "varchar(80)", "ann@example.org", "***@example.org"),
        ("email", "varchar(80)", '"a@b"@c.org', "***@c.org"),
        ("email", "varchar(80)", "no address", "***"),
        ({"bucket": 10_000}, "decimal(12,2)", "913511.25", "910000.00"),
        ({"bucket": 10}, "double", "-1.5", "-10"),
        ({"bucket": 0.5}, "double", "1.7", "1.5"),
        ({"bucket": 10}, "bigint(20) unsigned", "18446744073709551615", "18446744073709551615"),
        ({"round": -3}, "int", "913511", "914000"),
        ({"round": 1}, "decimal(12,2)", "2.25", "2.20"),  # by way of a double, as everywhere
        ("year", "date", "2024-02-29", "2024-01-01"),
        ("month", "datetime(6)", "2024-02-29 10:11:12.5", "2024-02-01 00:00:00.000000"),
        ("year", "timestamp", "2024-02-29 10:11:12", "2024-01-01 00:00:00"),
    ],
    ids=str,
)
def test_values(written: Any, type_text: str, value: str, shown: str, cursor: Any) -> None:
    mask = MYSQL.generate(masked(Column("c", type_text), rule_of(written), MYSQL))
    cursor.execute(f"CREATE OR REPLACE TEMPORARY TABLE v (c {type_text})")
    cursor.execute("INSERT INTO v VALUES (%s)", [value])
    cursor.execute(f"SELECT CAST({mask} AS CHAR) FROM v")
    assert cursor.fetchall() == ((shown,),)


@pytest.mark.parametrize("charset", ["utf8mb4", "latin1", "ucs2"])
@pytest.mark.parametrize("value", ["ann", "ünï", "", "a'b\\c%", "913511.25"])
def test_tokens_are_those_of_every_engine(value: str, charset: str, cursor: Any) -> None:
    """HMAC-SHA256 (RFC 2104) over the text in UTF-8, whatever the column stores it in."""
    both = pads(b"k" * 32, "t", ["person"])["meridyen_person"]
    inner, outer = both[:64], both[64:]
    expected = hashlib.sha256(outer + hashlib.sha256(inner + value.encode()).digest()).hexdigest()[:32]
    key = bytes(b ^ 0x36 for b in inner)
    assert expected == hmac.new(key, value.encode(), "sha256").hexdigest()[:32]
    cursor.execute(f"CREATE OR REPLACE TEMPORARY TABLE v (c varchar(80) CHARACTER SET {charset})")
    cursor.execute("INSERT INTO v VALUES (%s)", [value])
    cursor.execute(f"SELECT {mask_of('varchar(80)', {'token': {'domain': 'person'}})} FROM v")
    assert cursor.fetchall() == ((f"tok_{expected}",),)
