"""One statement, of one kind, in one dialect's words: what `admit` says of everything else, and where."""

import pytest
from sqlglot import exp

from agent.core.catalog import Catalog, Column, Relation
from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.dialects import DIALECTS
from agent.guard.sql import admit, canonical, check_words, parse_one, quoted, reparsed, unbound_columns, written

DUCKDB, POSTGRES = DIALECTS["duckdb"], DIALECTS["postgres"]
TABLE = Relation("main", "t", (Column("id", "INT"), Column("name", "TEXT")))


def ask(sql, dialect="duckdb", **parameters):
    known = Catalog("shop", dialect, "main", (TABLE,))
    return admit(SqlTask(source=SourceName("shop"), statement=sql, parameters=parameters), known)


def refusal(sql, dialect="duckdb", **parameters):
    with pytest.raises(Refuse) as caught:
        ask(sql, dialect, **parameters)
    return caught.value


@pytest.mark.parametrize(
    ("sql", "code", "message", "place"),
    [
        ("", "sql.statements", "There are 0 statements; one is allowed.", (None, None)),
        (" ; ", "sql.statements", "There are 0 statements; one is allowed.", (1, 2)),
        ("SELECT 1; SELECT 2", "sql.statements", "There are 2 statements; one is allowed.", (1, 11)),
        ("SELECT 1;\nSELECT 2;\nSELECT 3", "sql.statements", "There are 3 statements; one is allowed.", (2, 1)),
        ("\n  UPDATE t SET id = 1", "sql.root", "The statement is not a query.", (2, 3)),
        ("SET x = 1", "sql.root", "The statement is not a query.", (1, 1)),
    ],
)
def test_there_is_one_query(sql, code, message, place):
    found = refusal(sql)
    assert (found.code, found.message) == (code, message)
    assert (found.problems[0].line, found.problems[0].column) == place


def test_a_semicolon_at_the_end_is_no_second_statement():
    assert ask("SELECT 1;").tree == ask("SELECT 1").tree
    assert ask("SELECT 1 ; -- done").tree == ask("SELECT 1").tree


@pytest.mark.parametrize("word", ["ANALYZE", "analyse", "(FORMAT json)", "QUERY PLAN", "VERBOSE", "EXPLAIN", ""])
def test_explain_is_bare(word):
    found = refusal(f"EXPLAIN {word} SELECT 1" if word else "EXPLAIN")
    assert (found.code, found.message) == ("sql.explain", "EXPLAIN is allowed only bare.")
    assert found.hint == "Drop ANALYZE and options."


def test_explain_is_part_of_the_plan_and_keeps_places():
    assert ask("explain SELECT 1").explain
    assert not ask("SELECT 1 AS explain").explain
    first = refusal("\n EXPLAIN\n SELECT md6(1)").problems[0]
    assert (first.line, first.column) == (3, 9)
    found = refusal("EXPLAIN SELECT 1", "tsql")
    assert (found.code, found.message) == ("sql.explain", "EXPLAIN is not available in tsql.")


def test_words_that_run_together_are_read_otherwise_by_engines():
    for text in ("SELECT 1_000", "SELECT 1a", "SELECT U&'x'", 'SELECT u&"x"'):
        found = refusal(text, "postgres")
        assert found.code in {"sql.parse", "sql.node"}
    found = refusal("SELECT id, 1_000 FROM t", "postgres")
    assert (found.message, found.hint) == ("A number or U& runs into a word.", "Put blanks around operators.")
    assert (found.problems[0].line, found.problems[0].column) == (1, 12)
    assert ask("SELECT 1 AS a, id&1 FROM t", "postgres")


@pytest.mark.parametrize(
    ("sql", "line", "column"), [("SELECT 1 +", None, None), ("SELECT\n (1", 2, 3), ("SELECT id FROM t WHERE )", 1, 24)]
)
def test_what_does_not_parse_says_where(sql, line, column):
    found = refusal(sql)
    assert found.code == "sql.parse"
    if line is not None:
        assert (found.problems[0].line, found.problems[0].column) == (line, column)
        assert found.message == f"The statement does not parse at line {line}, column {column}."


def test_names_are_quoted_as_the_engine_would_read_them():
    tree = ask("SELECT Id, \"Name\", {'Key': 1} FROM T", "duckdb").tree
    assert {(one.this, one.args["quoted"]) for one in tree.find_all(exp.Identifier)} >= {("Id", True), ("Name", True)}
    folded = (
        ask('SELECT Id, "Id" FROM T', "snowflake") if False else quoted(parse_one("SELECT Id, x.Y", POSTGRES), POSTGRES)
    )
    assert [one.this for one in folded.find_all(exp.Identifier)] == ["id", "y", "x"]
    assert all(one.args["quoted"] for one in folded.find_all(exp.Identifier))
    assert all(not node.comments for node in quoted(parse_one("SELECT /* c */ 1 -- d", DUCKDB), DUCKDB).walk())


def test_special_texts_become_plain_ones():
    tree = ask(r"SELECT E'a\nb', $$c$$", "postgres").tree
    assert [one.this for one in tree.find_all(exp.Literal)] == ["a\nb", "c"]
    assert all(type(one) is exp.Literal for one in tree.expressions)


def test_pseudo_columns_are_words_unless_they_are_quoted():
    oracle = DIALECTS["oracle"]
    tree = quoted(parse_one('SELECT rownum, "ROWNUM", t.rownum FROM t', oracle), oracle)
    assert [type(one) for one in tree.expressions] == [exp.Var, exp.Column, exp.Column]
    assert tree.expressions[0].this == "ROWNUM"
    keep = quoted(parse_one("SELECT max(a) KEEP (DENSE_RANK LAST ORDER BY b) FROM t", oracle), oracle)
    assert canonical(keep, oracle) == keep
    assert "rownum" in DUCKDB.generate(quoted(parse_one("SELECT rownum FROM t", DUCKDB), DUCKDB))


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT :a, :b_1 FROM t WHERE id > :_c", {"a", "b_1", "_c"}),
        ("SELECT ARRAY[1,2][1:id] FROM t", set()),
        ("SELECT id::int, ':n', \":m\" FROM t", set()),
    ],
)
@pytest.mark.parametrize("dialect", ["duckdb", "postgres"])
def test_parameters_are_names_behind_a_colon(sql, names, dialect):
    assert ask(sql, dialect).names == names


def test_numbered_parameters_have_names_in_postgres():
    plan = ask("SELECT $1, $2 || $10, '$3' FROM t", "postgres", p1=1, p2=2, p10=3)
    assert plan.names == {"p1", "p2", "p10"}
    assert plan.parameters == {"p1": 1, "p2": 2, "p10": 3}
    found = refusal("SELECT 1,\n md6($1)", "postgres")
    assert (found.problems[0].name, found.problems[0].line, found.problems[0].column) == ("md6", 2, 2)


def test_a_value_with_nul_names_its_parameter():
    found = refusal("SELECT :a", a="x\0")
    assert found.message == "The parameter a holds a NUL character."


def test_the_texts_of_outputs_are_kept_for_engines_that_name_by_them():
    assert ask("SELECT id+1, max( id ) FROM t", "sqlite").outputs == ("id+1", "max( id )")
    assert ask("SELECT id+1 FROM t").outputs == ()


def test_a_text_that_cannot_be_read_back_is_refused():
    for text in ("SELECT (", "", "SELECT 1; SELECT 2", "SELECT CAST(1 AS"):
        with pytest.raises(Refuse) as caught:
            reparsed(text, DUCKDB)
        assert (caught.value.code, caught.value.hint) == ("sql.rewrite", "Write it more plainly.")
    assert reparsed('SELECT "a"', DUCKDB).sql() == 'SELECT "a"'


def test_what_the_dialect_cannot_say_is_refused():
    tree = exp.Select(expressions=[exp.Anonymous(this=7)])
    text = "SELECT 1"
    assert written(parse_one(text, DUCKDB), DUCKDB) == text
    with pytest.raises(Refuse) as caught:
        written(tree, DUCKDB)
    assert caught.value.code == "sql.rewrite"


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("SELECT upper('a')", None), ("SELECT UPPER ('a')", None), ("SELECT md6(1)", "md6"), ('SELECT "md6" (1)', None),
        ("SELECT 'md6' (1)", None), ("SELECT a FROM (SELECT 1) AS t(a)", "t"), ("SELECT x IN (1)", None),
        ("SELECT 1 AS a, (2)", None), ("SELECT CAST(1 AS DECIMAL(3))", None), ("SELECT * FROM range(3)", None),
        ("SELECT count(*) FILTER (WHERE true)", None), ("SELECT mine(1)", "mine"), ("SELECT also(1)", None),
    ],
)  # fmt: skip
def test_each_word_before_a_bracket_is_known(text, refused):
    tokens = DUCKDB.tokens(text)
    if refused is None:
        check_words(text, tokens, DUCKDB, frozenset({"also"}))
        return
    with pytest.raises(Refuse, match=f"The function {refused} is not"):
        check_words(text, tokens, DUCKDB, frozenset({"also"}))


def test_columns_that_no_relation_has():
    def unbound(sql, relations=(TABLE,)):
        task = SqlTask(source=SourceName("shop"), statement=sql, parameters={})
        return unbound_columns(task, Catalog("shop", "duckdb", "main", relations))

    found = unbound("SELECT id,\n nam FROM t")
    assert (found.code, found.message, found.hint) == (
        "sql.column", "No relation here has a column nam.", "Did you mean name?",
    )  # fmt: skip
    assert (found.problems[0].line, found.problems[0].column, found.problems[0].name) == (2, 2, "nam")
    assert unbound("SELECT zzz FROM t").hint == "Columns here: id, name."
    assert unbound("SELECT t.zzz, t.yyy, t.xxx, t.www FROM t").problems[0].name == "zzz"
    assert len(unbound("SELECT t.zzz, t.yyy, t.xxx, t.www FROM t").problems) == 3
    assert unbound("SELECT zzz FROM nowhere").hint == ""
    assert unbound("SELECT t.k FROM (SELECT 1 AS k) AS t") is None
    assert unbound("SELECT k FROM (SELECT 1 AS k) AS x, t") is None
    assert unbound("SELECT 'not closed") is None
    assert unbound("SELECT (") is None
    assert unbound('SELECT "\u202e" FROM t').message == "No relation here has a column (unprintable)."
    wide = Relation("main", "w", tuple(Column(f"c{n:02d}", "INT") for n in range(20)))
    assert unbound("SELECT zzz FROM w", (wide,)).hint == f"Columns here: {', '.join(f'c{n:02d}' for n in range(12))}."
    assert unbound(f'SELECT "{"q" * 65}" FROM t').message == "No relation here has a column (unprintable)."
    assert unbound(f'SELECT "{"q" * 64}" FROM t').message == f"No relation here has a column {'q' * 64}."
