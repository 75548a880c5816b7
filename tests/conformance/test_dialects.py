"""Every dialect of the table, whether its engine is at hand or not: the same promises, kept by the text alone."""

import json
from functools import cache
from pathlib import Path

import pytest
from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from agent.core.catalog import Catalog, Column, Relation
from agent.core.codes import CODES
from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.dialects import DIALECTS, reference
from agent.guard.sql import check_words, parse_one, quoted, reparsed, written
from agent.guard.walk import walk
from agent.masking.ddl import catalog_of
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare

HERE = Path(__file__).parent / "dialects"
SCHEMA = (HERE.parents[1] / "attacks" / "sql" / "schema.sql").read_text()
PROTECTED = ["customers.ssn", "customers.email", "customers.dob", "employees.ssn", "employees.salary", "employees.dob"]
ELSEWHERE = json.loads((HERE / "written_as.json").read_text())
"""Dialect -> function -> how it is written: names that the grammar replaces by others of the same meaning."""

ARGUMENTS = (
    "a", "a, b", "", "a, b, c", "*", "'x', a", "a, 'x'", "'day', a, b", "a, b, c, d", "[1], x -> x", "x -> x, a",
    "YEAR FROM a", "DISTINCT a", "a, b, c, d, e", "a AS INT", "DAY, a, b", "a, INTERVAL '1' DAY", "'$.a', a",
)  # fmt: skip

NEVER = frozenset(
    [
        "ai_query",
        "assert_true",
        "bfilename",
        "benchmark",
        "current_setting",
        "currentuser",
        "dblink",
        "dictget",
        "executable",
        "export_set_file",
        "extractvalue",
        "file",
        "get_lock",
        "getenv",
        "getmacro",
        "getsetting",
        "getvariable",
        "hostname",
        "http_get",
        "http_post",
        "httpuritype",
        "input_file_name",
        "java_method",
        "joinget",
        "load_extension",
        "load_file",
        "lo_export",
        "lo_import",
        "ls_dir",
        "nextval",
        "openquery",
        "openrowset",
        "pg_backend_pid",
        "pg_cancel_backend",
        "pg_ls_dir",
        "pg_notify",
        "pg_read_binary_file",
        "pg_read_file",
        "pg_sleep",
        "pg_terminate_backend",
        "pragma_table_info",
        "query",
        "query_table",
        "query_to_xml",
        "raise_error",
        "readfile",
        "read_blob",
        "read_csv",
        "read_files",
        "read_json",
        "read_parquet",
        "read_text",
        "reflect",
        "release_lock",
        "remote",
        "s3",
        "secret",
        "session_context",
        "session_user",
        "set_config",
        "setseed",
        "setval",
        "sleep",
        "sleepeachrow",
        "sys_context",
        "sys_eval",
        "sys_exec",
        "system$wait",
        "throwif",
        "url",
        "userenv",
        "utl_http",
        "writefile",
        "xmlquery",
        "xmltype",
        "xpath_table",
        "xp_cmdshell",
    ]
)
"""Functions that reach a file, a network, a clock's patience, the session or an error, by any engine's name."""

MASKS = frozenset(
    [
        "bucket",
        "constant",
        "email",
        "month_date",
        "month_timestamp",
        "null",
        "partial",
        "partial_last",
        "redact_text",
        "round",
        "round_to",
        "untyped_null",
        "year_date",
        "year_timestamp",
    ]
)
TYPES = ["VARCHAR(20)", "INTEGER", "DECIMAL(12,2)", "DOUBLE", "DATE", "TIMESTAMP", "BOOLEAN", "NO_SUCH_TYPE"]
RULES = [
    "keep", "redact", "null", {"constant": "n/a"}, {"constant": 0}, "last4", {"partial": {"keep_first": 2}},
    {"partial": {"keep_first": 1, "keep_last": 2}}, "email", "year", "month", {"bucket": 10_000}, {"bucket": 0.5},
    {"round": 1}, {"round": -3}, {"token": {"domain": "person"}},
]  # fmt: skip

every_dialect = pytest.mark.parametrize("name", DIALECTS)


def statements(file):
    lines = (HERE / file).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("-- ")]


@cache
def catalog(name):
    return catalog_of(SCHEMA, dialect=name, source="shop")


def policy(rule="redact", match=None):
    rules = [{"match": one, "rule": rule} for one in match or [f"*.*.{path}" for path in PROTECTED]]
    return Policy.model_validate({"version": 1, "default": "keep", "keys": {"token": "env:KEY"}, "rules": rules})


def made(name, sql, its_catalog=None, its_policy=None, **parameters):
    task = SqlTask(source=SourceName("shop"), statement=sql, parameters=parameters)
    return prepare(
        task, its_catalog or catalog(name), its_policy or policy(), roles=(), token_key=b"k" * 32, tenant="acme"
    )


def outcome(name, sql, **parameters):
    try:
        made(name, sql, **parameters)
    except Refuse as refusal:
        return refusal.code
    return "ok"


@every_dialect
def test_what_no_engine_may_be_asked_is_refused(name):
    codes = {sql: outcome(name, sql) for sql in statements("deny.sql")}
    assert [sql for sql, code in codes.items() if code == "ok"] == UNLIKE.get(name, [])
    assert set(codes.values()) - {"ok"} <= set(CODES)


UNLIKE = {
    "duckdb": ["SELECT @@version"],  # there @ means abs(), and version is a column that no table has
}
"""Dialect -> statements of deny.sql that are harmless in it."""


@every_dialect
def test_what_every_engine_can_do_passes_the_whole_way(name):
    unsaid = CANNOT_SAY.get(name, {})
    refused = {sql: code for sql in statements("allow.sql") if (code := outcome(name, sql)) != "ok"}
    assert sorted(refused) == sorted(unsaid), refused


_SETS = "BigQuery wants DISTINCT behind INTERSECT and EXCEPT"
CANNOT_SAY = {
    "bigquery": {
        "SELECT id FROM orders WHERE status = 'it''s' AND amount <> 5": "its texts double no quotes",
        "SELECT id FROM customers INTERSECT SELECT customer_id FROM orders": _SETS,
        "SELECT id FROM customers EXCEPT SELECT customer_id FROM orders": _SETS,
    }
}
"""Dialect -> statement of allow.sql -> why it has no such thing."""


@every_dialect
def test_every_function_is_written_as_it_was_read(name):
    dialect = DIALECTS[name]
    found = {one: how for one in sorted(dialect.functions) if (how := written_as(dialect, one)) is not None}
    known = ELSEWHERE.get(name, {})
    assert {one: how for one, how in found.items() if known.get(one) != how} == {}, "read it, then add it to the list"


def written_as(dialect, function):
    """None when some call of the function is written with its own name; else what is written, or why nothing is."""
    first = None
    for arguments in ARGUMENTS:
        try:
            tree = quoted(parse_one(f"SELECT {dialect.spelling(function)}({arguments})", dialect), dialect)
            text = written(tree, dialect)
            again = quoted(reparsed(text, dialect), dialect)
        except Refuse:
            continue
        shown = text.removeprefix("SELECT ")
        calls = [token.text.lower() for token in dialect.tokens(text)]
        try:
            check_words(text, dialect.tokens(text), dialect, frozenset())
        except Refuse:
            continue
        if function in calls and shown.lower().startswith(function) and hash(again) == hash(tree):
            return None
        first = shown if first is None else first
    return first or "never"


@every_dialect
def test_nothing_dangerous_is_on_a_list(name):
    dialect = DIALECTS[name]
    assert not NEVER & (dialect.functions | dialect.table_functions | dialect.bare_functions)


@every_dialect
def test_lists_are_in_lower_case(name):
    dialect = DIALECTS[name]
    lists = (dialect.functions, dialect.bare_functions, dialect.table_functions, dialect.hidden_columns)
    assert [one for names in lists for one in names if one != one.lower()] == []
    assert {lower for lower, spelled in dialect.spelled.items() if spelled.lower() != lower} == set()
    assert set(dialect.spelled) | dialect.aggregates | dialect.plain <= dialect.functions


@every_dialect
def test_every_mask_but_token_is_there(name):
    assert set(DIALECTS[name].masks) >= MASKS


@every_dialect
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_every_rule_gives_a_mask_or_a_refusal_for_every_type(name, rule):
    dialect = DIALECTS[name]
    columns = tuple(Column(f"C{n}" if dialect.case == "upper" else f"c{n}", text) for n, text in enumerate(TYPES))
    schema = dialect.default_schema
    own = Catalog("shop", name, schema, (Relation(schema, "T" if dialect.case == "upper" else "t", columns),))
    protected = policy(rule, ["*.*.*.*"])
    if "token" in rule and "token" not in dialect.masks:
        with pytest.raises(Refuse) as refusal:
            made(name, "SELECT * FROM t", own, protected)
        assert refusal.value.code == "policy.mask"
        return
    text = made(name, "SELECT * FROM t", own, protected).sql
    (tree,) = dialect.parse(text)
    inner = next(select for select in tree.find_all(exp.Select) if select.parent_select is not None)
    assert len(inner.expressions) == len(TYPES)
    if rule != "keep":
        bare = [one for one in inner.expressions if isinstance(one.unalias(), exp.Column)]
        assert bare == []


@every_dialect
def test_values_are_bound_or_written_as_literals_that_read_back(name):
    texts = [
        "it's",
        "back\\slash",
        "\\",
        "'; DROP TABLE orders; --",
        'double "quote"',
        "`tick`",
        "line\nbreak",
        "ünïcödé",
    ]
    for text in texts:
        plan = made(name, "SELECT id FROM orders WHERE status = :wanted", wanted=text)
        (tree,) = DIALECTS[name].parse(plan.sql)
        if plan.parameters:
            assert plan.parameters == {"wanted": text}
            assert text not in plan.sql
        else:
            assert [one.this for one in tree.find_all(exp.Literal)] == [text], plan.sql


@every_dialect
def test_odd_names_stay_names(name):
    dialect = DIALECTS[name]
    for odd in ('a"b', "a`b", "a]b", "a'b", "a b", "select", "a;b", "a--b", "a\\b", "ünï"):
        column = exp.to_identifier(odd, quoted=True).sql(dialect=dialect.engine)
        own = Catalog("s", name, "d", (Relation("d", "t", (Column(odd, "INTEGER"),)),))
        table = exp.to_identifier("t", quoted=True).sql(dialect=dialect.engine)
        text = made(name, f"SELECT {column} FROM {table}", own, policy("redact", ["*.*.*.*"])).sql
        (tree,) = dialect.parse(text)
        names = {one.name for one in tree.find_all(exp.Identifier)}
        assert names == {odd, "t", "d"}, text


@pytest.mark.full
@every_dialect
def test_no_function_writes_a_name_without_quotes(name):
    """A name that closes brackets and opens a comment would be another statement where it is written as it is."""
    dialect = DIALECTS[name]
    odd = exp.to_identifier("a) FROM x -- ", quoted=True).sql(dialect=dialect.engine)
    bare = []
    for function in sorted(dialect.functions):
        for probe in ("{}", "{}, b", "b, {}", "'month', {}", "b, c, {}", "{}, b, c", "b, {}, c", "{} FROM b"):
            sql = f"SELECT {dialect.spelling(function)}({probe.format(odd)}) FROM t"
            try:
                tree = quoted(parse_one(sql, dialect), dialect)
                walk(tree, dialect)
                text = written(tree, dialect)
                walk(quoted(reparsed(text, dialect), dialect), dialect)
            except Refuse:
                continue
            held = [one for one in dialect.tokens(text) if "from x -- " in one.text.lower()]
            in_quotes = all(one.token_type in {TokenType.IDENTIFIER, TokenType.STRING} for one in held)
            if not in_quotes or len(held) != text.lower().count("from x -- "):
                bare.append(text)
    assert bare == []


@every_dialect
def test_the_page_tells_what_is_admitted(name):
    text = reference.page(DIALECTS[name])
    assert set(map(DIALECTS[name].spelling, DIALECTS[name].functions)) <= set(text.replace(",", " ").split())
    assert f"[{reference.TITLES[name]}]({name}.md)" in reference.index()
