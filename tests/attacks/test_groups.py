"""Rows of people leave only in groups of at least k: what must be refused, and what must run and be counted."""

import json
import random
from decimal import Decimal
from pathlib import Path

import duckdb
import psycopg
import pytest

from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.masking.ddl import catalog_of
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare

K = 3
DDL = """
CREATE TABLE customers (id INTEGER, name VARCHAR, city VARCHAR, salary DECIMAL(12,2), bonus INTEGER, born DATE);
CREATE TABLE visits (patient INTEGER, ward VARCHAR, reason INTEGER, cost DECIMAL(12,2));
CREATE TABLE products (id INTEGER, label VARCHAR, kind INTEGER);
CREATE VIEW v_customers AS SELECT id, name AS who, city AS who_city, salary AS pay FROM customers WHERE salary > 0;
CREATE VIEW v_deep AS SELECT who, who_city AS city FROM v_customers;
CREATE VIEW v_odd AS SELECT city, CASE WHEN id = 7 THEN salary ELSE 1 END AS odd FROM customers;
CREATE VIEW v_top AS SELECT name FROM customers ORDER BY salary DESC LIMIT 1;
CREATE VIEW v_grouped AS SELECT city, count(*) AS n FROM customers GROUP BY city;
"""
CATALOG = catalog_of(DDL, dialect="duckdb", source="shop")
POLICY = Policy.model_validate(
    {
        "version": 1,
        "default": "keep",
        "subjects": {"*.*.customers": "id", "*.*.visits": "patient"},
        "min_group_size": K,
    }
)
CASES = [json.loads(line) for line in (Path(__file__).parent / "sql/groups.jsonl").read_text().splitlines()]


def masked(sql, policy=POLICY):
    task = SqlTask(source=SourceName("shop"), statement=sql, parameters={})
    return prepare(task, CATALOG, policy, roles=(), token_key=None, tenant="t")


@pytest.fixture(scope="module")
def engine():
    rng = random.Random(4)
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute(DDL)
        for person in range(40):
            city = "ABCD"[min(rng.randrange(6), 3)] if person < 37 else f"lonely {person}"
            row = (
                person,
                f"n{person}",
                city,
                rng.randrange(1, 99),
                rng.randrange(4),
                f"19{rng.randrange(50, 99)}-05-06",
            )
            con.execute("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?)", row)
            for _ in range(rng.randrange(3)):
                visit = (person, "WXY"[rng.randrange(3)], rng.randrange(3), rng.randrange(1, 50))
                con.execute("INSERT INTO visits VALUES (?, ?, ?, ?)", visit)
        con.execute("INSERT INTO products VALUES (0, 'lamp', 1), (1, 'bulb', 1), (2, 'A', 2)")
        yield con


@pytest.mark.parametrize("case", [case for case in CASES if case["refuse"]], ids=lambda case: case["why"])
def test_refused(case, engine):
    with pytest.raises(Refuse) as caught:
        engine.execute(masked(case["sql"]).sql)
    assert caught.value.code == "policy.aggregate" or caught.value.code.startswith("sql.")
    assert caught.value.message


@pytest.mark.parametrize("case", [case for case in CASES if not case["refuse"]], ids=lambda case: case["sql"][:60])
def test_runs(case, engine):
    made = masked(case["sql"])
    rows = engine.execute(made.sql).fetchall()
    assert "lonely" not in str(rows)
    if "meridyen_s" in made.sql:
        assert made.disclosure.notes == (f"Groups and values of fewer than {K} people were left out.",)


@pytest.mark.parametrize("case", [case for case in CASES if not case["refuse"]], ids=lambda case: case["sql"][:60])
def test_groups_of_one_are_all_groups(case, engine):
    """With k = 1, which is off, the same statements show rows: it is the data that gives few people to some groups."""
    raw = engine.execute(masked(case["sql"], POLICY.model_copy(update={"min_group_size": 1})).sql).fetchall()
    assert raw


def test_what_is_refused_mostly_runs_without_groups(engine):
    """The attacks are real ones: they are refused for what they would show, not for how they are written."""
    loose = POLICY.model_copy(update={"min_group_size": 1})
    ran = 0
    for case in CASES:
        try:
            engine.execute(f"EXPLAIN {masked(case['sql'], loose).sql}").fetchall()
        except (Refuse, duckdb.Error):
            continue
        ran += 1
    assert ran > 0.8 * len(CASES)


SAME = [
    "SELECT city, count(*) AS n, avg(salary) AS a, sum(bonus) AS s FROM customers GROUP BY city",
    "SELECT count(*) AS n, stddev(salary) AS s FROM customers",
    "SELECT city, sum(CASE WHEN bonus > 1 THEN salary ELSE 0 END) AS s FROM customers GROUP BY city HAVING count(*) > 1 OR city > 'x'",
    "SELECT city, count(*) FILTER (WHERE bonus = 2) AS f FROM customers GROUP BY city",
    "SELECT city, percentile_cont(0.5) WITHIN GROUP (ORDER BY salary) AS m FROM customers GROUP BY city",
    "WITH c AS (SELECT * FROM customers) SELECT c.city, sum(v.cost * c.bonus) FROM c JOIN visits AS v ON v.patient = c.id GROUP BY 1",
    "SELECT who_city, count(DISTINCT pay) AS n FROM v_customers GROUP BY who_city",
    "SELECT city, bonus, count(*) AS n FROM customers GROUP BY ROLLUP (city, bonus)",
    "SELECT p.label FROM products AS p WHERE p.id IN (SELECT bonus FROM customers GROUP BY bonus)",
]


def test_postgres_gives_the_same_groups(engine, postgres):
    rows = [DDL]
    for table in ("customers", "visits", "products"):
        for row in engine.execute(f"SELECT * FROM {table}").fetchall():
            values = ", ".join("NULL" if one is None else f"'{one}'" for one in row)
            rows.append(f"INSERT INTO {table} VALUES ({values});")
    name = postgres.database("groups", "\n".join(rows))
    catalog = catalog_of(DDL, dialect="postgres", source="shop")
    with psycopg.connect(**postgres.login(name)) as con:
        for sql in SAME:
            task = SqlTask(source=SourceName("shop"), statement=sql, parameters={})
            plan = prepare(task, catalog, POLICY, roles=(), token_key=None, tenant="t")
            got, want = con.execute(plan.sql).fetchall(), engine.execute(masked(sql).sql).fetchall()
            assert sorted(map(near, got)) == sorted(map(near, want)), plan.sql
            assert got


def near(row):
    return str([round(float(one), 6) if isinstance(one, (int, float, Decimal)) else one for one in row])
