"""What `prepare` hands on besides the text: what was disclosed, what is bound, what the second net leaves alone."""

import pyarrow as pa
import pytest

from agent.core.catalog import Catalog, Column, Relation
from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.table import Table
from agent.masking.policy import Policy
from agent.masking.release import release
from agent.masking.rewrite import prepare

VIEW = Relation("main", "v", (Column("id", ""), Column("s", "")), "view", "SELECT id, ssn AS s FROM people")
CATALOG = Catalog(
    "shop", "duckdb", "main",
    (Relation("main", "people", (Column("id", "INT"), Column("ssn", "TEXT"), Column("note", "TEXT"))),
     Relation("main", "plain", (Column("n", "INT"),)), VIEW),
)  # fmt: skip
RULES = [{"match": "*.*.*.ssn", "rule": "last4"}]


def made(sql: str, *, parameters: dict[str, object] | None = None, reveal: bool = False, **more: object) -> MaskedPlan:
    policy = Policy.model_validate({"version": 1, "default": "keep", "rules": RULES, **more})
    task = SqlTask(source=SourceName("shop"), statement=sql, parameters=parameters or {})  # type: ignore[arg-type]
    return prepare(task, CATALOG, policy, roles=(), token_key=None, tenant="t", policy_sha256="ab" * 32, reveal=reveal)


def refusal(sql: str, **more: object) -> Refuse:
    with pytest.raises(Refuse) as caught:
        made(sql, **more)  # type: ignore[arg-type]
    return caught.value


def test_the_disclosure_names_what_was_read_and_under_which_policy() -> None:
    told = made("SELECT s, n FROM v, plain WHERE id < 3").disclosure
    assert told.source == "shop"
    assert told.relations == ("main.people", "main.plain", "main.v")
    assert told.columns == {
        "main.people.id": "keep", "main.people.ssn": "last4", "main.plain.n": "keep", "main.v.id": "keep", "main.v.s": "keep",
    }  # fmt: skip
    assert list(told.columns) == sorted(told.columns)
    assert (told.policy_version, told.policy_sha256, told.notes, told.statement) == (1, "ab" * 32, (), "")


def test_the_text_is_shown_to_the_local_operator_only() -> None:
    plan = made("SELECT n FROM plain", reveal=True)
    assert plan.disclosure.statement == plan.sql
    assert made("SELECT n FROM plain").disclosure.statement == ""


def test_values_are_bound_by_their_names_in_order() -> None:
    plan = made("SELECT :b AS x, :a AS y, :b AS z", parameters={"b": 2, "a": 1})
    assert plan.parameters == {"a": 1, "b": 2}
    assert list(plan.parameters) == ["a", "b"]


def test_values_that_are_missing_and_values_that_nobody_reads() -> None:
    found = refusal("SELECT :b, :a", parameters={"c": 1, "b": 2})
    assert [(one.code, one.message, one.hint, one.name) for one in found.problems] == [
        ("sql.parameter", "The parameter a has no value.", "Give a in `parameters`.", "a"),
        ("sql.parameter", "The parameter c is not in the statement.", "Write :c, or drop it.", "c"),
    ]
    assert (found.code, found.message, found.hint) == (
        "sql.parameter", "The parameter a has no value.", "Give a in `parameters`.",
    )  # fmt: skip
    assert len(refusal("SELECT :a, :b, :c, :d").problems) == 3


@pytest.mark.parametrize(
    "name",
    [
        "meridyen_x",
        "MERIDYEN_CTE_1",
        "Merıdyen_a",
        "mérîdyen_a",
        "ＭＥＲＩＤＹＥＮ_a",
        "meri\u0307dyen_a",
        "MERİDYEN_a",
        "meridyen_",
    ],
)
def test_reserved_names_are_refused_however_they_are_written(name: str) -> None:
    found = refusal(f'SELECT n AS "{name}" FROM plain')
    assert (found.code, found.message) == ("sql.relation", "Names that begin with meridyen_ are reserved.")


@pytest.mark.parametrize("name", ["meridyen", "x_meridyen_", "meridian_a", "ａ", "m eridyen_"])
def test_other_names_are_free(name: str) -> None:
    assert f'AS "{name}"' in made(f'SELECT n AS "{name}" FROM plain').sql


@pytest.mark.parametrize(
    ("sql", "part"),
    [
        ("EXPLAIN SELECT s FROM v", "EXPLAIN is not allowed over views: a plan shows what they are made of."),
        ("EXPLAIN SELECT id FROM people", None),
        (
            "EXPLAIN SELECT ssn FROM people",
            "EXPLAIN is not allowed over protected tables: its estimates use raw statistics.",
        ),
        ("EXPLAIN SELECT n FROM plain", None),
    ],
)
def test_a_plan_of_the_engine_is_shown_where_nothing_is_protected(sql: str, part: str | None) -> None:
    if part is None and "people" not in sql:
        assert made(sql).sql.startswith("EXPLAIN SELECT ")
    else:
        found = refusal(sql)
        assert found.code == "sql.explain"
        assert part is None or found.message == part


def test_explain_is_refused_where_people_are_counted() -> None:
    counted = {"subjects": {"*.*.plain": "n"}, "min_group_size": 3}
    assert refusal("EXPLAIN SELECT count(*) FROM plain", **counted).code == "sql.explain"


def test_the_exempt_columns_of_a_plan_pass_the_second_net() -> None:
    net = {"pii_net": {"action": "mask", "exempt": ["shop.*.people.note"]}}
    plan = made("SELECT note, id FROM people", release=net)
    assert plan.exempt == {"note"}
    policy = Policy.model_validate({"version": 1, "default": "keep", "release": net})
    batch = pa.RecordBatch.from_pydict({"note": ["ann@example.org"], "other": ["ann@example.org"]})
    out = release(Table(batch.schema, iter([batch])), plan, policy, Limits(), on_limit="fail", format="arrow")
    assert next(iter(out.batches)).to_pylist() == [{"note": "ann@example.org", "other": "[email]"}]


def test_the_names_of_columns_stay_what_the_engine_would_call_them() -> None:
    task = SqlTask(source=SourceName("shop"), statement="SELECT n + 1, (n), max(N), n FROM plain", parameters={})
    known = Catalog("shop", "sqlite", "main", CATALOG.relations)
    policy = Policy.model_validate({"version": 1, "default": "keep"})
    text = prepare(task, known, policy, roles=(), token_key=None, tenant="t").sql
    assert text.startswith("SELECT `n` + 1 AS `n + 1`, (`n`), MAX(`N`) AS `max(N)`, `n` FROM ")
