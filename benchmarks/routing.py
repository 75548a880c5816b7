"""What the Router's workloads share: a Router as a process, and agents and submitters that cost next to nothing."""

import asyncio
import base64
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from agent.wire.ids import new_ulid
from agent.wire.keys import SigningKey
from agent.wire.models import JobModel
from agent.wire.signing import job_digest, sign_job
from benchmarks.routerd import DOMAIN
from router.ca.authority import new_key, private_pem
from router.core import ops
from router.core.agents import AgentId, NewToken
from router.server.enroll import token_hash
from router.service.files import Files, init
from router.store.port import Store
from router.store.sqlite import SqliteStore
from tests.router.server.site import csr_of, result_of
from tests.support.servers import free_port

TENANT, POOL = "bench", "pool"
TOKEN = "t" * 48
MOST_SECONDS = 60.0
"""No workload takes longer by itself: one that would gives up."""
NOTHING = 204
_KID = SigningKey.generate()


@dataclass
class Place:
    """A Router's folder, with its submitter's token. `address` is of PostgreSQL; None: the embedded store."""

    folder: Path
    address: str | None = None
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.files = Files(self.folder)
        self.authority = init(self.files, DOMAIN, ("localhost", "127.0.0.1"), time.time())
        self.key = new_key()
        self._csr = csr_of(self.key).encode()
        store = self.store()
        self._apply(store, [ops.PutToken(self._token("submit", TOKEN, None))])
        store.close()

    def store(self) -> Store:
        """Beside the Router."""
        if self.address is None:
            return SqliteStore(self.files.store)
        from router.store.postgres import PostgresStore  # noqa: PLC0415 - only where it is asked for

        return PostgresStore(self.address)

    def enroll(self, count: int) -> list[Path]:
        """So many agents; the files of their certificates. All have one key: its making is not what is measured."""
        store, secret = self.store(), new_ulid(time.time())
        self._apply(store, [ops.PutToken(self._token("enroll", secret, count))])
        pairs, admitted = [], []
        for number in range(count):
            name = f"agent-{secret}-{number}"
            issued = self.authority.agent(self._csr, AgentId(tenant=TENANT, name=name), time.time())
            admitted.append(ops.Enroll(token_hash(secret), name, {}, issued.serial, issued.not_after))
            pairs.append(self.folder / f"{name}.pem")
            pairs[-1].write_bytes(private_pem(self.key) + issued.pem.encode())
        for start in range(0, count, 250):
            self._apply(store, admitted[start : start + 250])
        store.close()
        return pairs

    def _token(self, kind: Any, secret: str, uses: int | None) -> NewToken:
        return NewToken(
            id=new_ulid(time.time()),
            hash=token_hash(secret),
            kind=kind,
            tenant=TENANT,
            pools=(POOL,),
            labels={},
            uses=uses,
            expires=time.time() + 3600,
            created=time.time(),
        )

    @staticmethod
    def _apply(store: Store, operations: Sequence[ops.Op]) -> None:
        for answer in store.apply(list(operations), time.time()):
            if isinstance(answer, Exception):
                raise SystemExit(f"the store refused: {answer}")

    def put(self, jobs: Sequence[ops.Submit]) -> None:
        """Jobs that wait before the Router starts."""
        store = self.store()
        for start in range(0, len(jobs), 250):
            self._apply(store, jobs[start : start + 250])
        store.close()

    @contextmanager
    def serving(self, **asked: Any) -> "Iterator[subprocess.Popen[bytes]]":
        """The Router as a process."""
        asked = {"folder": str(self.folder), "port": self.port, "database": self.address, **asked}
        command = [sys.executable, "-m", "benchmarks.routerd", json.dumps(asked)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
            try:
                wait_for(self.port)
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()

    def tls(self, pair: Path | None = None) -> ssl.SSLContext:
        """As an agent with this certificate, or as a submitter."""
        context = ssl.create_default_context(cafile=str(self.files.ca))
        if pair is not None:
            context.load_cert_chain(pair)
        return context


def wait_for(port: int) -> None:
    """Until somebody answers there."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit("the Router did not start")


@dataclass
class Wire:
    """One connection that is kept, for one call at a time: what the client costs is not what is measured."""

    port: int
    context: ssl.SSLContext
    address: str = "127.0.0.1"
    reader: asyncio.StreamReader = field(init=False)
    writer: asyncio.StreamWriter = field(init=False)

    async def __aenter__(self) -> Self:
        """Connect, from `address`: a thousand agents have more than one."""
        self.reader, self.writer = await asyncio.open_connection(
            "localhost", self.port, ssl=self.context, family=socket.AF_INET, local_addr=(self.address, 0)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        self.writer.transport.abort()

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Send a request."""
        lines = [f"{method} /v1{path} HTTP/1.1", f"host: localhost:{self.port}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of what was asked."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        place = head.lower().find(b"content-length:")
        size = 0 if place < 0 else int(head[place + 15 : head.index(b"\r", place)])
        return int(head[9:12]), await self.reader.readexactly(size) if size else b""

    async def call(self, *request: Any) -> tuple[int, Any]:
        """Both, the body read as JSON."""
        self.ask(*request)
        status, body = await self.answer()
        return status, json.loads(body) if body else None


class Agent(Wire):
    """An agent over one connection."""

    session = ""
    instance = ""

    async def open(self, **more: Any) -> None:
        """A session."""
        self.instance = new_ulid(time.time())
        said = {"instance": self.instance, "slots": {"sql": 4}, "version": "1", **more}
        status, opened = await self.call("POST", "/sessions", json.dumps(said).encode())
        if status != 201:
            raise SystemExit(f"no session: {opened}")
        self.session = opened["session"]

    def poll(self, wait: int) -> None:
        """Ask for one job."""
        body = f'{{"session":"{self.session}","free":{{"sql":1}}}}'.encode()
        self.ask("POST", f"/lease?wait={wait}", body)

    async def finish(self, job: Mapping[str, Any], result: "Result") -> None:
        """Accept a job, and send its result."""
        said = {"session": self.session, "lease": job["lease"], "fence": job["fence"]}
        accepted, _ = await self.call("POST", f"/jobs/{job['job']}/accept", json.dumps(said).encode())
        path = f"/jobs/{job['job']}/results/{result.id}?lease={job['lease']}&fence={job['fence']}"
        landed, said_of_it = await self.call(
            "POST", path, result.mres, {"content-type": "application/vnd.meridyen.mres"}
        )
        if (accepted, landed) != (200, 200):
            raise SystemExit(f"a result was not taken: {accepted}, {landed}, {said_of_it}")


def only(body: bytes) -> dict[str, Any]:
    """The one job of an answer to a poll."""
    (job,) = json.loads(body)["jobs"]
    return dict(job)


@dataclass(frozen=True)
class Result:
    """A small sealed result, in its file form."""

    id: str
    mres: bytes


@dataclass(frozen=True)
class Made:
    """A signed job and the result that will come of it, made before anything is measured."""

    id: str
    envelope: bytes
    result: Result

    def submit(self) -> ops.Submit:
        """As the Router's submission has it."""
        from router.server.submitters import peeked  # noqa: PLC0415 - brings FastAPI

        return ops.Submit(peeked(self.envelope, "s"), 10**6, 10**12)


def made(count: int) -> list[Made]:
    """So many jobs and their results. The manifests are not signed: to the Router they are what its agents say."""
    now = time.time()
    model = JobModel.model_validate(
        {
            "id": new_ulid(now),
            "tenant": TENANT,
            "audience": f"pool:{POOL}",
            "issued": int(now),
            "not_before": int(now) - 60,
            "expires": int(now) + 3600,
            "result_until": int(now) + 7200,
            "requested_by": {"user": "ann", "roles": (), "purpose": ""},
            "reply_to": {"kid": _KID.kid},
            "task": {"kind": "sql", "source": "shop", "statement": "select 1", "parameters": {}},
        }
    )
    envelope = sign_job(model, _KID).decode()
    like = result_of({"job": model.id, "envelope": envelope, "attempt": 1})
    head, payload, signature = like.manifest.split(b".")
    template = json.loads(decoded(payload))
    found = []
    for _ in range(count):
        job = new_ulid(time.time())
        signed = sign_job(model.model_copy(update={"id": job}), _KID)
        result = new_ulid(time.time())
        said = {**template, "job_id": job, "job_digest": job_digest(signed), "result_id": result}
        token = b".".join((head, encoded(json.dumps(said).encode()), signature))
        mres = b"MERIDYN1" + len(token).to_bytes(4, "big") + token + like.framed
        found.append(Made(job, signed, Result(result, mres)))
    return found


def decoded(segment: bytes) -> bytes:
    """base64url without padding -> bytes."""
    return base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))


def encoded(data: bytes) -> bytes:
    """The reverse of `decoded`."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def resident(pid: int) -> int:
    """Bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def processor(pid: int) -> float:
    """Seconds of processor time that a process took so far."""
    cells = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(cells[11]) + int(cells[12])) / os.sysconf("SC_CLK_TCK")
