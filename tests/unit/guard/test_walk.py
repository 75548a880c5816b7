"""The rule of each node that carries text, over trees that no parser need have made."""

import pytest
from sqlglot import exp

from agent.core.errors import Refuse
from agent.dialects import DIALECTS
from agent.guard.nodes import COMMON, arguments
from agent.guard.walk import faults, refused_function, walk

DUCKDB = DIALECTS["duckdb"]
SQLITE = DIALECTS["sqlite"]
TABLE = exp.Table(this=exp.to_identifier("orders", quoted=True))


def refused(tree, dialect=DUCKDB):
    if isinstance(tree, str):
        (tree,) = dialect.parse(tree)
    elif not isinstance(tree, exp.Select):
        tree = exp.Select(expressions=[tree])
    with pytest.raises(Refuse) as refusal:
        walk(tree, dialect)
    return refusal.value


def column(name="a"):
    return exp.column(exp.to_identifier(name, quoted=True))


@pytest.mark.parametrize(
    "number", ["1", "10", "1.5", ".5", "1.", "1e9", "1E-9", "1.5e+3", "0x1F", "0Xff", "1_000", "0"]
)
def test_a_number_is_written_as_a_number(number):
    walk(exp.Select(expressions=[exp.Literal.number(number)]), DUCKDB)


@pytest.mark.parametrize("number", ["", ".", "-1", "1e", "0x", "1;", "1 ", " 1", "1\n", "a", "1)", "e5", "_1", "x'1'"])
def test_nothing_else_is_a_number(number):
    literal = exp.Literal(this=number, is_string=False)
    assert refused(literal).code == "sql.node"


def test_a_literal_holds_a_text():
    assert refused(exp.Literal(this=7, is_string=True)).code == "sql.node"


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_a_literal_is_what_every_driver_can_carry(text):
    assert refused(exp.Literal.string(text)).code == "sql.encoding"
    walk(exp.Select(expressions=[exp.Literal.string("ä 😀")]), DUCKDB)


@pytest.mark.parametrize("name", ["", "a\0b", 7])
def test_an_identifier_is_a_text_without_nul(name):
    assert refused(exp.Column(this=exp.Identifier(this=name, quoted=True))).code == "sql.node"


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (exp.HexString, ("", "0", "dEad09"), ("g", "0 ", "'", "0\n")),
        (exp.BitString, ("", "0110"), ("2", "0 ", "'", "1\n")),
    ],
)
def test_a_coded_literal_has_only_its_digits(kind, good, bad):
    own = DIALECTS["postgres"]
    for text in good:
        walk(exp.Select(expressions=[kind(this=text)]), own)
    for text in bad:
        assert refused(kind(this=text), own).code == "sql.node"


@pytest.mark.parametrize("unit", ["month) FROM x --", "1", "a b", ""])
def test_a_part_of_a_date_is_a_plain_word(unit):
    tree = exp.Select(expressions=[exp.DateTrunc(this=column(), unit=exp.Literal.string("month"))])
    walk(tree, DUCKDB)
    tree.expressions[0].set("unit", exp.Literal.string(unit))
    assert refused(tree).code == "sql.node"


def test_a_bare_word_is_one_of_the_known_keywords():
    walk(exp.Select(expressions=[exp.Interval(this=exp.Literal.string("1"), unit=exp.Var(this="day"))]), DUCKDB)
    assert refused(exp.Var(this="secret")).code == "sql.node"


def test_a_source_of_rows_is_a_table_or_a_query():
    bad = exp.Select(expressions=[exp.Star()], from_=exp.From(this=column("orders")))
    found = refused(bad)
    assert (found.code, found.message) == ("sql.node", "FROM does not name a table or a sub-query.")


def test_lateral_holds_a_query_or_a_function():
    bad = exp.Select(expressions=[exp.Star()], from_=exp.From(this=exp.Lateral(this=column("orders"))))
    assert refused(bad).code == "sql.node"


@pytest.mark.parametrize("name", ["1a", "a b", "a;", "", "ä", 7])
def test_a_parameter_has_a_plain_name(name):
    assert refused(exp.Placeholder(this=name)).code == "sql.parameter"


def test_a_parameter_may_be_called_with_63_letters():
    walk(exp.Select(expressions=[exp.Placeholder(this="p" * 63)]), DUCKDB)
    assert refused(exp.Placeholder(this="p" * 64)).code == "sql.parameter"


@pytest.mark.parametrize("part", [column("b"), exp.Anonymous(this="upper", expressions=[column()])])
def test_what_stands_behind_a_dot_is_a_name(part):
    assert refused(exp.Dot(this=exp.Paren(this=column()), expression=part)).code == "sql.function"


def test_a_column_is_a_name():
    assert refused(exp.Column(this=exp.Literal.string("a"))).code == "sql.node"
    assert refused(exp.Column(this=exp.Literal.number("1.5"))).code == "sql.node"


@pytest.mark.parametrize(
    "written",
    [
        "SELECT * FROM read_csv('x')",
        "SELECT * FROM orders, LATERAL read_csv('x')",
        "SELECT * FROM READ_CSV('x')",
    ],
)
def test_a_table_function_is_named_with_what_is_allowed(written):
    found = refused(written)
    assert found.code == "sql.table_function"
    assert found.message == "The table function read_csv is not allowed in duckdb."
    allowed = ", ".join(sorted(DUCKDB.table_functions))
    assert found.hint == f"Query a table of the catalog; allowed are {allowed}."


@pytest.mark.parametrize("sql", ["SELECT * FROM range(3)", "SELECT * FROM unnest([1]) AS u(a)"])
def test_allowed_table_functions_pass(sql):
    walk(DUCKDB.parse(sql)[0], DUCKDB)


def test_an_allowed_table_function_is_written_without_its_schema():
    assert refused("SELECT * FROM main.range(3)").code == "sql.table_function"


def test_a_table_function_of_a_strange_name_is_not_repeated():
    assert "(not a plain name)" in refused('SELECT * FROM "900-55 0001"(1)').message


def test_a_function_is_named_with_what_comes_close():
    found = refused_function("REGEXP_EXTRAC", DUCKDB)
    assert (found.code, found.message) == ("sql.function", "The function regexp_extrac is not allowed in duckdb.")
    assert found.hint.startswith("Did you mean regexp_extract")
    assert found.hint.endswith("?")
    assert found.hint.count(",") <= 2


def test_a_function_like_no_other_is_answered_with_the_list():
    assert refused_function("zzzqqq", DUCKDB).hint == "docs/sql/duckdb.md lists what is allowed."


@pytest.mark.parametrize("name", ["a b", "900-55-0001", "x" * 64])
def test_a_function_of_a_strange_name_is_not_repeated(name):
    assert refused_function(name, DUCKDB).message == "The function (not a plain name) is not allowed in duckdb."


def test_a_quoted_function_is_refused_whatever_its_name():
    call = exp.Anonymous(this=exp.to_identifier("upper", quoted=True), expressions=[column()])
    assert refused(call).code == "sql.function"


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("SELECT CAST(a AS REGCLASS)", "regclass"),
        ("SELECT CAST(a AS mood)", "mood"),
        ('SELECT CAST(a AS "my mood")', "(unknown)"),
        ("SELECT CAST(a AS INTEGER[])", None),
    ],
)
def test_a_type_is_named(sql, shown):
    if shown is None:
        walk(DUCKDB.parse(sql)[0], DUCKDB)
        return
    found = refused(sql)
    assert (found.code, found.message) == ("sql.cast", f"The type {shown} is not allowed.")


def test_an_argument_is_named_in_words():
    found = refused("SELECT * FROM orders FOR UPDATE")
    assert (found.code, found.message) == ("sql.argument", "SELECT: LOCKS is not allowed here.")
    assert found.hint == "Drop FOR UPDATE or FOR SHARE: nothing is locked or changed here."


def test_an_unknown_argument_can_be_removed():
    assert refused(exp.Select(expressions=[exp.Star()], nothing_known=True)).hint == "Remove it."


def test_a_bare_argument_is_a_known_word():
    join = exp.Join(this=TABLE.copy(), kind="CROSS")
    tree = exp.Select(expressions=[exp.Star()], from_=exp.From(this=TABLE.copy()), joins=[join])
    walk(tree, DUCKDB)
    join.set("kind", "CROSS JOIN x,")
    found = refused(tree)
    assert (found.code, found.message) == ("sql.argument", "JOIN: KIND is not one of the allowed words.")
    join.set("kind", 1.5)
    assert refused(tree).message == "JOIN: KIND is not valid."


def test_a_node_is_named_in_words():
    found = refused(exp.SessionParameter(this=exp.Var(this="x")))
    assert (found.code, found.message) == ("sql.node", "SESSION PARAMETER is not allowed.")
    assert found.hint == "Pass values as parameters, written :name."


def test_a_collation_is_a_plain_name():
    good = exp.Collate(this=column(), expression=exp.Var(this="NOCASE"))
    walk(exp.Select(expressions=[good]), SQLITE)
    bad = exp.Collate(this=column(), expression=exp.Var(this="NOCASE) --"))
    assert refused(bad, SQLITE).code == "sql.node"


def test_what_is_skipped_is_not_looked_at_and_nothing_else():
    (tree,) = DUCKDB.parse("SELECT * FROM (SELECT md6(1)) AS a, (SELECT md7(1)) AS b")
    first, second = list(tree.find_all(exp.Anonymous))
    walk(tree, DUCKDB, skip=frozenset({id(first), id(second)}))
    with pytest.raises(Refuse, match=str(second.this)):
        walk(tree, DUCKDB, skip=frozenset({id(first)}))


def test_faults_go_on_after_the_first():
    (tree,) = DUCKDB.parse("SELECT md6(1), CAST(a AS mood) FROM orders FOR UPDATE")
    found = {(refusal.code, type(node)) for refusal, node in faults(tree, DUCKDB)}
    assert found >= {("sql.function", exp.Anonymous), ("sql.cast", exp.DataType), ("sql.argument", exp.Lock)}


def test_arguments_are_those_of_all_dialects_and_the_own_ones():
    for kind, own in DUCKDB.nodes.items():
        assert arguments(kind, DUCKDB) == COMMON.get(kind, frozenset()) | own
    assert arguments(exp.Select, SQLITE) >= COMMON[exp.Select]
    assert arguments(exp.Insert, DUCKDB) is None
    typed = next(kind for kind in DUCKDB.typed if kind not in COMMON and kind not in DUCKDB.nodes)
    assert arguments(typed, DUCKDB) == frozenset(typed.arg_types)
