"""Real Routers for tests: in a thread over TLS on loopback, and as a process that can be killed; and who speaks to them."""

import asyncio
import contextlib
import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from agent.identity import certificate
from agent.identity.certificate import Tls
from agent.transport.https import Config, Place, Who
from agent.wire.ids import new_ulid
from agent.wire.keys import OpeningKey, SigningKey
from agent.wire.models import JobModel
from agent.wire.signing import sign_job
from router.core import ops
from router.core.agents import AgentId, NewToken
from router.core.jobs import JobView
from router.serve import hub_of, server_of
from router.server.enroll import token_hash
from router.service.files import Files, init
from router.service.hub import Hub, Terms

TENANT, POOL, AGENT, DOMAIN = "acme", "p", "plant-7", "example.org"
PATIENCE_SECONDS = 60.0


def free_port() -> int:
    """A port of this host that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@dataclass
class RouterThread:
    """A Router over `folder`, with its event loop in a thread of its own."""

    folder: Path
    port: int = 0
    terms: Terms = field(default_factory=Terms)
    _submit_token: str = ""

    def __post_init__(self) -> None:
        self.files = Files(self.folder)
        self.authority = init(self.files, DOMAIN, ("localhost", "127.0.0.1"), time.time())
        self.port = self.port or free_port()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def start(self) -> None:
        """Returns when it answers."""
        self.hub: Hub = hub_of(self.files, self.authority, self.terms)
        self._server = server_of(self.hub, self.files, "127.0.0.1", self.port, "0.1")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._server.serve(),), daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started or not self._thread.is_alive())
        assert self._server.started, "the Router did not start"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), "the Router did not end"
        self._loop.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def do(self, operation: Any) -> Any:
        """One operation on its store."""

        async def done() -> Any:
            return await self.hub.writer.do(operation)

        waiting: Future[Any] = asyncio.run_coroutine_threadsafe(done(), self._loop)
        return waiting.result(PATIENCE_SECONDS)

    def token(self, *, kind: str = "enroll", uses: int | None = 1, seconds: float = 3600) -> str:
        """A fresh one-time token, or a submitter's."""
        token = new_ulid(time.time()) * 2
        pools = (POOL,) if kind == "enroll" else ()
        expires = time.time() + seconds if kind == "enroll" else None
        self.do(
            ops.PutToken(
                NewToken(
                    id=token[:26],
                    hash=token_hash(token),
                    kind=kind,  # type: ignore[arg-type]
                    tenant=TENANT,
                    pools=pools,
                    labels={},
                    uses=uses if kind == "enroll" else None,
                    expires=expires,
                    created=0,
                )
            )
        )
        return token

    def enrolled(self, folder: Path, name: str = AGENT, *, now: float | None = None, hours: float = 24.0) -> Tls:
        """An agent that is enrolled without a call; its TLS files in `folder`."""
        request = certificate.request(name)
        issued = self.authority.agent(
            request.csr.encode(), AgentId(tenant=TENANT, name=name), now or time.time(), hours=hours
        )
        self.do(ops.Enroll(token_hash(self.token()), name, {}, issued.serial, issued.not_after))
        tls = Tls(folder)
        certificate.keep(tls, request, issued.pem, self.authority.certificate_pem().decode())
        return tls

    def submit(self, envelope: bytes) -> None:
        """Hand a job in, as its submitter does."""
        self._call("POST", "/jobs", content=envelope)

    def cancel(self, job: str) -> None:
        self._call("POST", f"/jobs/{job}/cancel")

    def _call(self, method: str, path: str, **request: Any) -> None:
        if not self._submit_token:
            self._submit_token = self.token(kind="submit")
        headers = {"authorization": f"Bearer {self._submit_token}"}
        context = ssl.create_default_context(cafile=str(self.files.ca))
        answer = httpx.request(method, f"{self.url}/v1{path}", headers=headers, verify=context, **request)
        assert answer.is_success, answer.text

    def job(self, job: str) -> JobView:
        found = self.hub.store.job(TENANT, job)
        assert found is not None, "no such job"
        return found

    def state(self, job: str) -> str:
        return self.job(job).state

    @contextlib.contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """Its store, for what no call does."""
        with contextlib.closing(sqlite3.connect(self.files.store, timeout=PATIENCE_SECONDS)) as store, store:
            yield store

    def results(self, job: str) -> list[tuple[str, str]]:
        """Results that arrived for a job: id, and `held` (it counts) or `late`."""
        with self.database() as store:
            return store.execute("SELECT result_id, state FROM results WHERE job_id = ? ORDER BY 1", (job,)).fetchall()


@dataclass(frozen=True)
class Submitter:
    """Somebody who signs jobs."""

    signing: SigningKey = field(default_factory=SigningKey.generate)
    opening: OpeningKey = field(default_factory=OpeningKey.generate)

    def envelope(self, **changes: Any) -> tuple[str, bytes]:
        """A signed job and its id."""
        now = time.time()
        payload = {
            "id": new_ulid(now),
            "tenant": TENANT,
            "audience": f"pool:{POOL}",
            "issued": now,
            "not_before": now,
            "expires": now + 3600,
            "result_until": now + 7200,
            "requested_by": {"user": "ada"},
            "reply_to": {"kid": self.opening.kid},
            "idempotent": False,
            "max_attempts": 1,
            "task": {"kind": "sql", "source": "shop", "statement": "select 1"},
            **changes,
        }
        return str(payload["id"]), sign_job(JobModel.model_validate(payload), self.signing)


@dataclass
class WallClock:
    """The real one; `ahead` moves the monotonic one."""

    ahead: float = 0.0

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


def config(router: RouterThread, **changes: Any) -> Config:
    """How to reach it; polls are short."""
    return Config.model_validate({"urls": (router.url,), "ca_file": router.files.ca, "wait_seconds": 1, **changes})


def place(folder: Path, tls: Tls) -> Place:
    return Place(pair=tls.pair, ca=tls.ca, leases=folder / "leases", instance=folder / "instance.json")


WHO = Who(version="0.1", labels={}, slots={"sql": 4, "python": 2})


def wait_until(condition: Any, seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.02)
