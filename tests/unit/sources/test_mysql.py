"""The MySQL source against a real MariaDB: what it reads, what it lets through, what it says when things go wrong."""

import threading
import time
import traceback
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
import trustme
from pydantic import ValidationError

from agent.core.catalog import Catalog
from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.ports import Session
from agent.core.table import Disclosure
from agent.masking.tokens import pads
from agent.sources._mysql_examine import granted
from agent.sources._mysql_session import ask
from agent.sources.mysql import Config, MySql
from tests.support.mariadb import MariaDb, program, running
from tests.support.proxies import Proxy
from tests.support.servers import READER

CANARY = "900-55-0001"
ROWS = 25_000
SCRIPT = f"""
CREATE TABLE people (id int PRIMARY KEY, ssn varchar(11) NOT NULL COMMENT 'of the state', pay double, name varchar(20))
  COMMENT 'who works here';
INSERT INTO people SELECT seq, '{CANARY}', seq / 4, CONCAT('p', seq) FROM seq_0_to_{ROWS - 1};
CREATE TABLE pets (id int, owner int, kind enum('cat','o''hare'), CONSTRAINT fk FOREIGN KEY (owner) REFERENCES people (id));
CREATE VIEW names (who) AS SELECT name FROM people;
CREATE SEQUENCE numbers;
"""


@pytest.fixture(scope="module")
def server(mariadb: MariaDb) -> MariaDb:
    mariadb.database("people_db", SCRIPT)
    return mariadb


@pytest.fixture(scope="module")
def config(server: MariaDb) -> Config:
    return Config.model_validate(server.config("people_db", schemas=("people_db",)))


@pytest.fixture(scope="module")
def con(config: Config) -> Iterator[MySql]:
    with config.open("shop", Limits()) as opened:
        yield opened


def plan(sql: str, **variables: bytes) -> MaskedPlan:
    return MaskedPlan(sql=sql, parameters={}, disclosure=Disclosure("shop", (), {}, 1, ""), variables=variables)


def rows(con: MySql, sql: str, **variables: bytes) -> list[dict[str, Any]]:
    batches: Any = con.run(plan(sql, **variables)).batches
    return [row for batch in batches for row in batch.to_pylist()]


def fault(con: MySql, sql: str) -> Fault:
    with pytest.raises(Fault) as caught:
        rows(con, sql)
    return caught.value


def threads(server: MariaDb) -> set[int]:
    with server.admin() as con, con.cursor() as cursor:
        cursor.execute(f"SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '{READER}'")
        return {row[0] for row in cursor.fetchall()}


def gone(server: MariaDb, thread: int, seconds: float = 1.0) -> bool:
    deadline = time.monotonic() + seconds
    while thread in threads(server):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


# What it reads


def test_the_catalog(con: MySql) -> None:
    catalog = con.catalog()
    assert (catalog.source, catalog.dialect, catalog.default_schema) == ("shop", "mysql", "people_db")
    found = {relation.name: relation for relation in catalog.relations}
    people, pets, names = (found[name] for name in ("people", "pets", "names"))
    assert {relation.name for relation in catalog.relations} == {"people", "pets", "names"}
    assert [(column.name, column.type, column.nullable) for column in people.columns][:2] == [
        ("id", "int(11)", False),
        ("ssn", "varchar(11)", False),
    ]
    assert people.comment == "who works here"
    assert people.columns[1].comment == "of the state"
    assert people.primary_key == ("id",)
    assert people.rows is not None
    assert (pets.columns[2].type, pets.columns[2].labels) == ("varchar", ("cat", "o'hare"))
    assert pets.foreign_keys[0].columns == ("owner",)
    assert (pets.foreign_keys[0].relation, pets.foreign_keys[0].referenced) == ("people", ("id",))
    assert names.kind == "view"
    assert "`name`" in (names.definition or "")
    assert names.columns[0].name == "who"


def test_a_known_catalog_is_not_read_again(config: Config) -> None:
    known = Catalog("shop", "mysql", "people_db", ())
    with config.open("shop", Limits(), catalog=known) as con:
        assert con.catalog() is known


def test_only_what_is_granted_is_there(server: MariaDb) -> None:
    server.database(
        "partly", "CREATE TABLE a (x int, y int);\nCREATE TABLE b (x int);\nCREATE VIEW v AS SELECT x FROM a;\n"
    )
    server.run("CREATE OR REPLACE USER narrow@'%' IDENTIFIED BY 'pw';\nGRANT SELECT (x) ON partly.a TO narrow@'%';\n")
    server.run("GRANT SELECT ON partly.v TO narrow@'%';\n")
    config = Config.model_validate(server.config("partly", user="narrow", password="pw"))
    with config.open("shop", Limits()) as con:
        found = {relation.name: relation for relation in con.catalog().relations}
        assert set(found) == {"a", "v"}
        assert [column.name for column in found["a"].columns] == ["x"]
        assert found["v"].definition == ""  # nothing can be made of it, so it stays closed
        assert fault(con, "SELECT y FROM partly.a").code == "source.binding"
    assert ("catalog", "warning") in {(finding.check, finding.level) for finding in config.examine()}


TYPES: list[tuple[str, str, pa.DataType, Any]] = [
    ("tinyint", "-128", pa.int8(), -128),
    ("tinyint(1)", "1", pa.int8(), 1),
    ("tinyint unsigned", "255", pa.uint8(), 255),
    ("smallint", "-32768", pa.int16(), -32768),
    ("mediumint", "-8388608", pa.int32(), -8388608),
    ("int", "-2147483648", pa.int32(), -2147483648),
    ("int unsigned", "4294967295", pa.uint32(), 4294967295),
    ("bigint", "-9223372036854775808", pa.int64(), -9223372036854775808),
    ("bigint unsigned", "18446744073709551615", pa.uint64(), 18446744073709551615),
    ("decimal(12,2)", "-9999999999.99", pa.decimal128(12, 2), Decimal("-9999999999.99")),
    ("decimal(38,0)", "9" * 38, pa.decimal128(38, 0), Decimal("9" * 38)),
    ("decimal(65,30)", f"{'9' * 35}.{'9' * 30}", pa.decimal256(65, 30), Decimal(f"{'9' * 35}.{'9' * 30}")),
    ("decimal(9,4) unsigned", "12345.6789", pa.decimal128(9, 4), Decimal("12345.6789")),
    ("float", "1.5", pa.float32(), 1.5),
    ("double", "1.7976931348623157e308", pa.float64(), 1.7976931348623157e308),
    ("date", "'2024-02-29'", pa.date32(), "2024-02-29"),
    ("date", "'0000-00-00'", pa.date32(), None),
    ("date", "'2024-00-10'", pa.date32(), None),
    ("datetime", "'2024-02-29 10:11:12'", pa.timestamp("us"), "2024-02-29 10:11:12.000000"),
    ("datetime(6)", "'9999-12-31 23:59:59.999999'", pa.timestamp("us"), "9999-12-31 23:59:59.999999"),
    ("datetime", "'0000-00-00'", pa.timestamp("us"), None),
    ("timestamp(3) NULL", "'2024-02-29 10:11:12.125'", pa.timestamp("us", "UTC"), "2024-02-29 10:11:12.125000Z"),
    ("time", "'838:59:59'", pa.duration("us"), 3_020_399_000_000),
    ("time(6)", "'-00:00:00.000001'", pa.duration("us"), -1),
    ("year", "2155", pa.uint16(), 2155),
    ("json", '\'{"a": "ü"}\'', pa.string(), '{"a": "ü"}'),
    ("enum('x','y')", "'y'", pa.string(), "y"),
    ("set('x','y')", "'x,y'", pa.string(), "x,y"),
    ("bit(8)", "b'00110001'", pa.uint64(), 49),
    ("bit(64)", f"b'{'1' * 64}'", pa.uint64(), 2**64 - 1),
    ("binary(3)", "'a'", pa.binary(), b"a\0\0"),
    ("varbinary(9)", "x'00ff'", pa.binary(), b"\x00\xff"),
    ("blob", "x'00ff'", pa.binary(), b"\x00\xff"),
    ("char(9)", "'ab'", pa.string(), "ab"),
    ("text", "'😀 \\0'", pa.string(), "😀 \0"),
    ("varchar(9) CHARACTER SET latin1", "'ü'", pa.string(), "ü"),
    ("uuid", "'123e4567-e89b-12d3-a456-426614174000'", pa.string(), "123e4567-e89b-12d3-a456-426614174000"),
    ("inet6", "'::1'", pa.string(), "::1"),
    ("inet4", "'10.0.0.1'", pa.string(), "10.0.0.1"),
    ("point", "POINT(1, 2)", pa.binary(), bytes(4) + b"\x01\x01\0\0\0" + b"\0\0\0\0\0\0\xf0?" + b"\0\0\0\0\0\0\0@"),
]


def test_types_survive(server: MariaDb) -> None:
    columns = ", ".join(f"c{number} {kind}" for number, (kind, *_) in enumerate(TYPES))
    values = ", ".join(value for _, value, *_ in TYPES)
    script = f"SET sql_mode = 'ALLOW_INVALID_DATES';\nCREATE TABLE t ({columns});\nINSERT INTO t VALUES ({values});\n"
    server.database("types_db", script + "INSERT INTO t () VALUES ();\n")
    with Config.model_validate(server.config("types_db")).open("shop", Limits()) as con:
        found = con.run(plan("SELECT * FROM types_db.t"))
        batches: Any = list(found.batches)
    table = pa.Table.from_batches(batches, found.schema)
    for column, (kind, value, arrow, expected) in zip(table.columns, TYPES, strict=True):
        assert column.type == arrow, kind
        shown = column.cast(pa.int64()) if pa.types.is_duration(arrow) else column
        shown = shown.cast(pa.string()) if pa.types.is_temporal(shown.type) else shown
        assert shown.to_pylist() == [expected, None], (kind, value)


def test_rows_stream_in_batches(con: MySql) -> None:
    batches: Any = con.run(plan("SELECT * FROM people_db.people ORDER BY id")).batches
    assert [batch.num_rows for batch in batches] == [10_000, 10_000, 5_000]
    assert not con.running


def test_large_cells_make_small_batches(con: MySql) -> None:
    batches: Any = con.run(plan("SELECT REPEAT('x', 5000000) AS x FROM people_db.people LIMIT 5")).batches
    assert [batch.num_rows for batch in batches] == [2, 2, 1]


@pytest.mark.full
def test_a_cell_of_100_mb(con: MySql) -> None:
    (row,) = rows(con, "SELECT LENGTH(REPEAT('x', 100000000)) AS n, REPEAT('x', 100000000) AS x")
    assert row["n"] == len(row["x"]) == 100_000_000


def test_a_table_of_a_thousand_columns(server: MariaDb) -> None:
    server.database(
        "wide", f"CREATE TABLE t ({', '.join(f'c{n} int' for n in range(1000))});\nINSERT INTO t (c1) VALUES (7);\n"
    )
    with Config.model_validate(server.config("wide")).open("shop", Limits()) as con:
        assert len(con.catalog().relations[-1].columns) == 1000
        assert rows(con, "SELECT * FROM wide.t")[0]["c1"] == 7


# What it lets through


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO people_db.people VALUES (1, 'x', 1, 'x')",
        "UPDATE people_db.people SET ssn = 'x'",
        "DROP TABLE people_db.people",
        "CREATE TABLE people_db.x (a int)",
        "BEGIN",
        "SET @a = 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE people_db.people",
        "",
        "SELECT 1 +",
        "SELECT nope FROM people_db.people",
        "SELECT 1 FROM people_db.nope",
        "SELECT f(1)",
        "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE people_db.people",
    ],
)
def test_everything_but_one_query_that_binds_is_refused(config: Config, sql: str) -> None:
    with config.open("shop", Limits()) as con:
        said = fault(con, sql)
    assert said.code == "source.binding"
    assert said.hint


def test_the_session_is_pinned_whatever_the_server_says(server: MariaDb, config: Config) -> None:
    server.run("SET GLOBAL sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,ORACLE';\n")
    server.run(
        "SET GLOBAL time_zone = '+05:00';\nSET GLOBAL group_concat_max_len = 4;\nSET GLOBAL init_connect = 'SET @x = 1';\nSET GLOBAL autocommit = 0;\n"
    )
    try:
        with config.open("shop", Limits()) as con:
            (row,) = rows(
                con, r"""SELECT "a" AS a, 'it\'s' AS b, 1 || 0 AS c, FROM_UNIXTIME(0) AS d, DATABASE() AS e"""
            )
            assert (row["a"], row["b"], row["c"], str(row["d"])) == ("a", "it's", 1, "1970-01-01 00:00:00")
            assert row["e"] == "information_schema"
            assert len(rows(con, "SELECT GROUP_CONCAT(id) AS g FROM people_db.people WHERE id < 100")[0]["g"]) > 100
    finally:
        server.run(
            "SET GLOBAL sql_mode = DEFAULT;\nSET GLOBAL time_zone = DEFAULT;\nSET GLOBAL init_connect = '';\nSET GLOBAL autocommit = 1;\n"
        )
        server.run("SET GLOBAL group_concat_max_len = DEFAULT;\n")


def test_no_function_of_a_database_stands_in_for_one(server: MariaDb) -> None:
    """REGEXP_LIKE is MySQL's; here it would be whatever the selected database calls so."""
    script = "CREATE FUNCTION regexp_like(a text, b text) RETURNS text RETURN (SELECT MAX(x) FROM secrets);\n"
    server.database("stored", f"CREATE TABLE secrets (x text);\nINSERT INTO secrets VALUES ('{CANARY}');\n{script}")
    server.run(f"GRANT EXECUTE ON stored.* TO {READER}@'%';\n")
    try:
        config = Config.model_validate(server.config("stored", writable_role="warn"))
        with config.open("shop", Limits()) as con:
            assert fault(con, "SELECT REGEXP_LIKE('a', 'b')").code == "source.binding"
    finally:
        server.run(f"REVOKE EXECUTE ON stored.* FROM {READER}@'%';\n")


def test_one_snapshot(server: MariaDb, config: Config) -> None:
    with config.open("shop", Limits()) as con:
        before = rows(con, "SELECT COUNT(*) AS n FROM people_db.pets")
        server.run("INSERT INTO people_db.pets VALUES (1, 1, 'cat');\n")
        assert rows(con, "SELECT COUNT(*) AS n FROM people_db.pets") == before


def test_tokens_read_variables_that_no_text_holds(con: MySql) -> None:
    both = pads(b"k" * 32, "t", ["person"])
    masked = (
        "SELECT CONCAT('tok_', LEFT(SHA2(CONCAT(@meridyen_person_o, UNHEX(SHA2(CONCAT(@meridyen_person_i,"
        " CAST('ann' AS BINARY)), 256))), 256), 32)) AS t"
    )
    (row,) = rows(con, masked, **both)
    assert row["t"].startswith("tok_")
    assert row["t"] != rows(con, masked, **pads(b"x" * 32, "t", ["person"]))[0]["t"]


def test_no_key_goes_into_a_log(server: MariaDb, config: Config) -> None:
    server.run("SET GLOBAL general_log = 1;\n")
    try:
        with config.open("shop", Limits()) as con, pytest.raises(Fault) as caught:
            con.run(plan("SELECT 1", **pads(b"k" * 32, "t", ["person"])))
        assert caught.value.code == "source.unavailable"
        assert "log" in caught.value.message
        assert ("logging", "warning") in {(finding.check, finding.level) for finding in config.examine()}
    finally:
        server.run("SET GLOBAL general_log = 0;\n")


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (
            [
                "GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*X'",
                "GRANT SELECT, SHOW VIEW ON `s`.* TO `a`@`%`",
            ],
            set(),
        ),
        (["GRANT SELECT (`ON `, `x`), INSERT (`y`) ON `s`.`t` TO `a`@`%`"], {"INSERT"}),
        (["GRANT ALL PRIVILEGES ON `s`.* TO `a`@`%`"], {"ALL PRIVILEGES"}),
        (["GRANT SELECT ON `s`.* TO `a`@`%` WITH GRANT OPTION"], {"GRANT OPTION"}),
        (["GRANT FILE ON *.* TO `a`@`%`"], {"FILE"}),
        (["GRANT SUPER, PROCESS ON *.* TO `a`@`%`"], {"SUPER"}),
        (["GRANT `reader` TO `a`@`%`", "SET DEFAULT ROLE `reader` FOR `a`@`%`"], set()),
        (["GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION"], {"PROXY", "GRANT OPTION"}),
        (["GRANT DELETE ON `a b`.`c d` TO `a`@`%`"], {"DELETE"}),
        (["something else"], {"(unreadable)"}),
    ],
    ids=lambda value: str(sorted(value)),
)
def test_what_an_account_may_do(lines: list[str], found: set[str]) -> None:
    harmless = {"USAGE", "SELECT", "SHOW VIEW", "PROCESS"}
    assert granted(lines) - harmless == found


@pytest.mark.parametrize("grant", ["INSERT ON people_db.pets", "FILE ON *.*", "EXECUTE ON people_db.*", "SUPER ON *.*"])
def test_an_account_that_may_write_is_refused_or_reported(server: MariaDb, grant: str) -> None:
    server.run(
        f"CREATE OR REPLACE USER writer@'%' IDENTIFIED BY 'pw';\nGRANT SELECT ON people_db.* TO writer@'%';\nGRANT {grant} TO writer@'%';\n"
    )
    written = server.config("people_db", user="writer", password="pw")
    config = Config.model_validate({**written, "writable_role": "refuse"})
    with pytest.raises(Fault) as caught, config.open("shop", Limits()):
        pass
    assert caught.value.code == "source.unavailable"
    assert [finding.level for finding in config.examine() if finding.check == "role"] == ["error"]
    config = Config.model_validate({**written, "writable_role": "warn"})
    assert [finding.level for finding in config.examine() if finding.check == "role"] == ["warning"]
    with config.open("shop", Limits()) as con:
        assert fault(con, "INSERT INTO people_db.pets VALUES (1, 1, 'cat')").code == "source.binding"


# What it says when things go wrong


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "wrong"}, "refused the source's account"),
        ({"user": "nobody"}, "refused the source's account"),
        ({"port": 1}, "Nothing listens"),
        ({"host": "nowhere.invalid"}, "cannot be resolved"),
        ({"host": "/nonexistent/socket"}, "Nothing listens"),
        ({"database": "nope"}, "no database of this name"),
        ({"tls": {"mode": "require"}}, "TLS"),
        ({"tls": {"mode": "verify-full", "ca_file": "/nonexistent.pem"}}, "CA file"),
    ],
    ids=str,
)
def test_what_keeps_it_closed_is_said_with_a_remedy(server: MariaDb, change: dict[str, Any], said: str) -> None:
    config = Config.model_validate({**server.config("people_db"), **change})
    with pytest.raises(Fault) as caught, config.open("shop", Limits()):
        pass
    error = caught.value
    assert error.code == "source.unavailable"
    assert said in error.message
    assert error.hint
    assert (error.__cause__, error.__context__) == (None, None)
    assert config.examine()[0].level == "error"
    shown = "".join(traceback.format_exception(error)) + str(config.examine())
    assert "wrong" not in shown
    assert "pass word" not in shown


def test_configuration_is_strict(server: MariaDb) -> None:
    written = server.config("people_db")
    assert Config.model_validate({k: v for k, v in written.items() if k != "tls"}).tls.mode == "verify-full"
    for wrong in ({"init_command": "SET x"}, {"port": 0}, {"local_infile": True}, {"tls": {"mode": "preferred"}}):
        with pytest.raises(ValidationError):
            Config.model_validate({**written, **wrong})
    assert "pass word" not in repr(Config.model_validate(written))


def test_errors_carry_no_value(con: MySql) -> None:
    said = fault(con, f"SELECT (SELECT ssn FROM people_db.people) = '{CANARY}' AS x")
    assert said.code == "source.error"
    assert (said.__cause__, said.__context__) == (None, None)
    assert CANARY not in "".join(traceback.format_exception(said))
    assert rows(con, "SELECT 1 AS a") == [{"a": 1}]  # and the connection lives


def test_a_table_that_was_dropped_meanwhile(server: MariaDb) -> None:
    server.database("dropping", "CREATE TABLE a (x int);\nCREATE TABLE b (x int);\n")
    with Config.model_validate(server.config("dropping")).open("shop", Limits()) as con:
        assert len([one for one in con.catalog().relations if one.schema == "dropping"]) == 2
        server.run("DROP TABLE dropping.a;\n")
        assert fault(con, "SELECT * FROM dropping.a").code == "source.binding"


def test_a_statement_ends_at_its_limit(config: Config) -> None:
    with config.open("shop", Limits(wall_seconds=0.1)) as con:
        said = fault(
            con,
            "SELECT COUNT(*) FROM people_db.people a, people_db.people b, people_db.people c WHERE a.pay < b.pay + c.pay",
        )
    assert said.code == "limit.wall"


def test_a_lock_is_waited_for_only_so_long(server: MariaDb) -> None:
    config = Config.model_validate(
        server.config(server.database("locked", "CREATE TABLE a (x int);\n"), lock_timeout_seconds=1)
    )
    with server.admin("locked") as admin, admin.cursor() as cursor:
        cursor.execute("LOCK TABLES a WRITE")
        with config.open("shop", Limits()) as con:
            said = fault(con, "SELECT COUNT(*) FROM locked.a")
    assert said.code == "source.error"
    assert "lock" in said.message


def test_a_connection_that_is_cut_while_rows_stream(server: MariaDb) -> None:
    with Proxy(server.port) as relay, _through(server, relay.port).open("shop", Limits()) as con:
        batches = con.run(plan("SELECT a.*, b.name FROM people_db.people a, people_db.people b")).batches
        next(batches)
        relay.cut()
        with pytest.raises(Fault) as caught:
            list(batches)
    assert caught.value.code == "source.unavailable"
    assert "cut" in caught.value.message


def _through(server: MariaDb, port: int) -> Config:
    return Config.model_validate(server.config("people_db", port=port))


@pytest.fixture(scope="module")
def encrypted() -> Iterator[tuple[MariaDb, Path, Path]]:
    """A server with a certificate for `localhost`, its CA's file, and the file of another CA."""
    if program() is None:
        pytest.skip("mariadbd is not installed")
    with TemporaryDirectory(dir="/tmp") as name:
        yield from _encrypted(Path(name))


def _encrypted(folder: Path) -> Iterator[tuple[MariaDb, Path, Path]]:
    folder.chmod(0o755)
    authority, other = trustme.CA(), trustme.CA()
    made = authority.issue_cert("localhost")
    made.private_key_pem.write_to_path(str(folder / "key.pem"))
    made.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    other.cert_pem.write_to_path(str(folder / "other.pem"))
    for file in folder.iterdir():
        file.chmod(0o644)  # for the account that the server runs under
    with running(ssl_cert=str(folder / "cert.pem"), ssl_key=str(folder / "key.pem")) as server:
        server.database("shop")
        yield server, folder / "ca.pem", folder / "other.pem"


def test_tls_is_what_it_is_set_to(encrypted: tuple[MariaDb, Path, Path]) -> None:
    server, ca, other = encrypted
    for host, tls, said in (
        ("localhost", {"ca_file": str(ca)}, None),
        ("127.0.0.1", {"mode": "verify-ca", "ca_file": str(ca)}, None),
        ("127.0.0.1", {"mode": "require"}, None),
        ("127.0.0.1", {"ca_file": str(ca)}, "another host name"),
        ("localhost", {"ca_file": str(other)}, "not one that the source trusts"),
        ("127.0.0.1", {"mode": "verify-ca", "ca_file": str(other)}, "not one that the source trusts"),
        ("localhost", {}, "not one that the source trusts"),
    ):
        config = Config.model_validate(server.config("shop", host=host, tls=tls))
        errors = [finding.found for finding in config.examine() if finding.level == "error"]
        assert errors == [] if said is None else said in errors[0], (host, tls)
        if said is None:
            with config.open("shop", Limits()) as con:
                ((_, cipher),) = ask(con._pinned.connection, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")
                assert cipher


# Its end from outside


def test_what_is_left_running_is_gone_with_its_connection(server: MariaDb, config: Config) -> None:
    heard: list[str] = []
    with config.open("shop", Limits(), Session("job", heard.append)) as con:
        next(con.run(plan("SELECT a.* FROM people_db.people a, people_db.people b")).batches)
        assert con.running
    assert gone(server, int(heard[0].partition("@")[0]))
    assert heard[1:] == [""]


def test_an_announced_connection_is_ended_by_another(server: MariaDb, config: Config) -> None:
    heard: list[str] = []
    with config.open("shop", Limits(), Session("job", heard.append)) as con:
        thread = int(heard[0].partition("@")[0])
        ended: list[Fault] = []
        statement = "SELECT COUNT(*) FROM people_db.people a, people_db.people b, people_db.people c WHERE a.pay < b.pay + c.pay"
        running = threading.Thread(target=lambda: ended.append(fault(con, statement)))
        running.start()
        while not any(b"COUNT" in (row[0] or b"") for row in _statements(server)):
            time.sleep(0.02)
        config.cancel(heard[0])
        assert gone(server, thread)
        running.join(5)
    assert ended[0].code in {"limit.wall", "source.unavailable"}
    config.cancel(heard[0])  # once more is as good


def _statements(server: MariaDb) -> list[tuple[Any, ...]]:
    with server.admin(use_unicode=False) as con, con.cursor() as cursor:
        cursor.execute(f"SELECT INFO FROM information_schema.PROCESSLIST WHERE USER = '{READER}'")
        return list(cursor.fetchall())


def test_only_the_connection_that_was_meant_is_ended(server: MariaDb, config: Config) -> None:
    with config.open("shop", Limits()) as con, server.admin() as other:
        own = con._pinned.connection.thread_id()
        started = int(ask(con._pinned.connection, "SELECT UNIX_TIMESTAMP()")[0][0]) - 10**6
        config.cancel(f"{own}@{started}")  # of another life of the server
        with server.admin() as admin, admin.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Uptime'")
            uptime = int(cursor.fetchall()[0][1])
        config.cancel(f"{other.thread_id()}@{int(time.time()) - uptime}")  # another account's
        assert rows(con, "SELECT 1 AS a") == [{"a": 1}]
        other.ping(reconnect=False)
    for nonsense in ("", "x@1", "1", "1@", "1; DROP TABLE x@1", "١@١"):
        config.cancel(nonsense)
