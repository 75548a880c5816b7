"""A real Router over TLS in this process, an agent's side that is the real transport and sealing, and callers."""

import asyncio
import io
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from agent.core.outcome import Completed, Failed, Outcome, Refused
from agent.core.ports import Sealed
from agent.core.problem import Problem
from agent.core.table import Analysis, Disclosure, Document, Masked, Output, Printed
from agent.identity import certificate
from agent.transport._http import Http, Reach
from agent.transport._tls import Material
from agent.transport.https import Config, Place, Who
from agent.wire import calls
from agent.wire.ids import new_ulid
from agent.wire.keys import OpeningKey, SigningKey
from agent.wire.models import JobModel
from agent.wire.sealing import SealContext, manifest, seal
from agent.wire.signing import job_digest, sign_manifest
from router.client import AsyncClient, Client, Keys
from router.core import ops
from router.core.agents import NewToken
from router.serve import hub_of, server_of
from router.server.enroll import token_hash
from router.service.files import Files, init
from router.service.hub import Terms

DISCLOSURE = Disclosure(
    source="shop",
    relations=("shop.customers",),
    columns={"shop.customers.phone": "last4"},
    statement="SELECT …",
    policy_version=1,
    policy_sha256="0" * 64,
)
ENROLL, SUBMIT = "e" * 40, "s" * 40


class _Clock:
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


class _Told:
    """Hears the Router's orders."""

    def __init__(self, cancelled: set[str]) -> None:
        self.cancel, self.lost = cancelled.add, cancelled.add

    def drain(self) -> None:
        """Nobody asks for it here."""


class World:
    """One Router, one agent of the pool `p`, one caller `ann`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.files = folder, Files(folder / "router")
        self.signing, self.opening, self.result = SigningKey.generate(), OpeningKey.generate(), SigningKey.generate()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"https://localhost:{self.port}"
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.cancelled: set[str] = set()

    def start(self) -> None:
        self.thread.start()
        self.run(self._serve())

    def stop(self) -> None:
        self.run(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def keys(self, *, pinned: bool = True) -> Keys:
        agents = {self.result.kid: self.result.public()} if pinned else {}
        return Keys(
            tenant="acme", user="ann", signing=self.signing, opening=self.opening, agents=agents, audience="pool:p"
        )

    def client(self, **other: Any) -> Client:
        return Client(**self.arguments(**other))

    def aclient(self, **other: Any) -> AsyncClient:
        return AsyncClient(**self.arguments(**other))

    def arguments(self, **other: Any) -> dict[str, Any]:
        return {"url": self.url, "token": SUBMIT, "ca_file": self.files.ca, "keys": self.keys(), **other}

    async def _serve(self) -> None:
        authority = init(self.files, "example.org", ("localhost", "127.0.0.1"), time.time())
        self.hub = hub_of(self.files, authority, Terms())
        self.server = server_of(self.hub, self.files, "127.0.0.1", self.port, "0.1")
        self.serving = asyncio.create_task(self.server.serve())
        while not self.server.started:
            assert not self.serving.done(), "the Router did not start"
            await asyncio.sleep(0.01)
        await self._token("1", ENROLL, "enroll", ("p",))
        await self._token("2", SUBMIT, "submit", ())
        tls = certificate.Tls(self.folder / "tls")
        http, made = Http(Reach((self.url,)), Material(ca=self.files.ca)), certificate.request("plant-7")
        asked = {"token": ENROLL, "name": "plant-7", "csr": made.csr}
        issued = await http.call(calls.Certificate, "POST", "/enroll", json=asked)
        await http.aclose()
        certificate.keep(tls, made, issued.certificate, issued.ca)
        place = Place(pair=tls.pair, ca=tls.ca, leases=self.folder / "leases", instance=self.folder / "instance.json")
        who = Who(version="0.1", labels={}, slots={"sql": 8, "python": 4})
        self.transport = Config(urls=(self.url,), wait_seconds=5).open(place, who, _Clock())
        self.running: dict[str, asyncio.Task[None]] = {}
        self.tasks = [
            asyncio.create_task(self._work()),
            asyncio.create_task(self.transport.run(_Told(self.cancelled), self._has)),
        ]

    async def _end(self) -> None:
        for task in (*self.tasks, *self.running.values()):
            task.cancel()
        await asyncio.gather(*self.tasks, *self.running.values(), return_exceptions=True)
        await self.transport.aclose()
        self.server.should_exit = True
        await self.serving

    async def _token(self, name: str, secret: str, kind: Any, pools: tuple[str, ...]) -> None:
        token = NewToken(
            id=name, hash=token_hash(secret), kind=kind, tenant="acme", pools=pools, labels={},
            uses=1 if kind == "enroll" else None, expires=time.time() + 3600, created=0,
        )  # fmt: skip
        await self.hub.writer.do(ops.PutToken(token))

    def _has(self, ref: str) -> bool:
        return ref in self.running

    async def _work(self) -> None:
        while True:
            for offer in await self.transport.offers({"sql": 8, "python": 4}):
                if await self.transport.begin(offer.ref):
                    self.running[offer.ref] = asyncio.create_task(self._run(offer.ref, offer.envelope))

    async def _run(self, ref: str, envelope: bytes) -> None:
        payload = envelope.split(b".")[1]
        import base64

        job = JobModel.model_validate(json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))))
        outcome = answer(job)
        while outcome is None:
            await asyncio.sleep(0.02)
            outcome = Failed("job.cancelled", "The job was cancelled.") if ref in self.cancelled else None
        await self.transport.deliver(await asyncio.to_thread(self._sealed, ref, envelope, outcome))
        await self.transport.settle(ref)
        del self.running[ref]

    def _sealed(self, ref: str, envelope: bytes, outcome: Outcome) -> Sealed:
        result, buffer = new_ulid(time.time()), io.BytesIO()
        context = SealContext(
            job_id=ref, job_digest=job_digest(envelope), result_id=result, attempt=1, policy_version=1,
            policy_sha256="0" * 64, isolation="test", recipient=self.opening.public(),
        )  # fmt: skip
        parcel = seal(outcome, context=context, sink=buffer)
        parts = self.folder / f"{result}.parts"
        parts.write_bytes(buffer.getvalue())
        token = sign_manifest(manifest(parcel, audit_seq=1, audit_hash="0" * 64), self.result)
        return Sealed(job_id=ref, result_id=result, manifest=token, parts=parts, result_until=time.time() + 100)


def answer(job: JobModel) -> Outcome | None:  # noqa: PLR0911 - a table
    """What a site's agent would say, by the statement's words; None: it runs until it is cancelled."""
    task = job.task.model_dump(mode="json")
    match task["kind"]:
        case "python":
            return _analysis(task)
        case "catalog" | "explain" as kind:
            said = {"kind": kind, "source": task.get("source"), "asked": task.get("task", {}).get("statement")}
            return Completed(Document(kind, json.dumps(said).encode(), DISCLOSURE))
    statement = task["statement"]
    if "hang" in statement:
        return None
    if "refuse" in statement:
        problems = (
            Problem(code="sql.function", message="No such function.", hint="Use sum.", name="evil", line=1, column=8),
        )
        return Refused("sql.function", "The function evil is not allowed.", "Use sum.", problems)
    if "fail" in statement:
        return Failed("source.error", "The engine said no.", "Look.", printed=Printed(stdout="so far\n", stderr="oh\n"))
    if size := re.search(r"big (\d+)", statement):
        return _rows(pa.table({"blob": [os.urandom(2**20) for _ in range(int(size[1]))]}), task["format"])
    if number := re.search(r"number (\d+)", statement):
        return _rows(pa.table({"n": [int(number[1])]}), task["format"])
    names = {"id": [1, 2, None], "phone": ["***0", "***1", "=cmd"], "at": pa.array([0, 1, None], pa.timestamp("us"))}
    return _rows(pa.table(names), task["format"], truncated="cut" in statement)


def _rows(table: pa.Table, form: str, *, truncated: bool = False) -> Completed:
    from agent.core.table import Tally

    tally = Tally(rows=table.num_rows, bytes=1, truncated=truncated)
    return Completed(Masked(table.schema, iter(table.to_batches()), DISCLOSURE, form, tally))


def _analysis(task: dict[str, Any]) -> Completed:
    """Gives back what came in: the inputs as its result, one chart for each format that was asked for."""
    media = {"png": "image/png", "svg": "image/svg+xml", "vega-lite": "application/vnd.vegalite.v6+json"}
    data = {"png": b"\x89PNG\r\n", "svg": b"<svg/>", "vega-lite": b'{"mark":"bar"}'}
    outputs = tuple(Output(f"chart-{n + 1}", media[one], data[one]) for n, one in enumerate(task["charts"]))
    given = json.dumps({"inputs": task["inputs"], "variables": task["variables"], "frames": task["frames"]})
    return Completed(Analysis(given.encode(), outputs, Printed("hello\n", "careful\n"), DISCLOSURE))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"))
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    with world.client() as made:
        yield made


@pytest.fixture(scope="module")
def profile(world: World) -> Path:
    """The caller's folder, as `agent keys new` and a text editor make it."""
    from agent.identity import keystore
    from agent.wire.profile import AgentModel, ProfileModel

    folder = world.folder / "submitter"
    folder.mkdir(mode=0o700)
    keystore.save_private(folder / "signing.jwk", world.signing)
    keystore.save_private(folder / "opening.jwk", world.opening)
    (folder / "token").write_text(SUBMIT + "\n")
    model = ProfileModel(
        user="ann", tenant="acme", audience="pool:p", router=world.url, token_file="token",
        ca_file=str(world.files.ca), agents={world.result.kid: AgentModel(name="plant-7", key=world.result.public())},
    )  # fmt: skip
    (folder / "profile.json").write_bytes(model.model_dump_json().encode())
    return folder


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.client.http._CAP_SECONDS", 0.05)


Make = Callable[[], Client]
