"""Every transport, over the union: what the service relies on. Each has its real far side: folders, a Router over TLS."""

import base64
import inspect
import json
import pkgutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import anyio
import anyio.to_thread
import pytest
from pydantic import ValidationError

import agent.transport as package
from agent.core.errors import TransportError
from agent.core.lane import LANES
from agent.core.ports import Offer, Rejection, Sealed, Transport
from agent.transport._https import Https
from agent.wire.ids import new_ulid
from tests.router.server.site import result_of
from tests.support import routers
from tests.support.routers import RouterThread, Submitter, WallClock

pytestmark = pytest.mark.anyio
FOUR = dict.fromkeys(LANES, 4)
SUBMITTER = Submitter()
REJECTION = Rejection("envelope.signature", "The signature does not match the payload.", "Sign it again.")


class StillClock:
    def now(self) -> float:
        return 1_700_000_000.0

    def monotonic(self) -> float:
        return 0.0


@dataclass
class Stage:
    """The far side of one transport, as a submitter and an operator see it.

    `here`: the carrier is this machine's own folders. They take whatever bytes there are, and keep what is held; a Router
    reads envelopes, and what is held of its jobs is on this machine beside it.
    """

    open: Callable[[], Any]
    submit: Callable[[bytes], None]
    rejected: Callable[[], dict[bytes, str]]
    results: Callable[[], list[bytes]]
    destroy: Callable[[], None]
    here: bool
    audience: str = "pool:p"
    sent: dict[str, bytes] = field(default_factory=dict)
    made: list[Any] = field(default_factory=list)

    def opened(self) -> Any:
        """The transport, as each run of the agent opens it."""
        self.made.append(self.open())
        return self.made[-1]

    def job(self, kind: str = "sql") -> bytes:
        """A job that is really signed is on its way."""
        job, envelope = SUBMITTER.envelope(audience=self.audience, task=TASKS[kind])
        self.sent[job] = envelope
        self.submit(envelope)
        return envelope

    def sealed(self, offer: Offer, folder: Path) -> Sealed:
        """A result of the job in this offer, really sealed."""
        job = next(job for job, envelope in self.sent.items() if envelope == offer.envelope)
        result = result_of({"job": job, "envelope": offer.envelope.decode(), "attempt": 1})
        (folder / "parts").write_bytes(result.framed)
        return Sealed(job, result.id, result.manifest, folder / "parts", 5e9)


TASKS = {
    "sql": {"kind": "sql", "source": "shop", "statement": "select 1"},
    "catalog": {"kind": "catalog", "source": "shop"},
    "python": {"kind": "python", "code": "result = 1"},
}


def filedrop(folder: Path, _: RouterThread) -> Stage:
    from agent.transport.filedrop import Config

    root = folder / "drop"

    def submit(envelope: bytes) -> None:
        name = new_ulid(time.time())
        new = root / "inbox/new"
        new.mkdir(parents=True, exist_ok=True)
        fresh = root / "inbox/tmp" / name
        fresh.parent.mkdir(exist_ok=True)
        fresh.write_bytes(envelope)
        fresh.rename(new / f"{name}.mjob")

    def rejected() -> dict[bytes, str]:
        return {
            path.read_bytes(): json.loads(path.with_suffix(".reason.json").read_bytes())["code"]
            for path in (root / "failed").glob("*.mjob")
        }

    def results() -> list[bytes]:
        return [path.read_bytes() for path in (root / "outbox/new").iterdir()]

    def destroy() -> None:
        root.rename(folder / "gone")
        root.write_bytes(b"not a folder")

    config = Config(path=root, poll_seconds=0.01, settle_seconds=0)
    return Stage(partial(config.open, StillClock()), submit, rejected, results, destroy, here=True)


def https(folder: Path, router: RouterThread) -> Stage:
    name = f"agent-{new_ulid(time.time())}"
    place = routers.place(folder, router.enrolled(folder / "tls", name))
    config = routers.config(
        router, wait_seconds=0.5, urls=(router.url,)
    )  # a poll of less than a second waits for nothing
    stage = Stage(
        open=lambda: config.open(place, routers.WHO, WallClock()),
        submit=router.submit,
        rejected=lambda: {
            envelope: str(router.job(job).code)
            for job, envelope in stage.sent.items()
            if router.job(job).outcome == "rejected"
        },
        results=lambda: [found for job in stage.sent for found in kept(router, job)],
        destroy=router.stop,
        here=False,
        audience=f"agent:{name}",
    )
    return stage


def kept(router: RouterThread, job: str) -> list[bytes]:
    """Every result that the Router has of a job, as its submitter fetches it."""
    with router.database() as store:
        rows = store.execute("SELECT manifest, inline_parts FROM results WHERE job_id = ?", (job,)).fetchall()
    return [manifest + parts for manifest, parts in rows]


STAGES = {"filedrop": filedrop, "https": https}
MADE = {"https": Https}
"""What a config opens, where its annotation names it for type checkers only."""
KINDS = [config.model_fields["kind"].annotation.__args__[0] for config in package.CONFIGS]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RouterThread]:
    """One Router for those who leave it running."""
    router = RouterThread(tmp_path_factory.mktemp("router"))
    router.start()
    yield router
    router.stop()


@pytest.fixture
def own(tmp_path: Path) -> RouterThread:
    """A Router for a test that ends it."""
    router = RouterThread(tmp_path / "router")
    router.start()
    return router


async def staged(kind: str, folder: Path, router: RouterThread) -> AsyncIterator[Stage]:
    stage = STAGES[kind](folder, router)
    yield stage
    for transport in stage.made if not stage.here else ():
        await transport.aclose()


@pytest.fixture(params=sorted(STAGES))
async def stage(request: pytest.FixtureRequest, tmp_path: Path, shared: RouterThread) -> AsyncIterator[Stage]:
    async for found in staged(request.param, tmp_path, shared):
        yield found


@pytest.fixture(params=sorted(STAGES))
async def doomed(request: pytest.FixtureRequest, tmp_path: Path, own: RouterThread) -> AsyncIterator[Stage]:
    """Its far side will be destroyed."""
    async for found in staged(request.param, tmp_path, own):
        yield found
    if request.param == "filedrop":
        own.stop()


def envelope(number: int) -> bytes:
    return f"e30.{number:04d}.{'A' * 86}".encode()


def of_kind(kind: str) -> bytes:
    payload = json.dumps({"task": {"kind": kind}}).encode()
    return b"e30." + base64.urlsafe_b64encode(payload).rstrip(b"=") + b"." + b"A" * 86


def test_every_file_of_the_package_is_in_the_union_and_has_a_stage() -> None:
    files = {module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")}
    assert {config.__module__.rsplit(".", 1)[1] for config in package.CONFIGS} == files
    assert set(KINDS) == files == {*STAGES}


@pytest.mark.parametrize("config", package.CONFIGS, ids=lambda config: config.__module__.rpartition(".")[2])
def test_it_has_every_verb_with_the_same_parameters(config: Any) -> None:
    kind = config.model_fields["kind"].annotation.__args__[0]
    made = MADE.get(kind) or get_type_hints(config.open, vars(inspect.getmodule(config)))["return"]
    for name, verb in inspect.getmembers(Transport, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.iscoroutinefunction(getattr(made, name))
            assert list(inspect.signature(getattr(made, name)).parameters) == list(inspect.signature(verb).parameters)


@pytest.mark.parametrize("config", package.CONFIGS, ids=lambda config: config.__module__.rpartition(".")[2])
def test_its_config_is_frozen_and_refuses_what_it_does_not_know(config: Any) -> None:
    assert config.model_config["frozen"]
    with pytest.raises(ValidationError) as caught:
        config(unknown="canary")
    assert "canary" not in str(caught.value)


async def test_nothing_to_do_is_no_offer(stage: Stage) -> None:
    transport = stage.opened()
    assert list(await transport.recovered()) == []
    assert list(await transport.offers(FOUR)) == []
    assert list(transport.problems()) == []


async def test_an_offer_is_the_exact_envelope_and_is_made_once(stage: Stage) -> None:
    transport = stage.opened()
    envelope = stage.job()
    (offer,) = await transport.offers(FOUR)
    assert offer.envelope == envelope
    assert offer.ref
    assert list(await transport.offers(FOUR)) == []


async def test_no_more_offers_than_free_slots(stage: Stage) -> None:
    transport = stage.opened()
    envelopes = [stage.job() for _ in range(5)]
    seen = [offer for _ in range(3) for offer in await transport.offers(dict.fromkeys(LANES, 2))]
    assert sorted(offer.envelope for offer in seen) == sorted(envelopes)
    assert len({offer.ref for offer in seen}) == 5


async def test_only_offers_of_the_lanes_that_are_asked_for(stage: Stage) -> None:
    transport = stage.opened()
    jobs = {kind: stage.job(kind) for kind in ("python", "sql", "catalog")}
    wanted = {jobs["sql"], jobs["catalog"]}
    if stage.here:  # what is no job is an offer too: it is rejected with a reason, not left lying
        for odd in (of_kind("nonsense"), envelope(1)):
            stage.submit(odd)
            wanted.add(odd)
    assert {offer.envelope for offer in await transport.offers({"sql": 8, "python": 0})} == wanted
    assert list(await transport.offers({"sql": 8, "python": 0})) == []
    (python,) = await transport.offers({"sql": 0, "python": 8})
    assert python.envelope == jobs["python"]


async def test_an_offer_is_made_or_left_when_the_call_is_cancelled(stage: Stage) -> None:
    transport = stage.opened()
    envelope = stage.job()
    found: list[Offer] = []
    for _ in range(20):
        with anyio.CancelScope() as scope:
            scope.cancel()
            found += await transport.offers(FOUR)
    found += await transport.offers(FOUR)
    assert [offer.envelope for offer in found] == [envelope]


async def test_what_was_begun_is_recovered_by_the_next_run_under_the_same_ref(stage: Stage) -> None:
    stage.job()
    transport = stage.opened()
    (offer,) = await transport.offers(FOUR)
    assert await transport.begin(offer.ref)
    again = stage.opened()
    assert list(await again.recovered()) == [offer]
    assert list(await again.offers(FOUR)) == []
    assert await again.begin(offer.ref)


async def test_a_rejected_envelope_keeps_its_bytes_with_the_code(stage: Stage) -> None:
    transport = stage.opened()
    envelope = stage.job()
    (offer,) = await transport.offers(FOUR)
    for _ in range(2):
        await transport.reject(offer.ref, REJECTION)
    assert stage.rejected() == {envelope: REJECTION.code}
    assert list(await stage.opened().recovered()) == []


async def test_a_result_is_delivered_once_however_often_it_is_handed_over(stage: Stage, tmp_path: Path) -> None:
    transport = stage.opened()
    stage.job()
    (offer,) = await transport.offers(FOUR)
    assert await transport.begin(offer.ref)
    sealed = stage.sealed(offer, tmp_path)
    for carrier in (transport, transport, stage.opened()):
        await carrier.deliver(sealed)
    (result,) = stage.results()
    assert sealed.manifest in result
    assert result.endswith(sealed.parts.read_bytes())
    assert list(await stage.opened().recovered()) == [offer]


async def test_a_settled_job_is_forgotten(stage: Stage, tmp_path: Path) -> None:
    transport = stage.opened()
    stage.job()
    (offer,) = await transport.offers(FOUR)
    assert await transport.begin(offer.ref)
    await transport.deliver(stage.sealed(offer, tmp_path))
    for _ in range(2):
        await transport.settle(offer.ref)
    assert list(await stage.opened().recovered()) == []
    assert list(await transport.offers(FOUR)) == []
    assert len(stage.results()) == 1


async def test_only_transport_errors_get_out(doomed: Stage, tmp_path: Path) -> None:
    transport = doomed.opened()
    doomed.job()
    (offer,) = await transport.offers(FOUR)
    sealed = doomed.sealed(offer, tmp_path)
    await anyio.to_thread.run_sync(doomed.destroy)
    gone = [
        lambda: transport.offers(FOUR),
        lambda: transport.reject(offer.ref, REJECTION),
        lambda: transport.deliver(sealed),
    ]
    kept = [transport.recovered, lambda: doomed.opened().recovered(), lambda: transport.settle(offer.ref)]
    for call in (*gone, *(kept if doomed.here else [])):
        with pytest.raises(TransportError) as caught:
            await call()
        assert caught.value.__cause__ is None
        assert str(caught.value)
    if not doomed.here:  # what is held is known on this machine, whoever is away
        assert [list(await kept[0]()), list(await kept[1]())] == [[offer], [offer]]
        await kept[2]()
        assert list(await transport.recovered()) == []
