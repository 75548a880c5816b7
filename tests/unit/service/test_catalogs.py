"""What workers read of sources serves later jobs of the same source and configuration, for its time, in memory only."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from agent.core.job import Me
from agent.core.limits import Limits
from agent.core.order import Order
from agent.core.outcome import Facts, Report
from agent.core.ports import Ended
from agent.service import catalogs
from agent.service.catalogs import Catalogs


@dataclass
class Clock:
    at: float = 1000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def order(name: str = "shop", source: str | None = '{"password":"x"}', catalog: bytes | None = None) -> Order:
    return Order(
        envelope=b"e",
        trust="",
        me=Me(tenant="t", agent="a", pool="p"),
        now=0,
        attempt=1,
        result_id="r",
        policy="{}",
        policy_sha256="",
        token_key=None,
        sources={name: source},
        limits=Limits(),
        isolation="none",
        catalogs={} if catalog is None else {name: catalog},
    )


def ended(catalog: bytes, name: str = "shop") -> Ended:
    parcel: Any = None
    return Ended("ok", Report(parcel, Facts(), {name: catalog}))


def lent(kept: Catalogs, asked: Order, ttl_seconds: float) -> bytes | None:
    """The catalog that comes with an order of one source."""
    return kept.lend(asked, ttl_seconds).catalogs.get(next(iter(asked.sources)))


def test_an_order_carries_it_and_shows_it_to_nobody() -> None:
    made = order(catalog=b"\x00canary")
    assert Order.decode(made.encode()) == made
    assert "canary" not in repr(made)
    assert Order.decode(order().encode()).catalogs == {}


def test_it_serves_for_its_time() -> None:
    clock = Clock()
    kept = Catalogs(clock)
    assert lent(kept, order(), 300) is None
    kept.keep(order(), ended(b"one"), begun=clock.at, ttl_seconds=300)
    clock.at += 299
    assert lent(kept, order(), 300) == b"one"
    assert lent(kept, order("other"), 300) is None
    clock.at += 1
    assert lent(kept, order(), 300) is None
    clock.at -= 1
    assert lent(kept, order(), 300) is None, "what is over is forgotten"


def test_its_time_counts_from_before_the_job() -> None:
    clock = Clock()
    kept = Catalogs(clock)
    kept.keep(order(), ended(b"one"), begun=clock.at - 300, ttl_seconds=300)
    assert lent(kept, order(), 300) is None


def test_another_configuration_forgets_it() -> None:
    clock = Clock()
    kept = Catalogs(clock)
    kept.keep(order(), ended(b"one"), begun=clock.at, ttl_seconds=300)
    assert lent(kept, order(source='{"password":"y"}'), 300) is None
    assert lent(kept, order(), 300) is None
    kept.keep(order(source=None), ended(b"one"), begun=clock.at, ttl_seconds=300)
    assert lent(kept, order(source=None), 300) is None


def test_zero_seconds_keep_nothing() -> None:
    clock = Clock()
    kept = Catalogs(clock)
    kept.keep(order(), ended(b"one"), begun=clock.at, ttl_seconds=0)
    assert lent(kept, order(), 300) is None
    kept.keep(order(), ended(b"one"), begun=clock.at, ttl_seconds=300)
    assert lent(kept, order(), 0) is None


def test_a_newer_one_takes_its_place_and_an_older_one_does_not() -> None:
    clock = Clock()
    kept = Catalogs(clock)
    kept.keep(order(), ended(b"new"), begun=clock.at, ttl_seconds=300)
    kept.keep(order(), ended(b"old"), begun=clock.at - 1, ttl_seconds=300)
    assert lent(kept, order(), 300) == b"new"
    kept.keep(order(), ended(b"newer"), begun=clock.at + 1, ttl_seconds=300)
    kept.keep(order(), ended(b""), begun=clock.at + 2, ttl_seconds=300)
    assert lent(kept, order(), 300) == b"newer"


@pytest.mark.parametrize(("handed", "left"), [(b"one", None), (None, b"one")])
def test_a_worker_that_died_with_it_takes_it_along(handed: bytes | None, left: bytes | None) -> None:
    clock = Clock()
    kept = Catalogs(clock)
    kept.keep(order(), ended(b"one"), begun=clock.at, ttl_seconds=300)
    kept.keep(order(catalog=handed), Ended("worker.crashed", None), begun=clock.at, ttl_seconds=300)
    assert lent(kept, order(), 300) == left


def test_all_together_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogs, "MAX_BYTES", 10)
    clock = Clock()
    kept = Catalogs(clock)
    for name in ("a", "b", "c"):
        kept.keep(order(name), ended(b"1234", name), begun=clock.at, ttl_seconds=300)
    kept.keep(order("d"), ended(b"12345678901", "d"), begun=clock.at, ttl_seconds=300)
    assert [name for name in "abcd" if lent(kept, order(name), 300)] == ["b", "c"]


@pytest.mark.anyio
async def test_the_service_hands_it_from_job_to_job(bench: Any, refuse: Any) -> None:
    async def reads(given: Order, parts: int) -> Ended:
        done: Ended = await refuse(given, parts)
        assert done.report is not None
        return replace(done, report=replace(done.report, catalogs={} if given.catalogs else {"shop": b"opaque"}))

    site, secret = bench.site, ["first"]
    bench.site = lambda **changes: site(source=lambda name: f"{name} {secret[0]}", **changes)
    bench.worker.behaviour = reads
    async with bench.running():
        for _ in range(2):
            await bench.done(bench.submit())
        secret[0] = "rotated"
        for _ in range(2):
            await bench.done(bench.submit())
    assert [one.catalogs.get("shop") for one in bench.worker.orders] == [None, b"opaque", None, b"opaque"]
    held = [path.read_bytes() for path in bench.root.rglob("*") if path.is_file()]
    assert not any(b"opaque" in data for data in held), "a catalog was written to disk"


def test_each_source_of_a_job_has_its_own() -> None:
    clock = Clock()
    kept = Catalogs(clock)
    both = replace(order(), sources={"shop": "x", "ledger": "y", "gone": None})
    report: Any = ended(b"").report
    read = replace(report, catalogs={"shop": b"one", "ledger": b"two", "foreign": b"three", "gone": b"four"})
    kept.keep(both, Ended("ok", read), begun=clock.at, ttl_seconds=300)
    assert kept.lend(both, 300).catalogs == {"shop": b"one", "ledger": b"two"}, "of no source that the job did not name"
    other = replace(both, sources={"shop": "x", "ledger": "changed"})
    assert kept.lend(other, 300).catalogs == {"shop": b"one"}
    kept.keep(replace(both, catalogs={"shop": b"one"}), Ended("worker.crashed", None), begun=clock.at, ttl_seconds=300)
    assert kept.lend(both, 300).catalogs == {}


def test_what_does_not_fit_into_an_order_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogs, "MAX_LENT_BYTES", 5)
    clock = Clock()
    kept = Catalogs(clock)
    both = replace(order(), sources={"shop": "x", "ledger": "y"})
    report: Any = ended(b"").report
    read = replace(report, catalogs={"shop": b"one", "ledger": b"two"})
    kept.keep(both, Ended("ok", read), begun=clock.at, ttl_seconds=300)
    assert kept.lend(both, 300).catalogs == {"shop": b"one"}
