"""The session that jobs run in: locked, named, limited; roles that may write; servers that log; bad days."""

import hashlib
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.ports import Connection, Session
from agent.core.table import Disclosure
from agent.masking.tokens import pads
from agent.sources.postgres import Config
from tests.support.postgres import Postgres
from tests.support.proxies import Proxy
from tests.support.servers import READER

SCRIPT = """
CREATE SCHEMA sales;
CREATE SCHEMA "Ünïcode x";
CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
CREATE DOMAIN mail AS varchar(40);
CREATE TABLE customers(id int PRIMARY KEY, mood mood NOT NULL, mail mail, secret text);
COMMENT ON TABLE customers IS 'who buys';
COMMENT ON COLUMN customers.mood IS 'how they feel';
CREATE TABLE sales.orders(id int, part int, customer int REFERENCES customers(id), PRIMARY KEY (id, part))
  PARTITION BY LIST (part);
CREATE TABLE sales.orders_1 PARTITION OF sales.orders FOR VALUES IN (1) PARTITION BY LIST (id);
CREATE TABLE sales.orders_1_1 PARTITION OF sales.orders_1 FOR VALUES IN (1);
CREATE VIEW sales.named AS SELECT id, mood FROM public.customers WHERE mood <> 'sad';
CREATE MATERIALIZED VIEW sales.held AS SELECT count(*) AS n FROM public.customers;
CREATE TABLE "Ünïcode x"."T ""x"" y"("Col umn" int);
CREATE TABLE hidden(id int);
CREATE FUNCTION lower(varchar) RETURNS text LANGUAGE sql AS $$ SELECT 'stolen' $$;
INSERT INTO customers VALUES (1, 'sad', 'A@B', 's');
ANALYZE customers;
"""


@pytest.fixture(scope="module")
def shop(postgres: Postgres) -> dict[str, Any]:
    config = postgres.config(postgres.database("session", SCRIPT))
    with postgres.admin("session") as con:
        con.execute(f"REVOKE ALL ON hidden FROM {READER}")
        con.execute(f"REVOKE ALL ON customers FROM {READER}")
        con.execute(f"GRANT SELECT (id, mood, mail) ON customers TO {READER}")
    return config


@contextmanager
def opened(shop: dict[str, Any], limits: Limits = Limits(), **changed: Any) -> Iterator[Connection]:  # noqa: B008
    with Config.model_validate(shop | changed).open("shop", limits) as con:
        yield con


def plan(sql: str, **variables: bytes) -> MaskedPlan:
    return MaskedPlan(sql=sql, parameters={}, disclosure=Disclosure("shop", (), {}, 1, ""), variables=variables)


def value(con: Connection, sql: str, **variables: bytes) -> Any:
    batches: Any = con.run(plan(sql, **variables)).batches
    return [row for batch in batches for row in batch.to_pylist()][0]["x"]  # noqa: RUF015


def test_the_catalog_tells_what_the_role_may_read(shop: dict[str, Any]) -> None:
    with opened(shop) as con:
        catalog = con.catalog()
    found = {(one.schema, one.name): one for one in catalog.relations}
    assert set(found) == {
        ("public", "customers"),
        ("sales", "orders"),
        ("sales", "orders_1"),
        ("sales", "orders_1_1"),
        ("sales", "named"),
        ("sales", "held"),
        ("Ünïcode x", 'T "x" y'),
    }
    customers = found["public", "customers"]
    assert [(c.name, c.type, c.nullable) for c in customers.columns] == [
        ("id", "integer", False),
        ("mood", "public.mood", False),
        ("mail", "character varying(40)", True),
    ]
    assert (customers.comment, customers.columns[1].comment) == ("who buys", "how they feel")
    assert customers.columns[1].labels == ("sad", "it's ok")
    assert (customers.primary_key, customers.rows) == (("id",), 1)
    orders = found["sales", "orders"]
    assert orders.primary_key == ("id", "part")
    (key,) = orders.foreign_keys
    assert (key.columns, key.schema, key.relation, key.referenced) == (("customer",), "public", "customers", ("id",))
    assert found["sales", "orders_1_1"].parents == (("sales", "orders"), ("sales", "orders_1"))
    kinds = {name: one.kind for (_, name), one in found.items()}
    assert (kinds["named"], kinds["held"], kinds["orders"]) == ("view", "materialized", "table")
    assert "public.customers" in (found["sales", "named"].definition or "")
    assert (catalog.databases, catalog.search_path, catalog.default_schema) == (("session",), ("public",), "public")


def test_only_the_configured_schemas_are_shown_in_their_order(shop: dict[str, Any]) -> None:
    with opened(shop, schemas=["sales", "it's not there", "public"]) as con:
        catalog = con.catalog()
    assert {one.schema for one in catalog.relations} == {"sales", "public"}
    assert catalog.search_path == ("sales", "it's not there", "public")


def test_the_session_is_locked_and_named(shop: dict[str, Any]) -> None:
    source = Config.model_validate(shop)
    with source.open("shop", Limits(wall_seconds=7), Session("01JOB")) as con:
        held = {
            "application_name": "01JOB",
            "transaction_read_only": "on",
            "search_path": "pg_catalog, pg_temp",
            "TimeZone": "UTC",
            "standard_conforming_strings": "on",
            "statement_timeout": "8s",
            "lock_timeout": "10s",
            "client_connection_check_interval": "500ms",
        }
        for name, text in held.items():
            assert value(con, f"SELECT current_setting('{name}') AS x") == text, name
        for writing in ("set_config('transaction_read_only', 'off', false)", "nextval('x')"):
            with pytest.raises(Fault):
                value(con, f"SELECT {writing} AS x")


def test_no_function_of_the_database_stands_in_for_the_engines(shop: dict[str, Any]) -> None:
    with opened(shop) as con:
        assert value(con, "SELECT lower(mail) AS x FROM public.customers") == "a@b"


def test_variables_and_files_of_the_account_are_not_looked_at(
    shop: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {
        "PGHOST": "nowhere.invalid",
        "PGHOSTADDR": "192.0.2.1",
        "PGSERVICE": "none",
        "PGOPTIONS": "-c default_transaction_read_only=off -c statement_timeout=1",
        "PGSSLMODE": "verify-full",
        "PGPASSFILE": "/etc/passwd",
        "PGAPPNAME": "other",
        "PGREQUIREAUTH": "none",
        "PGCLIENTENCODING": "LATIN1",
    }.items():
        if name != "PGSERVICE":
            monkeypatch.setitem(os.environ, name, text)
    with opened(shop) as con:
        assert value(con, "SELECT current_setting('client_encoding') AS x") == "UTF8"


@pytest.mark.parametrize(
    ("grant", "revoke", "said"),
    [
        ("GRANT INSERT ON customers TO {}", "REVOKE INSERT ON customers FROM {}", "change tables"),
        ("GRANT UPDATE (mail) ON customers TO {}", "REVOKE UPDATE (mail) ON customers FROM {}", "change tables"),
        ("GRANT CREATE ON SCHEMA sales TO {}", "REVOKE CREATE ON SCHEMA sales FROM {}", "create objects"),
        ("GRANT CREATE ON DATABASE session TO {}", "REVOKE CREATE ON DATABASE session FROM {}", "create schemas"),
        ("GRANT pg_read_server_files TO {}", "REVOKE pg_read_server_files FROM {}", "server's files"),
        ("GRANT pg_execute_server_program TO {}", "REVOKE pg_execute_server_program FROM {}", "run programs"),
        ("GRANT pg_write_all_data TO {}", "REVOKE pg_write_all_data FROM {}", "change tables"),
        ("ALTER ROLE {} CREATEROLE", "ALTER ROLE {} NOCREATEROLE", "create roles"),
        ("ALTER ROLE {} CREATEDB", "ALTER ROLE {} NOCREATEDB", "create databases"),
        ("ALTER ROLE {} REPLICATION", "ALTER ROLE {} NOREPLICATION", "replicate"),
        ("ALTER ROLE {} SUPERUSER", "ALTER ROLE {} NOSUPERUSER", "superuser"),
    ],
)
def test_a_role_that_could_write_is_refused_or_named(
    shop: dict[str, Any], postgres: Postgres, grant: str, revoke: str, said: str
) -> None:
    with postgres.admin("session") as admin:
        admin.execute(grant.format(READER))
        try:
            with pytest.raises(Fault, match=said) as caught, opened(shop, writable_role="refuse"):
                pass
            assert caught.value.code == "source.unavailable"
            with opened(shop, writable_role="warn") as con:
                assert value(con, "SELECT 1 AS x") == 1
            for choice, level in (("refuse", "error"), ("warn", "warning")):
                found = Config.model_validate(shop | {"writable_role": choice}).examine()
                assert any(one.check == "role" and one.level == level and said in one.found for one in found)
        finally:
            admin.execute(revoke.format(READER))


def test_tokens_are_hmac_and_their_key_stands_in_no_text(shop: dict[str, Any], postgres: Postgres) -> None:
    made = pads(b"k" * 32, "acme", ["customer"])
    inner, outer = (f"decode(current_setting('meridyen.meridyen_customer_{end}'), 'hex')" for end in ("i", "o"))
    token = f"encode(sha256({outer} || sha256({inner} || convert_to('a@b', 'UTF8'))), 'hex')"
    with opened(shop) as con:
        assert value(con, f"SELECT {token} AS x", **made) == _hmac(made["meridyen_customer"], b"a@b")
        with postgres.admin() as admin:
            seen = admin.execute("SELECT query FROM pg_stat_activity WHERE usename = %s", (READER,)).fetchall()
    assert made["meridyen_customer"][:64].hex() not in str(seen)


def _hmac(pair: bytes, message: bytes) -> str:
    inner = hashlib.sha256(pair[:64] + message).digest()
    found = hashlib.sha256(pair[64:] + inner).hexdigest()
    key = bytes(byte ^ 0x36 for byte in pair[:64])
    assert found == hmac.new(key, message, hashlib.sha256).hexdigest()
    return found


@pytest.mark.parametrize(
    ("setting", "logged"),
    [
        ("log_statement = 'all'", True),
        ("log_statement = 'mod'", False),
        ("log_min_duration_statement = 0", True),
        ("log_min_duration_sample = 5", True),
        ("log_transaction_sample_rate = 0.5", True),
        ("log_parameter_max_length_on_error = -1", True),
        ("debug_print_plan = on", True),
    ],
)
def test_tokens_are_refused_where_their_key_would_be_logged(
    shop: dict[str, Any], postgres: Postgres, setting: str, logged: bool
) -> None:
    name = setting.split(maxsplit=1)[0]
    with postgres.admin("session") as admin:
        admin.execute(f"ALTER ROLE {READER} SET {setting}")
        try:
            warned = [one for one in Config.model_validate(shop).examine() if one.check == "logging"]
            assert [one.level for one in warned] == (["warning"] if logged else ["ok"])
            assert name in warned[0].found or not logged
            with opened(shop) as con:
                assert value(con, "SELECT 1 AS x") == 1
                if logged:
                    with pytest.raises(Fault, match=name) as caught:
                        value(con, "SELECT 1 AS x", meridyen_a=bytes(128))
                    assert "ALTER ROLE" in caught.value.hint
                else:
                    assert value(con, "SELECT 1 AS x", meridyen_a=bytes(128)) == 1
        finally:
            admin.execute(f"ALTER ROLE {READER} RESET {name}")


def test_a_relation_that_is_gone_since_the_catalog_was_read(shop: dict[str, Any], postgres: Postgres) -> None:
    with postgres.admin("session") as admin:
        admin.execute(f"CREATE TABLE fleeting(id int); GRANT SELECT ON fleeting TO {READER}")
        with opened(shop) as con:
            catalog = con.catalog()
        assert "fleeting" in {one.name for one in catalog.relations}
        admin.execute("DROP TABLE fleeting")
    with (
        Config.model_validate(shop).open("shop", Limits(), catalog=catalog) as con,
        pytest.raises(Fault) as caught,
    ):
        value(con, "SELECT id AS x FROM public.fleeting")
    assert caught.value.code == "source.binding"


@pytest.mark.parametrize("column", ["secret", "*"])
def test_what_the_role_may_not_read_is_said(shop: dict[str, Any], column: str) -> None:
    with opened(shop) as con, pytest.raises(Fault, match="may not read") as caught:
        value(con, f"SELECT {column} FROM public.customers")
    assert caught.value.code == "source.binding"


def test_a_connection_that_is_cut_while_rows_stream(shop: dict[str, Any], postgres: Postgres) -> None:
    announced: list[str] = []
    with Proxy(postgres.port) as proxy:
        source = Config.model_validate(shop | {"port": proxy.port})
        with source.open("shop", Limits(), Session("01J", announced.append)) as con:
            table = con.run(plan("SELECT generate_series(1, 1000000000) AS x"))
            assert next(table.batches).num_rows
            proxy.cut()
            with pytest.raises(Fault, match="connection to the server was lost") as caught:
                list(table.batches)
    assert caught.value.code == "source.unavailable"


def test_time_limits_of_the_server(shop: dict[str, Any], postgres: Postgres) -> None:
    with opened(shop, Limits(wall_seconds=0.001)) as con, pytest.raises(Fault) as caught:
        value(con, "SELECT count(*) AS x FROM generate_series(1, 100000000)")
    assert caught.value.code == "limit.wall"
    with postgres.admin("session") as admin, admin.transaction():
        admin.execute("LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
        with opened(shop, lock_timeout_seconds=0.1) as con, pytest.raises(Fault, match="lock") as caught:
            value(con, "SELECT id AS x FROM public.customers")
    assert caught.value.code == "source.error"


def test_a_server_without_a_free_connection(shop: dict[str, Any], postgres: Postgres) -> None:
    with postgres.admin("session") as admin:
        admin.execute(f"ALTER ROLE {READER} CONNECTION LIMIT 1")
        try:
            with (
                opened(shop),
                pytest.raises(Fault, match="no connection left") as caught,
                opened(shop),
            ):
                pass
        finally:
            admin.execute(f"ALTER ROLE {READER} CONNECTION LIMIT -1")
    assert caught.value.code == "source.unavailable"


def test_texts_that_are_no_text(postgres: Postgres) -> None:
    with postgres.admin() as admin:
        admin.execute("DROP DATABASE IF EXISTS bytes")
        admin.execute("CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    with postgres.admin("bytes") as admin:
        admin.execute("CREATE TABLE t(x text); INSERT INTO t VALUES (E'\\xff')")
        admin.execute(f"GRANT SELECT ON t TO {READER}")
    source = Config.model_validate(postgres.config("bytes"))
    with source.open("shop", Limits()) as con, pytest.raises(Fault, match="bytes that are no text") as caught:
        value(con, "SELECT x FROM public.t")
    assert caught.value.code == "source.error"
    assert any(one.check == "encoding" for one in source.examine())


@pytest.mark.full
def test_a_cell_of_a_hundred_megabytes(shop: dict[str, Any]) -> None:
    with opened(shop) as con:
        assert len(value(con, "SELECT repeat('x', 100000000) AS x")) == 100_000_000
