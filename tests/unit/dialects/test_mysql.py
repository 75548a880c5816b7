"""What MySQL's dialect writes of a call means what was written: asked of a real MariaDB in both forms."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.dialects import DIALECTS
from agent.guard.sql import canonical, parse_one, quoted
from tests.support.mariadb import MariaDb

MYSQL = DIALECTS["mysql"]
CALLS = (Path(__file__).parent / "mysql_calls.sql").read_text().splitlines()
MYSQL_ONLY = {"any_value", "bin_to_uuid", "grouping", "is_uuid", "regexp_like", "uuid_to_bin"}
"""MariaDB does not know these; text alone can tell that they are left as they are."""


@pytest.fixture(scope="module")
def cursor(mariadb: MariaDb) -> Iterator[Any]:
    rows = "(1,1,5,'a'),(2,1,7,'b'),(3,2,7,'c'),(4,2,NULL,NULL),(5,2,1,'e')"
    mariadb.database("calls", f"CREATE TABLE t (id int, g int, v int, s varchar(20));\nINSERT INTO t VALUES {rows};\n")
    with mariadb.admin("calls") as con, con.cursor() as cursor:
        mode = "'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'"
        cursor.execute(f"SET time_zone = '+00:00', timestamp = 1700000000, sql_mode = {mode}")
        yield cursor


def written(sql: str) -> str:
    return MYSQL.generate(canonical(quoted(parse_one(sql, MYSQL), MYSQL), MYSQL))


@pytest.mark.parametrize("sql", CALLS)
def test_a_call_means_the_same(sql: str, cursor: Any) -> None:
    cursor.execute(sql)
    raw = cursor.fetchall()
    text = written(sql)
    cursor.execute(text)
    assert str(cursor.fetchall()) == str(raw), text
    assert written(text) == text


def test_every_function_is_tried_or_known_to_be_of_the_other() -> None:
    called = {word.lower() for line in CALLS for word in re.findall(r"(\w+)\s*\(", line)}
    called |= {
        word.lower() for line in CALLS for word in re.findall(r"\w+", line) if word.lower() in MYSQL.bare_functions
    }
    assert MYSQL.functions - called - MYSQL_ONLY == set()


@pytest.mark.parametrize("name", sorted(MYSQL_ONLY - {"regexp_like"}))
def test_what_only_mysql_has_is_left_as_it_is(name: str) -> None:
    assert written(f"SELECT {name}(a)") == f"SELECT {name.upper()}(`a`)"


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("SELECT a REGEXP 'x'", "SELECT (REGEXP_INSTR(`a`, 'x') > 0)"),
        ("SELECT REGEXP_LIKE(a, 'x')", "SELECT (REGEXP_INSTR(`a`, 'x') > 0)"),
        ("SELECT a ->> '$.x'", "SELECT JSON_UNQUOTE(JSON_EXTRACT(`a`, '$.x'))"),
        ("SELECT UTC_DATE()", "SELECT UTC_DATE()"),
        ("SELECT CONVERT(a USING utf8mb4)", "SELECT CAST(`a` AS CHAR)"),
        ("SELECT _utf8mb4'x', N'y', \"z\"", "SELECT 'x', 'y', 'z'"),
        ("SELECT 1 FROM DUAL", "SELECT 1"),
        ("SELECT a || b", "SELECT `a` OR `b`"),
        ("SELECT 'a\\\\' , 'it\\'s'", "SELECT 'a\\\\', 'it''s'"),
        ("SELECT INTERVAL(5, 1, 10)", "SELECT INTERVAL(5, 1, 10)"),
    ],
)
def test_text_is_what_both_servers_read(sql: str, text: str) -> None:
    assert written(sql).lower() == text.lower()
