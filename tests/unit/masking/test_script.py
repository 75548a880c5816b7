"""What `--catalog` understands of a script, as pg_dump and people write it."""

import pytest

from agent.core.errors import ConfigError
from agent.masking.ddl import catalog_of

SCRIPT = r"""
\restrict abc
SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE SCHEMA app;
CREATE TYPE mood AS ENUM ('sad', 'it''s; ok');
CREATE TYPE app.addr AS (street text, zip text);
CREATE DOMAIN email_text AS varchar(80) CHECK (VALUE ~ '@');
CREATE DOMAIN short_email AS email_text NOT NULL;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; CREATE TABLE inside (a int); $$;
CREATE TABLE app."Mixed Case" (
  id bigserial PRIMARY KEY, "Name" character varying(20) DEFAULT 'x'::character varying, amount numeric(10,2) CHECK (amount > 0),
  created timestamp with time zone DEFAULT now(), tags text[], doc jsonb, m mood, e email_text, s short_email, adr app.addr,
  g int GENERATED ALWAYS AS (id * 2) STORED, i integer DEFAULT nextval('public.s'::regclass) NOT NULL, vb bit varying(8), c citext,
  CONSTRAINT uq UNIQUE (amount), EXCLUDE USING gist (r WITH &&)
);
CREATE TABLE IF NOT EXISTS Plain (ID serial, X text COLLATE "C");
CREATE TABLE part (id int, d date) PARTITION BY RANGE (d);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE public.part_2 (id int, d date);
ALTER TABLE ONLY public.part ATTACH PARTITION public.part_2 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE kid (extra int) INHERITS (part);
CREATE TABLE copied (LIKE plain INCLUDING ALL, more date);
CREATE FOREIGN TABLE far (a int) SERVER s OPTIONS (x 'y');
CREATE VIEW v (a, b) AS SELECT id, x FROM plain WITH CASCADED CHECK OPTION;
CREATE OR REPLACE VIEW app.w WITH (security_barrier='true', check_option=local) AS SELECT id, upper(x) AS "Up" FROM plain;
CREATE MATERIALIZED VIEW mv AS SELECT id FROM plain WITH NO DATA;
COMMENT ON TABLE part IS 'x; CREATE TABLE y (a int)';
GRANT SELECT ON part TO public;
"""


@pytest.fixture(scope="module")
def found():
    return {(r.schema, r.name): r for r in catalog_of(SCRIPT, dialect="postgres", source="s").relations}


def types(relation):
    return {column.name: column.type for column in relation.columns}


def test_only_what_is_created_is_found(found):
    assert {name for _, name in found} == {
        "Mixed Case", "plain", "part", "part_1", "part_2", "kid", "copied", "far", "v", "w", "mv",
    }  # fmt: skip


def test_types(found):
    assert types(found["app", "Mixed Case"]) == {
        "id": "BIGINT", "Name": "VARCHAR(20)", "amount": "DECIMAL(10, 2)", "created": "TIMESTAMPTZ", "tags": "TEXT[]",
        "doc": "JSONB", "m": "mood", "e": "varchar(80)", "s": "varchar(80)", "adr": "app.addr", "g": "INT", "i": "INT",
        "vb": "varbit(8)", "c": "citext",
    }  # fmt: skip
    assert types(found["public", "plain"]) == {"id": "INT", "x": "TEXT"}


def test_labels_of_an_enumerated_type(found):
    labels = {column.name: column.labels for column in found["app", "Mixed Case"].columns}
    assert labels["m"] == ("sad", "it's; ok")
    assert labels["e"] == ()


def test_columns_and_parents_come_from_other_tables(found):
    assert types(found["public", "part_1"]) == types(found["public", "part"])
    assert types(found["public", "kid"]) == {"id": "INT", "d": "DATE", "extra": "INT"}
    assert types(found["public", "copied"]) == {"id": "INT", "x": "TEXT", "more": "DATE"}
    assert {name for (_, name), one in found.items() if one.parents == (("public", "part"),)} == {
        "part_1",
        "part_2",
        "kid",
    }


def test_views_and_what_holds_rows_of_its_own(found):
    assert found["public", "v"].definition == "SELECT id, x FROM plain"
    assert [column.name for column in found["public", "v"].columns] == ["a", "b"]
    assert found["app", "w"].kind == "view"
    assert [column.name for column in found["app", "w"].columns] == ["id", "Up"]
    assert (found["public", "mv"].kind, found["public", "mv"].definition) == ("materialized", None)
    assert found["public", "far"].kind == "foreign"


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE t (a int",
        "CREATE TABLE t (a int) 'x",
        "CREATE VIEW v AS DELETE FROM t",
        "CREATE VIEW v AS SELECT count(*) FROM t",
    ],
)
def test_a_table_or_view_that_is_not_understood_is_an_error(script):
    with pytest.raises(ConfigError):
        catalog_of(script, dialect="postgres", source="s")


@pytest.mark.parametrize("dialect", ["duckdb", "sqlite", "postgres", "redshift"])
def test_other_statements_are_passed_over(dialect):
    script = "CREATE TABLE t (a INTEGER); CREATE INDEX i ON t (a); INSERT INTO t VALUES (1); gibberish (; DROP TABLE t;"
    assert [one.name for one in catalog_of(script, dialect=dialect, source="s").relations] == ["t"]
