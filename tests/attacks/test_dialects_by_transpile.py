"""Dialects without an engine at hand: what they refuse, what they write, and what that does in another engine.

A masked text is transpiled to DuckDB and run in the two worlds. That proves less than the real engine would: it is a net
below the checks on the text itself, and the last test keeps it from getting holes.
"""

import importlib.util
import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.dialects import DIALECTS
from agent.guard.nodes import ROOTS
from agent.masking.ddl import catalog_of
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare

FOLDER = Path(__file__).parent / "sql"
_spec = importlib.util.spec_from_file_location("worlds", FOLDER.parent / "worlds.py")
assert _spec is not None
assert _spec.loader is not None
worlds = importlib.util.module_from_spec(_spec)
sys.modules.setdefault("worlds", worlds)
_spec.loader.exec_module(worlds)

WITH_ENGINE = {"duckdb", "sqlite", "postgres", "mysql"}
WITHOUT = sorted(name for name in DIALECTS if name not in WITH_ENGINE and (FOLDER / name / "deny.jsonl").exists())
RULES = ("redact", "null", {"constant": 1})
RANDOM = ("rand", "newid", "uuid", "getdate", "current_", "sysdate", "sysutc", "now(", "today", "localt", "sample")
SHARE = 0.5
"""Of the leak cases that run in DuckDB; fewer would mean that the net has been lost on the way."""

PROTECTED = {tuple(path.split(".")) for path in worlds.PROTECTED}
ran: Counter[tuple[str, str]] = Counter()


def cases(name):
    found = []
    for dialect in WITHOUT:
        lines = (FOLDER / dialect / f"{name}.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
        found += [worlds.Case(dialect, row["sql"], row["why"], number=n) for n, row in enumerate(rows, 1)]
    return found


CATALOGS = {
    name: replace(catalog_of(worlds.SCHEMA, dialect=name, source="shop"), databases=("shop", "SHOP"))
    for name in WITHOUT
}


def made(case, rule, default="keep"):
    rules = [{"match": f"*.*.{path}", "rule": rule} for path in worlds.PROTECTED]
    policy = Policy.model_validate({"version": 1, "default": default, "keys": {"token": "env:KEY"}, "rules": rules})
    parameters = {"least": 50} if ":least" in case.sql else {}
    task = SqlTask(source=SourceName("shop"), statement=case.sql, parameters=parameters)
    return prepare(task, CATALOGS[case.dialect], policy, roles=(), token_key=b"k" * 32, tenant="acme")


@pytest.fixture(scope="module")
def real():
    script = worlds.schema("duckdb")
    pair = worlds.world("duckdb", script), worlds.world("duckdb", worlds.other_world(script))
    yield pair
    for con in pair:
        con.close()


def test_every_dialect_has_enough_cases():
    for name, least in (("deny", 40), ("allow", 20), ("leak", 25)):
        count = Counter(case.dialect for case in cases(name))
        assert {dialect: n for dialect, n in count.items() if n < least} == {}


@pytest.mark.parametrize("case", cases("deny"), ids=str)
def test_refused(case):
    with pytest.raises(Refuse) as refusal:
        made(case, "redact")
    assert refusal.value.code.startswith("sql.")
    assert refusal.value.message


@pytest.mark.parametrize("case", cases("allow"), ids=str)
def test_allowed_and_masked(case, real):
    _check_text(made(case, "keep").sql, case.dialect, protected=False)
    _check(case, "redact", real, "allow")


@pytest.mark.parametrize("case", cases("leak"), ids=str)
def test_no_leak(case, real):
    _check(case, RULES[case.number % len(RULES)], real, "leak")


@pytest.mark.full
@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("case", cases("leak"), ids=str)
def test_no_leak_under_any_rule(case, rule, real):
    _check(case, rule, real, "leak again")


def test_enough_ran_elsewhere():
    """Runs last: the tests above have counted."""
    for dialect in WITHOUT:
        tried, done = ran[dialect, "leak tried"], ran[dialect, "leak ran"]
        assert done >= SHARE * tried, f"{dialect}: {done} of {tried}"


def _check(case, rule, real, kind):
    text = made(case, rule).sql
    _check_text(text, case.dialect, protected=True)
    ran[case.dialect, f"{kind} tried"] += 1
    elsewhere = _transpiled(text, case.dialect)
    if elsewhere is None or any(word in text.lower() for word in RANDOM):
        return
    first, second = (_run(con, elsewhere) for con in real)
    assert first == second, elsewhere
    guesses = [canary for canary in worlds.CANARIES if canary in case.sql]
    assert not [c for c in worlds.CANARIES if c in str(first) and c not in guesses], elsewhere
    ran[case.dialect, f"{kind} ran"] += first[0] != "error"


def _check_text(text, dialect, *, protected):
    """One query, in which every table is read by a SELECT that lists columns, and none of the protected ones bare."""
    trees = [tree for tree in DIALECTS[dialect].parse(text) if tree is not None]
    assert len(trees) == 1, text
    assert isinstance(trees[0], ROOTS), text
    for table in trees[0].find_all(exp.Table):
        if isinstance(table.this, exp.Func) or table.name.startswith("meridyen_cte_"):
            continue
        select = table.parent_select
        assert isinstance(table.parent, exp.From), text
        assert isinstance(select.parent, exp.Subquery), text
        assert set(select.args) - {k for k, v in select.args.items() if not v} <= {"expressions", "from_"}, text
        for projection in select.expressions:
            assert isinstance(projection, exp.Alias), text
            path = (table.name.lower(), projection.alias.lower())
            bare = isinstance(projection.this, exp.Column)
            assert not (protected and bare and path in PROTECTED), text


def _transpiled(text, dialect):
    """The text for DuckDB, None where it has none. Its tables are in the default schema there."""
    (tree,) = DIALECTS[dialect].parse(text)
    for table in tree.find_all(exp.Table):
        table.set("db", None)
        table.set("catalog", None)
    try:
        return tree.sql(dialect="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)
    except (SqlglotError, ValueError, TypeError, AttributeError, LookupError):
        return None


def _run(con, text):
    try:
        table = con.sql(text).to_arrow_table()
    except worlds.duckdb.Error as error:
        return ("error", type(error).__name__)
    rows = sorted(map(str, zip(*(column.to_pylist() for column in table.columns), strict=True)))
    return (table.schema.names, [str(kind) for kind in table.schema.types], rows)
