"""One statement of a script at a time: where a name ends, what is passed over, which errors name what."""

import pytest

from agent.core.catalog import Catalog, Column, Relation
from agent.core.errors import ConfigError
from agent.masking.ddl import catalog_from_json, catalog_of


def found(script: str, dialect: str = "postgres") -> dict[str, Relation]:
    return {one.name: one for one in catalog_of(script, dialect=dialect, source="s").relations}


def columns(relation: Relation) -> list[tuple[str, str]]:
    return [(column.name, column.type) for column in relation.columns]


def error(script: str, dialect: str = "postgres") -> str:
    with pytest.raises(ConfigError) as caught:
        catalog_of(script, dialect=dialect, source="s")
    return str(caught.value)


TABLES = 'CREATE TABLE app.whole (id int); CREATE TABLE part (id int); CREATE TABLE "for" (id int);'


@pytest.mark.parametrize(
    ("attach", "name", "parent"),
    [
        ("ALTER TABLE app.whole ATTACH PARTITION part FOR VALUES FROM (1) TO (2)", "part", ("app", "whole")),
        ("ALTER TABLE ONLY app.whole ATTACH PARTITION public.part DEFAULT", "part", ("app", "whole")),
        ("alter table only whole attach partition part", "part", ("public", "whole")),
        ("ALTER TABLE whole ATTACH PARTITION app.whole FOR VALUES IN ('default')", "whole", ("app", "whole")),
        ("ALTER TABLE part ATTACH INDEX x", "part", None),
        ("ALTER TABLE whole DROP PARTITION part", "part", None),
        ("ALTER INDEX whole ATTACH PARTITION part", "part", None),
        ("DROP TABLE whole; CREATE INDEX attach ON partition (part)", "part", None),
    ],
)
def test_a_partition_is_attached_by_its_written_name(attach: str, name: str, parent: tuple[str, str] | None) -> None:
    assert found(f"{TABLES} {attach};")[name].parents == ((parent,) if parent else ())


def test_a_name_with_its_schema_goes_before_a_bare_one() -> None:
    script = "CREATE TABLE a.p (i int); ALTER TABLE x ATTACH PARTITION a.p; ALTER TABLE y ATTACH PARTITION p;"
    assert found(script)["p"].parents == (("a", "x"),)


def test_a_parent_is_told_once_more_beside_those_that_the_statement_names() -> None:
    script = "CREATE TABLE a (i int); CREATE TABLE b (j int) INHERITS (a); ALTER TABLE c ATTACH PARTITION b;"
    assert found(script)["b"].parents == (("public", "a"), ("public", "c"))


@pytest.mark.parametrize(
    "after", ["CHECK (true)", "NOT NULL", "NULL", "DEFAULT 1", "CONSTRAINT c CHECK (true)", "COLLATE x"]
)
def test_a_domains_type_ends_where_its_rules_begin(after: str) -> None:
    script = f"CREATE DOMAIN app.d AS varchar(80) {after}; CREATE TABLE t (a app.d, b d);"
    assert columns(found(script)["t"]) == [("a", "varchar(80)"), ("b", "d")]


def test_a_domain_of_a_domain_is_its_base_however_long_the_chain() -> None:
    chain = "".join(f"CREATE DOMAIN d{n} AS d{n - 1};" for n in range(1, 16))
    script = f"CREATE DOMAIN d0 AS bigint; {chain} CREATE TABLE t (a d15);"
    assert columns(found(script)["t"]) == [("a", "bigint")]
    assert columns(found("CREATE DOMAIN a AS b; CREATE DOMAIN b AS a; CREATE TABLE t (x a);")["t"])[0][0] == "x"


@pytest.mark.parametrize(
    ("statement", "labels"),
    [
        ("CREATE TYPE mood AS ENUM ('a', 'b')", ("a", "b")),
        ("create type MOOD as enum ('a')", ()),
        ("CREATE TYPE mood AS RANGE (subtype = text, enum = 'a')", ("a",)),
        ("CREATE TYPE mood AS (a text)", ()),
        ("CREATE TYPE mood", ()),
        ("ALTER TYPE mood AS ENUM ('a')", ()),
        ("DROP TYPE mood; COMMENT ON TYPE mood IS 'as enum'", ()),
    ],
)
def test_labels_are_those_of_an_enumerated_type(statement: str, labels: tuple[str, ...]) -> None:
    assert found(f"{statement}; CREATE TABLE t (m mood);")["t"].columns[0].labels == labels


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ("CREATE TABLE t (a int)", "table"),
        ("CREATE UNLOGGED TABLE t (a int)", "table"),
        ("CREATE TEMP TABLE t (a int)", "table"),
        ("CREATE OR REPLACE VIEW t AS SELECT 1 AS a", "view"),
        ("CREATE MATERIALIZED VIEW t AS SELECT 1 AS a", "materialized"),
        ("CREATE FOREIGN TABLE t (a int) SERVER elsewhere", "foreign"),
        ("create table T as select 1 as A", "view"),
    ],
)
def test_what_stands_before_a_name_says_the_kind(head: str, kind: str) -> None:
    made = found(f";;{head};;")["t"]
    assert (made.kind, [column.name for column in made.columns]) == (kind, ["a"])
    assert (made.definition is None) == (kind != "view")


@pytest.mark.parametrize(
    "statement",
    ["CREATE INDEX t ON table (a)", "CREATE ROLE view", "CREATE", "CREATE UNIQUE INDEX view ON t (a)", "TABLE t"],
)
def test_the_word_table_elsewhere_creates_nothing(statement: str) -> None:
    assert found(f"{statement}; CREATE TABLE alone (a int)").keys() == {"alone"}


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("FOREIGN TABLE t (server int, a int) SERVER s OPTIONS (server 'x')", ["server", "a"]),
        ("TABLE t (a int, b bit varying(3), c int)", ["a", "b", "c"]),
        ("TABLE t (a int) WITH (fillfactor=70)", ["a"]),
        ("VIEW t AS SELECT 1 AS server, 2 AS data", ["server", "data"]),
        ("VIEW t WITH (security_barrier, x=(1), y=2) AS SELECT 1 AS a, 2 AS b", ["a", "b"]),
        ("VIEW t (c, d) WITH (x=y) AS SELECT 1 AS a, 2 AS b", ["c", "d"]),
        ("VIEW t AS WITH x AS (SELECT 1 AS i) SELECT i AS j FROM x", ["j"]),
        ("VIEW t AS SELECT 1 AS a WITH CHECK OPTION", ["a"]),
        ("VIEW t AS SELECT 1 AS a WITH LOCAL CHECK OPTION", ["a"]),
        ("VIEW t AS SELECT 1 AS a WITH CASCADED CHECK OPTION", ["a"]),
        ("MATERIALIZED VIEW t AS SELECT 1 AS a WITH DATA", ["a"]),
        ("MATERIALIZED VIEW t AS SELECT 1 AS a WITH NO DATA", ["a"]),
    ],
)
def test_options_are_passed_over_and_columns_are_not(written: str, names: list[str]) -> None:
    assert [column.name for column in found(f"CREATE {written}")["t"].columns] == names


def test_what_a_view_reads_is_kept_to_its_end() -> None:
    made = found("CREATE VIEW v WITH (a=(1)) AS SELECT (1) AS x, (SELECT 2) AS y WITH CHECK OPTION")["v"]
    assert made.definition == "SELECT (1) AS x, (SELECT 2) AS y"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("CREATE TABLE a (i int);\n\nCREATE TABLE b (i int", "the statement at line 3"),
        ("CREATE TABLE a (i int);\nCREATE VIEW b AS DROP TABLE a", "the statement at line 2"),
        ("CREATE TABLE a (i text 'x);", "a quote or comment is not closed"),
        ("CREATE VIEW a (x)", "the relation a has no columns"),
        ("CREATE VIEW v AS SELECT count(*), 1 AS a", "a column of the view v has no name"),
        ("CREATE VIEW v AS SELECT * FROM nothing", "a * in the view v cannot be told"),
        ("CREATE VIEW v AS SELECT x.* FROM (SELECT 1 AS a) AS x", "a * in the view v cannot be told"),
        ("CREATE TABLE a.s.t (i int); CREATE TABLE b.s.t (i int)", "in several databases"),
    ],
)
def test_what_cannot_be_told_is_an_error_that_names_it(script: str, said: str) -> None:
    assert said in error(script)


def test_a_table_without_columns_in_brackets_has_none() -> None:
    assert columns(found("CREATE TABLE a ()")["a"]) == []


def test_a_star_stands_for_the_columns_of_what_it_names() -> None:
    script = """
    CREATE TABLE a (i int, j int); CREATE TABLE b (k int); CREATE TABLE x.A2 (z int);
    CREATE VIEW v1 AS SELECT * FROM a JOIN b ON true; CREATE VIEW v2 AS SELECT q.*, i AS own FROM a JOIN b AS q ON true;
    CREATE VIEW v3 AS SELECT * FROM A AS c; CREATE VIEW v4 AS SELECT 1 AS one, a.i, v1.* FROM a, v1;
    CREATE VIEW v5 AS SELECT i FROM a UNION ALL SELECT k FROM b;
    """
    names = {name: [column.name for column in one.columns] for name, one in found(script).items()}
    assert names["v1"] == ["i", "j", "k"]
    assert names["v2"] == ["k", "own"]
    assert names["v3"] == ["i", "j"]
    assert names["v4"] == ["one", "i", "i", "j", "k"]
    assert names["v5"] == ["i"]


def test_a_later_column_of_a_name_goes_before_an_inherited_one() -> None:
    script = "CREATE TABLE a (i int, j int); CREATE TABLE b (j text, k int) INHERITS (a); CREATE TABLE c (LIKE x.a);"
    assert columns(found(script)["b"]) == [("i", "INT"), ("j", "TEXT"), ("k", "INT")]
    assert columns(found(script)["c"]) == []


@pytest.mark.parametrize(
    ("dialect", "schema", "name"),
    [("postgres", "app", "kept"), ("duckdb", "App", "Kept"), ("snowflake", "APP", "KEPT"), ("oracle", "APP", "KEPT")],
)
def test_names_are_kept_as_the_engine_keeps_them(dialect: str, schema: str, name: str) -> None:
    (made,) = catalog_of('CREATE TABLE App.Kept ("Quoted" INT, Plain INT)', dialect=dialect, source="s").relations
    assert (made.schema, made.name, made.columns[0].name) == (schema, name, "Quoted")
    assert made.columns[1].name == {"app": "plain", "App": "Plain"}.get(schema, "PLAIN")


def test_the_one_database_of_a_script_is_that_of_the_catalog() -> None:
    known = catalog_of("CREATE TABLE db.s.t (i int); CREATE TABLE u (i int)", dialect="postgres", source="shop")
    assert known == Catalog(
        "shop", "postgres", "public",
        (Relation("s", "t", (Column("i", "INT"),)), Relation("public", "u", (Column("i", "INT"),))), ("db",),
    )  # fmt: skip


def test_batches_of_a_client_are_statements() -> None:
    assert found("CREATE TABLE a (i int)\nGO\nCREATE TABLE b (i int)\nGO\n", "tsql").keys() == {"a", "b"}


def test_a_catalog_document_is_taken_as_it_is() -> None:
    text = """{"relations": [
      {"name": "t", "columns": [{"name": "a", "type": "INT"}, {"name": "b"}]},
      {"schema": "s", "name": "v", "kind": "view", "columns": [], "definition": "SELECT 1"}], "databases": ["d"]}"""
    known = catalog_from_json(text, dialect="postgres", source="shop")
    assert known == Catalog(
        "shop", "postgres", "public",
        (Relation("public", "t", (Column("a", "INT"), Column("b", ""))), Relation("s", "v", (), "view", "SELECT 1")),
        ("d",),
    )  # fmt: skip
    assert (
        catalog_from_json('{"relations": [], "default_schema": "x"}', dialect="duckdb", source="s").default_schema
        == "x"
    )
    assert catalog_from_json('{"relations": []}', dialect="duckdb", source="s").default_schema == "main"


@pytest.mark.parametrize(
    ("text", "where"),
    [("[]", "the top"), ("{", "the top"), ('{"relations": [{"name": 7, "columns": []}]}', "relations.0.name")],
)
def test_a_document_of_another_shape_is_an_error_that_says_where(text: str, where: str) -> None:
    with pytest.raises(ConfigError, match=f"is not a catalog document \\(at {where}\\)"):
        catalog_from_json(text, dialect="duckdb", source="s")
