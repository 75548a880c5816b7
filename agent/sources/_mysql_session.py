"""One connection to MySQL or MariaDB: how it is made, pinned down, and ended from outside."""

import re
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Final, Literal

from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.sources._attempt import attempt, unavailable
from agent.sources._mysql_faults import number_of, opening_fault
from agent.sources._server import Server, statement_seconds

if TYPE_CHECKING:
    import pymysql

_NO_ROUTINES: Final = "information_schema"
"""The selected database: a bare function name can then mean a built-in function only."""
_SQL_MODE: Final = frozenset({"STRICT_TRANS_TABLES", "NO_ENGINE_SUBSTITUTION"})
"""Neither ANSI_QUOTES nor NO_BACKSLASH_ESCAPES, PIPES_AS_CONCAT or IGNORE_SPACE: the text means what was checked."""
_TEXTS: Final = {"sql_mode": ",".join(sorted(_SQL_MODE)), "time_zone": "+00:00"}
_TIMEOUTS: Final = frozenset({"max_statement_time", "max_execution_time"})
_GROUP_CONCAT_BYTES: Final = 1 << 20
_OLDEST: Final[Mapping[bool, tuple[int, int]]] = {True: (10, 5), False: (8, 0)}
_VERSION: Final = re.compile(r"(?:5\.5\.5-)?(\d+)\.(\d+)\.\d+")
_LOGS: Final = ("general_log", "server_audit_logging")
_READ_ONLY: Final = ("transaction_read_only", "tx_read_only")
_HANDLE: Final = re.compile(r"(\d{1,19})@(\d{1,12})", re.ASCII)
_MINE: Final = """SELECT COUNT(*) FROM information_schema.PROCESSLIST
WHERE ID = {} AND USER = SUBSTRING_INDEX(USER(), '@', 1)"""
_DATABASE: Final = "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = CAST(x'{}' AS CHAR)"
_UNKNOWN_THREAD: Final = 1094
_KILL_SECONDS: Final = 1.0
_SAME_START_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Pinned:
    """A session that holds what was set, and the server's variables that were asked for."""

    connection: "pymysql.Connection[Any]"
    mariadb: bool
    variables: Mapping[str, str]

    @property
    def logs_statements(self) -> bool:
        """Whether the server writes the text of every statement somewhere."""
        return any(self.variables.get(name, "OFF").upper() in {"ON", "1"} for name in _LOGS)


def connect(server: Server, *, read_seconds: float, job: str = "") -> "pymysql.Connection[Any]":
    """A connection that no option file, environment or server has a say in. Raises Fault(source.unavailable)."""
    server.check_tls_files()
    return attempt(lambda: _connect(server, read_seconds, job), opening_fault)


def _connect(server: Server, read_seconds: float, job: str) -> "pymysql.Connection[Any]":
    driver = _driver()
    context = _context(server)
    con: pymysql.Connection[Any] = driver.Connection(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.secret().encode(),
        database=_NO_ROUTINES,
        charset="utf8mb4",
        use_unicode=False,
        conv={},
        ssl=context,
        ssl_disabled=context is None,
        local_infile=False,
        autocommit=None,  # the driver cannot set it without the converters that it is not given
        program_name=job or "meridyen-agent",
        connect_timeout=server.connect_timeout_seconds,
        read_timeout=server.connect_timeout_seconds,
        write_timeout=server.connect_timeout_seconds,
        auth_plugin_map={} if _is_private(server) else {b"mysql_clear_password": _NoClearText},
        defer_connect=True,
    )
    con._secure = server.socket_path is not None  # noqa: SLF001 - nobody listens on a Unix socket
    con.connect(_dialled(server))
    con._read_timeout = read_seconds  # noqa: SLF001 - there is no public way to allow less time for the handshake
    return con


def _dialled(server: Server) -> socket.socket:
    """A socket to the first address that answers."""
    if server.socket_path is not None:
        return _line(socket.AF_UNIX, str(server.socket_path), server)
    failed: Exception = OSError("no address")
    for address in server.addresses():
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            line = _line(family, (address, server.port), server)
        except OSError as error:
            failed = error
        else:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return line
    raise failed


def _line(family: int, address: object, server: Server) -> socket.socket:
    line = socket.socket(family, socket.SOCK_STREAM)
    try:
        line.settimeout(server.connect_timeout_seconds)
        line.connect(address)  # type: ignore[arg-type]  # as the family has it
    except OSError:
        line.close()
        raise
    return line


def _context(server: Server) -> ssl.SSLContext | None:
    tls = server.tls
    if server.socket_path is not None or tls.mode == "disable":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = tls.mode == "verify-full"
    context.verify_mode = ssl.CERT_REQUIRED if tls.verified else ssl.CERT_NONE
    authority = tls.authority()
    if authority is not None:
        context.load_verify_locations(cafile=str(authority))
    if tls.cert_file is not None and tls.key_file is not None:
        context.load_cert_chain(str(tls.cert_file), str(tls.key_file))
    return context


def _is_private(server: Server) -> bool:
    """Whether the password may cross this connection as it is: only to a server that has proven who it is."""
    return server.socket_path is not None or server.tls.verified


class _NoClearText:
    """Stands for an authentication plugin that would send the password as it is."""

    def __init__(self, connection: object) -> None:
        """Made by the driver when the server asks for the plugin."""

    def authenticate(self, packet: object) -> object:  # noqa: ARG002 - the driver's signature
        """Raises what becomes Fault(source.unavailable)."""
        raise _driver().OperationalError(2059, "clear text")


def pin(con: "pymysql.Connection[Any]", server: Server, limits: Limits) -> Pinned:
    """Set, read back, and begin the one read-only snapshot: what is not as it was set keeps the source closed."""
    mariadb = "mariadb" in con.get_server_info().lower()
    version = _VERSION.match(con.get_server_info())
    if version is None or (int(version[1]), int(version[2])) < _OLDEST[mariadb]:
        raise unavailable("The source's server is too old.", "MySQL 8.0 and MariaDB 10.5 are the oldest that work.")
    numbers, texts = _numbers(server, limits, mariadb=mariadb), _TEXTS
    timeouts = [name for name in numbers if name in _TIMEOUTS]
    words = [f"{name} = {value}" for name, value in numbers.items()]
    words += [f"{name} = '{value}'" for name, value in texts.items()]
    ask(con, f"SET SESSION {', SESSION '.join(words)}")
    ask(con, "SET SESSION TRANSACTION READ ONLY")
    ask(con, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    ((database,),) = ask(con, _DATABASE.format(server.database.encode().hex()))
    if database == b"0":
        raise unavailable(
            "The server has no database of this name, or the account sees nothing in it.",
            "Check `database` of the source, and grant SELECT on it to the account.",
        )
    asked = (*_READ_ONLY, *texts, *_LOGS, *timeouts, "character_set_connection", "version")
    found = ask(con, f"SHOW SESSION VARIABLES WHERE Variable_name IN ({', '.join(map(repr, asked))})")
    held = {text(name).lower(): text(value) for name, value in found}
    if (
        frozenset(held.get("sql_mode", "").split(",")) != _SQL_MODE
        or held.get("time_zone") != "+00:00"
        or held.get("character_set_connection") != "utf8mb4"
        or not any(held.get(name, "").upper() in {"ON", "1"} for name in _READ_ONLY)
        or any(float(held.get(name) or 0) <= 0 for name in timeouts)
    ):
        raise unavailable("The session could not be locked down.", "Report it; nothing was read.")
    return Pinned(con, mariadb, held)


def _numbers(server: Server, limits: Limits, *, mariadb: bool) -> dict[str, float]:
    """Session variables in the server's own units."""
    seconds = statement_seconds(limits)
    wait = max(1, ceil(server.lock_timeout_seconds))
    return {
        **({"max_statement_time": seconds} if mariadb else {"max_execution_time": ceil(seconds * 1000)}),
        "lock_wait_timeout": wait,
        "innodb_lock_wait_timeout": wait,
        "net_read_timeout": ceil(seconds),
        "net_write_timeout": ceil(seconds),
        "wait_timeout": ceil(seconds) + 60,
        "group_concat_max_len": _GROUP_CONCAT_BYTES,
        "autocommit": 1,
        "sql_auto_is_null": 0,
        "sql_big_selects": 1,
    }


def handle_of(con: "pymysql.Connection[Any]") -> str:
    """By what another connection finds this one: its thread, and when the server that counts threads was started."""
    return f"{con.thread_id()}@{_started(con)}"


def _started(con: "pymysql.Connection[Any]") -> int:
    ((_, uptime),) = ask(con, "SHOW GLOBAL STATUS LIKE 'Uptime'")
    ((now,),) = ask(con, "SELECT UNIX_TIMESTAMP()")
    return int(text(now)) - int(text(uptime))


def end(server: Server, handle: str) -> None:
    """Kill the announced connection with what it runs, and wait until it is gone. A handle of no one is passed over.

    Raises Fault(source.unavailable).
    """
    found = _HANDLE.fullmatch(handle)
    if found is None:
        return
    con = connect(server, read_seconds=server.connect_timeout_seconds)
    try:
        attempt(lambda: _end(con, int(found[1]), int(found[2])), opening_fault)
    finally:
        drop(con)


def _end(con: "pymysql.Connection[Any]", thread: int, started: int) -> None:
    mine = _MINE.format(thread)
    if abs(_started(con) - started) > _SAME_START_SECONDS or ask(con, mine) == [(b"0",)]:
        return  # the server was restarted, or the number is another account's
    kill(con, "CONNECTION", thread)
    deadline = time.monotonic() + _KILL_SECONDS
    while ask(con, mine) != [(b"0",)] and time.monotonic() < deadline:
        time.sleep(0.02)


def interrupt(server: Server, running: "pymysql.Connection[Any]") -> None:
    """End the statement whose rows a connection is still to read, and nothing else. Raises the driver's errors."""
    con = connect(server, read_seconds=server.connect_timeout_seconds)
    try:
        kill(con, "QUERY", running.thread_id())
    finally:
        drop(con)
    result: Any = running._result  # noqa: SLF001 - a cursor would not stop at the error
    with suppress(_driver().Error):
        while result._read_rowdata_packet_unbuffered() is not None:  # noqa: SLF001 - likewise
            pass
    result.unbuffered_active = False


def kill(con: "pymysql.Connection[Any]", what: Literal["QUERY", "CONNECTION"], thread: int) -> None:
    """End a thread's statement, or all of it; gone is as good. Raises the driver's errors."""
    try:
        ask(con, f"KILL {what} {thread}")
    except _driver().Error as error:
        if number_of(error) != _UNKNOWN_THREAD:
            raise


def ask(con: "pymysql.Connection[Any]", statement: str) -> list[tuple[Any, ...]]:
    """All rows of one of our own statements, every cell as the server's bytes. Raises the driver's errors."""
    with con.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def drop(con: "pymysql.Connection[Any]") -> None:
    """Close without reading what is still to come. Never raises."""
    result = con._result  # noqa: SLF001 - else the driver reads to the end of the result, however far that is
    if result is not None:
        result.unbuffered_active = False
    with suppress(Exception):
        con.close()


def text(value: object) -> str:
    """A cell of a statement of ours."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else "" if value is None else str(value)


def unlogged(pinned: Pinned) -> None:
    """Raises Fault(source.unavailable) where a key would stand in the server's log."""
    if pinned.logs_statements:
        raise Fault(
            "source.unavailable",
            "The policy uses tokens, and the server writes every statement into a log, where their key would stand.",
            "Turn off general_log (and the audit plugin's logging of queries), or use another rule than token.",
        )


def _driver() -> Any:
    import pymysql  # noqa: PLC0415 - the service reads the Config and must not load the driver

    return pymysql
