"""What an operator should know of a MySQL or MariaDB source: `agent sources test`, and the check before every job."""

import re
import time
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.ports import Finding
from agent.sources import _mysql_catalog
from agent.sources._attempt import attempt
from agent.sources._mysql_faults import opening_fault
from agent.sources._mysql_session import Pinned, ask, connect, drop, pin, text
from agent.sources._server import Server, findings_of, tls_findings

_GRANT: Final = re.compile(r"GRANT (?P<what>.+?) ON .+ TO ", re.DOTALL)
_COLUMNS: Final = re.compile(r"\([^)]*\)")
_READING: Final = frozenset({"SELECT", "SHOW VIEW", "USAGE"})
_NEEDLESS: Final = frozenset(
    {
        "SHOW DATABASES", "PROCESS", "REPLICATION CLIENT", "BINLOG MONITOR", "SLAVE MONITOR", "REPLICA MONITOR",
        "REPLICATION SLAVE ADMIN", "SHOW_ROUTINE", "SHOW CREATE ROUTINE",
    }
)  # fmt: skip
"""They show more than a job needs, but change nothing."""
_CLOCK_SECONDS: Final = 5
_FIX: Final = "Give the account SELECT and SHOW VIEW on what jobs may read, and nothing else."


def writable(pinned: Pinned) -> frozenset[str]:
    """The privileges of the session's account that go beyond reading. Raises the driver's errors."""
    return privileges(pinned) - _READING - _NEEDLESS


def privileges(pinned: Pinned) -> frozenset[str]:
    """All privileges, on whatever, that the account and its active roles have."""
    return granted(text(row[0]) for row in ask(pinned.connection, "SHOW GRANTS"))


def granted(lines: Iterable[str]) -> frozenset[str]:
    """The privileges in the lines of SHOW GRANTS; what cannot be read counts as a privilege of its own."""
    found: set[str] = set()
    for line in lines:
        match = _GRANT.match(line)
        if match is not None:
            found |= {part.strip().upper() for part in _COLUMNS.sub("", match["what"]).split(",")}
            found |= {"GRANT OPTION"} if "WITH GRANT OPTION" in line else set()
        elif " ON " in line or not line.startswith(("GRANT ", "SET DEFAULT ROLE ")):
            found.add("(unreadable)")
    return frozenset(found)


def examined(server: Server) -> tuple[Finding, ...]:
    """Findings about the server, its account, its logs and TLS. Raises nothing."""
    try:
        con = connect(server, read_seconds=30)
        try:
            return attempt(lambda: _examined(pin(con, server, Limits(wall_seconds=30)), server), opening_fault)
        finally:
            drop(con)
    except Fault as fault:
        return findings_of(fault)


def _examined(pinned: Pinned, server: Server) -> tuple[Finding, ...]:
    product = "MariaDB" if pinned.mariadb else "MySQL"
    version = re.match(r"[\d.]{1,20}", pinned.variables.get("version", ""))
    return (
        Finding("connect", "ok", "connects, in a read-only transaction"),
        Finding("server", "ok", f"{product} {version[0] if version else '?'}"),
        _clock(pinned),
        *tls_findings(server),
        *_role(pinned, server),
        *_log(pinned),
        _catalog(pinned, server),
    )


def _clock(pinned: Pinned) -> Finding:
    ((now,),) = ask(pinned.connection, "SELECT UNIX_TIMESTAMP()")
    away = abs(int(text(now)) - time.time())
    if away > _CLOCK_SECONDS:
        found = f"the clocks of the server and of the agent differ by {away:.0f} s"
        return Finding("clock", "note", found, "Have both follow a time server.")
    return Finding("clock", "ok", "the server's clock agrees with the agent's")


def _catalog(pinned: Pinned, server: Server) -> Finding:
    found = _mysql_catalog.read(lambda asked: ask(pinned.connection, asked), "source", server.database, server.schemas)
    unread = sum(1 for relation in found.relations if relation.definition == "")
    if not found.relations:
        return Finding("catalog", "warning", "the account may read no relation", _FIX)
    if unread:
        fix = "GRANT SHOW VIEW on them, and SELECT on the tables beneath."
        return Finding("catalog", "warning", f"{unread} views do not tell their definition and stay closed", fix)
    return Finding("catalog", "ok", f"{len(found.relations)} relations")


def _role(pinned: Pinned, server: Server) -> Sequence[Finding]:
    held = privileges(pinned)
    more = sorted(held - _READING - _NEEDLESS)
    if more:
        level: Literal["error", "warning"] = "error" if server.writable_role == "refuse" else "warning"
        found = f"the account may do more than read: {', '.join(more[:8])}{', …' if len(more) > 8 else ''}"  # noqa: PLR2004
        return (Finding("role", level, found, _FIX),)
    if held & _NEEDLESS:
        found = f"the account sees more than jobs need: {', '.join(sorted(held & _NEEDLESS))}"
        return (Finding("role", "note", found, _FIX),)
    return (Finding("role", "ok", "the account may read only"),)


def _log(pinned: Pinned) -> Sequence[Finding]:
    if pinned.logs_statements:
        found = "the server writes the text of every statement into a log; jobs that need tokens are refused"
        return (
            Finding("logging", "warning", found, "Turn off general_log, and the audit plugin's logging of queries."),
        )
    return (Finding("logging", "ok", "the server does not log statements"),)
