"""A site whose agent reaches a Router over mTLS through a relay: real processes that can be killed, a link that can be cut."""

import base64
import contextlib
import io
import json
import random
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from agent.audit.verify import verify as verify_audit
from agent.identity import certificate, state
from agent.identity.certificate import Tls
from agent.identity.keystore import load_opening, load_signing
from agent.wire.sealing import Opened, open_result
from agent.wire.signing import job_digest, verify_manifest
from router.cli.site import Settings
from router.core import ops
from router.core.agents import AgentId, NewToken
from router.server.enroll import token_hash
from router.service.files import Files, init
from router.store.sqlite import SqliteStore
from tests.support.relays import Relay
from tests.support.routers import AGENT, DOMAIN, POOL, TENANT, Submitter, free_port

RUNNER = Path(__file__).parents[1] / "acceptance/support/run_linked.py"
DEADLINE_SECONDS = 120.0
ENROLL, SUBMIT = "e" * 48, "s" * 48
ENDED = {"succeeded", "failed", "refused", "cancelled", "timed_out", "dead"}

SANDBOX = """
version: 1
mode: hybrid
tenant: acme
agent: {{name: plant-7, pool: p, slots: {{sql: 3}}}}
state_dir: ./state
transport: {{https: {{urls: ["https://localhost:{port}"], ca_file: "{ca}", wait_seconds: {wait}, reconnect_seconds: 0.2}}}}
trust: trust.json
policy: policy.yaml
limits: {{wall_seconds: 300, cpu_seconds: 300, memory_mb: 512, drain_seconds: 30}}
sources: {{shop: {{type: sqlite, path: ./shop.sqlite}}}}
"""
POLICY = "version: 1\ndefault: keep\n"
ROWS = 200
QUICK = "select id, name from people order by id limit 3"
WIDE = "select id, body from wide order by id"
SLOW = "select count(*) as n from people a cross join people b cross join people c where a.id + b.id + c.id = 100"
HUNG = f"select count(*) as n from people a {' '.join(f'cross join people {name}' for name in 'bcdef')}"
"""It ends when somebody ends it."""


@dataclass
class LinkSite:
    """One agent, its submitter, and its Router, in a folder."""

    root: Path
    relay: Relay | None = None
    jobs: dict[str, tuple[bool, str]] = field(default_factory=dict)
    router: "subprocess.Popen[bytes] | None" = None
    name: str = AGENT

    def __post_init__(self) -> None:
        self.port = free_port()
        self.files = Files(self.root / "router")
        hosts = ("localhost", "127.0.0.1")
        self.authority = init(self.files, DOMAIN, hosts, time.time())
        Settings(domain=DOMAIN, hosts=hosts).write(self.files.folder / "router.json")
        self.tls = Tls(self.root / "state/identity/tls")

    def prepare(self, port: int) -> None:
        """An agent's folder whose Router is at `port`, and tokens; the agent is not enrolled."""
        command = [sys.executable, "-m", "agent", "init", str(self.root), "--tenant", TENANT, "--name", self.name]
        subprocess.run(command, check=True, capture_output=True)
        self.aim(port)
        (self.root / "policy.yaml").write_text(POLICY)
        with closing(sqlite3.connect(self.root / "shop.sqlite")) as connection, connection:
            connection.execute("create table people (id integer primary key, name text)")
            connection.executemany("insert into people values (?, ?)", [(n, f"person {n}") for n in range(1, ROWS + 1)])
        for kind, token in (("enroll", ENROLL), ("submit", SUBMIT)):
            self.put_token(kind, token)

    def aim(self, port: int, wait: int = 2) -> None:
        """Whom the agent takes for its Router from its next start on, and how long its polls are."""
        (self.root / "sandbox.yaml").write_text(SANDBOX.format(port=port, ca=self.files.ca, wait=wait))

    def widen(self, rows: int = 200, size: int = 64 * 1024) -> None:
        """The table `wide`, which nothing makes smaller on its way: by default 12 MiB, a result of several parts."""
        chance = random.Random(7)
        with closing(sqlite3.connect(self.root / "shop.sqlite")) as connection, connection:
            connection.execute("create table wide (id integer primary key, body text)")
            bodies = ((n, base64.b64encode(chance.randbytes(size)).decode()) for n in range(rows))
            connection.executemany("insert into wide values (?, ?)", bodies)

    def put_token(self, kind: Any, token: str) -> None:
        self.apply(
            ops.PutToken(
                NewToken(
                    id=token[:26],
                    hash=token_hash(token),
                    kind=kind,
                    tenant=TENANT,
                    pools=(POOL,) if kind == "enroll" else (),
                    labels={},
                    uses=1 if kind == "enroll" else None,
                    expires=time.time() + 3600 if kind == "enroll" else None,
                    created=0,
                )
            )
        )

    def apply(self, operation: Any) -> Any:
        """One operation on the store, beside the Router."""
        store = SqliteStore(self.files.store)
        try:
            (answer,) = store.apply([operation], time.time())
        finally:
            store.close()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def enroll(self, *, now: float | None = None, hours: float = 24.0) -> None:
        """Enrol the agent, without the command: a certificate of any life."""
        request = certificate.request(self.name)
        issued = self.authority.agent(
            request.csr.encode(), AgentId(tenant=TENANT, name=self.name), now or time.time(), hours=hours
        )
        with suppress(Exception):
            self.apply(ops.Enroll(token_hash(ENROLL), self.name, {}, issued.serial, issued.not_after))
        certificate.keep(self.tls, request, issued.pem, self.authority.certificate_pem().decode())

    def start_router(self) -> None:
        command = [str(Path(sys.executable).parent / "router"), "serve", "--data", str(self.files.folder)]
        with (self.root / "router.log").open("ab") as log:
            self.router = subprocess.Popen([*command, "--listen", f"127.0.0.1:{self.port}"], stdout=log, stderr=log)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            assert self.router.poll() is None, (self.root / "router.log").read_text()
            assert time.monotonic() < deadline, "the Router does not answer"
            time.sleep(0.05)

    def kill_router(self) -> None:
        assert self.router is not None
        self.router.kill()
        self.router.wait()

    def submit(self, statement: str = QUICK, *, idempotent: bool = False, attempts: int = 1, **changes: Any) -> str:
        """Hand in a signed job; its id."""
        who = Submitter(
            load_signing(self.root / "submitter/signing.jwk"), load_opening(self.root / "submitter/opening.jwk")
        )
        task = {"kind": "sql", "source": "shop", "statement": statement}
        job, envelope = who.envelope(
            **{
                "audience": f"agent:{self.name}",
                "idempotent": idempotent,
                "max_attempts": attempts,
                "task": task,
                **changes,
            }
        )
        self.call("POST", "/jobs", content=envelope)
        self.jobs[job] = idempotent, job_digest(envelope)
        return job

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        context = ssl.create_default_context(cafile=str(self.files.bundle))
        headers = {"authorization": f"Bearer {SUBMIT}"}
        url = f"https://localhost:{self.port}/v1{path}"
        answer = httpx.request(method, url, headers=headers, verify=context, timeout=60, **request)
        assert answer.is_success, answer.text
        return answer

    @contextmanager
    def service(self, *prefix: str, **asked: Any) -> Iterator["subprocess.Popen[bytes]"]:
        """The agent as a process of its own, begun by `prefix`; killed at the end if it still runs."""
        command = [*prefix, sys.executable, str(RUNNER), str(self.root / "sandbox.yaml"), json.dumps(asked)]
        with (
            (self.root / "service.log").open("ab") as log,
            subprocess.Popen(command, stderr=log, stdout=log) as process,
        ):
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    process.kill()

    def end(self, process: "subprocess.Popen[bytes]") -> None:
        """SIGTERM, and an end in order."""
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_SECONDS) == 0, self.log()

    def rows(self, sql: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(self.files.store, timeout=30)) as store:
            return store.execute(sql, values).fetchall()

    def states(self) -> dict[str, str]:
        return dict(self.rows("SELECT id, state FROM jobs"))

    def done(self) -> bool:
        states = self.states()
        return all(states[job] in ENDED for job in self.jobs)

    def settled(self) -> bool:
        """Whether all is done, and the agent holds nothing any more."""
        held = [path for name in ("spool", "leases") for path in (self.root / "state" / name).glob("*")]
        return self.done() and not held

    def status(self) -> dict[str, Any]:
        with suppress(FileNotFoundError):
            return dict(json.loads((self.root / "state/status.json").read_bytes()))
        return {}

    def health(self) -> str:
        return " ".join(self.status().get("health", ()))

    def wait(self, condition: Callable[[], object], process: "subprocess.Popen[bytes] | None" = None) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert process is None or process.poll() is None, f"the service ended by itself: {self.log()}"
            assert time.monotonic() < deadline, f"nothing happened: {self.states()} {self.health()} {self.log()}"
            time.sleep(0.02)

    def log(self) -> str:
        return (self.root / "service.log").read_text()[-3000:]

    def opened(self, job: str) -> Opened:
        """Its one result that counts, opened with the submitter's key."""
        ((manifest, parts),) = self.rows(
            "SELECT manifest, inline_parts FROM results WHERE job_id = ? AND state = 'held'", job
        )
        key = state.load(self.root / "state").result.public()
        signed = verify_manifest(bytes(manifest), {key.kid: key})
        framed = bytes(parts) if parts is not None else b"".join(self._parts(signed.result_id))
        opening = load_opening(self.root / "submitter/opening.jwk")
        return open_result(signed, io.BytesIO(framed), opening, job_digest=self.jobs[job][1])

    def _parts(self, result: str) -> Iterator[bytes]:
        from router.store.parts import FolderParts

        parts = FolderParts(self.files.parts)
        for index in sorted(parts.held(result)):
            data = parts.read(result, index)
            yield len(data).to_bytes(4, "big") + data

    def check(self) -> dict[str, str]:
        """The one law of these tests. Gives the code of every job's one result."""
        verdict = verify_audit(self.root / "state/audit", state.load(self.root / "state").result.public())
        assert verdict.ok, verdict.problems
        files = sorted((self.root / "state/audit").glob("audit-*.jsonl"))
        records = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        started = Counter(record["job"] for record in records if record["event"] == "job.started")
        codes = {}
        for job, (idempotent, _) in self.jobs.items():
            codes[job] = self.opened(job).outcome.code
            assert started[job] <= (3 if idempotent else 1), "it ran more often than it may"
        return codes


SomeSite = TypeVar("SomeSite", bound=LinkSite)


@contextmanager
def link_site(template: Path, root: Path, made: Callable[[Path], SomeSite] = LinkSite) -> Iterator[SomeSite]:  # type: ignore[assignment]
    """A fresh site behind a relay, its Router running and its agent enrolled."""
    subprocess.run(["cp", "-a", str(template), str(root)], check=True)
    site = made(root)
    with Relay(site.port) as relay:
        site.relay = relay
        site.aim(relay.port)
        site.enroll()
        site.start_router()
        try:
            yield site
        finally:
            site.kill_router()
            with contextlib.suppress(FileNotFoundError):
                (root / "router.log").read_text()
