"""What every source behind a network does: each server of the union runs through all of this."""

import subprocess
import sys
import traceback
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from pydantic import TypeAdapter, ValidationError

import agent.sources
from agent.core.catalog import Catalog
from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.ports import Connection, Endpoint, Session, Source
from agent.core.table import Disclosure
from tests.support.mariadb import MariaDb
from tests.support.postgres import Postgres

CANARY = "900-55-0001"
ROWS = 25_000

UNION = typing.get_args(typing.get_args(agent.sources.Config)[0])
SERVERS = [config for config in UNION if "host" in config.model_fields]
READ: TypeAdapter[Source] = TypeAdapter(agent.sources.Config)

POSTGRES = f"""
CREATE TABLE people(id bigint PRIMARY KEY, ssn text, pay float8, name text);
INSERT INTO people SELECT i, '{CANARY}', i / 4.0, 'p' || i FROM generate_series(0, {ROWS - 1}) i;
CREATE VIEW names(who) AS SELECT name FROM people;
"""

MARIADB = f"""
CREATE TABLE people (id bigint PRIMARY KEY, ssn text, pay double, name text);
INSERT INTO people SELECT seq, '{CANARY}', seq / 4, CONCAT('p', seq) FROM seq_0_to_{ROWS - 1};
CREATE VIEW names (who) AS SELECT name FROM people;
"""


@dataclass(frozen=True)
class Kind:
    """One server with its data, and statements whose words differ. `fails` fails while it runs."""

    type: str
    config: dict[str, Any]
    schema: str
    people: str
    fails: str
    endless: str

    def source(self, **changed: Any) -> Source:
        return READ.validate_python(self.config | changed)


@pytest.fixture(scope="module", params=["postgres", "mysql"])
def kind(request: pytest.FixtureRequest) -> Kind:
    if request.param == "mysql":
        return mysql(request.getfixturevalue("mariadb"))
    server: Postgres = request.getfixturevalue("postgres")
    return Kind(
        "postgres",
        server.config(server.database("conformance", POSTGRES)),
        "public",
        '"public"."people"',
        'SELECT CAST(ssn AS integer) AS x FROM "public"."people"',
        "SELECT generate_series(1, 1000000000) AS i",
    )


def mysql(server: MariaDb) -> Kind:
    return Kind(
        "mysql",
        server.config(server.database("conformance", MARIADB), schemas=["conformance"]),
        "conformance",
        "`conformance`.`people`",
        f"SELECT (SELECT ssn FROM `conformance`.`people`) = '{CANARY}' AS x",
        "SELECT a.id AS i FROM `conformance`.`people` AS a, `conformance`.`people` AS b",
    )


@pytest.fixture
def con(kind: Kind) -> Iterator[Connection]:
    with kind.source().open("shop", Limits()) as opened:
        yield opened


def plan(sql: str) -> MaskedPlan:
    return MaskedPlan(sql=sql, parameters={}, disclosure=Disclosure("shop", (), {}, 1, ""))


def rows(con: Connection, sql: str) -> list[dict[str, Any]]:
    batches: Any = con.run(plan(sql)).batches
    return [row for batch in batches for row in batch.to_pylist()]


@pytest.mark.parametrize("config", SERVERS, ids=lambda config: config.__module__)
def test_a_config_tells_no_value_in_its_errors_and_no_password_at_all(config: Any) -> None:
    good = {"host": "h", "database": "d", "user": "u", "type": config.__module__.rpartition(".")[2]}
    for wrong in ({"port": CANARY}, {CANARY[:3]: CANARY}, {"password": [CANARY]}, {"tls": {"mode": CANARY}}):
        with pytest.raises(ValidationError) as caught:
            config.model_validate({**good, **wrong})
        assert CANARY not in str(caught.value)
    made = config.model_validate({**good, "password": CANARY})
    assert CANARY not in repr(made) + str(made) + str(made.model_dump())
    assert made.tls.mode == "verify-full"
    assert made.writable_role == "warn"


@pytest.mark.parametrize(
    ("tls", "problem"),
    [
        ({"cert_file": "a"}, "go together"),
        ({"mode": "verify-ca"}, "needs `ca_file`"),
        ({"mode": "require", "ca_file": "a"}, "not looked at"),
        ({"mode": "prefer"}, "disable"),
    ],
)
@pytest.mark.parametrize("config", SERVERS, ids=lambda config: config.__module__)
def test_tls_is_never_weaker_than_it_looks(config: Any, tls: dict[str, str], problem: str) -> None:
    kind = config.__module__.rpartition(".")[2]
    with pytest.raises(ValidationError, match=problem):
        config.model_validate({"type": kind, "host": "h", "database": "d", "user": "u", "tls": tls})


def test_configs_are_read_without_a_driver() -> None:
    drivers = {"adbc_driver_manager", "adbc_driver_postgresql", "psycopg", "pymysql", "pyarrow", "numpy"}
    text = f"import agent.sources, sys; print({drivers} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_it_names_its_server_and_no_file_without_tls(kind: Kind) -> None:
    source = kind.source()
    assert source.dialect == kind.type
    assert source.connects() == (Endpoint(kind.config["host"], kind.config["port"]),)
    assert source.reads() == ()


def test_the_catalog_has_the_relations_by_name(con: Connection, kind: Kind) -> None:
    found = con.catalog()
    assert isinstance(found, Catalog)
    assert (found.source, found.dialect, found.default_schema) == ("shop", kind.type, kind.schema)
    relations = {relation.name: relation for relation in found.relations}
    assert set(relations) == {"people", "names"}
    assert [column.name for column in relations["people"].columns] == ["id", "ssn", "pay", "name"]
    assert relations["people"].primary_key == ("id",)
    assert relations["people"].definition is None
    assert relations["names"].definition
    assert CANARY not in repr(found)


def test_a_catalog_that_is_lent_is_given_back(kind: Kind) -> None:
    lent = Catalog("shop", kind.type, "x", ())
    with kind.source().open("shop", Limits(), catalog=lent) as con:
        assert con.catalog() is lent


def test_rows_stream_in_batches_with_their_types(con: Connection, kind: Kind) -> None:
    table = con.run(plan(f"SELECT id, ssn, pay FROM {kind.people} ORDER BY id"))
    assert table.schema.names == ["id", "ssn", "pay"]
    assert table.schema.types == [pa.int64(), pa.string(), pa.float64()]
    batches: list[Any] = list(table.batches)
    assert pa.Table.from_batches(batches, table.schema).column("id").to_pylist() == list(range(ROWS))
    assert batches[0].to_pylist()[1] == {"id": 1, "ssn": CANARY, "pay": 0.25}


def test_not_all_rows_are_held_and_a_second_run_ends_the_first(con: Connection, kind: Kind) -> None:
    assert next(con.run(plan(kind.endless)).batches).num_rows
    assert rows(con, "SELECT 1 AS a") == [{"a": 1}]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO {} VALUES (1, 'x', 1, 'x')",
        "UPDATE {} SET ssn = 'x'",
        "DELETE FROM {}",
        "DROP TABLE {}",
        "CREATE TABLE x(a INTEGER)",
        "BEGIN",
        "SELECT 1; DROP TABLE {}",
        "SELECT 1; SELECT 2",
        "",
        "SELECT 1 +",
        "SELECT nope FROM {}",
        "SELECT 1 FROM nope",
    ],
)
def test_everything_but_one_query_that_binds_is_refused(con: Connection, kind: Kind, sql: str) -> None:
    with pytest.raises(Fault) as caught:
        rows(con, sql.format(kind.people))
    assert caught.value.code == "source.binding"
    assert caught.value.hint
    assert rows(con, f"SELECT count(*) AS n FROM {kind.people}") == [{"n": ROWS}]


def test_errors_carry_no_value_and_the_connection_lives(con: Connection, kind: Kind) -> None:
    with pytest.raises(Fault) as caught:
        rows(con, kind.fails)
    fault = caught.value
    assert fault.code == "source.error"
    assert fault.__cause__ is None
    assert fault.__context__ is None
    assert CANARY not in "".join(traceback.format_exception(fault))
    assert rows(con, "SELECT 1 AS a") == [{"a": 1}]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"port": 1}, "Nothing listens"),
        ({"password": "wrong"}, "refused the source's account"),
        ({"user": "nobody"}, "refused the source's account"),
        ({"database": "nowhere"}, "no database of this name"),
        ({"tls": {"mode": "require"}}, "does not offer TLS"),
        ({"host": "nowhere.invalid"}, "cannot be resolved"),
        ({"password": "a\0b"}, "no server takes"),
    ],
)
def test_a_server_that_does_not_let_us_in_is_said_with_a_remedy(kind: Kind, changed: dict[str, Any], said: str) -> None:
    source = kind.source(**changed)
    with pytest.raises(Fault, match=said) as caught, source.open("shop", Limits()):
        pass
    fault = caught.value
    assert fault.code == "source.unavailable"
    assert fault.hint
    assert fault.__context__ is None
    (finding,) = source.examine()
    assert (finding.check, finding.level, finding.found, finding.fix) == ("connect", "error", fault.message, fault.hint)


def test_what_an_announced_handle_stands_for_can_be_ended(kind: Kind) -> None:
    announced: list[str] = []
    source = kind.source()
    with source.open("shop", Limits(), Session("01J", announced.append)) as con:
        table = con.run(plan(kind.endless))
        assert next(table.batches).num_rows
        (handle,) = announced
        source.cancel(handle)
        with pytest.raises(Fault) as caught:
            list(table.batches)
        assert caught.value.code in {"source.unavailable", "source.error"}
        source.cancel(handle)  # gone is as good
    for strange in ("", "x", "1 1", f"{handle} OR true", "1; SELECT 1"):
        source.cancel(strange)


def test_a_session_that_ended_by_itself_is_taken_back(kind: Kind) -> None:
    announced: list[str] = []
    with kind.source().open("shop", Limits(), Session("01J", announced.append)) as con:
        assert next(con.run(plan(kind.endless)).batches).num_rows
        assert announced[-1]
    assert announced[-1] == ""


def test_it_says_of_itself_that_all_is_well(kind: Kind) -> None:
    found = kind.source().examine()
    assert {finding.level for finding in found} <= {"ok", "note"}
    assert {"connect", "server", "clock", "tls", "role"} <= {finding.check for finding in found}
