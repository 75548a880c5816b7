"""What is only read, the same for every engine: from a connection of its own, never the writer's."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

from router.core.agents import AgentId, AgentView, SessionView, TokenView
from router.core.jobs import JobView
from router.store import rows
from router.store.ops.common import HELD, OPEN
from router.store.port import JobFilter, PoolView, StoredResult
from router.store.rows import AGENT_COLUMNS, JOB_COLUMNS
from router.store.tx import Row

_AGENTS = f"SELECT {AGENT_COLUMNS} FROM agents a LEFT JOIN sessions s ON s.tenant = a.tenant AND s.agent = a.name"  # noqa: S608  constant
_POOLS = f"""
SELECT tenant, audience, count(CASE WHEN state = 'queued' THEN 1 END) AS queued,
  min(CASE WHEN state = 'queued' THEN created END) AS oldest, count(CASE WHEN {HELD} THEN 1 END) AS held
FROM jobs WHERE state IN ('queued', 'offered', 'running', 'uploading') AND (tenant = ? OR ? = '')
GROUP BY tenant, audience ORDER BY tenant, audience
"""  # noqa: S608  constant
_AT_ONCE = 400
"""Ids in one statement."""
_SESSIONS = "SELECT tenant, pool, count(*) AS agents FROM sessions WHERE tenant = ? OR ? = '' GROUP BY tenant, pool"


class Reads(ABC):
    """The readers of `router.store.port.Store`."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Callable[[str, Sequence[object]], Sequence[Row]]]:
        """A connection to read from: called with a statement and its parameters."""

    def _all(self, sql: str, *parameters: object) -> Sequence[Row]:
        with self._reading() as read:
            return read(sql, parameters)

    def _one(self, sql: str, *parameters: object) -> Row | None:
        found = self._all(sql, *parameters)
        return found[0] if found else None

    def job(self, tenant: str, job_id: str) -> JobView | None:
        """See `Store.job`."""
        row = self._one(f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = ? AND tenant = ?", job_id, tenant)  # noqa: S608  constant
        return None if row is None else rows.job(row)

    def jobs(self, wanted: JobFilter) -> tuple[JobView, ...]:
        """See `Store.jobs`."""
        where, parameters = ["1 = 1"], []
        if wanted.tenant is not None:
            where.append("tenant = ?")
            parameters.append(wanted.tenant)
        for column, values in (("audience", [f"pool:{one}" for one in wanted.pools]), ("state", wanted.states)):
            if values:
                where.append(f"{column} IN ({', '.join('?' * len(values))})")
                parameters.extend(values)
        if wanted.before is not None:
            where.append("id < ?")
            parameters.append(wanted.before)
        sql = f"SELECT {JOB_COLUMNS} FROM jobs WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?"  # noqa: S608  constant
        return tuple(rows.job(row) for row in self._all(sql, *parameters, wanted.limit))

    def result(self, tenant: str, job_id: str) -> StoredResult | None:
        """See `Store.result`."""
        row = self._one(
            "SELECT r.job_id AS job_id, r.result_id AS result_id, r.manifest AS manifest, r.parts AS parts,"
            " r.inline_parts AS inline_parts FROM results r JOIN jobs j ON j.result_id = r.result_id"
            " WHERE j.id = ? AND j.tenant = ? AND r.manifest IS NOT NULL",
            *(job_id, tenant),
        )
        if row is None:
            return None
        inline = row["inline_parts"]
        return StoredResult(
            job_id=row["job_id"],
            result_id=row["result_id"],
            manifest=bytes(row["manifest"]),
            parts=rows.parts(row["parts"]),
            inline=None if inline is None else bytes(inline),
        )

    def pools(self, tenant: str | None) -> tuple[PoolView, ...]:
        """See `Store.pools`."""
        agents = {
            (row["tenant"], f"pool:{row['pool']}"): row["agents"] for row in self._all(_SESSIONS, *[tenant or ""] * 2)
        }
        found = {(row["tenant"], row["audience"]): row for row in self._all(_POOLS, *[tenant or ""] * 2)}
        return tuple(
            PoolView(
                tenant=key[0],
                audience=key[1],
                queued=found[key]["queued"] if key in found else 0,
                oldest=found[key]["oldest"] if key in found else None,
                held=found[key]["held"] if key in found else 0,
                agents=agents.get(key, 0),
            )
            for key in sorted({*agents, *found})
        )

    def agent(self, tenant: str, name: str) -> AgentView | None:
        """See `Store.agent`."""
        row = self._one(f"{_AGENTS} WHERE a.tenant = ? AND a.name = ?", tenant, name)
        return None if row is None else rows.agent(row)

    def agents(self, tenant: str | None) -> tuple[AgentView, ...]:
        """See `Store.agents`."""
        found = self._all(f"{_AGENTS} WHERE a.tenant = ? OR ? = '' ORDER BY a.tenant, a.name", *[tenant or ""] * 2)
        return tuple(rows.agent(row) for row in found)

    def revoked(self, now: float) -> frozenset[AgentId]:
        """See `Store.revoked`."""
        found = self._all("SELECT tenant, name FROM agents WHERE revoked IS NOT NULL AND not_after > ?", now)
        return frozenset(AgentId(tenant=row["tenant"], name=row["name"]) for row in found)

    def session(self, session_id: str) -> SessionView | None:
        """See `Store.session`."""
        row = self._one("SELECT * FROM sessions WHERE id = ?", session_id)
        return None if row is None else rows.session(row)

    def cancelling(self, session_id: str) -> tuple[str, ...]:
        """See `Store.cancelling`."""
        found = self._all(f"SELECT lease_id FROM jobs WHERE session = ? AND cancelling = 1 AND {HELD}", session_id)  # noqa: S608  constant
        return tuple(row["lease_id"] for row in found)

    def token(self, token_hash: str) -> TokenView | None:
        """See `Store.token`. Whether it has expired is for the caller, who knows the time."""
        row = self._one("SELECT * FROM tokens WHERE hash = ? AND revoked IS NULL", token_hash)
        return None if row is None else rows.token(row)

    def tokens(self, tenant: str | None) -> tuple[TokenView, ...]:
        """See `Store.tokens`."""
        found = self._all("SELECT * FROM tokens WHERE tenant = ? OR ? = '' ORDER BY created", *[tenant or ""] * 2)
        return tuple(rows.token(row) for row in found)

    def ready(self) -> frozenset[str]:
        """See `Store.ready`."""
        return frozenset(row["queue"] for row in self._all("SELECT DISTINCT queue FROM jobs WHERE state = 'queued'"))

    def abandoned(self, uploads: Mapping[str, str]) -> frozenset[str]:
        """See `Store.abandoned`."""
        found: set[str] = set()
        for some in batched(sorted(uploads.items()), _AT_ONCE):
            results, jobs = [result for result, _ in some], [job for _, job in some]
            places = ", ".join("?" * len(some))
            complete = f"SELECT result_id AS id FROM results WHERE manifest IS NOT NULL AND result_id IN ({places})"  # noqa: S608  constant
            open_jobs = f"SELECT id FROM jobs WHERE {OPEN} AND id IN ({places})"  # noqa: S608  constant
            # In this order: a job that ends in between has its result by the time that results are read.
            going_on = {row["id"] for row in self._all(open_jobs, *jobs)}
            kept = {row["id"] for row in self._all(complete, *results)}
            found |= {result for result, job in some if result not in kept and job not in going_on}
        return frozenset(found)


def batched(items: Sequence[tuple[str, str]], most: int) -> Iterator[Sequence[tuple[str, str]]]:
    """So many of them at once."""
    return (items[start : start + most] for start in range(0, len(items), most))
