"""Whatever a grammar grows: what is admitted is one SELECT, shows no protected column bare, and tells no world apart."""

from collections import Counter
from functools import cache

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.dialects import DIALECTS
from agent.masking.ddl import catalog_of
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare
from tests.attacks.grammar import queries
from tests.attacks.grown_worlds import WORLDS, world

QUICK, FULL = 120, 1_250
ENOUGH = 0.5
"""At least this share of the grown queries must run: a grammar of nonsense proves nothing."""


class DuckDbPair:
    """A world twice, in memory."""

    dialect, schema = "duckdb", "main"

    def __init__(self, seed):
        self.world = world(seed)
        self.connections = [duckdb.connect(config={"threads": 1}) for _ in "ab"]
        for which, con in enumerate(self.connections):
            for statement in (*self.world.ddl(), *self.world.inserts(which)):
                con.execute(statement)
        self.catalog = catalog_of(";\n".join(self.world.ddl()), dialect="duckdb", source="shop")

    def answers(self, sql):
        for con in self.connections:
            try:
                cursor = con.execute(sql)
                yield [column[0] for column in cursor.description], sorted(map(str, cursor.fetchall()))
            except duckdb.Error as error:
                yield type(error).__name__


class PostgresPair(DuckDbPair):
    """A world twice, in two databases of one server; a schema for each seed."""

    dialect, schema = "postgres", "public"

    def __init__(self, seed, server):
        self.world = world(seed)
        self.connections = []
        for which in (0, 1):
            script = ";\n".join((*self.world.ddl(), *self.world.inserts(which)))
            name = server.database(f"grown_{seed}_{which}", script)
            con = psycopg.connect(**server.login(name), autocommit=True, prepare_threshold=0)
            con.execute("SET search_path = pg_catalog, public")
            con.execute("SET timezone = 'UTC'")
            con.execute("SET statement_timeout = '10s'")
            con.read_only = True
            self.connections.append(con)
        self.catalog = catalog_of(";\n".join(self.world.ddl()), dialect="postgres", source="shop")

    def answers(self, sql):
        for con in self.connections:
            try:
                cursor = con.execute(sql)
                yield [column.name for column in cursor.description], sorted(map(str, cursor.fetchall()))
            except psycopg.Error as error:
                yield error.sqlstate


def check(pair, sql, tally):
    """Prepare, run in both worlds, compare. The outcome is counted."""
    policy = Policy.model_validate(pair.world.policy(pair.schema))
    task = SqlTask(source=SourceName("shop"), statement=sql, parameters={})
    try:
        made = prepare(task, pair.catalog, policy, roles=(), token_key=None, tenant="acme")
    except Refuse as refusal:
        tally["refused" if refusal.code.startswith("sql.") else refusal.code] += 1
        return
    assert_shape(made.sql, pair)
    first, second = pair.answers(made.sql)
    assert first == second, made.sql
    tally["failed" if isinstance(first, str) else "ran"] += 1


def assert_shape(sql, pair):
    """One query; a protected column of a table stands nowhere but inside its mask."""
    (tree,) = DIALECTS[pair.dialect].parse(sql)
    assert isinstance(tree, (exp.Select, exp.SetOperation))
    rules = {(t.name.lower(), c.name.lower()): c.rule for t in pair.world.tables for c in t.columns if c.rule}
    for table in tree.find_all(exp.Table):
        if isinstance(table.this, exp.Func) or not table.db:
            continue
        for projection in table.parent_select.expressions:
            rule = rules.get((table.name.lower(), projection.alias_or_name.lower()))
            assert rule is None or not isinstance(projection.unalias(), exp.Column), sql


@pytest.fixture
def pairs(request):
    made = {}

    @cache
    def pair(dialect, seed):
        one = DuckDbPair(seed) if dialect == "duckdb" else PostgresPair(seed, request.getfixturevalue("postgres"))
        made[dialect, seed] = one
        return one

    yield pair
    for one in made.values():
        for con in one.connections:
            con.close()


def grow(pairs, dialect, examples, seeds):
    tally = Counter()

    @settings(
        max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True
    )
    @given(st.data())
    def grown(data):
        seed = data.draw(st.sampled_from(seeds), label="world")
        sql = data.draw(queries(world(seed), dialect), label="sql")
        check(pairs(dialect, seed), sql, tally)

    grown()
    assert set(tally) <= {"ran", "failed", "refused"}, tally
    assert tally["ran"] > ENOUGH * sum(tally.values()), tally


@pytest.mark.parametrize("dialect", ["duckdb", pytest.param("postgres", marks=pytest.mark.full)])
def test_grown_queries(pairs, dialect):
    grow(pairs, dialect, QUICK, range(4))


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("slice_", range(4))
@pytest.mark.parametrize("dialect", ["duckdb", "postgres"])
def test_many_grown_queries(pairs, dialect, slice_):
    seeds = range(4 + slice_ * WORLDS // 4, 4 + (slice_ + 1) * WORLDS // 4)
    grow(pairs, dialect, FULL, seeds)


def test_the_worlds_differ_behind_every_mask():
    """Raw, the two worlds are different: else agreement would mean nothing."""
    differing = 0
    for seed in range(WORLDS):
        one = world(seed)
        for table in one.tables:
            first, second = one.rows[table.name]
            for at, column in enumerate(table.columns):
                same = [row[at] for row in first] == [row[at] for row in second]
                assert same == (column.rule is None), (seed, table.name, column)
                differing += not same
    assert differing > WORLDS
