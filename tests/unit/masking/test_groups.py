"""Groups of people: what is written into a statement, in every dialect, and what proves it."""

import duckdb
import pytest

from agent.core.errors import Fault, Refuse
from agent.core.job import SourceName, SqlTask
from agent.dialects import DIALECTS
from agent.masking import rewrite as rewriting
from agent.masking.ddl import catalog_of
from agent.masking.groups import grouped, proof, scopes
from agent.masking.groups.shapes import Shape
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare

DDL = """
CREATE TABLE customers (id INTEGER, name VARCHAR(20), city VARCHAR(20), salary DECIMAL(12,2));
CREATE TABLE orders (id INTEGER, customer_id INTEGER, amount DECIMAL(12,2));
CREATE VIEW v AS SELECT id, city, salary FROM customers;
"""


def made(sql, *, dialect="duckdb", ddl=DDL, rules=(), roles=(), **more):
    given = {"version": 1, "default": "keep", "rules": list(rules), **more}
    task = SqlTask(source=SourceName("shop"), statement=sql, parameters={})
    catalog = catalog_of(ddl, dialect=dialect, source="shop")
    return prepare(task, catalog, Policy.model_validate(given), roles=roles, token_key=b"k" * 32, tenant="acme")


PEOPLE = {"subjects": {"*.*.customers": "id"}, "min_group_size": 3}


def test_a_group_counts_people_behind_its_masks():
    sql = made("SELECT city, sum(salary) AS s FROM customers GROUP BY city", **PEOPLE).sql
    assert sql == (
        'SELECT "city", CASE WHEN COUNT(DISTINCT CASE WHEN "salary" <> 0 THEN "customers"."meridyen_s1" END) >= 3'
        ' THEN SUM("salary") END AS "s" FROM (SELECT "city" AS "city", "salary" AS "salary", "customers"."id" AS'
        ' "meridyen_s1" FROM "main"."customers") AS "customers" GROUP BY "city"'
        ' HAVING COUNT(DISTINCT "customers"."meridyen_s1") >= 3'
    )


def test_nothing_changes_where_no_people_are_read():
    assert made("SELECT id FROM orders", **PEOPLE).sql == made("SELECT id FROM orders").sql
    assert made("SELECT id FROM orders", **PEOPLE).disclosure.notes == ()


@pytest.mark.parametrize("rule", ["redact", "null", {"bucket": 10}, {"constant": 1}], ids=str)
def test_people_are_counted_by_the_raw_key(rule):
    masked = [{"match": "*.*.customers.id", "rule": rule}]
    with duckdb.connect() as con:
        con.execute(DDL)
        con.execute("INSERT INTO customers SELECT n, 'x', 'A', 1 FROM range(3) AS t(n)")
        assert con.execute(made("SELECT count(*) FROM customers", rules=masked, **PEOPLE).sql).fetchall() == [(3,)]
        assert con.execute(made("SELECT count(*) FROM v", rules=masked, **PEOPLE).sql).fetchall() == [(3,)]


def test_a_hidden_key_counts_too():
    sql = made(
        "SELECT count(*) FROM customers", default="refuse", rules=[{"match": "*.*.*.city", "rule": "keep"}], **PEOPLE
    ).sql
    assert '"customers"."id" AS "meridyen_s1"' in sql


def test_a_table_without_the_key_is_not_read():
    with pytest.raises(Refuse) as caught:
        made("SELECT count(*) FROM orders", subjects={"*.*.orders": "nobody"}, min_group_size=3)
    assert caught.value.code == "policy.aggregate"


def test_a_view_may_itself_be_of_people():
    with pytest.raises(Refuse):
        made("SELECT city FROM v", subjects={"*.*.v": "id"}, min_group_size=3)
    assert "HAVING COUNT(DISTINCT" in made("SELECT count(*) FROM v", subjects={"*.*.v": "id"}, min_group_size=3).sql


def test_roles_lift_masks_not_groups():
    with pytest.raises(Refuse):
        made(
            "SELECT salary FROM customers",
            roles=["boss"],
            rules=[{"match": "*.*.*.*", "rule": "redact", "unless_roles": ["boss"]}],
            **PEOPLE,
        )


def test_people_of_two_tables_are_the_same_only_where_the_policy_says_so():
    ddl = "CREATE TABLE c_1 (id INTEGER, city VARCHAR); CREATE TABLE c_2 (id INTEGER, city VARCHAR);"
    sql = "SELECT city FROM (SELECT city FROM c_1 UNION ALL SELECT city FROM c_2) AS x GROUP BY city"
    assert "HAVING" in made(sql, ddl=ddl, subjects={"*.*.c_*": "id"}, min_group_size=3).sql
    for subjects in ({"*.*.c_1": "id", "*.*.c_2": "id"}, {"*.*.*": "id"}, {"*.*.c_1": "id"}):
        with pytest.raises(Refuse):
            made(sql, ddl=ddl, subjects=subjects, min_group_size=3)


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT city, count(*) AS n, sum(salary) AS s FROM customers GROUP BY city HAVING count(*) > 1",
        "SELECT city, avg(CASE WHEN salary > 5 THEN salary END) AS s FROM (SELECT * FROM customers) x GROUP BY city",
        "WITH c AS (SELECT city, salary FROM customers) SELECT c.city, count(DISTINCT c.salary) AS n FROM c GROUP BY c.city",
        "SELECT v.city, sum(o.amount) AS s FROM v JOIN orders o ON o.customer_id = v.id GROUP BY v.city",
    ],
)
def test_every_dialect_counts(dialect, sql):
    written = made(sql, dialect=dialect, rules=[{"match": "*.*.customers.name", "rule": "redact"}], **PEOPLE).sql
    assert ">= 3" in written
    with pytest.raises(Refuse) as caught:
        made("SELECT c.city FROM customers c", dialect=dialect, **PEOPLE)
    assert caught.value.code == "policy.aggregate"


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_a_column_that_is_not_grouped_by_is_refused_by_us_not_by_the_engine(dialect):
    with pytest.raises(Refuse) as caught:
        made("SELECT name, count(*) AS n FROM customers GROUP BY city", dialect=dialect, **PEOPLE)
    assert caught.value.code == "policy.aggregate"


SHOWN = "SELECT city, count(*) AS n FROM (SELECT * FROM customers) AS c GROUP BY city"


@pytest.mark.parametrize(
    ("place", "name", "weaker"),
    [
        (grouped.Grouped, "_count", lambda self: None),
        (scopes.Scopes, "settle", lambda self, tree: Shape(None)),
        (scopes.Scopes, "_handed_on", lambda self, select, scope: Shape(None)),
        (grouped.Grouped, "_enough", lambda self, key, condition, least: self._made("COUNT(DISTINCT c) >= 2", c=key)),
    ],
)
def test_a_statement_without_its_counts_is_never_written(monkeypatch, place, name, weaker):
    monkeypatch.setattr(place, name, weaker)
    with pytest.raises(Refuse) as caught:
        made(SHOWN, **PEOPLE)
    assert caught.value.code in {"sql.rewrite", "policy.aggregate"}


def test_the_proof_is_asked(monkeypatch):
    asked = []
    monkeypatch.setattr(rewriting, "prove", lambda tree, k: asked.append(k) or proof.prove(tree, k))
    made(SHOWN, **PEOPLE)
    assert asked == [3]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a.meridyen_s1 AS meridyen_s1 FROM (SELECT id AS meridyen_s1 FROM t) AS a",
        "SELECT 1 FROM (SELECT id AS meridyen_s1 FROM t) AS a",
        "SELECT 1 FROM (SELECT id AS meridyen_s1 FROM t) AS a HAVING count(DISTINCT a.meridyen_s1) >= 2",
        "SELECT 1 FROM (SELECT id AS meridyen_s1 FROM t) AS a HAVING count(DISTINCT a.meridyen_s1) >= 3 OR TRUE",
        "SELECT 1 FROM (SELECT id AS meridyen_s1 FROM t) AS a HAVING NOT (count(DISTINCT a.meridyen_s1) >= 3)",
        "SELECT 1 FROM (SELECT id AS meridyen_s1 FROM t) AS a HAVING count(a.meridyen_s1) >= 3",
        "SELECT 1 FROM (SELECT id AS meridyen_s1 FROM t) AS a HAVING count(DISTINCT b.meridyen_s1) >= 3",
        "SELECT max(a.meridyen_s1) FROM (SELECT id AS meridyen_s1 FROM t) AS a HAVING count(DISTINCT a.meridyen_s1) >= 3",
        "SELECT 1 FROM (SELECT id AS meridyen_s1 FROM t) AS a WHERE a.meridyen_s1 = 7 HAVING count(DISTINCT a.meridyen_s1) >= 3",
        "SELECT a.x FROM (SELECT a.meridyen_s1 AS x FROM (SELECT id AS meridyen_s1 FROM t) AS a) AS a",
        "SELECT 1 FROM (SELECT a.meridyen_s1 AS meridyen_s2 FROM (SELECT id AS meridyen_s1 FROM t) AS a LIMIT 1) AS b HAVING count(DISTINCT b.meridyen_s2) >= 3",
        "WITH c AS (SELECT id AS meridyen_s1 FROM t) SELECT 1 FROM c",
        "SELECT 1 FROM (SELECT id AS meridyen_s1 FROM t) AS a JOIN (SELECT id AS meridyen_s2 FROM t) AS b ON TRUE HAVING count(DISTINCT a.meridyen_s1) >= 3",
        "SELECT 1 FROM u JOIN (SELECT id AS meridyen_s2 FROM t) AS b ON TRUE",
        "SELECT a.meridyen_s1 AS meridyen_s3 FROM (SELECT id AS meridyen_s1 FROM t) AS a, (SELECT id AS meridyen_s2 FROM t) AS b",
    ],
)
def test_what_the_proof_does_not_let_pass(sql):
    (tree,) = DIALECTS["duckdb"].parse(sql)
    with pytest.raises(Refuse):
        proof.prove(tree, 3)


@pytest.mark.parametrize(
    ("sql", "leaves"),
    [
        ("SELECT city, count(*) FROM customers GROUP BY city", True),
        ("SELECT max(salary) FROM customers", True),
        ("SELECT n FROM (SELECT count(*) AS n FROM customers) AS x WHERE n > 1 ORDER BY n LIMIT 1", True),
        ("SELECT count(*) FROM customers UNION ALL SELECT count(*) FROM orders", True),
        ("SELECT count(*) FROM customers WHERE id IN (SELECT customer_id FROM orders)", True),
        ("WITH g AS (SELECT city FROM customers GROUP BY city) SELECT * FROM g", True),
        ("SELECT 1 AS x", True),
        ("SELECT x FROM (VALUES (1)) AS t(x)", True),
        ("SELECT city FROM customers", False),
        ("SELECT DISTINCT city FROM customers", False),
        ("SELECT city FROM v", False),
        ("SELECT o.id FROM orders AS o JOIN (SELECT count(*) AS n FROM customers) AS x ON x.n > 1", False),
        ("SELECT count(*) FROM customers UNION ALL SELECT id FROM orders", False),
        ("SELECT count(*) AS n, (SELECT name FROM customers LIMIT 1) AS m FROM orders", False),
        ("SELECT (SELECT name FROM customers LIMIT 1) AS m", False),
        ("SELECT count(*) AS n, string_agg(name, ',') FROM customers", False),
        ("SELECT city, list(name) FROM customers GROUP BY city", False),
        ("SELECT city, json_group_array(name) FROM customers GROUP BY city", False),
        ("SELECT sum(salary) OVER () AS s FROM customers", False),
        ("WITH c AS (SELECT * FROM customers) SELECT name FROM c", False),
        ("PIVOT customers ON city USING count(*)", False),
    ],
)
def test_require_aggregate(sql, leaves):
    if leaves:
        assert made(sql, release={"require_aggregate": True}).sql
        return
    with pytest.raises(Refuse) as caught:
        made(sql, release={"require_aggregate": True})
    assert caught.value.code == "policy.aggregate"
    assert made(sql).sql


DOUBLED = ", ".join(f"c{n} AS (SELECT a.city FROM c{n - 1} AS a JOIN c{n - 1} AS b USING (city))" for n in range(1, 30))


@pytest.mark.parametrize(
    "sql",
    [
        f"WITH c0 AS (SELECT city FROM customers), {DOUBLED} SELECT city, count(*) FROM c29 GROUP BY city",
        f"SELECT {', '.join(['sum(salary)'] * 100)} FROM {' CROSS JOIN '.join(f'customers AS c{n}' for n in range(60))}",
        f"SELECT {'+'.join(['c.salary+1'] * 1000)} FROM customers AS c GROUP BY salary, salary+1",
    ],
    ids=["doubled", "many aggregates", "long sums"],
)
def test_what_would_grow_without_end_is_refused(sql):
    with pytest.raises(Refuse) as caught:
        made(sql, **PEOPLE)
    assert caught.value.code == "policy.aggregate"


def rotated(**key):
    return [{"match": "*.*.customers.name", "rule": {"token": {"domain": "n", **key}}}]


def test_tokens_of_the_previous_key_are_what_they_were():
    from agent.masking.tokens import pads

    old, new = b"o" * 32, b"n" * 32
    before = pads(old, "acme", ["n"])["meridyen_n"]
    both = pads(new, "acme", ["n", "0n"], previous=old)
    assert both == {"meridyen_n": pads(new, "acme", ["n"])["meridyen_n"], "meridyen_0n": before}
    with pytest.raises(Fault):
        pads(new, "acme", ["0n"])


def test_a_rule_says_which_key():
    keys = {"token": "env:A", "token_previous": "env:B"}
    task = SqlTask(source=SourceName("shop"), statement="SELECT name FROM customers", parameters={})
    policy = Policy.model_validate({"version": 1, "default": "keep", "keys": keys, "rules": rotated(key="previous")})
    catalog = catalog_of(DDL, dialect="duckdb", source="shop")
    plan = prepare(task, catalog, policy, roles=(), token_key=b"n" * 32, token_previous=b"o" * 32, tenant="t")
    assert list(plan.variables) == ["meridyen_0n"]
    assert "'meridyen_0n_i'" in plan.sql
    with pytest.raises(Fault):
        prepare(task, catalog, policy, roles=(), token_key=b"n" * 32, tenant="t")
    with pytest.raises(ValueError, match="previous"):
        Policy.model_validate(
            {"version": 1, "default": "keep", "keys": {"token": "env:A"}, "rules": rotated(key="previous")}
        )
