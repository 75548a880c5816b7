"""The same on a real PostgreSQL: what must be refused, must run, and must not tell two worlds apart."""

import importlib.util
import json
import sys
from pathlib import Path

import psycopg
import pytest

from agent.core.errors import Refuse

FOLDER = Path(__file__).parent / "sql"
_spec = importlib.util.spec_from_file_location("worlds", FOLDER.parent / "worlds.py")
assert _spec is not None
assert _spec.loader is not None
worlds = importlib.util.module_from_spec(_spec)
sys.modules.setdefault("worlds", worlds)
_spec.loader.exec_module(worlds)

RANDOM = ("random", "uuid", "now()", "current_", "localtime", "sample")


def cases(name):
    rows = map(json.loads, (FOLDER / "postgres" / f"{name}.jsonl").read_text().splitlines())
    return [
        worlds.Case("postgres", row["sql"], row["why"], row.get("must_run", True), n) for n, row in enumerate(rows, 1)
    ]


POLICIES = {}


def policy(rule):
    """One object for each rule: what is derived from a policy is kept by its identity."""
    if str(rule) not in POLICIES:
        POLICIES[str(rule)] = worlds.policy(rule)
    return POLICIES[str(rule)]


@pytest.fixture(scope="module")
def pair(postgres):
    scripts = {"world_one": worlds.SCHEMA, "world_two": worlds.other_world(worlds.SCHEMA)}
    opened = [postgres.admin(postgres.database(name, script)) for name, script in scripts.items()]
    for con in opened:
        con.execute("SET default_transaction_read_only = on")
        con.execute("SET statement_timeout = '5s'")
    yield opened
    for con in opened:
        con.close()


def run(con, made):
    """Columns, types and rows as text, or the class of the error: all that a requester can see, and a little more."""
    for variable, both in made.variables.items():
        for end, half in (("i", both[:64]), ("o", both[64:])):
            con.execute("SELECT set_config(%s, %s, false)", [f"meridyen.{variable}_{end}", half.hex()])
    return ask(con, made.sql)


def ask(con, sql):
    try:
        cursor = con.execute(sql, prepare=True)
        rows = sorted(map(str, cursor.fetchall()))
    except psycopg.Error as error:
        return ("error", error.sqlstate)
    return [c.name for c in cursor.description], [c.type_code for c in cursor.description], rows


def test_the_two_worlds_really_differ(pair):
    sql = "SELECT ssn, email, phone, dob, card_number FROM customers"
    first, second = (set(con.execute(sql).fetchall()) for con in pair)
    assert first.isdisjoint(second)


def test_there_are_enough_of_each():
    assert len(cases("deny")) >= 150
    assert len(cases("allow")) >= 120
    assert len(cases("leak")) >= 120


@pytest.mark.parametrize("case", cases("deny"), ids=str)
def test_refused(case):
    with pytest.raises(Refuse) as refusal:
        worlds.plan(case, policy("redact"))
    assert refusal.value.code.startswith("sql.")
    assert refusal.value.message


@pytest.mark.parametrize("case", cases("allow"), ids=str)
def test_allowed_runs_and_means_the_same_as_raw(case, pair):
    made = worlds.plan(case, policy("keep"), **_values(case))
    got, raw = run(pair[0], made), ask(pair[0], case.sql)
    if raw[0] == "error" and "$1" in case.sql:
        assert got[0] != "error", made.sql
        return
    assert raw[0] != "error", case.sql
    assert got[0] != "error", made.sql
    if not any(word in case.sql.lower() for word in RANDOM) and "EXPLAIN" not in case.sql:
        assert _comparable(got) == _comparable(raw), made.sql


def _values(case):
    return {"p1": 41} if "$1" in case.sql else {}


def _comparable(answer):
    """Rows; those with a whole row in them by what they hold, since psycopg reads a named row as text."""
    return ["".join(c for c in row.replace("None", "") if c.isalnum() or c in ".-") for row in answer[-1]]


@pytest.mark.parametrize("case", cases("allow"), ids=str)
def test_allowed_does_not_interfere(case, pair):
    if any(word in case.sql.lower() for word in RANDOM):
        pytest.skip("its result is random by design")
    _same(case, pair, "redact")


@pytest.mark.parametrize("case", cases("leak"), ids=str)
def test_no_leak_and_no_interference(case, pair):
    _same(case, pair, "redact")
    _same(case, pair, {"constant": 1})


@pytest.mark.full
@pytest.mark.parametrize("rule", ["null", {"constant": "n/a"}], ids=str)
@pytest.mark.parametrize("case", cases("leak"), ids=str)
def test_no_interference_under_other_rules(case, rule, pair):
    _same(case, pair, rule)


@pytest.mark.parametrize("case", cases("leak"), ids=str)
def test_no_canary_under_masks_that_keep_a_part(case, pair):
    _holds_no_canary(case, pair, "last4")


@pytest.mark.full
@pytest.mark.parametrize("rule", ["year", "email", {"token": {"domain": "person"}}], ids=str)
@pytest.mark.parametrize("case", cases("leak"), ids=str)
def test_no_canary_under_other_masks(case, rule, pair):
    _holds_no_canary(case, pair, rule)


def _holds_no_canary(case, pair, rule):
    try:
        made = worlds.plan(case, policy(rule))
    except Refuse:
        return
    answer = str(run(pair[0], made))
    allowed = {"leak-test"} if rule == "email" else set()
    assert not [c for c in worlds.CANARIES if c in answer and c not in case.sql and c not in allowed], made.sql


def _same(case, pair, rule):
    try:
        made = worlds.plan(case, policy(rule), **_values(case))
    except Refuse:
        if case.must_run and "EXPLAIN" not in case.sql:
            raise
        return
    first, second = (run(con, made) for con in pair)
    assert first == second, made.sql
    guesses = [canary for canary in worlds.CANARIES if canary in case.sql]
    assert not [c for c in worlds.CANARIES if c in str(first) and c not in guesses], made.sql
