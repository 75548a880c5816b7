"""A real Router over TLS on a loopback port, in a thread with its own event loop, and those who call it."""

import asyncio
import io
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from agent.core.outcome import Failed
from agent.wire.ids import new_ulid
from agent.wire.keys import OpeningKey, SigningKey
from agent.wire.models import JobModel
from agent.wire.sealing import SealContext, manifest, seal
from agent.wire.signing import job_digest, sign_job, sign_manifest
from router.ca.authority import Authority, Key, new_key, private_pem
from router.ca.names import SubmitterId
from router.core import ops
from router.core.agents import AgentId, NewToken
from router.serve import hub_of, server_of
from router.server.enroll import certified, token_hash
from router.service.files import Files, init
from router.service.hub import Hub, Terms
from tests.router.server import published

DOMAIN = "example.org"
SIGNING, OPENING, RESULT = SigningKey.generate(), OpeningKey.generate(), SigningKey.generate()


def ulid() -> str:
    return new_ulid(time.time())


def csr_of(key: Key) -> str:
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


@dataclass
class Agent:
    """An enrolled agent with an open session, over one connection with its certificate."""

    tenant: str
    name: str
    http: httpx.Client = field(repr=False)
    pair: Path
    session: str = ""

    def open(self, **more: Any) -> httpx.Response:
        said = {"instance": ulid(), "slots": {"sql": 4, "python": 2}, "version": "1"}
        answer = self.http.post("/sessions", json={**said, **more})
        if answer.status_code == 201:
            self.session = answer.json()["session"]
        return answer

    def lease(self, wait: int = 0, free: int = 1) -> httpx.Response:
        return self.http.post(f"/lease?wait={wait}", json={"session": self.session, "free": {"sql": free}})

    def offered(self) -> dict[str, Any]:
        (job,) = self.lease(5).json()["jobs"]
        return dict(job)

    def accept(self, job: Mapping[str, Any]) -> httpx.Response:
        said = {"session": self.session, "lease": job["lease"], "fence": job["fence"]}
        return self.http.post(f"/jobs/{job['job']}/accept", json=said)


class Site:
    """One Router and its clock, which tests may move."""

    def __init__(self, folder: Path, terms: Terms | None = None) -> None:
        self.files = Files(folder)
        self.authority = init(self.files, DOMAIN, ("localhost", "127.0.0.1"), time.time())
        self.hub: Hub = hub_of(self.files, self.authority, terms or Terms(tick_seconds=0.05, failures_per_second=1e6))
        self.ahead = 0.0
        self.hub.now = lambda: time.time() + self.ahead
        self.server = server_of(self.hub, self.files, "127.0.0.1", 0, version("meridyen-router"))
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=lambda: self.loop.run_until_complete(self.server.serve()))
        self._clients: list[httpx.Client] = []

    def start(self) -> None:
        self._thread.start()
        until = time.monotonic() + 20
        while not self.server.started and time.monotonic() < until:
            time.sleep(0.01)
        assert self.server.started
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"https://localhost:{self.port}/v1"

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        self.server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()
        self.loop.close()

    def do(self, op: ops.Op) -> Any:
        """One operation through the Router's own writer."""
        return asyncio.run_coroutine_threadsafe(self.hub.writer.do(op), self.loop).result(10)

    def tls(self, pair: Path | None = None) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=str(self.files.bundle))
        if pair is not None:
            made.load_cert_chain(pair)
        return made

    def http(self, pair: Path | None = None, **headers: str) -> httpx.Client:
        hooks = {"response": [published.check]}  # whatever a test asks, the answer is one that docs/api.md names
        client = httpx.Client(verify=self.tls(pair), base_url=self.url, timeout=30, headers=headers, event_hooks=hooks)
        self._clients.append(client)
        return client

    def token(self, kind: str, tenant: str = "acme", pools: tuple[str, ...] = (), **more: Any) -> str:
        secret = f"{kind}-{ulid()}-{ulid()}"
        plain: dict[str, Any] = {
            "id": ulid(),
            "hash": token_hash(secret),
            "kind": kind,
            "tenant": tenant,
            "pools": pools,
            "labels": {},
            "uses": 1 if kind == "enroll" else None,
            "expires": self.hub.now() + 600,
            "created": self.hub.now(),
        }
        self.do(ops.PutToken(NewToken(**{**plain, **more})))
        return secret

    def submitter(self, tenant: str = "acme", pools: tuple[str, ...] = (), **more: Any) -> httpx.Client:
        return self.http(authorization=f"Bearer {self.token('submit', tenant, pools, **more)}")

    def certified(self, tenant: str = "acme", name: str = "planner", pools: tuple[str, ...] = ()) -> httpx.Client:
        """A submitter with a certificate and a record of it."""
        who, key = SubmitterId(tenant=tenant, name=name), new_key()
        issued = self.authority.submitter(key, who, time.time(), days=1)
        self.token("submit", tenant, pools, hash=certified(who, DOMAIN))
        return self.http(self.pair(key, issued.pem))

    def pair(self, key: Key, pem: str) -> Path:
        path = self.files.folder / f"{ulid()}.pem"
        path.write_bytes(private_pem(key) + pem.encode())
        return path

    def enroll(self, token: str, name: str, **more: Any) -> tuple[httpx.Response, Key]:
        key = new_key()
        with self.http() as client:
            return client.post("/enroll", json={"token": token, "name": name, "csr": csr_of(key), **more}), key

    def agent(self, name: str = "", tenant: str = "acme", pool: str = "default") -> Agent:
        """Enrolled, with an open session."""
        name = name or f"agent-{ulid()}"
        answer, key = self.enroll(self.token("enroll", tenant, (pool,)), name)
        assert answer.status_code == 201, answer.text
        pair = self.pair(key, answer.json()["certificate"])
        made = Agent(tenant, name, self.http(pair), pair)
        assert made.open().status_code == 201
        return made

    def forged(self, authority: Authority, who: AgentId | SubmitterId, **more: Any) -> httpx.Client:
        """Somebody with a certificate of another authority, or of a strange one of this."""
        key = new_key()
        if isinstance(who, AgentId):
            issued = authority.agent(csr_of(key).encode(), who, more.pop("now", time.time()), **more)
        else:
            issued = authority.submitter(key, who, time.time(), days=1)
        return self.http(self.pair(key, issued.pem))


@contextmanager
def running(folder: Path, terms: Terms | None = None) -> Iterator[Site]:
    site = Site(folder, terms)
    site.start()
    try:
        yield site
    finally:
        site.stop()


def envelope(tenant: str = "acme", audience: str = "pool:default", **more: Any) -> tuple[str, bytes]:
    """A signed job and its id."""
    now = time.time()
    job = {
        "id": ulid(),
        "tenant": tenant,
        "audience": audience,
        "issued": int(now),
        "not_before": int(now) - 60,
        "expires": int(now) + 600,
        "result_until": int(now) + 6000,
        "requested_by": {"user": "ann", "roles": (), "purpose": ""},
        "reply_to": {"kid": OPENING.public().kid},
        "task": {"kind": "sql", "source": "shop", "statement": "select 1", "parameters": {}},
    }
    made = JobModel.model_validate({**job, **more})
    return str(made.id), sign_job(made, SIGNING)


def submitted(caller: httpx.Client, *args: Any, **more: Any) -> str:
    job, signed = envelope(*args, **more)
    answer = caller.post("/jobs", content=signed)
    assert answer.status_code == 202, answer.text
    return job


@dataclass(frozen=True)
class Result:
    """A sealed result of one job: its id, the manifest, and the framed parts."""

    id: str
    manifest: bytes
    framed: bytes

    @property
    def mres(self) -> bytes:
        return b"MERIDYN1" + len(self.manifest).to_bytes(4, "big") + self.manifest + self.framed

    @property
    def parts(self) -> list[bytes]:
        found, at = [], 0
        while at < len(self.framed):
            length = int.from_bytes(self.framed[at : at + 4], "big")
            found.append(self.framed[at + 4 : at + 4 + length])
            at += 4 + length
        return found


def result_of(offered: Mapping[str, Any], *, key: SigningKey = RESULT, message: str = "The engine said no.") -> Result:
    context = SealContext(
        job_id=offered["job"],
        job_digest=job_digest(offered["envelope"].encode()),
        result_id=ulid(),
        attempt=offered["attempt"],
        policy_version=1,
        policy_sha256="0" * 64,
        isolation="kernel",
        recipient=OPENING.public(),
    )
    sink = io.BytesIO()
    parcel = seal(Failed("source.error", message, "Look."), context=context, sink=sink)
    token = sign_manifest(manifest(parcel, audit_seq=1, audit_hash="0" * 64), key)
    return Result(context.result_id, token, sink.getvalue())


def addressed(job: Mapping[str, Any], result: str, rest: str = "", **more: Any) -> str:
    lease, fence = more.get("lease", job["lease"]), more.get("fence", job["fence"])
    return f"/jobs/{more.get('job', job['job'])}/results/{result}{rest}?lease={lease}&fence={fence}"


MRES = {"content-type": "application/vnd.meridyen.mres"}
