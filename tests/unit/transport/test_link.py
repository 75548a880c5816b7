"""The https transport over a real Router: offers, leases, orders, results."""

import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.core.errors import TransportError
from agent.core.ports import Rejection
from agent.transport import _https
from agent.transport._http import RouterRefusalError
from tests.support.routers import RouterThread
from tests.unit.transport.linked import Agent, Told, one, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
NUMBERS = count(1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RouterThread]:
    made = RouterThread(tmp_path_factory.mktemp("router") / "r")
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def agent(router: RouterThread, tmp_path: Path) -> AsyncIterator[Agent]:
    name = f"agent-{next(NUMBERS)}"
    yield Agent(router, tmp_path, router.enrolled(tmp_path / "tls", name), name=name)
    await anyio.sleep(0.02)  # a loop that ends at once leaves sockets to the collector


async def test_a_job_is_offered_begun_and_its_result_counts_once(agent: Agent) -> None:
    transport = agent.opened()
    job = agent.job()
    offer = await one(transport)
    assert offer.ref == job
    assert await transport.begin(job)
    assert await transport.begin(job), "the same answer, however often it is asked"
    assert agent.router.state(job) == "running"
    sealed = agent.sealed(offer)
    await transport.deliver(sealed)
    await transport.deliver(sealed)
    await transport.settle(job)
    await transport.settle(job)
    assert agent.router.results(job) == [(sealed.result_id, "held")]
    assert agent.router.state(job) == "failed"
    assert list(await agent.opened().recovered()) == []
    await transport.aclose()


async def test_another_result_under_the_same_lease_is_not_taken_and_says_why(agent: Agent) -> None:
    transport = agent.opened()
    job = agent.job()
    offer = await one(transport)
    assert await transport.begin(job)
    first, second = agent.sealed(offer), agent.sealed(offer)
    await transport.deliver(first)
    with pytest.raises(RouterRefusalError, match="Another result") as caught:
        await transport.deliver(second)
    assert caught.value.code == "result.conflict"
    assert agent.router.results(job) == [(first.result_id, "held")]
    await transport.aclose()


async def test_what_was_held_is_held_by_the_next_run_whether_its_acceptance_is_on_record_or_not(agent: Agent) -> None:
    before = agent.opened()
    job = agent.job()
    offer = await one(before)
    assert await before.begin(job)
    held = before._leases.of(job)
    assert held is not None
    before._leases.put(replace(held, accepted=False))  # killed between the Router's answer and the note of it
    after = agent.opened()
    assert list(await after.recovered()) == [offer]
    assert await after.begin(job)
    assert agent.router.job(job).attempt == 1
    await after.deliver(agent.sealed(offer))
    assert agent.router.state(job) == "failed"
    await before._http.aclose()
    await after.aclose()


async def test_an_offer_of_an_earlier_run_that_nobody_accepted_begins_nothing(agent: Agent) -> None:
    before = agent.opened()
    job = agent.job()
    await one(before)
    after = agent.opened()
    (offer,) = await after.recovered()
    assert not await after.begin(offer.ref), "the Router took it back when the successor came"
    assert list(await agent.opened().recovered()) == []
    assert (await one(after)).ref == job
    assert await after.begin(job)
    await before._http.aclose()
    await after.aclose()


async def test_a_successor_takes_over_at_once_and_what_ran_before_is_told(agent: Agent) -> None:
    before = agent.opened()
    job = agent.job()
    offer = await one(before)
    assert await before.begin(job)
    after = agent.opened()
    assert await after.offers({"sql": 1, "python": 0}) == []
    assert await after.begin(offer.ref)
    with pytest.raises(TransportError):
        await before.offers({"sql": 1, "python": 0})
    assert agent.router.state(job) == "running"
    await before._http.aclose()
    await after.aclose()


async def test_an_offer_that_lapsed_while_it_was_accepted_is_accepted_as_it_was_offered_anew(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport, job, asked = agent.opened(), agent.job(), count()
    await one(transport)
    real = transport._http.call

    async def lapsed(kind: Any, method: str, path: str, **request: Any) -> Any:
        if path.endswith("/accept") and not next(asked):
            with agent.router.database() as store:
                store.execute("UPDATE jobs SET offer_expires = 1 WHERE id = ?", (job,))
            assert (await one(transport)).ref == job
        return await real(kind, method, path, **request)

    monkeypatch.setattr(transport._http, "call", lapsed)
    assert await transport.begin(job)
    assert (agent.router.state(job), agent.router.job(job).attempt, next(asked)) == ("running", 1, 2)
    await transport.aclose()


async def test_a_copy_of_the_identity_is_kept_out_and_told_who_holds_it(agent: Agent, tmp_path: Path) -> None:
    real = agent.opened()
    await real.offers({"sql": 1, "python": 0})
    (tmp_path / "copy").mkdir()
    copy = replace(agent, folder=tmp_path / "copy").opened()  # the same certificate, without the memory of a session
    with pytest.raises(RouterRefusalError, match="Another instance of this agent") as caught:
        await copy.offers({"sql": 1, "python": 0})
    assert caught.value.code == "session.held"
    assert caught.value.retry_after
    await real.offers({"sql": 1, "python": 0})
    await real.aclose()
    await copy.aclose()


async def test_a_cancelled_job_is_told_once_by_the_poll_and_again_by_the_heartbeat(agent: Agent) -> None:
    transport, told = agent.opened(), Told()
    job = agent.job()
    await one(transport)
    assert await transport.begin(job)
    agent.router.cancel(job)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(transport.run, told, lambda _: True)
            await until(lambda: job in told.cancelled)
            tasks.cancel_scope.cancel()
    begun = anyio.current_time()
    assert await transport.offers({"sql": 1, "python": 0}) == []
    assert anyio.current_time() - begun > 0.5, "a poll waits although the job has not ended yet"
    opened = await transport._session._opened()
    again = Told()
    held = transport._leases.of(job)
    assert held is not None
    await transport._session._beat_once([held], again)
    assert again.cancelled == [job]
    assert opened.session == transport.view().session
    await transport.aclose()


async def test_orders_are_heard_where_a_session_began_without_a_poll(agent: Agent) -> None:
    before, told = agent.opened(), Told()
    job = agent.job()
    await one(before)
    assert await before.begin(job)
    after = agent.opened()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(after.run, told, lambda _: False)  # no heartbeat tells of it
            await anyio.sleep(0.1)
            assert await after.begin(job)
            agent.router.cancel(job)
            await until(lambda: job in told.cancelled)
            tasks.cancel_scope.cancel()
    await before._http.aclose()
    await after.aclose()


async def test_a_job_that_is_to_be_cancelled_still_begins_after_a_restart_so_that_it_ends_with_a_result(
    agent: Agent,
) -> None:
    before = agent.opened()
    job = agent.job()
    await one(before)
    assert await before.begin(job)
    agent.router.cancel(job)
    after = agent.opened()
    assert [offer.ref for offer in await after.recovered()] == [job]
    assert await after.begin(job)
    await before._http.aclose()
    await after.aclose()


async def test_a_lease_that_nobody_renewed_ends_here_after_its_time_and_a_renewed_one_does_not(agent: Agent) -> None:
    transport, told = agent.opened(), Told()
    job = agent.job()
    await one(transport)
    assert await transport.begin(job)
    held = transport._leases.of(job)
    assert held is not None
    agent.clock.ahead += 64
    transport._session._give_up([held], told)
    assert told.gone == []
    agent.clock.ahead += 2
    transport._session._give_up([held], told)
    assert told.gone == [job]
    assert await transport.begin(job), "the Router had not noticed: it is still this agent's"
    transport._session._give_up([held], told)
    assert told.gone == [job]
    await transport.aclose()


async def test_a_lease_that_went_to_somebody_else_is_told_as_lost_and_not_begun_again(agent: Agent) -> None:
    transport, told = agent.opened(), Told()
    job = agent.job(idempotent=True, max_attempts=3)
    offer = await one(transport)
    assert await transport.begin(job)
    held = transport._leases.of(job)
    assert held is not None
    with agent.router.database() as store:
        store.execute("UPDATE jobs SET state = 'queued', session = NULL WHERE id = ?", (job,))
    await transport._session._beat_once([held], told)
    assert told.gone == [job]
    assert not await transport.begin(job)
    assert list(await agent.opened().recovered()) == []
    assert offer.ref == job
    await transport.aclose()


async def test_a_late_result_counts_as_handed_over_and_is_kept_aside(agent: Agent) -> None:
    transport = agent.opened()
    job = agent.job(idempotent=True, max_attempts=3)
    offer = await one(transport)
    assert await transport.begin(job)
    with agent.router.database() as store:
        store.execute("UPDATE jobs SET fence = fence + 1, lease_id = NULL, state = 'queued' WHERE id = ?", (job,))
    sealed = agent.sealed(offer)
    await transport.deliver(sealed)
    assert agent.router.results(job) == [(sealed.result_id, "late")]
    assert agent.router.state(job) == "queued"
    await transport.aclose()


async def test_a_result_without_its_lease_says_what_is_wrong(agent: Agent) -> None:
    transport = agent.opened()
    agent.job()
    offer = await one(transport)
    await transport.settle(offer.ref)
    with pytest.raises(TransportError, match=r"lease of job .* is not known here"):
        await transport.deliver(agent.sealed(offer))
    await transport.aclose()


async def test_an_envelope_that_is_not_trusted_is_refused_with_a_bare_code(agent: Agent) -> None:
    transport = agent.opened()
    job = agent.job()
    offer = await one(transport)
    for _ in range(2):
        await transport.reject(offer.ref, Rejection("envelope.signature", "secret words", "hint"))
    assert (agent.router.state(job), agent.router.job(job).code) == ("refused", "envelope.signature")
    assert list(await agent.opened().recovered()) == []
    await transport.aclose()


async def test_parts_are_sent_once_and_an_upload_that_was_cut_goes_on(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_https, "INLINE_BYTES", 0)
    transport = agent.opened()
    job = agent.job()
    offer = await one(transport)
    assert await transport.begin(job)
    sealed, sent = agent.sealed(offer), []
    tell = transport._http.tell

    async def noted(method: str, path: str, **request: object) -> None:
        sent.append((method, path.partition("?")[0].rpartition("/")[2]))
        await tell(method, path, **request)

    async def cut(*_: object, **__: object) -> None:
        raise TransportError("cut")

    monkeypatch.setattr(transport._http, "tell", noted)
    monkeypatch.setattr(transport, "_complete", cut)
    with pytest.raises(TransportError, match="cut"):
        await transport.deliver(sealed)
    assert sent == [("PUT", "0")]
    assert agent.router.state(job) == "uploading"
    monkeypatch.undo()
    monkeypatch.setattr(_https, "INLINE_BYTES", 0)
    after = agent.opened()
    monkeypatch.setattr(after._http, "tell", noted)
    await after.offers({"sql": 1, "python": 0})
    await after.deliver(sealed)
    assert sent == [("PUT", "0")], "the part that was there was not sent again"
    assert agent.router.results(job) == [(sealed.result_id, "held")]
    await transport._http.aclose()
    await after.aclose()


async def test_progress_is_a_phase_and_a_decade_and_nothing_else(agent: Agent) -> None:
    transport = agent.opened()
    job = agent.job()
    await one(transport)
    await transport.report(job, "running")
    assert agent.router.job(job).phase is None, "nothing is told of a job that was not begun"
    assert await transport.begin(job)
    await transport.report(job, "sealing", "1000")
    assert (agent.router.job(job).phase, agent.router.job(job).rows) == ("sealing", "1000")
    with pytest.raises(RouterRefusalError):
        await transport.report(job, "sealing", "1234")
    await transport.aclose()


async def test_a_drain_hands_back_and_takes_nothing_more(agent: Agent) -> None:
    transport = agent.opened(wait_seconds=0.1)
    await transport.offers({"sql": 1, "python": 0})
    await transport.announce_drain()
    job = agent.job()
    assert await transport.offers({"sql": 1, "python": 0}) == []
    assert agent.router.state(job) == "queued"
    await transport.aclose()


async def test_a_closed_session_gives_back_what_was_offered(agent: Agent) -> None:
    transport = agent.opened()
    job = agent.job()
    await one(transport)
    assert agent.router.state(job) == "offered"
    await transport.aclose()
    await until(lambda: agent.router.state(job) == "queued")


async def test_a_poll_that_is_given_up_keeps_what_it_was_given_or_leaves_it(agent: Agent) -> None:
    transport = agent.opened()
    await transport.offers({"sql": 1, "python": 0})
    job = agent.job()
    found = []
    for wait in (0.0, 0.001, 0.004, 0.01, 0.02, 0.04):
        with anyio.move_on_after(wait):
            found += await transport.offers({"sql": 1, "python": 0})
    if not found:
        found = [await one(transport)]
    assert [offer.ref for offer in found] == [job]
    assert await transport.begin(job)
    await transport.aclose()


async def test_a_router_that_forgot_the_session_gets_a_new_one(agent: Agent) -> None:
    transport = agent.opened()
    await transport.offers({"sql": 1, "python": 0})
    before = transport.view().session
    with agent.router.database() as store:
        store.execute("DELETE FROM sessions WHERE id = ?", (before,))
    agent.router.hub.sessions.clear()
    with pytest.raises(RouterRefusalError, match="session"):
        await transport.offers({"sql": 1, "python": 0})
    assert await transport.offers({"sql": 1, "python": 0}) == []
    assert transport.view().session not in {before, None}
    await transport.aclose()


async def test_a_revoked_agent_is_told_and_its_job_goes_to_another(agent: Agent, tmp_path: Path) -> None:
    from router.core import ops

    transport = agent.opened()
    job = agent.job(idempotent=True, max_attempts=2)
    offer = await one(transport)
    assert await transport.begin(job)
    agent.router.do(ops.RevokeAgent("acme", agent.name))
    await until(lambda: agent.name in {one.name for one in agent.router.hub.revoked})
    for call in (transport.offers({"sql": 1, "python": 0}), transport.deliver(agent.sealed(offer))):
        with pytest.raises(RouterRefusalError, match="revoked") as caught:
            await call
        assert caught.value.status == 401
    assert agent.router.state(job) == "queued"
    assert agent.router.results(job) == []
    shutil.rmtree(tmp_path / "tls")
    await transport.aclose()
