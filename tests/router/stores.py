"""Every store of the Router over a fresh database, and jobs to put into it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from psycopg.conninfo import make_conninfo

from agent.wire.ids import new_ulid
from router.core import ops
from router.core.agents import AgentId, Hello, NewToken, SessionView
from router.core.jobs import Manifest, NewJob, Offered
from router.core.problem import RouterProblem
from router.store import migrate
from router.store.port import Store
from router.store.postgres import PostgresStore
from router.store.sqlite import SqliteStore
from tests.support import postgres as pg

_NUMBERS = count(1)
START = 1_800_000_000.0


def sqlite(folder: Path) -> Store:
    return SqliteStore(folder / "router.db")


@contextmanager
def postgres(server: pg.Postgres) -> Iterator[Callable[[], PostgresStore]]:
    """Makes stores over one fresh database, which goes with the block."""
    with database(server) as address:
        yield lambda: PostgresStore(address)


@contextmanager
def database(server: pg.Postgres) -> Iterator[str]:
    """The address of a fresh database with the Router's tables, which goes with the block."""
    name = f"router_{next(_NUMBERS)}"
    with server.admin() as con:
        con.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        con.execute(f'CREATE DATABASE "{name}"')
    address = make_conninfo(host=str(server.folder), port=server.port, user=pg.SUPERUSER, dbname=name)
    migrate.upgrade(address)
    try:
        yield address
    finally:
        with server.admin() as con:
            con.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@dataclass
class World:
    """A store with a clock of its own; operations one at a time or several in one commit."""

    store: Store
    now: float = START
    hashes: Iterator[int] = field(default_factory=lambda: count(1))

    def do(self, op: ops.Op) -> Any:
        (answer,) = self.store.apply([op], self.now)
        if isinstance(answer, RouterProblem):
            raise answer
        return answer

    def together(self, *operations: ops.Op) -> list[Any]:
        return self.store.apply(operations, self.now)

    def agent(self, name: str = "plant-7", tenant: str = "acme", pool: str = "default") -> AgentId:
        token = f"hash-{next(self.hashes)}-{tenant}-{name}"
        self.do(ops.PutToken(enroll_token(token, tenant, pool, self.now)))
        self.do(ops.Enroll(token, name, {}, "1", self.now + 86_400))
        return AgentId(tenant=tenant, name=name)

    def session(self, agent: AgentId, instance: str | None = None, previous: str | None = None) -> SessionView:
        hello = Hello(
            agent=agent,
            instance=instance or new_ulid(self.now),
            previous=previous,
            labels={},
            slots={"sql": 4, "python": 2},
            version="1",
        )
        opened: SessionView = self.do(ops.OpenSession(hello, new_ulid(self.now)))
        return opened

    def job(self, **more: Any) -> NewJob:
        job = new_job(self.now, **more)
        self.do(submit(job))
        return job

    def lease(self, session: SessionView, **free: int) -> tuple[Offered, ...]:
        found: tuple[Offered, ...] = self.do(lease_of(session, free or {"sql": 4}))
        return found

    def running(self, session: SessionView, agent: AgentId, **more: Any) -> tuple[NewJob, Offered]:
        """A job that this session runs."""
        job = self.job(**more)
        (offered,) = [one for one in self.lease(session) if one.job_id == job.id]
        self.do(accept_of(agent, session, offered))
        return job, offered

    def state(self, job: NewJob) -> str:
        found = self.store.job(job.tenant, job.id)
        assert found is not None
        return found.state

    def tick(self, seconds: float = 0.0) -> ops.Ticked:
        self.now += seconds
        ticked: ops.Ticked = self.do(ops.Tick(7 * 86_400, 30 * 86_400))
        return ticked


def enroll_token(hashed: str, tenant: str, pool: str, now: float, uses: int = 1) -> NewToken:
    return NewToken(
        id=new_ulid(now),
        hash=hashed,
        kind="enroll",
        tenant=tenant,
        pools=(pool,),
        labels={},
        uses=uses,
        expires=now + 3600,
        created=now,
    )


def new_job(now: float, **more: Any) -> NewJob:
    number = next(_NUMBERS)
    plain: Mapping[str, Any] = {
        "id": new_ulid(now),
        "tenant": "acme",
        "audience": "pool:default",
        "digest": f"{number:064x}",
        "kid": "k" * 43,
        "kind": "sql",
        "priority": 0,
        "idempotent": False,
        "max_attempts": 1,
        "not_before": now - 1,
        "expires": now + 600,
        "result_until": now + 6000,
        "envelope": b"e" * 700,
        "submitter": "s1",
    }
    return NewJob(**{**plain, **more})


def submit(job: NewJob, *, max_open: int = 1_000_000, max_bytes: int = 2**40) -> ops.Submit:
    return ops.Submit(job, max_open, max_bytes)


def lease_of(session: SessionView, free: Mapping[Any, int]) -> ops.Lease:
    return ops.Lease(session.id, session.tenant, session.agent, session.pool, free)


def accept_of(agent: AgentId, session: SessionView, offered: Offered) -> ops.Accept:
    return ops.Accept(agent, offered.job_id, offered.lease_id, offered.fence, session.id)


def complete_of(
    agent: AgentId, job: NewJob, offered: Offered, *, result: str | None = None, digest: str = "d", code: str = "ok"
) -> ops.Complete:
    manifest = Manifest(
        job_id=job.id,
        job_digest=job.digest,
        result_id=result or new_ulid(START),
        attempt=offered.attempt,
        outcome="completed" if code == "ok" else "failed",
        code=code,
        digest=digest,
        parts=(("p" * 64, 1040),),
        token=b"m" * 900,
    )
    return ops.Complete(agent, job.id, offered.lease_id, offered.fence, manifest, b"p" * 1044)
