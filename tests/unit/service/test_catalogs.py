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
        source_name=name,
        source=source,
        limits=Limits(),
        isolation="none",
        catalog=catalog,
    )


def ended(catalog: bytes) -> Ended:
    parcel: Any = None
    return Ended("ok", Report(parcel, Facts(), catalog))


def test_an_order_carries_it_and_shows_it_to_nobody() -> None:
    made = order(catalog=b"\x00canary")
    assert Order.decode(made.encode()) == made
    assert "canary" not in repr(made)
    assert Order.decode(order().encode()).catalog is None


def test_it_serves_for_its_time() -> None:
    clock = Clock()
    kept = Catalogs(clock)
    assert kept.lend(order(), 300).catalog is None
    kept.keep(order(), ended(b"one"), begun=clock.at, ttl_seconds=300)
    clock.at += 299
    assert kept.lend(order(), 300).catalog == b"one"
    assert kept.lend(order("other"), 300).catalog is None
    clock.at += 1
    assert kept.lend(order(), 300).catalog is None
    clock.at -= 1
    assert kept.lend(order(), 300).catalog is None, "what is over is forgotten"


def test_its_time_counts_from_before_the_job() -> None:
    clock = Clock()
    kept = Catalogs(clock)
    kept.keep(order(), ended(b"one"), begun=clock.at - 300, ttl_seconds=300)
    assert kept.lend(order(), 300).catalog is None


def test_another_configuration_forgets_it() -> None:
    clock = Clock()
    kept = Catalogs(clock)
    kept.keep(order(), ended(b"one"), begun=clock.at, ttl_seconds=300)
    assert kept.lend(order(source='{"password":"y"}'), 300).catalog is None
    assert kept.lend(order(), 300).catalog is None
    kept.keep(order(source=None), ended(b"one"), begun=clock.at, ttl_seconds=300)
    assert kept.lend(order(source=None), 300).catalog is None


def test_zero_seconds_keep_nothing() -> None:
    clock = Clock()
    kept = Catalogs(clock)
    kept.keep(order(), ended(b"one"), begun=clock.at, ttl_seconds=0)
    assert kept.lend(order(), 300).catalog is None
    kept.keep(order(), ended(b"one"), begun=clock.at, ttl_seconds=300)
    assert kept.lend(order(), 0).catalog is None


def test_a_newer_one_takes_its_place_and_an_older_one_does_not() -> None:
    clock = Clock()
    kept = Catalogs(clock)
    kept.keep(order(), ended(b"new"), begun=clock.at, ttl_seconds=300)
    kept.keep(order(), ended(b"old"), begun=clock.at - 1, ttl_seconds=300)
    assert kept.lend(order(), 300).catalog == b"new"
    kept.keep(order(), ended(b"newer"), begun=clock.at + 1, ttl_seconds=300)
    kept.keep(order(), ended(b""), begun=clock.at + 2, ttl_seconds=300)
    assert kept.lend(order(), 300).catalog == b"newer"


@pytest.mark.parametrize(("lent", "left"), [(b"one", None), (None, b"one")])
def test_a_worker_that_died_with_it_takes_it_along(lent: bytes | None, left: bytes | None) -> None:
    clock = Clock()
    kept = Catalogs(clock)
    kept.keep(order(), ended(b"one"), begun=clock.at, ttl_seconds=300)
    kept.keep(order(catalog=lent), Ended("worker.crashed", None), begun=clock.at, ttl_seconds=300)
    assert kept.lend(order(), 300).catalog == left


def test_all_together_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogs, "MAX_BYTES", 10)
    clock = Clock()
    kept = Catalogs(clock)
    for name in ("a", "b", "c"):
        kept.keep(order(name), ended(b"1234"), begun=clock.at, ttl_seconds=300)
    kept.keep(order("d"), ended(b"12345678901"), begun=clock.at, ttl_seconds=300)
    assert [name for name in "abcd" if kept.lend(order(name), 300).catalog] == ["b", "c"]


@pytest.mark.anyio
async def test_the_service_hands_it_from_job_to_job(bench: Any, refuse: Any) -> None:
    async def reads(given: Order, parts: int) -> Ended:
        done: Ended = await refuse(given, parts)
        assert done.report is not None
        return replace(done, report=replace(done.report, catalog=b"opaque" if given.catalog is None else b""))

    site, secret = bench.site, ["first"]
    bench.site = lambda **changes: site(source=lambda name: f"{name} {secret[0]}", **changes)
    bench.worker.behaviour = reads
    async with bench.running():
        for _ in range(2):
            await bench.done(bench.submit())
        secret[0] = "rotated"
        for _ in range(2):
            await bench.done(bench.submit())
    assert [one.catalog for one in bench.worker.orders] == [None, b"opaque", None, b"opaque"]
    held = [path.read_bytes() for path in bench.root.rglob("*") if path.is_file()]
    assert not any(b"opaque" in data for data in held), "a catalog was written to disk"
