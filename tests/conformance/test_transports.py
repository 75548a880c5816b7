"""Every transport, over the union: what the service relies on."""

import base64
import inspect
import json
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import anyio
import pytest
from pydantic import ValidationError

import agent.transport as package
from agent.core.errors import TransportError
from agent.core.lane import LANES
from agent.core.ports import Clock, Offer, Rejection, Sealed, Transport
from agent.transport._https import Https

pytestmark = pytest.mark.anyio
FOUR = dict.fromkeys(LANES, 4)
JOB, RESULT = "01JD00000000000000000000J0", "01JD0000000000000000000001"
REJECTION = Rejection("envelope.signature", "The signature does not match the payload.", "Sign it again.")


class StillClock:
    def now(self) -> float:
        return 1_700_000_000.0

    def monotonic(self) -> float:
        return 0.0


@dataclass(frozen=True)
class Stage:
    """The far side of one transport, as a submitter and an operator see it."""

    config: Any
    submit: Callable[[str, bytes], None]
    rejected: Callable[[], dict[bytes, str]]
    results: Callable[[], list[bytes]]
    destroy: Callable[[], None]

    def opened(self) -> Any:
        clock: Clock = StillClock()
        return self.config.open(clock)


def filedrop(folder: Path) -> Stage:
    from agent.transport.filedrop import Config

    root = folder / "drop"

    def submit(name: str, envelope: bytes) -> None:
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

    return Stage(Config(path=root, poll_seconds=0.01, settle_seconds=0), submit, rejected, results, destroy)


STAGES = {"filedrop": filedrop}
FAR = {"https": Https}
"""Carriers whose far side takes only jobs that are really signed, and results that are really sealed: what is promised
below is shown over a real Router in tests/unit/transport/test_link.py and tests/acceptance/test_link_faults.py."""
KINDS = [config.model_fields["kind"].annotation.__args__[0] for config in package.CONFIGS]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=sorted(STAGES))
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    return STAGES[request.param](tmp_path)


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    (tmp_path / "parts").write_bytes(b"sealed parts" * 1000)
    return Sealed(JOB, RESULT, b"mani.fest.jws", tmp_path / "parts", 5e9)


def envelope(number: int) -> bytes:
    return f"e30.{number:04d}.{'A' * 86}".encode()


def of_kind(kind: str) -> bytes:
    payload = json.dumps({"task": {"kind": kind}}).encode()
    return b"e30." + base64.urlsafe_b64encode(payload).rstrip(b"=") + b"." + b"A" * 86


def test_every_file_of_the_package_is_in_the_union_and_has_a_stage() -> None:
    files = {module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")}
    assert {config.__module__.rsplit(".", 1)[1] for config in package.CONFIGS} == files
    assert set(KINDS) == files == {*STAGES, *FAR}


@pytest.mark.parametrize("config", package.CONFIGS, ids=lambda config: config.__module__.rpartition(".")[2])
def test_it_has_every_verb_with_the_same_parameters(config: Any) -> None:
    kind = config.model_fields["kind"].annotation.__args__[0]
    made = FAR.get(kind) or get_type_hints(config.open, vars(inspect.getmodule(config)))["return"]
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
    stage.submit("one", envelope(1))
    (offer,) = await transport.offers(FOUR)
    assert offer.envelope == envelope(1)
    assert offer.ref
    assert list(await transport.offers(FOUR)) == []
    assert list(await transport.recovered()) == []


async def test_no_more_offers_than_free_slots(stage: Stage) -> None:
    transport = stage.opened()
    for number in range(5):
        stage.submit(str(number), envelope(number))
    seen = [offer for _ in range(3) for offer in await transport.offers(dict.fromkeys(LANES, 2))]
    assert sorted(offer.envelope for offer in seen) == [envelope(number) for number in range(5)]
    assert len({offer.ref for offer in seen}) == 5


async def test_only_offers_of_the_lanes_that_are_asked_for(stage: Stage) -> None:
    transport = stage.opened()
    names = {kind: of_kind(kind) for kind in ("python", "sql", "catalog", "nonsense")}
    for name, data in names.items():
        stage.submit(name, data)
    stage.submit("broken", envelope(1))
    seen = {offer.envelope for offer in await transport.offers({"sql": 8, "python": 0})}
    assert seen == {names["sql"], names["catalog"], names["nonsense"], envelope(1)}
    assert list(await transport.offers({"sql": 8, "python": 0})) == []
    (python,) = await transport.offers({"sql": 0, "python": 8})
    assert python.envelope == names["python"]


async def test_an_offer_is_made_or_left_when_the_call_is_cancelled(stage: Stage) -> None:
    transport = stage.opened()
    stage.submit("one", envelope(1))
    found: list[Offer] = []
    for _ in range(20):
        with anyio.CancelScope() as scope:
            scope.cancel()
            found += await transport.offers(FOUR)
    found += await transport.offers(FOUR)
    assert [offer.envelope for offer in found] == [envelope(1)]


async def test_what_was_held_is_recovered_by_the_next_run_under_the_same_ref(stage: Stage) -> None:
    stage.submit("one", envelope(1))
    (offer,) = await stage.opened().offers(FOUR)
    again = stage.opened()
    assert list(await again.recovered()) == [offer]
    assert list(await again.offers(FOUR)) == []


async def test_a_rejected_envelope_keeps_its_bytes_with_the_code(stage: Stage) -> None:
    transport = stage.opened()
    stage.submit("one", envelope(1))
    (offer,) = await transport.offers(FOUR)
    for _ in range(2):
        await transport.reject(offer.ref, REJECTION)
    assert stage.rejected() == {envelope(1): REJECTION.code}
    assert list(await stage.opened().recovered()) == []


async def test_a_result_is_delivered_once_however_often_it_is_handed_over(stage: Stage, sealed: Sealed) -> None:
    transport = stage.opened()
    stage.submit("one", envelope(1))
    (offer,) = await transport.offers(FOUR)
    for carrier in (transport, transport, stage.opened()):
        await carrier.deliver(sealed)
    (result,) = stage.results()
    assert sealed.manifest in result
    assert result.endswith(sealed.parts.read_bytes())
    assert list(await stage.opened().recovered()) == [offer]


async def test_a_settled_job_is_forgotten(stage: Stage, sealed: Sealed) -> None:
    transport = stage.opened()
    stage.submit("one", envelope(1))
    (offer,) = await transport.offers(FOUR)
    await transport.deliver(sealed)
    for _ in range(2):
        await transport.settle(offer.ref)
    assert list(await stage.opened().recovered()) == []
    assert list(await transport.offers(FOUR)) == []
    assert len(stage.results()) == 1


async def test_only_transport_errors_get_out(stage: Stage, sealed: Sealed) -> None:
    transport = stage.opened()
    stage.submit("one", envelope(1))
    (offer,) = await transport.offers(FOUR)
    stage.destroy()
    for call in (
        lambda: transport.offers(FOUR),
        transport.recovered,
        lambda: transport.reject(offer.ref, REJECTION),
        lambda: transport.deliver(sealed),
        lambda: transport.settle(offer.ref),
        lambda: stage.opened().recovered(),
    ):
        with pytest.raises(TransportError) as caught:
            await call()
        assert caught.value.__cause__ is None
        assert str(caught.value)
