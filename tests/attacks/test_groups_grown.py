"""Whatever a grammar grows: every row and every value that shows stands for k people, and nothing else is left out.

What the engine says of the rewritten statement is compared with groups that are built here, row by row, in Python, from
the raw rows: who is in them, whose rows change each value, and what the value is.
"""

import math
from collections import defaultdict
from fractions import Fraction
from functools import cache
from statistics import median

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.core.job import SourceName, SqlTask
from agent.masking.ddl import catalog_of
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare

QUICK, FULL = 40, 1_500
DDL = """
CREATE TABLE customers (id INTEGER, city VARCHAR, kind INTEGER, salary INTEGER, bonus INTEGER);
CREATE TABLE visits (patient INTEGER, ward VARCHAR, cost INTEGER);
CREATE TABLE towns (name VARCHAR, size INTEGER);
CREATE VIEW people AS SELECT id, city, kind, salary, bonus FROM customers WHERE kind >= 0;
CREATE VIEW stays AS SELECT c.id, c.city, c.kind, c.salary, c.bonus, v.ward, v.cost
  FROM people AS c JOIN visits AS v ON v.patient = c.id;
"""
CATALOG = catalog_of(DDL, dialect="duckdb", source="shop")
CUSTOMER, VISIT = ("id", "city", "kind", "salary", "bonus"), ("ward", "cost")
BASES = {
    "customers AS t": False,
    "people AS t": False,
    "(SELECT * FROM customers) AS t": False,
    "(SELECT kind, bonus, salary, city, id FROM people WHERE bonus IS NOT NULL) AS t": False,
    "(SELECT * FROM customers WHERE kind = 1 UNION ALL SELECT * FROM customers WHERE kind <> 1) AS t": False,
    "(SELECT c.* FROM customers AS c JOIN towns AS w ON w.name = c.city) AS t": False,
    "stays AS t": True,
    "(SELECT c.id, c.city, c.kind, c.salary, c.bonus, v.ward, v.cost"
    " FROM customers AS c JOIN visits AS v ON v.patient = c.id) AS t": True,
    "(SELECT c.id, c.city, c.kind, c.salary, c.bonus, v.ward, v.cost"
    " FROM customers AS c LEFT JOIN visits AS v ON v.patient = c.id) AS t": True,
}
"""What rows come from, and whether visits are among it."""
WHERE = ["TRUE", "t.kind <> 2", "t.salary > 20", "t.bonus IS NULL OR t.bonus < 2", "t.id % 3 <> 0", "t.city LIKE 'A%'"]
WHERE += ["EXISTS (SELECT 1 FROM towns AS w WHERE w.name = t.city)", "t.kind IN (SELECT size FROM towns)"]
KEYS = ["city", "kind", "upper(t.city)", "t.salary % 2", "CASE WHEN t.bonus > 0 THEN 'some' END"]
CONDITIONS = ["t.kind = 1", "t.bonus > 0", "t.id = 7", "t.salary > 40", "t.city = 'A'", "t.bonus IS NULL"]
VALUES = ["salary", "bonus", "kind"]


def number(value):
    return None if value is None else Fraction(value)


@st.composite
def aggregates(draw):
    """SQL, and from a row (a mapping) the value that goes in, or None; then how values become one."""
    column, other, condition = (
        draw(st.sampled_from(VALUES)),
        draw(st.sampled_from(VALUES)),
        draw(st.sampled_from(CONDITIONS)),
    )
    return draw(
        st.sampled_from(
            [
                ("count(*)", "TRUE", "1", len, None),
                (f"count(t.{column})", f"t.{column} IS NOT NULL", "1", len, "shown"),
                (f"count(*) FILTER (WHERE {condition})", condition, "1", len, "shown"),
                (f"count(CASE WHEN {condition} THEN 1 END)", condition, "1", len, "shown"),
                (
                    f"count(DISTINCT t.{column})",
                    f"t.{column} IS NOT NULL",
                    f"t.{column}",
                    lambda vs: len(set(vs)),
                    "shown",
                ),
                (f"sum(t.{column})", f"t.{column} <> 0", f"t.{column}", sum, "shown"),
                (
                    f"sum(CASE WHEN {condition} THEN t.{column} ELSE 0 END)",
                    f"({condition}) AND t.{column} <> 0",
                    f"t.{column}",
                    sum,
                    "shown",
                ),
                (f"sum(CASE WHEN {condition} THEN 1 ELSE 0 END)", condition, "1", sum, "shown"),
                (
                    f"sum(t.{column}) FILTER (WHERE {condition})",
                    f"({condition}) AND t.{column} <> 0",
                    f"t.{column}",
                    sum,
                    "shown",
                ),
                (
                    f"sum(t.{column} * t.{other})",
                    f"t.{column} <> 0 AND t.{other} <> 0",
                    f"t.{column} * t.{other}",
                    sum,
                    "shown",
                ),
                (f"sum(coalesce(t.{column}, 0) * 2)", f"t.{column} <> 0", f"t.{column} * 2", sum, "shown"),
                (f"median(t.{column})", f"t.{column} IS NOT NULL", f"t.{column}", median, "twice"),
            ]
        )
    )


@st.composite
def worlds(draw):
    count = draw(st.integers(1, 24))
    maybe = st.one_of(st.none(), st.integers(0, 3))
    people = [
        (draw(st.one_of(st.just(n), st.none(), st.just(max(n - 1, 0)))), draw(st.sampled_from("AAABBC")), draw(st.integers(0, 2)),
         draw(st.integers(0, 60)), draw(maybe))
        for n in range(count)
    ]  # fmt: skip
    visits = draw(st.lists(st.tuples(st.integers(0, count), st.sampled_from("XY"), st.integers(0, 9)), max_size=20))
    return people, visits


@st.composite
def queries(draw):
    base, has_visits = draw(st.sampled_from(sorted(BASES.items())))
    keys = draw(st.lists(st.sampled_from(KEYS + (["ward"] if has_visits else [])), max_size=2, unique=True))
    shown = draw(st.lists(aggregates(), min_size=1, max_size=4))
    return base, has_visits, draw(st.sampled_from(WHERE)), keys, shown


def check(world, query, k):
    base, _, where, keys, shown = query
    con = engine()
    for table, rows in (("customers", world[0]), ("visits", world[1])):
        con.execute(f"DELETE FROM {table}")
        if rows:
            con.execute(f"INSERT INTO {table} VALUES {', '.join(map(literal, rows))}")
    outputs = [f"{key} AS k{n}" for n, key in enumerate(keys)] + [f"{one[0]} AS a{n}" for n, one in enumerate(shown)]
    group = f" GROUP BY {', '.join(keys)}" if keys else ""
    made = masked(f"SELECT {', '.join(outputs)} FROM {base} WHERE {where}{group}", k)
    got = {row[: len(keys)]: row[len(keys) :] for row in con.execute(made.sql).fetchall()}
    want = expected(con, query, k)
    assert got.keys() == want.keys(), made.sql
    for key, values in want.items():
        for mine, theirs in zip(values, got[key], strict=True):
            assert (mine is None) == (theirs is None), made.sql
            assert mine is None or math.isclose(float(mine), float(theirs), abs_tol=1e-9), made.sql


@cache
def engine():
    con = duckdb.connect(config={"threads": 1})
    con.execute(DDL)
    con.execute("INSERT INTO towns VALUES ('A', 1), ('B', 2)")
    return con


def literal(row):
    return f"({', '.join('NULL' if one is None else repr(one) for one in row)})"


def masked(sql, k):
    rules = [{"match": "*.*.towns.size", "rule": "keep"}]
    subjects = {"*.*.customers": "id", "*.*.visits": "patient"}
    policy = Policy.model_validate(
        {"version": 1, "default": "keep", "rules": rules, "subjects": subjects, "min_group_size": k}
    )
    task = SqlTask(source=SourceName("shop"), statement=sql, parameters={})
    return prepare(task, CATALOG, policy, roles=(), token_key=None, tenant="t")


def expected(con, query, k):
    """Groups of raw rows: key -> values, each None where fewer than k people have a row that changes it."""
    base, has_visits, where, keys, shown = query
    columns = ["t.id", "t.ward IS NOT NULL" if has_visits else "TRUE", *keys]
    columns += [part for _, test, value, _, _ in shown for part in (test, value)]
    groups = defaultdict(list)
    for row in con.execute(f"SELECT {', '.join(columns)} FROM {base} WHERE {where}").fetchall():
        groups[row[2 : 2 + len(keys)]].append(row)
    want = {}
    for key, rows in groups.items():
        customers = {row[0] for row in rows if row[0] is not None}
        patients = {row[0] for row in rows if row[0] is not None and row[1]} if has_visits else customers
        if min(len(customers), len(patients)) < k:
            continue
        want[key] = [value(rows, 2 + len(keys) + 2 * n, one, k, has_visits) for n, one in enumerate(shown)]
    return want


def value(rows, place, aggregate, k, has_visits):
    _, _, _, fold, rule = aggregate
    mine = [row for row in rows if row[place]]
    everybody = {row[0] for row in mine if row[0] is not None}
    patients = {row[0] for row in mine if row[0] is not None and row[1]} if has_visits else everybody
    least = 0 if rule is None else 2 * k if rule == "twice" else k
    if min(len(everybody), len(patients)) < least:
        return None
    return fold([number(row[place + 1]) for row in mine])


COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


@settings(max_examples=QUICK, derandomize=True, **COMMON)
@given(worlds(), queries(), st.integers(2, 5))
def test_every_value_stands_for_k_people(world, query, k):
    check(world, query, k)


@pytest.mark.full
@pytest.mark.timeout(900)
@settings(max_examples=FULL, derandomize=True, **COMMON)
@given(worlds(), queries(), st.integers(2, 6))
def test_every_value_stands_for_k_people_at_length(world, query, k):
    check(world, query, k)
