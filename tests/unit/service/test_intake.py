"""What is taken, what is rejected and why, and that one bad envelope holds up no other."""

import dataclasses
from typing import Any

import anyio
import pytest

from agent.core.errors import TransportError
from agent.service.recovery import Fate, fate, may_rerun
from agent.spool.ledger import Entry
from agent.wire.keys import SigningKey

pytestmark = pytest.mark.anyio


async def test_an_untrusted_key_is_rejected_recorded_and_never_answered(bench: Any) -> None:
    stranger = SigningKey.generate()
    async with bench.running():
        job_id = bench.submit(key=stranger)
        assert await bench.rejected(job_id) == "envelope.untrusted"
        good = bench.submit()
        await bench.done(good)
    assert bench.held("drop/outbox/new") == [f"{good}.mres"]
    assert bench.events(job_id) == ["job.rejected"]
    assert len(bench.worker.orders) == 1


async def test_garbage_expired_and_foreign_files_hold_up_nobody(bench: Any) -> None:
    async with bench.running():
        bench.put(b"\x00\xff" * 5000, "garbage.mjob")
        late = bench.submit(issued=1.0, not_before=1.0, expires=2.0)
        elsewhere = bench.submit(audience="agent:another")
        await bench.done(bench.submit())
        assert await bench.rejected("garbage") == "envelope.encoding"
        assert await bench.rejected(late) == "envelope.expired"
        assert await bench.rejected(elsewhere) == "envelope.audience"
    assert (bench.root / "drop/failed/garbage.mjob").read_bytes() == b"\x00\xff" * 5000


async def test_a_key_added_while_the_service_runs_counts_at_once_and_a_revoked_one_no_longer(bench: Any) -> None:
    from agent.identity import trustfile

    newcomer = SigningKey.generate()
    async with bench.running():
        assert await bench.rejected(bench.submit(key=newcomer)) == "envelope.untrusted"
        bench.trust_by(lambda store: bench.with_submitter(store, newcomer))
        await bench.done(bench.submit(key=newcomer))
        bench.trust_by(lambda store: trustfile.revoke(store, newcomer.kid, 0))
        assert await bench.rejected(bench.submit(key=newcomer)) == "envelope.revoked"


async def test_a_job_runs_once_however_often_it_is_handed_in(bench: Any) -> None:
    job_id, envelope = bench.envelope()
    async with bench.running():
        bench.put(envelope, f"{job_id}.mjob")
        await bench.done(job_id)
        bench.put(envelope, "again.mjob")
        bench.put(envelope, f"{job_id}.mjob")
        assert await bench.rejected("again") == "envelope.replayed"
        assert await bench.rejected(job_id) == "envelope.replayed"
    assert len(bench.worker.orders) == 1
    assert bench.held("drop/outbox/new") == [f"{job_id}.mres"]


async def test_a_copy_of_a_running_idempotent_job_does_not_run_beside_it(bench: Any, refuse: Any, until: Any) -> None:
    finish = anyio.Event()

    async def slow(order: Any, parts: int) -> Any:
        await finish.wait()
        return await refuse(order, parts)

    bench.worker.behaviour = slow
    job_id, envelope = bench.envelope(idempotent=True, max_attempts=5)
    async with bench.running():
        bench.put(envelope, f"{job_id}.mjob")
        await until(lambda: bench.worker.orders)
        bench.put(envelope, "copy.mjob")
        assert await bench.rejected("copy") == "envelope.replayed"
        finish.set()
        await bench.done(job_id)
    assert len(bench.worker.orders) == 1


async def test_an_idempotent_job_whose_result_waits_does_not_run_again(bench: Any, until: Any) -> None:
    job_id, envelope = bench.envelope(idempotent=True, max_attempts=5)
    bench.undeliverable = lambda _: True
    async with bench.running() as supervisor:
        bench.put(envelope, f"{job_id}.mjob")
        await until(lambda: "deliver" in supervisor._board.findings)
        bench.put(envelope, "copy.mjob")
        assert await bench.rejected("copy") == "envelope.replayed"
        bench.undeliverable = lambda _: False
        await bench.done(job_id)
    assert len(bench.worker.orders) == 1


async def test_what_a_carrier_offers_twice_under_one_name_runs_once_and_is_not_rejected(
    bench: Any, refuse: Any, until: Any
) -> None:
    finish = anyio.Event()

    async def slow(order: Any, parts: int) -> Any:
        await finish.wait()
        return await refuse(order, parts)

    bench.worker.behaviour = slow
    bench.undeliverable = lambda _: True
    async with bench.running() as supervisor:
        carrier = supervisor._ports.transport
        job_id = bench.submit(idempotent=True, max_attempts=5)
        await until(lambda: bench.worker.orders)
        (offer,) = carrier.offered
        carrier.repeat.append(offer)  # while it runs
        await until(lambda: not carrier.repeat)
        finish.set()
        await until(lambda: "deliver" in supervisor._board.findings)
        carrier.repeat.append(offer)  # while its result waits
        await until(lambda: len(carrier.offered) == 3 and supervisor._running.total == 0)
        bench.undeliverable = lambda _: False
        await bench.done(job_id)
    assert len(bench.worker.orders) == 1
    assert bench.held("drop/failed") == []


async def test_a_job_that_is_offered_again_before_the_carrier_let_it_begin_is_not_rejected(
    bench: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first offer lapsed while the carrier did not answer: a rejection would be the end of a job that never ran."""
    answers = False
    async with bench.running() as supervisor:
        carrier = supervisor._ports.transport

        async def begin(_: str) -> bool:
            if not answers:
                raise TransportError("it does not answer")
            return True

        monkeypatch.setattr(carrier, "begin", begin)
        job_id = bench.submit()
        await until(lambda: any(key.startswith("begin.") for key in supervisor._board.findings))
        carrier.repeat.append(carrier.offered[0])
        await until(lambda: len(carrier.offered) == 2 and supervisor._running.total == 1)
        answers = True
        await bench.done(job_id)
    assert len(bench.worker.orders) == 1
    assert bench.held("drop/failed") == []


async def test_a_defect_in_checking_one_envelope_is_a_rejection(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.service import verifying

    def broken(*_: object) -> None:
        raise RuntimeError("secret 4711")

    async with bench.running() as supervisor:
        monkeypatch.setattr(verifying, "verify", broken)
        job_id = bench.submit()
        assert await bench.rejected(job_id) == "envelope.malformed"
        monkeypatch.undo()
        await bench.done(bench.submit())
        assert supervisor._board.findings == {}
    assert "4711" not in bench.reason_file(job_id).read_text()


async def test_no_submitter_at_all_is_healthy_and_says_what_to_do(bench: Any, until: Any) -> None:
    bench.trust_by(lambda store: type(store)())
    async with bench.running() as supervisor:
        await until(lambda: "trust" in supervisor._board.findings)
        assert "agent trust add" in supervisor._board.findings["trust"].line()
        assert supervisor._board.word() == "online"
        bench.trust_by(lambda store: bench.with_submitter(store, bench.submitter))
        await bench.done(bench.submit())
        assert supervisor._board.findings == {}


DIGEST = "0" * 64


def entry(state: str = "claimed", digest: str = DIGEST, ref: str = "a.mjob") -> Entry:
    return Entry("J", digest, ref, state, 1, 0.0, 0.0, None, None, 0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "has_result", "expected"),
    [
        (None, False, Fate.FRESH),
        (entry("claimed"), False, Fate.RESUME),
        (entry("claimed"), True, Fate.DELIVER),
        (entry("sealed"), True, Fate.DELIVER),
        (entry("sealed"), False, Fate.RESUME),
        (entry("delivered"), False, Fate.SETTLE),
        (entry("delivered"), True, Fate.SETTLE),
        (entry("failed"), False, Fate.SETTLE),
        (entry("claimed", digest="1" * 64), False, Fate.DUPLICATE),
        (entry("delivered", digest="1" * 64), False, Fate.DUPLICATE),
        (entry("claimed", ref="b.mjob"), False, Fate.DUPLICATE),
        (entry("delivered", ref="b.mjob"), False, Fate.DUPLICATE),
    ],
)
def test_what_becomes_of_an_envelope_that_was_held(found: Entry | None, has_result: bool, expected: Fate) -> None:
    assert fate("a.mjob", DIGEST, found, has_result=has_result) is expected


@pytest.mark.parametrize(
    ("idempotent", "most", "attempts", "late", "expected"),
    [
        (True, 3, 1, 0, True),
        (True, 3, 2, 299, True),
        (True, 3, 3, 0, False),
        (True, 3, 1, 301, False),
        (False, 1, 1, 0, False),
    ],
)
def test_when_a_broken_off_job_may_run_again(
    bench: Any, *, idempotent: bool, most: int, attempts: int, late: float, expected: bool
) -> None:
    from agent.wire.signing import verify
    from agent.wire.trust import TrustStore

    _, envelope = bench.envelope(idempotent=idempotent, max_attempts=most)
    trust = TrustStore.parse(bench.trust_file.read_bytes())
    job = verify(envelope, trust, bench.me, bench.clock.now())
    assert not may_rerun(dataclasses.replace(job, idempotent=False, max_attempts=9), 1, job.expires)
    assert may_rerun(job, attempts, job.expires + late) is expected
