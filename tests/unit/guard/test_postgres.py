"""What PostgreSQL reads otherwise than other engines: names, calls, literals and parameters."""

import pytest

from agent.core.catalog import Catalog, Column, Relation
from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare

COLUMNS = (Column("id", "INT"), Column("ssn", "TEXT"), Column("Mixed", "TEXT"))
VIEW = Relation("app", "v", (Column("id", ""), Column("s", "")), "view", "SELECT id, ssn AS s FROM people")
RELATIONS = (
    Relation("app", "people", COLUMNS),
    Relation("public", "people", (*COLUMNS, Column("extra", "TEXT"))),
    Relation("public", "Quoted Name", COLUMNS),
    Relation("public", "b", COLUMNS),
    Relation("pg_catalog", "pg_authid", COLUMNS),
    Relation("other", "only_here", COLUMNS),
    VIEW,
)


def catalog(*path, relations=RELATIONS):
    return Catalog("shop", "postgres", "public", relations, ("shop_db",), path)


def ask(sql, known=None, rules=(("*.*.*.ssn", "redact"),), parameters=None, **more):
    lines = [{"match": match, "rule": rule} for match, rule in rules]
    policy = Policy.model_validate({"version": 1, "default": "keep", "rules": lines, **more})
    task = SqlTask(source=SourceName("shop"), statement=sql, parameters=parameters or {})
    return prepare(task, known or catalog(), policy, roles=(), token_key=None, tenant="t").sql


def refusal(sql, known=None, **more):
    with pytest.raises(Refuse) as caught:
        ask(sql, known, **more)
    return caught.value


@pytest.mark.parametrize(
    ("path", "schema"),
    [((), "public"), (("app", "public"), "app"), (("public", "app"), "public"), (("nowhere", "app"), "app"),
     (("pg_catalog", "public"), "public")],
)  # fmt: skip
def test_a_bare_name_is_the_first_of_the_search_path(path, schema):
    assert f'FROM "{schema}"."people"' in ask("SELECT id FROM people", catalog(*path))


def test_a_bare_name_outside_the_search_path_is_missing():
    assert refusal("SELECT id FROM only_here", catalog("app", "public")).code == "sql.relation"
    assert '"other"."only_here"' in ask("SELECT id FROM other.only_here", catalog("app", "public"))


def test_a_denied_relation_does_not_stand_in_the_way_of_a_name():
    text = ask("SELECT id FROM people", catalog("app", "public"), tables={"deny": ["*.app.people"]})
    assert 'FROM "public"."people"' in text


@pytest.mark.parametrize("sql", ["SELECT 1 FROM pg_authid", "SELECT 1 FROM pg_catalog.pg_authid", "TABLE pg_authid"])
@pytest.mark.parametrize("path", [(), ("pg_catalog", "public"), ("public", "pg_catalog")])
def test_a_systems_schema_is_never_read_whatever_the_catalog_says(sql, path):
    assert refusal(sql, catalog(*path)).code == "sql.relation"


def test_a_view_reads_names_from_its_own_schema_first():
    assert '"app"."people"' in ask("SELECT s FROM app.v", catalog("public", "app"))
    assert '"public"."people"' not in ask("SELECT s FROM app.v", catalog("public", "app"))


def test_a_name_is_folded_unless_it_is_quoted():
    assert '"public"."people"' in ask("SELECT ID FROM PEOPLE")
    assert '"public"."Quoted Name"' in ask('SELECT "Mixed" FROM "Quoted Name"')
    assert refusal('SELECT id FROM "People"').code == "sql.relation"
    assert refusal("SELECT id FROM quoted_name").code == "sql.relation"


def test_only_ascii_letters_are_folded():
    known = catalog(relations=(Relation("public", "Übung", COLUMNS),))
    assert '"public"."Übung"' in ask("SELECT ID FROM ÜBUNG", known)
    assert refusal("SELECT id FROM übung", known).code == "sql.relation"


def test_a_database_before_the_schema_is_the_catalogs_own():
    assert '"public"."people"' in ask("SELECT id FROM shop_db.public.people")
    assert refusal("SELECT id FROM other_db.public.people").code == "sql.relation"


def test_with_recursive_a_name_may_come_before_its_query():
    text = ask("WITH RECURSIVE a AS (SELECT id FROM b), b AS (SELECT 1 AS id) SELECT id FROM a")
    assert '"public"' not in text
    assert '"public"."b"' in ask("WITH a AS (SELECT id FROM b), b AS (SELECT 1 AS id) SELECT id FROM a")


@pytest.mark.parametrize(
    ("call", "written"),
    [
        ("now()", "NOW()"),
        ("date_part('year', now())", "DATE_PART('year', NOW())"),
        ("substr('abc', 2)", "SUBSTR('abc', 2)"),
        ("to_char(1, 'FM999')", "TO_CHAR(1, 'FM999')"),
        ("char_length('a')", "CHAR_LENGTH('a')"),
        ("\"left\"('abc', 1)", "LEFT('abc', 1)"),
        ("generate_series(1, 2, 1)", "GENERATE_SERIES(1, 2, 1)"),
        ("div(7, 2)", "DIV(7, 2)"),
        ("date(now())", "DATE(NOW())"),
    ],
)
def test_a_call_stays_what_it_was(call, written):
    assert written in ask(f"SELECT {call} FROM people")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT left.id FROM people AS left",
        "SELECT x FROM people AS date(x)",
        "WITH length(a) AS (SELECT 1) SELECT a FROM length",
        "SELECT CAST(id AS numeric(10, 2)), id::timestamp(3) FROM people",
        "SELECT * FROM jsonb_to_record('{}') AS t(a numeric(4, 1), b varchar(3))",
    ],
)
def test_a_functions_name_may_be_a_name_or_a_type(sql):
    assert "meridyen_plain" not in ask(sql)


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ('SELECT U&"\\0073sn" FROM people', "sql.parse"),
        ("SELECT 1_000", "sql.parse"),
        ("SELECT 1a", "sql.parse"),
        ("SELECT U&'\\0041'", "sql.node"),
        ("SELECT interval(3) '1 day'", "sql.function"),
        ("SELECT * FROM public.generate_series(1, 2)", "sql.table_function"),
        ("SELECT ssn(people) FROM people", "sql.function"),
        ("SELECT \"Left\"('a', 1)", "sql.function"),
        ("SELECT current_setting('meridyen.meridyen_person_i')", "sql.function"),
        ("SELECT meridyen_plain_pg_sleep(1)", "sql.function"),
        ("SELECT id FROM people AS meridyen_plain_x", "sql.relation"),
        ("SELECT x'1g'", "sql.parse"),
        (r"SELECT E'a\000b'", "sql.encoding"),
        (r"SELECT E'a\0' || ssn FROM people", "sql.encoding"),
        ("SELECT '1'::mood", "sql.cast"),
        ("SELECT '1'::app.tsvector", "sql.cast"),
        ("SELECT '1'::\"Tsvector\"", "sql.cast"),
        ("SELECT * FROM ONLY people", "sql.argument"),
        ("SELECT * FROM app.v TABLESAMPLE SYSTEM (1)", "sql.node"),
        ("SELECT * FROM people TABLESAMPLE SYSTEM ((SELECT max(id) FROM people))", "sql.node"),
        ("SELECT * FROM generate_series(1, 9) TABLESAMPLE SYSTEM (1)", "sql.node"),
        ("SELECT ctid FROM people", "sql.column"),
        ("SELECT user FROM people", "sql.column"),
    ],
)
def test_refused(sql, code):
    assert refusal(sql).code == code


def test_a_sample_is_taken_of_the_table_beneath_the_masks():
    text = ask("SELECT ssn FROM people AS p TABLESAMPLE BERNOULLI (50) REPEATABLE (1)")
    assert '"public"."people" TABLESAMPLE BERNOULLI (50) REPEATABLE (1)) AS "p"' in text


def test_a_whole_row_reads_every_column():
    for sql in ("SELECT p FROM people p", "SELECT (p).id FROM people p", "SELECT (p).* FROM people p"):
        assert '"extra"' in ask(sql)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("it's", "'it''s'"),
        ("\\'; DROP TABLE people; --", "'\\''; DROP TABLE people; --'"),
        (-3, "(-3)"),
        (2.5, "2.5"),
        (None, "NULL"),
        (True, "TRUE"),
    ],
)
def test_parameters_become_literals(value, written):
    assert ask("SELECT :x AS v", parameters={"x": value}) == f'SELECT {written} AS "v"'
    assert ask("SELECT $1 AS v", parameters={"p1": value}) == f'SELECT {written} AS "v"'


def test_a_dollar_in_quotes_is_no_parameter():
    assert ask("SELECT '$1', $$a $1$$, $tag$ $$ $tag$") == "SELECT '$1', 'a $1', ' $$ '"
    assert refusal("SELECT $1").code == "sql.parameter"


def test_escapes_are_written_out():
    assert ask(r"SELECT E'a\'b\\c\x41\n', 'a\b'") == "SELECT 'a''b\\cA\n', 'a\\b'"
