import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.core.catalog import Catalog, Column
from agent.core.limits import Limits
from agent.sources._sqlite_catalog import view_query
from agent.sources.sqlite import Config


@pytest.fixture
def catalog(tmp_path: Path) -> Callable[[str], Catalog]:
    def of(script: Any) -> Catalog:
        con = sqlite3.connect(tmp_path / "shop.db")
        con.executescript(script)
        con.close()
        with Config(type="sqlite", path=tmp_path / "shop.db").open("shop", Limits()) as opened:
            return opened.catalog()

    return of


def test_tables_with_their_columns(catalog: Callable[[str], Catalog]) -> None:
    found = catalog(
        """CREATE TABLE "Orders"(id INTEGER PRIMARY KEY, "we ird" VARCHAR(10), n DECIMAL(10,2), untyped,
             g INT GENERATED ALWAYS AS (id * 2) VIRTUAL, st TEXT GENERATED ALWAYS AS ('x' || id) STORED);
           CREATE TABLE plain(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
           CREATE TABLE strict_one(a INT, b ANY) STRICT;
           CREATE TABLE counted(i INTEGER PRIMARY KEY AUTOINCREMENT);
           CREATE TABLE "sqlitex"(a INT);
           CREATE INDEX ix ON plain(v);
           CREATE TRIGGER tr AFTER INSERT ON plain BEGIN DELETE FROM counted; END;
           ANALYZE;"""
    )
    assert (found.source, found.dialect, found.default_schema, found.databases) == ("shop", "sqlite", "main", ())
    assert {r.name: r.columns for r in found.relations} == {
        "Orders": (
            Column("id", "INTEGER"),
            Column("we ird", "VARCHAR(10)"),
            Column("n", "DECIMAL(10,2)"),
            Column("untyped", ""),
            Column("g", "INT"),
            Column("st", "TEXT"),
        ),
        "plain": (Column("k", "TEXT", nullable=False), Column("v", "")),
        "strict_one": (Column("a", "INT"), Column("b", "")),
        "counted": (Column("i", "INTEGER"),),
        "sqlitex": (Column("a", "INT"),),
    }
    assert {(r.schema, r.kind, r.definition) for r in found.relations} == {("main", "table", None)}


def test_virtual_tables_and_their_shadows_are_left_out(catalog: Callable[[str], Catalog]) -> None:
    found = catalog(
        """CREATE VIRTUAL TABLE words USING fts5(body);
           CREATE VIRTUAL TABLE boxes USING rtree(id, x1, x2);
           CREATE TABLE words_of_mine(a INT);"""
    )
    assert [r.name for r in found.relations] == ["words_of_mine"]


@pytest.mark.parametrize(
    ("declared", "cast"),
    [
        ("UNSIGNED BIG INT", "UNSIGNED BIG INT"),
        ("double precision", "double precision"),
        ("decimal ( 10 , -2 )", "decimal ( 10 , -2 )"),
        ("'my int;--'", "INTEGER"),
        ('"order"', "NUMERIC"),
        ('"select"', "NUMERIC"),
        ("[var char]", "var char"),
        ("'); x CLOB'", "TEXT"),
        ("'doub le!'", "REAL"),
        ("`b-BLOB`", "BLOB"),
        ("any", ""),
    ],
)
def test_every_type_can_stand_in_a_cast(catalog: Callable[[str], Catalog], declared: str, cast: str) -> None:
    (relation,) = catalog(f"CREATE TABLE t(a {declared})").relations
    assert relation.columns == (Column("a", cast),)
    if cast:
        sqlite3.connect(":memory:").execute(f"SELECT CAST(NULL AS {cast})")


def test_views(catalog: Callable[[str], Catalog]) -> None:
    found = catalog(
        """CREATE TABLE t(i INTEGER, s TEXT);
           CREATE VIEW v(a, b) AS SELECT i, s FROM t;
           CREATE VIEW IF NOT EXISTS main.w AS SELECT a FROM v /* the end */ ;
           CREATE VIEW broken AS SELECT * FROM gone;
           CREATE TEMP VIEW temporary AS SELECT 1;"""
    )
    views = {r.name: r for r in found.relations if r.kind == "view"}
    assert set(views) == {"v", "w"}
    assert views["v"].columns == (Column("a", "INTEGER"), Column("b", "TEXT"))
    assert views["v"].definition == "SELECT i, s FROM t"
    assert views["w"].definition == "SELECT a FROM v /* the end */"


@pytest.mark.parametrize(
    ("sql", "query"),
    [
        ("CREATE VIEW v AS SELECT 1", "SELECT 1"),
        ("create view v as\nselect 1 -- x\n", "select 1 -- x"),
        ('CREATE VIEW "a as b"(x, "y)") AS SELECT 1, 2', "SELECT 1, 2"),
        ("CREATE VIEW [a (b] ( [x] , `y` ) AS(SELECT 1, 2)", "(SELECT 1, 2)"),
        ("CREATE VIEW v--(x) AS SELECT 9\n/* AS */(a)AS VALUES(1)", "VALUES(1)"),
        ("CREATE VIEW 'it''s' /**/ as select 'as'", "select 'as'"),
        ("CREATE VIEW asx AS SELECT 1", "SELECT 1"),
        ("CREATE VIEW v(a AS SELECT 1", ""),
        ("CREATE TABLE v(a)", ""),
    ],
)
def test_the_query_of_a_view(sql: str, query: str) -> None:
    assert view_query(sql) == query
