"""Limits before the parser: each holds to the last word that it lets through."""

import pytest

from agent.core.errors import Refuse
from agent.dialects import DIALECTS
from agent.guard import scan as limits
from agent.guard.scan import check_work, scan

DUCKDB, BIGQUERY = DIALECTS["duckdb"], DIALECTS["bigquery"]


def refused(text, dialect=DUCKDB):
    with pytest.raises(Refuse) as caught:
        scan(text, dialect)
    return caught.value.code, caught.value.message


def test_the_size_is_counted_in_bytes():
    start = "SELECT '"
    most = limits.MAX_BYTES - len(start) - 1
    assert len(scan(start + "x" * most + "'", DUCKDB)) == 2
    assert refused(start + "x" * (most + 1) + "'") == ("sql.size", "The statement is longer than 64 KB.")
    assert refused(start + "ä" * (most // 2 + 1) + "'")[0] == "sql.size"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("SELECT '\ud800'", "sql.encoding", "The statement is not valid Unicode."),
        ("SELECT 1\0", "sql.encoding", "The statement holds a NUL character."),
        ("SELECT /*+ x */ 1", "sql.node", "Comments that engines execute or read as hints are not allowed."),
        ("SELECT /*! x */ 1", "sql.node", "Comments that engines execute or read as hints are not allowed."),
        ("SELECT /*M! x */ 1", "sql.node", "Comments that engines execute or read as hints are not allowed."),
        ("SELECT 'a", "sql.parse", "The text cannot be split into words: a quote or comment is not closed."),
    ],
)
def test_what_no_parser_should_see(text, code, message):
    assert refused(text) == (code, message)


def test_plain_comments_are_passed_over():
    assert [token.text for token in scan("SELECT /* + ! */ 1 -- M", DUCKDB)] == ["SELECT", "1"]


@pytest.mark.parametrize("pair", ["()", "[]", "{}"])
def test_brackets_are_counted_where_they_are_open(pair):
    assert scan("SELECT " + pair[0] * 200 + pair[1] * 200 + pair * 10, DUCKDB)
    assert refused(f"SELECT '{pair[0] * 201}'") == ("sql.depth", "Brackets are nested deeper than 200.")
    assert scan(f"SELECT '{(pair[0] * 150 + pair[1] * 150) * 2}'", DUCKDB)


def test_the_words_are_counted():
    assert len(scan("SELECT " + "1," * 8191 + "1", DUCKDB)) == limits.MAX_TOKENS
    assert refused("SELECT " + "1," * 8191 + "1 x")[1] == f"The statement has more than {limits.MAX_TOKENS} words."


@pytest.mark.parametrize(
    ("word", "piece"),
    [("(", "f()+"), ("[", "a[1]+"), ("::", "a::b+"), (".", "a."), ("case", "CASE a END,"), ("join", "JOIN a "),
     ("{", "{},"), ("->", "a->b,")],
)  # fmt: skip
def test_some_words_are_counted_each(word, piece):
    most = limits.MAX_OF[word]
    tokens = scan("SELECT " + piece * most, DUCKDB)
    assert sum(token.text.lower() == word for token in tokens) == most
    assert refused("SELECT " + piece * (most + 1)) == (
        "sql.depth",
        f"The statement has more than {most} of {word!r}.",
    )


@pytest.mark.parametrize("word", ["NOT", "- ", "+ ", "~ ", "EXISTS", "DISTINCT", "Interval"])
def test_words_in_a_row_that_open_a_level_are_counted(word):
    assert scan("SELECT " + f"{word} " * 100 + "a", DUCKDB)
    assert refused("SELECT " + f"{word} " * 101 + "a") == ("sql.depth", "More than 100 levels without brackets.")
    assert scan("SELECT " + (f"{word} " * 60 + "a, ") * 3 + "a", DUCKDB)


def test_only_what_stands_in_a_row_is_counted():
    for between in ("'x'", '"x"', "1", ",", ")", "=", "a"):
        assert scan("SELECT (" + ("NOT " * 70 + between + " ") * 2, DUCKDB)


def test_open_cases_are_counted():
    assert scan("SELECT " + "CASE a " * 100 + "END " * 100 + "CASE a END " * 50, DUCKDB)
    assert refused("SELECT " + "CASE a " * 101 + "END " * 101)[1] == "More than 100 levels without brackets."


def test_what_stands_in_the_brackets_of_types_is_read_again():
    def nested(depth, words=1):
        return "SELECT " + "DECIMAL(" * depth + "1 " * words + ")" * depth

    assert scan(nested(12), DUCKDB)
    assert refused(nested(16)) == ("sql.depth", "Type words with brackets are nested too deeply.")
    assert scan(nested(8, 100), DUCKDB)
    assert refused(nested(8, 200))[0] == "sql.depth"
    assert scan("SELECT " + "f(" * 60 + ")" * 60, DUCKDB)
    assert scan("SELECT " + "DECIMAL(1) " * 500, DUCKDB)
    assert refused("SELECT " + "DECIMAL(" * 40 + "1")[0] == "sql.depth"


def test_so_is_what_stands_in_their_square_brackets():
    assert scan("SELECT " + "ARRAY[" * 11 + "1" + "]" * 11, DUCKDB)
    assert refused("SELECT " + "ARRAY[" * 16 + "1" + "]" * 16)[0] == "sql.depth"
    assert refused("SELECT " + "ARRAY[DECIMAL(" * 8 + "1" + ")]" * 8)[0] == "sql.depth"
    assert scan("SELECT " + "ARRAY[1]," * 150 + "a" + "[1]" * 150, DUCKDB)
    assert scan("SELECT " + "[" * 100 + "1" + "]" * 100, DUCKDB)


def test_angle_brackets_behind_words_of_nested_types_are_few():
    assert scan("SELECT " + ", ".join(["CAST(a AS STRUCT<b INT>)"] * limits.MAX_ANGLES), DUCKDB)
    assert scan("SELECT " + "a < b AND " * 1_000 + "c", DUCKDB)
    message = "There are more than 200 type words with < behind them."
    assert refused("SELECT " + ", ".join(["CAST(a AS STRUCT<b INT>)"] * (limits.MAX_ANGLES + 1))) == (
        "sql.depth",
        message,
    )


def test_a_written_text_may_be_read_again_more_often():
    tokens = DUCKDB.tokens("SELECT " + "DECIMAL(" * 16 + "1" + ")" * 16)
    check_work(tokens, DUCKDB)
    with pytest.raises(Refuse):
        check_work(tokens, DUCKDB, limits.MAX_REREAD)
    with pytest.raises(Refuse):
        check_work(DUCKDB.tokens("SELECT " + "DECIMAL(" * 19 + "1" + ")" * 19), DUCKDB)


def test_what_a_from_reads_is_copied_by_some_grammars():
    def nested(depth, words):
        return "SELECT 1 FROM (" * depth + "SELECT " + "1," * words + "1" + ")" * depth

    assert scan(nested(10, 2900), BIGQUERY)
    assert refused(nested(10, 3100), BIGQUERY) == ("sql.depth", "Sub-queries are nested too deeply.")
    assert scan(nested(10, 3100), DUCKDB)
    assert scan("SELECT " + "(1)," * 1900 + "f((SELECT 1))", BIGQUERY)
    assert scan("SELECT " + "(WITH a AS (SELECT 1) SELECT 1), " * 300 + "1", BIGQUERY)
