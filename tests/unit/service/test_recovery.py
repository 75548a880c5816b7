"""A service that stops being anywhere in a job, and the next one on the same folders: one result, or a stated failure.

The stop is an exception that nothing in the service catches: what a kill leaves behind, without the price of a process.
"""

import json
from typing import Any

import anyio
import pytest

from agent.service.wiring import STEPS
from agent.spool.ledger import Ledger

pytestmark = pytest.mark.anyio


class Killed(BaseException):
    """Stands for SIGKILL."""


def die_at(step: str) -> Any:
    def at(name: str) -> None:
        if name == step:
            raise Killed

    return at


async def run_until_killed(bench: Any, step: str) -> None:
    bench.step = die_at(step)
    supervisor = bench.supervisor()
    with anyio.fail_after(20):
        try:
            await supervisor.run()
        except* Killed:
            pass
        else:
            pytest.fail(f"the service did not reach {step}")
    bench.step = lambda _: None


@pytest.mark.parametrize("step", STEPS)
async def test_a_job_that_may_not_run_twice_has_one_result_or_a_stated_failure(bench: Any, step: str) -> None:
    job_id = bench.submit()
    await run_until_killed(bench, step)
    async with bench.running():
        opened = await bench.done(job_id)
    before_claim = step in {"offered", "verified"}
    committed = STEPS.index(step) >= STEPS.index("committed")
    assert opened.outcome.code == ("task.source" if before_claim or committed else "job.interrupted")
    assert len(bench.worker.orders) <= 1, "it ran twice"
    assert "job.ended" in bench.events(job_id), "it left without its record"
    assert bench.held("drop/outbox/new") == [f"{job_id}.mres"]
    assert bench.held("drop/processing") == bench.held("state/spool") == []


@pytest.mark.parametrize("step", STEPS)
async def test_an_idempotent_job_runs_again_while_claims_remain(bench: Any, step: str) -> None:
    job_id = bench.submit(idempotent=True, max_attempts=2)
    await run_until_killed(bench, step)
    async with bench.running():
        opened = await bench.done(job_id)
    assert opened.outcome.code == "task.source"
    assert bench.held("drop/outbox/new") == [f"{job_id}.mres"]
    assert bench.held("drop/processing") == bench.held("state/spool") == []


async def test_claims_end(bench: Any) -> None:
    job_id = bench.submit(idempotent=True, max_attempts=2)
    for _ in range(2):
        await run_until_killed(bench, "started")
    async with bench.running():
        opened = await bench.done(job_id)
    assert opened.outcome.code == "job.interrupted"
    assert bench.events(job_id) == ["job.started", "job.started", "job.ended"]
    assert bench.worker.orders == []


async def test_a_broken_off_job_past_its_latest_start_is_a_stated_failure(bench: Any) -> None:
    now = bench.clock.now()
    job_id = bench.submit(idempotent=True, max_attempts=9, expires=now + 60)
    await run_until_killed(bench, "started")
    bench.clock.shift = 600
    async with bench.running():
        assert (await bench.done(job_id)).outcome.code == "job.interrupted"


async def test_a_broken_off_job_whose_key_was_revoked_meanwhile_is_rejected(bench: Any) -> None:
    from agent.identity import trustfile

    job_id = bench.submit(idempotent=True, max_attempts=9)
    await run_until_killed(bench, "started")
    bench.trust_by(lambda store: trustfile.revoke(store, bench.submitter.kid, 0))
    async with bench.running():
        assert await bench.rejected(job_id) == "envelope.revoked"
    assert bench.worker.orders == []
    assert bench.held("drop/outbox/new") == []
    ledger = Ledger(bench.state / "ledger.sqlite")
    assert ledger.settled(job_id)
    ledger.close()


async def test_a_result_that_was_fetched_already_is_not_delivered_twice(bench: Any, until: Any) -> None:
    job_id = bench.submit()
    await run_until_killed(bench, "settled")
    bench.result_file(job_id).unlink()  # the submitter took it away
    async with bench.running():
        await until(lambda: bench.held("state/spool") == [])
    assert bench.held("drop/outbox/new") == []
    assert bench.held("state/spool") == []


async def test_a_manifest_without_its_ledger_line_still_counts_in_the_statistics(bench: Any, until: Any) -> None:
    """Killed between the commit to the spool and the ledger: the next start reads the outcome from the manifest."""
    job_id = bench.submit()

    from agent.spool import ledger as module

    def dies(*_: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.Ledger, "sealed", dies)
        await run_until_killed(bench, "nowhere")
    async with bench.running():
        await bench.done(job_id)
    assert bench.status()["jobs"]["refused_24h"] == 1


async def test_an_untrue_file_in_processing_is_kept_with_a_reason(bench: Any) -> None:
    job_id = bench.submit()
    await run_until_killed(bench, "started")
    path = bench.root / f"drop/processing/{job_id}.mjob"
    other_id, other = bench.envelope(id=job_id)
    assert other_id == job_id
    path.write_bytes(other)  # the same id, another envelope
    async with bench.running():
        assert await bench.rejected(job_id) == "envelope.replayed"
    assert bench.worker.orders == []


async def test_status_json_tells_of_the_run_that_was_killed(bench: Any) -> None:
    bench.submit()
    await run_until_killed(bench, "settled")
    async with bench.running():
        pass
    assert json.loads((bench.state / "status.json").read_bytes())["state"] == "stopped"


@pytest.mark.parametrize(("attempts", "code"), [(1, "job.interrupted"), (2, "task.source")])
async def test_a_result_that_vanished_from_the_spool_is_made_again_or_stated(
    bench: Any, attempts: int, code: str
) -> None:
    job_id = bench.submit(idempotent=attempts > 1, max_attempts=attempts)
    await run_until_killed(bench, "committed")
    for path in (bench.state / "spool").iterdir():
        path.unlink()
    bench.result_file(job_id).unlink(missing_ok=True)
    ledger = Ledger(bench.state / "ledger.sqlite")
    if ledger.settled(job_id):  # delivery was faster than the kill
        ledger.close()
        return
    ledger.close()
    async with bench.running():
        assert (await bench.done(job_id)).outcome.code == code
