"""Catalog and explain tasks over real engines, through the kinds that workers run."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from agent.core.errors import Fault, Refuse
from agent.core.limits import Limits
from agent.masking.policy import Policy
from agent.sources.duckdb import Config as DuckDb
from agent.sources.sqlite import Config as Sqlite
from agent.worker.kinds import KINDS
from tests.support import benches
from tests.support.benches import catalog, document, explain, raw

SCRIPT = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL, ssn VARCHAR(20));
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id), amount INTEGER);
CREATE TABLE secrets (id INTEGER, word VARCHAR(20));
CREATE VIEW loud AS SELECT id, upper(ssn) AS who FROM customers WHERE ssn <> 'canary-literal';
"""
POLICY = Policy.model_validate(
    {
        "version": 1,
        "default": "keep",
        "tables": {"deny": ["*.*.secrets"]},
        "rules": [{"match": "*.*.*.ssn", "rule": "redact", "unless_roles": ["officer"]}],
    }
)
Describe = Callable[..., dict[str, Any]]


@pytest.fixture(params=["duckdb", "sqlite"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    path = tmp_path / "shop"
    if request.param == "duckdb":
        with duckdb.connect(path) as con:
            con.execute(SCRIPT)
            con.execute("INSERT INTO orders SELECT i, NULL, i FROM range(2500) r(i)")
        return DuckDb(type="duckdb", path=path, threads=1)
    ledger = sqlite3.connect(path)
    ledger.executescript(SCRIPT)
    ledger.close()
    return Sqlite(type="sqlite", path=path)


def test_the_catalog_of_a_real_source(source: Any) -> None:
    found = document(catalog(), source, POLICY)
    assert (found["source"], found["dialect"], found["parameters"], found["truncated"]) == (
        "shop",
        source.dialect,
        ":name",
        False,
    )
    masks = {one["name"]: {c["name"]: c["mask"] for c in one["columns"]} for one in found["relations"]}
    assert masks == {
        "customers": {"id": "keep", "name": "keep", "ssn": "redact"},
        "loud": {"id": "keep", "who": "redact"},
        "orders": {"id": "keep", "customer_id": "keep", "amount": "keep"},
    }
    assert "count" in found["may_use"]["functions"]
    assert raw(catalog(), source, POLICY).data == raw(catalog(), source, POLICY).data


def test_keys_of_a_real_source(source: Any) -> None:
    found = {one["name"]: one for one in document(catalog(), source, POLICY)["relations"]}
    assert found["customers"]["primary_key"] == ["id"]
    assert found["orders"]["foreign_keys"] == [
        {"columns": ["customer_id"], "schema": "main", "relation": "customers", "referenced": ["id"]}
    ]
    required = {one["name"] for one in found["customers"]["columns"] if one.get("nullable") is False}
    assert "name" in required
    if source.dialect == "duckdb":
        assert found["orders"]["rows"] == "1k-10k"


def test_a_catalog_that_is_too_large_is_refused_or_cut_at_a_relation(source: Any) -> None:
    small = Limits(bytes=len(raw(catalog(), source, POLICY).data) - 1)
    with pytest.raises(Fault) as caught:
        raw(catalog(), source, POLICY, limits=small)
    assert (caught.value.code, "globs" in caught.value.hint) == ("limit.bytes", True)
    cut = raw(catalog(), source, POLICY, limits=small, on_limit="truncate")
    assert cut.truncated
    assert len(cut.data) <= small.bytes
    value = document(catalog(), source, POLICY, limits=small, on_limit="truncate")
    assert value["truncated"]
    assert [one["name"] for one in value["relations"]] == ["customers", "loud", "orders"][: len(value["relations"])]
    assert document(catalog("main.orders"), source, POLICY, limits=small)["truncated"] is False


def test_what_would_run_and_why(source: Any) -> None:
    told = document(explain("SELECT name, ssn || '!' AS x FROM customers WHERE id < :n", n=3), source, POLICY)
    assert told["admitted"]
    assert "'***'" in told["sql"]
    assert told["parameters"] == [{"name": "n", "given": True}]
    assert told["relations"] == [{"schema": "main", "name": "customers", "kind": "table"}]
    assert {one["column"]: (one["rule"], one["why"]) for one in told["columns"]} == {
        "main.customers.id": ("keep", "default: keep"),
        "main.customers.name": ("keep", "default: keep"),
        "main.customers.ssn": ("redact", "rules[0] (match)"),
    }
    assert [(one["name"], one["rule"], one["computed"]) for one in told["output"]] == [
        ("name", "keep", False),
        ("x", "redact", True),
    ]
    assert told["estimate"] is None
    assert told["estimate_omitted"]


def test_a_role_lifts_and_the_local_operator_sees_the_line(source: Any) -> None:
    ask = explain("SELECT ssn FROM customers")
    (lifted,) = document(ask, source, POLICY, roles=("officer",))["columns"]
    assert (lifted["rule"], lifted["why"]) == ("keep", "rules[0] (match), whose redact a role of the requester lifts")
    (shown,) = document(ask, source, POLICY, reveal=True)["columns"]
    assert shown["why"] == "rules[0] (match *.*.*.ssn)"


def test_views_stay_closed_but_for_the_local_operator(source: Any) -> None:
    ask = explain("SELECT who FROM loud")
    made = raw(ask, source, POLICY)
    for secret in (b"canary-literal", b"customers", b"UPPER", b"ssn"):
        assert secret not in made.data
        assert secret.decode() not in str(made.disclosure)
    told = document(ask, source, POLICY)
    assert (told["sql"], told["output"][0]["rule"], told["output"][0]["from"][0]["column"]) == (
        None,
        "redact",
        "main.loud.who",
    )
    assert "canary-literal" in document(ask, source, POLICY, reveal=True)["sql"]


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("DROP TABLE orders", "sql.root"),
        ("SELECT * FROM secrets", "sql.relation"),
        ("SELECT * FROM nowhere", "sql.relation"),
        ("SELECT :x", "sql.parameter"),
        ("SELECT FROM WHERE", "sql.parse"),
        ("SELECT load_extension('x')", "sql.function"),
    ],
)
def test_a_statement_that_would_be_refused_is_described_as_that(source: Any, statement: str, code: str) -> None:
    told = document(explain(statement), source, POLICY)
    assert (told["admitted"], told["refusal"]["code"]) == (False, code)
    if code == "sql.parameter":
        assert told["parameters"] == [{"name": "x", "given": False}]


def test_denied_and_missing_relations_are_described_alike(source: Any) -> None:
    denied = raw(explain("SELECT * FROM secrets"), source, POLICY).data.replace(b"secrets", b"nowhere")
    assert denied == raw(explain("SELECT * FROM nowhere"), source, POLICY).data


def test_an_estimate_where_nothing_is_protected(source: Any) -> None:
    told = document(explain("SELECT amount FROM orders"), source, POLICY)
    if source.dialect == "duckdb":
        assert told["estimate"] == {"rows": "1k-10k", "cost": None}
    else:
        assert told["estimate_omitted"] == "EXPLAIN is not available in sqlite."


def test_no_estimate_where_rows_are_counted_in_groups(source: Any) -> None:
    counting = POLICY.model_copy(update={"min_group_size": 5, "subjects": {"*.*.orders": "customer_id"}})
    told = document(explain("SELECT count(*) AS n FROM orders"), source, counting)
    if told["admitted"]:
        assert told["estimate"] is None
        assert told["rows"]["groups_only"] == ["main.orders"]
    assert "rows" not in str(document(catalog("main.loud"), source, counting)["relations"])


def test_nobody_else_answers_these_tasks(source: Any) -> None:
    tasks = {"sql": catalog(), "catalog": explain("SELECT 1"), "explain": benches.sql("SELECT 1")}
    for kind, task in tasks.items():
        with pytest.raises(Refuse) as caught:
            KINDS[kind](benches.bench(task, source), benches.Notes(), benches.ExitStack())
        assert caught.value.code == "task.kind"
    for task in (catalog(), explain("SELECT 1")):
        with pytest.raises(Refuse) as caught:
            raw(task, None)
        assert caught.value.code == "task.source"


def test_frequent_values_are_told_when_policy_allows_it(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "shop") as con:
        con.execute("CREATE TABLE t (m ENUM ('rare', 'often', 'never'), masked ENUM ('canary-a', 'canary-b'))")
        con.execute(
            "INSERT INTO t SELECT 'often', 'canary-a' FROM range(20); INSERT INTO t VALUES ('rare', 'canary-b')"
        )
    source = DuckDb(type="duckdb", path=tmp_path / "shop", threads=1)
    rules = [{"match": "*.*.*.masked", "rule": "redact"}]
    policy = {"version": 1, "default": "keep", "rules": rules}
    assert "often" not in str(document(catalog(), source, Policy.model_validate(policy)))
    allowed = Policy.model_validate({**policy, "catalog": {"enum_values": True}})
    made = raw(catalog(), source, allowed)
    (relation,) = document(catalog(), source, allowed)["relations"]
    assert [one.get("values") for one in relation["columns"]] == [["often"], None]
    assert dict(made.disclosure.columns) == {"main.t.m": "keep"}
    assert b"canary" not in made.data
    assert b"rare" not in made.data


def test_comments_of_a_file_reach_the_rules_that_go_by_them(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "shop") as con:
        con.execute("CREATE TABLE t (id INTEGER, word VARCHAR); COMMENT ON COLUMN t.word IS 'a word #pii'")
    source = DuckDb(type="duckdb", path=tmp_path / "shop", threads=1)
    policy = {"version": 1, "default": "keep", "tags_from_comments": True, "rules": [{"tag": "pii", "rule": "redact"}]}
    told = document(explain("SELECT word FROM t"), source, Policy.model_validate(policy))
    assert [one["rule"] for one in told["output"]] == ["redact"]


def test_rows_of_people_are_told_and_what_counts_them_is_not(source: Any) -> None:
    rules = [{"match": "*.*.customers.name", "rule": "keep"}, {"match": "*.*.orders.*", "rule": "keep"}]
    counting = {"min_group_size": 5, "subjects": {"*.*.customers": "id"}}
    policy = Policy.model_validate({"version": 1, "default": "refuse", "rules": rules, **counting})
    found = {one["name"]: one for one in document(catalog("main.[co]*"), source, policy)["relations"]}
    assert found["customers"]["groups_only"] is True
    assert "groups_only" not in found["orders"]
    told = document(explain("SELECT name, count(*) AS n FROM customers GROUP BY name"), source, policy)
    assert told["admitted"], told
    assert (told["sql"], told["rows"]["groups_only"]) == (None, ["main.customers"])
    assert "hides" in told["sql_omitted"]
    shown = policy.model_copy(update={"default": "keep"})
    assert (
        "meridyen" in document(explain("SELECT name, count(*) AS n FROM customers GROUP BY name"), source, shown)["sql"]
    )
