"""A Router's operator, who has the real database file and the real CA key; and a real agent and client beside them."""

import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.audit.verify import verify as verify_audit
from agent.identity import state
from agent.identity.keystore import load_opening, load_signing
from agent.wire.keys import SigningKey
from agent.wire.signing import JOB_TYPE, job_digest
from router.ca.authority import Authority
from router.client import Client, Keys
from router.client.aio import AsyncClient
from router.core.jobs import ENDED
from router.service.hub import Terms
from tests.support.routers import AGENT, DOMAIN, POOL, TENANT, RouterThread, Submitter, wait_until

RUNNER = Path(__file__).parents[1] / "acceptance/support/run_linked.py"
HELD_SECONDS = 200
"""Jobs that begin so much later wait at the Router, and may begin at once all the same: clocks differ by as much."""
_SEGMENT = re.compile(rb"[A-Za-z0-9_-]{40,}")
_SANDBOX = """
version: 1
mode: hybrid
tenant: {tenant}
agent: {{name: {name}, pool: {pool}, labels: {{rack: {label}}}, slots: {{sql: 4, python: 1}}}}
state_dir: ./state
transport: {{https: {{urls: ["{url}"], ca_file: "{ca}", wait_seconds: 2, reconnect_seconds: 0.2}}}}
trust: trust.json
policy: policy.yaml
limits: {{wall_seconds: 60, memory_mb: 1024, drain_seconds: 20}}
sources: {{shop: {{type: sqlite, path: ./shop.sqlite}}}}
"""


def decoded(segment: bytes) -> bytes:
    return urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))


def encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def payload_of(token: bytes) -> dict[str, Any]:
    return dict(json.loads(decoded(token.split(b".")[1])))


def unsigned(token: bytes, payload: object) -> bytes:
    """Another payload under the signature of the first one."""
    head, _, signature = token.split(b".")
    return b".".join((head, encoded(json.dumps(payload).encode()), signature))


def resigned(payload: object, key: SigningKey, kid: str, typ: str = JOB_TYPE) -> bytes:
    """Signed by `key`, which is said to be the key `kid`."""
    head = encoded(json.dumps({"alg": "Ed25519", "kid": kid, "typ": typ}).encode())
    body = head + b"." + encoded(json.dumps(payload).encode())
    return body + b"." + encoded(key.handle.sign(body))


@dataclass
class Operator:
    """All that a Router's operator has."""

    router: RouterThread

    def sql(self, statement: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(self.router.files.store, timeout=30)) as database, database:
            return database.execute(statement, values).fetchall()

    def authority(self) -> Authority:
        files = self.router.files
        return Authority.load(files.ca.read_bytes(), files.ca_key.read_bytes(), DOMAIN)

    def envelope(self, job: str) -> bytes:
        ((found,),) = self.sql("SELECT envelope FROM envelopes WHERE job_id = ?", job)
        return bytes(found)

    def put_envelope(self, job: str, envelope: bytes) -> None:
        """As if it had come so: the digest that the Router compares results with is adapted too."""
        self.sql("UPDATE envelopes SET envelope = ? WHERE job_id = ?", envelope, job)
        self.sql("UPDATE jobs SET digest = ? WHERE id = ?", job_digest(envelope), job)

    def release(self, jobs: Sequence[str]) -> None:
        for job in jobs:
            self.sql("UPDATE jobs SET not_before = 0 WHERE id = ? AND state = 'waiting'", job)

    def result(self, job: str) -> tuple[bytes, bytes]:
        """Manifest and framed parts of a small one."""
        row = "SELECT manifest, inline_parts FROM results WHERE job_id = ? AND state = 'held'"
        ((manifest, parts),) = self.sql(row, job)
        return bytes(manifest), bytes(parts)

    def put_result(self, job: str, manifest: bytes, parts: bytes | None) -> None:
        self.sql(
            "UPDATE results SET manifest = ?, inline_parts = ? WHERE job_id = ? AND state = 'held'",
            manifest,
            parts,
            job,
        )

    def everything(self) -> bytes:
        """Every cell of every table, every file, and whatever of it is base64, decoded."""
        cells: list[bytes] = []
        for (table,) in self.sql("SELECT name FROM sqlite_master WHERE type = 'table'"):
            for row in self.sql(f"SELECT * FROM {table}"):
                cells += [cell if isinstance(cell, bytes) else str(cell).encode() for cell in row]
        files = [path.read_bytes() for path in self.router.files.folder.rglob("*") if path.is_file()]
        plain = b"\n".join((*cells, *files))
        return (
            plain
            + b"\n"
            + b"\n".join(decoded(one) for cell in cells for one in _SEGMENT.findall(cell) if len(one) % 4 != 1)
        )


@dataclass
class World:
    """One Router, one agent of its pool as a process, and somebody who asks."""

    folder: Path
    label: str
    router: RouterThread = field(init=False)
    operator: Operator = field(init=False)

    def __post_init__(self) -> None:
        self.router = RouterThread(self.folder / "router", terms=Terms(tick_seconds=0.1))
        self.operator = Operator(self.router)
        self.site = self.folder / "site"

    def prepare(self) -> None:
        """The Router, and the agent's folder without its source."""
        command = [sys.executable, "-m", "agent", "init", str(self.site), "--tenant", TENANT, "--name", AGENT]
        subprocess.run(command, check=True, capture_output=True)
        text = _SANDBOX.format(
            tenant=TENANT, name=AGENT, pool=POOL, label=self.label, url=self.router.url, ca=self.router.files.ca
        )
        (self.site / "sandbox.yaml").write_text(text)
        (self.site / "policy.yaml").write_text("version: 1\ndefault: keep\n")
        self.router.start()
        self.router.enrolled(self.site / "state/identity/tls")
        folder = self.site / "submitter"
        self.submitter = Submitter(load_signing(folder / "signing.jwk"), load_opening(folder / "opening.jwk"))
        self.result_key = state.load(self.site / "state").result
        self.token = self.router.token(kind="submit")

    @contextmanager
    def agent(self) -> Iterator[None]:
        """The agent, under a rule of the kernel by which nothing may listen."""
        with (self.site / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(RUNNER), str(self.site / "sandbox.yaml"), "{}"], stdout=log, stderr=log
            )
        try:
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, self.log()
        finally:
            process.kill()
            process.wait()

    def client(self) -> Client:
        return Client(**self._client())

    def aclient(self) -> AsyncClient:
        return AsyncClient(**self._client())

    def _client(self) -> dict[str, Any]:
        keys = Keys(
            tenant=TENANT,
            user="ada",
            signing=self.submitter.signing,
            opening=self.submitter.opening,
            agents={self.result_key.kid: self.result_key.public()},
            audience=f"pool:{POOL}",
        )
        return {"url": self.router.url, "token": self.token, "keys": keys, "ca_file": self.router.files.ca}

    def held(self, **changes: Any) -> str:
        """A job that waits at the Router until its operator lets it go."""
        later = time.time() + HELD_SECONDS
        job, envelope = self.submitter.envelope(**{"not_before": later, "audience": f"agent:{AGENT}", **changes})
        self.router.submit(envelope)
        return job

    def ended(self, jobs: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        """State and code of each, at its end."""
        wait_until(lambda: all(self.router.state(job) in ENDED for job in jobs))
        return {job: (self.router.state(job), self.router.job(job).code) for job in jobs}

    def audit(self, event: str) -> list[dict[str, Any]]:
        """The agent's own records of one sort; the whole log verifies."""
        folder = self.site / "state/audit"
        assert verify_audit(folder, self.result_key.public()).ok
        lines = [line for file in sorted(folder.glob("audit-*.jsonl")) for line in file.read_text().splitlines()]
        return [record for record in map(json.loads, lines) if record["event"] == event]

    def log(self) -> str:
        return (self.site / "log").read_text()[-3000:]


@contextmanager
def operated(
    folder: Path, *, label: str = "none", fill: Callable[[sqlite3.Connection], None] = lambda _: None
) -> Iterator[World]:
    """A world that runs; `fill` makes the tables of its source."""
    made = World(folder, label)
    made.prepare()
    with closing(sqlite3.connect(made.site / "shop.sqlite")) as database, database:
        database.execute("create table spare (id integer)")
        fill(database)
    try:
        with made.agent():
            yield made
    finally:
        made.router.stop()
