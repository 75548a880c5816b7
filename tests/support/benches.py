"""A kind of task run in this process, over a real source: its document and what the worker would hand on."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agent.core.catalog import Catalog
from agent.core.job import CatalogTask, ExplainTask, Job, Requester, SourceName, SqlTask, Task
from agent.core.limits import Limits
from agent.core.ports import NOBODY, Connection, Endpoint, Session
from agent.core.table import Document
from agent.masking.policy import Policy
from agent.worker.kinds import KINDS
from agent.worker.kinds.base import Bench, Notes

KEEP = Policy(version=1, default="keep")


def sql(statement: str, source: str = "shop", **parameters: Any) -> SqlTask:
    return SqlTask(source=SourceName(source), statement=statement, parameters=parameters)


def explain(statement: str, source: str = "shop", **parameters: Any) -> ExplainTask:
    return ExplainTask(task=sql(statement, source, **parameters))


def catalog(*relations: str, source: str = "shop") -> CatalogTask:
    return CatalogTask(source=SourceName(source), relations=relations)


def bench(task: Task, source: Any, policy: Policy = KEEP, **more: Any) -> Bench:
    """One job of `ada`; `roles` and `on_limit` are the job's, everything else the bench's. `source`: one, or by name."""
    job = Job(
        id="01K0AAAAAAAAAAAAAAAAAAAAAA",
        digest="a" * 64,
        kid="k",
        tenant="acme",
        audience="agent:plant",
        stream="",
        seq=None,
        issued=0,
        not_before=0,
        expires=1,
        result_until=2,
        requested_by=Requester(user="ada", roles=more.pop("roles", ())),
        reply_to="k",
        idempotent=False,
        max_attempts=1,
        priority=0,
        limits={},
        on_limit=more.pop("on_limit", "fail"),
        task=task,
    )
    given = {"token_key": b"\1" * 32, "policy_sha256": "b" * 64, "limits": Limits(), **more}
    sources = source if isinstance(source, dict) else dict.fromkeys(task.sources, source) if source is not None else {}
    return Bench(job=job, sources=sources, policy=policy, **given)


def document(task: Task, source: Any, policy: Policy = KEEP, **more: Any) -> dict[str, Any]:
    """What a catalog or explain job answers."""
    value: dict[str, Any] = json.loads(raw(task, source, policy, **more).data)
    return value


def raw(task: Task, source: Any, policy: Policy = KEEP, **more: Any) -> Document:
    with ExitStack() as stack:
        made = KINDS[task.kind](bench(task, source, policy, **more), Notes(), stack)
    assert isinstance(made, Document)
    return made


@dataclass
class Server:
    """A source that says it is a server, over a real one: counts how often it is opened and asked what it holds."""

    inner: Any
    opened: int = 0
    asked: int = 0
    catalogs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dialect(self) -> str:
        return str(self.inner.dialect)

    def reads(self) -> tuple[Path, ...]:
        return tuple(self.inner.reads())

    def connects(self) -> tuple[Endpoint, ...]:
        return (Endpoint("db.internal", 5432),)

    @contextmanager
    def open(
        self, name: str, limits: Limits, session: Session = NOBODY, catalog: Catalog | None = None
    ) -> Iterator[Connection]:
        self.opened += 1
        with self.inner.open(name, limits, session) as connection:
            yield _Connection(self, connection, catalog)

    def cancel(self, handle: str) -> None:
        raise NotImplementedError

    def examine(self) -> tuple[()]:
        return ()


@dataclass
class _Connection:
    server: Server
    inner: Connection
    known: Catalog | None

    def catalog(self) -> Catalog:
        if self.known is not None:
            return self.known
        self.server.asked += 1
        return self.inner.catalog()

    def run(self, plan: Any) -> Any:
        return self.inner.run(plan)


__all__ = ["KEEP", "Server", "bench", "catalog", "document", "explain", "raw", "replace", "sql"]
