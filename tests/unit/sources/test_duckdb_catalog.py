from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from agent.core.catalog import Catalog, Column, Relation
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.sources._duckdb_catalog import view_query
from agent.sources.duckdb import Config

Plans = Callable[..., MaskedPlan]
Files = Callable[..., Path]


def catalog(path: Path) -> Catalog:
    with Config(type="duckdb", path=path).open("shop", Limits()) as con:
        return con.catalog()


def relations(path: Path) -> dict[tuple[str, str], Relation]:
    return {(r.schema, r.name): r for r in catalog(path).relations}


TYPES = {
    "BOOLEAN": "BOOLEAN",
    "TINYINT": "TINYINT",
    "UTINYINT": "UTINYINT",
    "HUGEINT": "HUGEINT",
    "UHUGEINT": "UHUGEINT",
    "FLOAT": "FLOAT",
    "DECIMAL(18,3)": "DECIMAL(18,3)",
    "VARCHAR": "VARCHAR",
    "VARCHAR COLLATE nocase": "VARCHAR",
    "BLOB": "BLOB",
    "BIT": "BIT",
    "BIGNUM": "BIGNUM",
    "UUID": "UUID",
    "JSON": "JSON",
    "INTERVAL": "INTERVAL",
    "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE",
    "TIMETZ": "TIME WITH TIME ZONE",
    "TIMESTAMP_NS": "TIMESTAMP_NS",
    "GEOMETRY": "GEOMETRY",
    "VARIANT": "VARIANT",
    "INTEGER[]": "INTEGER[]",
    "INTEGER[3]": "INTEGER[3]",
    "MAP(VARCHAR, INTEGER[])": "MAP(VARCHAR, INTEGER[])",
    'STRUCT("x y" INTEGER, "a""b" VARCHAR)': 'STRUCT("x y" INTEGER, "a""b" VARCHAR)',
    "UNION(n INTEGER, s VARCHAR)": "UNION(n INTEGER, s VARCHAR)",
    "ENUM('secret-a', 'b''c')": "VARCHAR",
    "mood": "VARCHAR",
    "mood[]": "VARCHAR[]",
    "mood[2]": "VARCHAR[2]",
    "MAP(VARCHAR, mood)": "MAP(VARCHAR, VARCHAR)",
    "STRUCT(a mood, b STRUCT(c mood[], d DATE))": 'STRUCT("a" VARCHAR, "b" STRUCT("c" VARCHAR[], "d" DATE))',
    "UNION(n INTEGER, m mood)": 'UNION("n" INTEGER, "m" VARCHAR)',
    "cents": "DECIMAL(10,2)",
}


@pytest.mark.parametrize("tables", [1, 30])  # few are asked one by one, many are listed
def test_every_type_can_stand_in_a_cast_and_shows_no_label(duck: Files, tables: int) -> None:
    columns = ", ".join(f"c{at} {declared}" for at, declared in enumerate(TYPES))
    more = [f"CREATE TABLE t{at} (i INTEGER)" for at in range(1, tables)]
    path = duck(
        "CREATE TYPE mood AS ENUM ('sad', 'secret-mood')",
        "CREATE TYPE cents AS DECIMAL(10,2)",
        f"CREATE TABLE all_types ({columns})",
        *more,
    )
    found = relations(path)["main", "all_types"].columns
    assert [column.type for column in found] == list(TYPES.values())
    with duckdb.connect() as con:
        for column in found:
            con.execute(f"SELECT CAST(NULL AS {column.type})")


def test_names_keep_their_case_and_order(duck: Files) -> None:
    path = duck('CREATE SCHEMA "Sales X"', 'CREATE TABLE "Sales X"."Orders"("B" INTEGER, a DATE, "q""q" VARCHAR)')
    found = catalog(path)
    (relation,) = found.relations
    assert (found.source, found.dialect, found.default_schema, found.databases) == ("shop", "duckdb", "main", ("shop",))
    assert (relation.schema, relation.name, relation.kind, relation.definition) == ("Sales X", "Orders", "table", None)
    assert relation.columns == (Column("B", "INTEGER"), Column("a", "DATE"), Column('q"q', "VARCHAR"))


def test_generated_columns_are_columns(duck: Files) -> None:
    path = duck("CREATE TABLE t(a INTEGER, b INTEGER GENERATED ALWAYS AS (a * 2))")
    assert relations(path)["main", "t"].columns == (Column("a", "INTEGER"), Column("b", "INTEGER"))


def test_views_show_their_query_and_their_own_column_names(duck: Files) -> None:
    path = duck(
        "CREATE TABLE t(i INTEGER, s VARCHAR)",
        "CREATE VIEW v(a, b) AS SELECT i, s FROM t -- a comment\n",
        'CREATE VIEW "w AS (x"("p "" q") AS SELECT b FROM v',
        "CREATE SECURE VIEW secure AS SELECT i FROM t",
        "CREATE RECURSIVE VIEW deep(n) AS SELECT 1 UNION ALL SELECT n + 1 FROM deep WHERE n < 3",
        "CREATE SCHEMA other",
        "CREATE VIEW other.part(one) AS SELECT i, s FROM main.t",
        "CREATE TEMP VIEW gone AS SELECT 1",
    )
    found = relations(path)
    assert set(found) == {
        ("main", "t"),
        ("main", "v"),
        ("main", "w AS (x"),
        ("main", "secure"),
        ("main", "deep"),
        ("other", "part"),
    }
    view = found["main", "v"]
    assert (view.kind, view.definition) == ("view", "SELECT i, s FROM t")
    assert view.columns == (Column("a", "INTEGER"), Column("b", "VARCHAR"))
    assert found["main", "w AS (x"].columns == (Column('p " q', "VARCHAR"),)
    assert found["main", "w AS (x"].definition == "SELECT b FROM v"
    assert found["main", "secure"].definition == "SELECT i FROM t"
    assert found["main", "deep"].definition.startswith("WITH RECURSIVE deep")
    assert [column.name for column in found["other", "part"].columns] == ["one", "s"]


def test_a_view_has_the_columns_that_its_query_has_today(duck: Files) -> None:
    """The engine still lists the ones that it had when it was made."""
    path = duck(
        "CREATE TABLE t(i INTEGER)",
        "CREATE VIEW v AS SELECT * FROM t",
        "ALTER TABLE t ADD COLUMN ssn VARCHAR",
        "ALTER TABLE t ALTER i TYPE BIGINT",
    )
    assert relations(path)["main", "v"].columns == (Column("i", "BIGINT"), Column("ssn", "VARCHAR"))


def test_views_that_do_not_bind_are_left_out(duck: Files, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    path = duck(
        "CREATE TABLE t(i INTEGER)",
        "CREATE VIEW broken AS SELECT * FROM t",
        "CREATE VIEW over_broken AS SELECT * FROM broken",
        f"CREATE VIEW outside AS FROM '{tmp_path}/x.csv'",
        f"CREATE VIEW outside_too AS FROM read_csv('{tmp_path}/x.csv')",
        "DROP TABLE t",
        "CREATE TABLE kept(i INTEGER)",
    )
    assert set(relations(path)) == {("main", "kept")}


def test_a_table_named_like_a_view_of_the_engine_is_left_out(duck: Files) -> None:
    """`"main"."duckdb_tables"` would read the engine's own."""
    path = duck('CREATE TABLE "DuckDB_Tables"(i INTEGER)', "CREATE SCHEMA s", "CREATE TABLE s.duckdb_tables(i INTEGER)")
    assert set(relations(path)) == {("s", "duckdb_tables")}


@pytest.mark.parametrize(
    ("name", "schema", "database"),
    [("shop", "Shop", "shop_db"), ("memory", "s", "memory_db"), ("main", "s", "main_db"), ("a b.c", "s", "a b")],
)
def test_schema_and_database_are_never_ambiguous(
    duck: Files, plan: Plans, name: str, schema: str, database: str
) -> None:
    table = '"shop"."Shop".t' if schema == "Shop" else "s.t"  # ambiguous for the one who makes it, too
    path = duck(f'CREATE SCHEMA "{schema}"', f"CREATE TABLE {table} AS SELECT 1 AS i", name=f"{name}.duckdb")
    with Config(type="duckdb", path=path).open("x", Limits()) as con:
        assert con.catalog().databases == (database,)
        for text in (f'"{schema}"."t"', f'"{database}"."{schema}"."t"'):
            (batch,) = con.run(plan(f"SELECT i FROM {text}")).batches
            assert batch.to_pylist() == [{"i": 1}]


@pytest.mark.parametrize("schema", ["we,ird", 'a"b', "q'x", "dot.ted", "UPPER", " sp ", "ünï"])
def test_tables_of_schemas_with_odd_names_can_be_read(duck: Files, plan: Plans, schema: str) -> None:
    quoted = '"' + schema.replace('"', '""') + '"'
    path = duck(f"CREATE SCHEMA {quoted}", f"CREATE TABLE {quoted}.t AS SELECT 1 AS i")
    with Config(type="duckdb", path=path).open("x", Limits()) as con:
        assert [r.schema for r in con.catalog().relations] == [schema]
        assert next(con.run(plan(f"SELECT i FROM {quoted}.t")).batches).num_rows == 1


@pytest.mark.parametrize(
    ("sql", "query"),
    [
        ("CREATE VIEW v AS SELECT 1;", "SELECT 1"),
        ('CREATE VIEW "a.b"."c AS d" AS SELECT 1 AS "x AS y";', 'SELECT 1 AS "x AS y"'),
        ('CREATE SECURE VIEW s.v (a, "b) AS (") AS FROM t;', "FROM t"),
        ("CREATE VIEW v AS SELECT ';' AS a", "SELECT ';' AS a"),
        ("CREATE VIEW v WITH (x) AS SELECT 1", ""),
        ("SELECT 1", ""),
    ],
)
def test_the_query_of_a_view(sql: str, query: str) -> None:
    assert view_query(sql) == query
