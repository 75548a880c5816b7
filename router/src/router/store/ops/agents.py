"""Agents are admitted, open sessions, and go."""

import json
from collections.abc import Mapping

from router.core import ops
from router.core.agents import SILENT_SECONDS, AgentView, Hello, SessionView
from router.core.news import REVOKED, closed_key, session_key
from router.core.problem import RouterProblem
from router.store import rows
from router.store.ops.common import HELD, let_go
from router.store.rows import AGENT_COLUMNS
from router.store.tx import Tx

_AGENT = f"""
SELECT {AGENT_COLUMNS} FROM agents a LEFT JOIN sessions s ON s.tenant = a.tenant AND s.agent = a.name
WHERE a.tenant = ? AND a.name = ?
"""  # noqa: S608  constant


def open_session(tx: Tx, op: ops.OpenSession) -> SessionView:
    """See `ops.OpenSession`. Who presents the last instance takes over at once; others wait until it is silent.

    The same instance again has the session that it has: its call came twice, or the answer was lost. Another one would
    end the one that it was told of.
    """
    hello = op.hello
    agent = tx.one(
        f"SELECT pool, labels, revoked FROM agents WHERE tenant = ? AND name = ?{tx.lock}",  # noqa: S608  constant
        (hello.agent.tenant, hello.agent.name),
    )
    if agent is None or agent["revoked"] is not None:
        raise RouterProblem("auth.invalid", "The agent is not enrolled here, or it was revoked.")
    held = tx.one(
        "SELECT id, instance, seen FROM sessions WHERE tenant = ? AND agent = ?", (hello.agent.tenant, hello.agent.name)
    )
    if held is not None and held["instance"] == hello.instance:
        tx.run("UPDATE sessions SET seen = ? WHERE id = ?", (tx.now, held["id"]))
        return _opened(hello, str(held["id"]), agent["pool"])
    if held is not None:
        known = held["instance"] == hello.previous
        if not known and held["seen"] + SILENT_SECONDS > tx.now:
            since = int(tx.now - held["seen"])
            raise RouterProblem(
                "session.held", f"Another instance of this agent was seen {since} s ago.", retry_after=SILENT_SECONDS
            )
        _pass_on(tx, str(held["id"]), op.session if known else None)
        _end_session(tx, str(held["id"]))
    labels = _labels(hello.labels, json.loads(agent["labels"]))
    tx.run(
        "INSERT INTO sessions (id, tenant, agent, pool, instance, labels, slots, version, opened, seen)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(op.session, hello.agent.tenant, hello.agent.name, agent["pool"], hello.instance, json.dumps(labels)),
            *(json.dumps(dict(hello.slots)), hello.version, tx.now, tx.now),
        ),
    )
    return _opened(hello, op.session, agent["pool"])


def _labels(said: Mapping[str, str], granted: Mapping[str, str]) -> dict[str, str]:
    """What an agent says of itself cannot change what its token granted."""
    return {**{name: value for name, value in said.items() if granted.get(name, value) == value}, **granted}


def _opened(hello: Hello, session: str, pool: str) -> SessionView:
    agent = hello.agent
    return SessionView(id=session, tenant=agent.tenant, agent=agent.name, pool=pool, instance=hello.instance)


def _pass_on(tx: Tx, session: str, successor: str | None) -> None:
    """What runs goes on under a successor, who has the leases on disk; without one it is lost."""
    if successor is not None:
        tx.run(
            "UPDATE jobs SET session = ? WHERE session = ? AND state IN ('running', 'uploading')", (successor, session)
        )
        return
    held = f"SELECT * FROM jobs WHERE session = ? AND state IN ('running', 'uploading'){tx.lock}"  # noqa: S608  constant
    for row in tx.all(held, (session,)):
        let_go(tx, row)


def _end_session(tx: Tx, session: str) -> None:
    """Unaccepted offers go back. What runs is lost when nobody takes over in time."""
    for row in tx.all(f"SELECT * FROM jobs WHERE session = ? AND state = 'offered'{tx.lock}", (session,)):  # noqa: S608  constant
        let_go(tx, row)
    tx.run("DELETE FROM sessions WHERE id = ?", (session,))
    tx.tell(closed_key(session), session_key(session))


def seen(tx: Tx, op: ops.Seen) -> None:
    """See `ops.Seen`."""
    for session, moment in op.sessions.items():
        tx.run("UPDATE sessions SET seen = ? WHERE id = ? AND seen < ?", (moment, session, moment))


def drain_session(tx: Tx, op: ops.DrainSession) -> None:
    """See `ops.DrainSession`."""
    here = tx.run(
        "UPDATE sessions SET draining = 1, seen = ? WHERE id = ? AND tenant = ? AND agent = ?",
        (tx.now, op.session, op.agent.tenant, op.agent.name),
    )
    if not here:
        raise RouterProblem("session.unknown")
    tx.tell(closed_key(op.session), session_key(op.session))


def close_session(tx: Tx, op: ops.CloseSession) -> None:
    """See `ops.CloseSession`."""
    row = tx.one("SELECT tenant, agent FROM sessions WHERE id = ?", (op.session,))
    if row is not None and (row["tenant"], row["agent"]) == (op.agent.tenant, op.agent.name):
        _end_session(tx, op.session)


def put_token(tx: Tx, op: ops.PutToken) -> None:
    """See `ops.PutToken`."""
    token = op.token
    tx.run(
        "INSERT INTO tokens (id, hash, kind, tenant, pools, labels, uses_left, expires, created, note)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(token.id, token.hash, token.kind, token.tenant, json.dumps(token.pools), json.dumps(dict(token.labels))),
            *(token.uses, token.expires, token.created, token.note),
        ),
    )


def revoke_token(tx: Tx, op: ops.RevokeToken) -> bool:
    """See `ops.RevokeToken`."""
    return bool(tx.run("UPDATE tokens SET revoked = ? WHERE id = ? AND revoked IS NULL", (tx.now, op.token_id)))


def enroll(tx: Tx, op: ops.Enroll) -> str:
    """See `ops.Enroll`."""
    token = tx.one(
        f"SELECT * FROM tokens WHERE hash = ? AND kind = 'enroll' AND revoked IS NULL{tx.lock}",  # noqa: S608  constant
        (op.token_hash,),
    )
    if token is None or (token["expires"] or 0) < tx.now or token["uses_left"] < 1:
        raise RouterProblem("enroll.token")
    granted, (pool,) = json.loads(token["labels"]), json.loads(token["pools"])
    known = tx.one("SELECT revoked, pool FROM agents WHERE tenant = ? AND name = ?", (token["tenant"], op.name))
    if known is not None and (known["revoked"] is not None or known["pool"] != pool):
        raise RouterProblem("enroll.token", "An agent of this name was revoked, or is of another pool: use a new name.")
    tx.run("UPDATE tokens SET uses_left = uses_left - 1 WHERE id = ?", (token["id"],))
    tx.run(
        "INSERT INTO agents (tenant, name, pool, labels, enrolled, not_after, serial) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (tenant, name) DO UPDATE SET labels = excluded.labels, enrolled = excluded.enrolled,"
        " not_after = excluded.not_after, previous_serial = agents.serial, serial = excluded.serial",
        (token["tenant"], op.name, pool, json.dumps({**op.labels, **granted}), tx.now, op.not_after, op.serial),
    )
    return str(pool)


def renewed(tx: Tx, op: ops.Renewed) -> None:
    """See `ops.Renewed`. The certificate before stays valid to its end."""
    here = tx.run(
        "UPDATE agents SET previous_serial = serial, serial = ?, not_after = ?"
        " WHERE tenant = ? AND name = ? AND revoked IS NULL",
        (op.serial, op.not_after, op.agent.tenant, op.agent.name),
    )
    if not here:
        raise RouterProblem("auth.invalid")


def revoke_agent(tx: Tx, op: ops.RevokeAgent) -> AgentView:
    """See `ops.RevokeAgent`."""
    if tx.one("SELECT name FROM agents WHERE tenant = ? AND name = ?", (op.tenant, op.name)) is None:
        raise RouterProblem("not_found")
    tx.run(
        "UPDATE agents SET revoked = ? WHERE tenant = ? AND name = ? AND revoked IS NULL", (tx.now, op.tenant, op.name)
    )
    held = f"SELECT * FROM jobs WHERE tenant = ? AND agent = ? AND {HELD}{tx.lock}"  # noqa: S608  constant
    for row in tx.all(held, (op.tenant, op.name)):
        # Its fence must grow, or the revoked agent's result would count.
        tx.run("UPDATE jobs SET fence = fence + 1, lease_id = NULL WHERE id = ?", (row["id"],))
        let_go(tx, row)
    for row in tx.all("SELECT id FROM sessions WHERE tenant = ? AND agent = ?", (op.tenant, op.name)):
        _end_session(tx, str(row["id"]))
    tx.tell(REVOKED)
    found = tx.one(_AGENT, (op.tenant, op.name))
    assert found is not None, "it was just there"
    return rows.agent(found)
