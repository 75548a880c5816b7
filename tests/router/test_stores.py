"""What every store promises: the life of a job, fences, turns, quotas, sessions, time."""

from collections.abc import Callable

import pytest

from agent.wire.ids import new_ulid
from router.core import ops
from router.core.jobs import OFFER_SECONDS
from router.core.problem import RouterProblem
from router.store.port import JobFilter, Store
from tests.router.stores import START, World, accept_of, complete_of, lease_of, new_job, submit


def refused(code: str) -> "pytest.RaisesExc[RouterProblem]":
    return pytest.raises(RouterProblem, match=f"^{code}:")


def test_a_job_from_submission_to_its_result(world: World) -> None:
    agent = world.agent()
    session = world.session(agent)
    job = world.job()
    assert world.state(job) == "queued"
    (offered,) = world.lease(session)
    assert (offered.job_id, offered.envelope, offered.attempt) == (job.id, job.envelope, 1)
    assert world.state(job) == "offered"
    assert world.do(accept_of(agent, session, offered)) == 1
    assert world.state(job) == "running"
    done = world.do(complete_of(agent, job, offered))
    assert (done.job.state, done.job.code, done.late) == ("succeeded", "ok", False)
    found = world.store.result("acme", job.id)
    assert found is not None
    assert (found.manifest, found.inline, found.parts) == (b"m" * 900, b"p" * 1044, (("p" * 64, 1040),))


def test_a_result_whose_parts_lie_elsewhere(world: World) -> None:
    agent = world.agent()
    job, offered = world.running(world.session(agent), agent)
    whole = complete_of(agent, job, offered)
    done = world.do(ops.Complete(agent, job.id, offered.lease_id, offered.fence, whole.manifest, None))
    found = world.store.result("acme", job.id)
    assert done.job.state == "succeeded"
    assert found is not None
    assert (found.inline, found.parts) == (None, (("p" * 64, 1040),))


def test_the_same_envelope_again_is_the_same_job(world: World) -> None:
    job = world.job()
    assert world.do(submit(job)).id == job.id
    other = new_job(world.now, id=job.id)
    with refused("job.conflict"):
        world.do(submit(other))
    with refused("job.conflict"):
        world.do(submit(new_job(world.now, id=job.id, digest=job.digest, tenant="other")))


def test_one_poisoned_operation_fails_alone(world: World) -> None:
    good, also = new_job(world.now), new_job(world.now)
    broken = ops.Seen({"x" * 26: "not a number"})  # type: ignore[dict-item]
    poisoned = ops.PutToken(None)  # type: ignore[arg-type]
    answers = world.together(submit(good), poisoned, submit(also), broken)
    assert isinstance(answers[1], RouterProblem)
    assert answers[1].code == "internal"
    assert [world.state(good), world.state(also)] == ["queued", "queued"]


def test_what_was_committed_is_there_for_the_next_one_who_opens_it(open_store: Callable[[], Store]) -> None:
    first = World(open_store())
    job = first.job()
    first.store.close()
    again = World(open_store())
    assert again.state(job) == "queued"
    assert again.store.ready() == {"acme/pool:default"}


@pytest.mark.parametrize("change", ["lease_id", "fence", "agent", "session"])
def test_only_the_offer_s_own_holder_accepts(world: World, change: str) -> None:
    agent, other = world.agent(), world.agent("plant-8")
    session, others = world.session(agent), world.session(other)
    world.job()
    (offered,) = world.lease(session)
    accept = accept_of(agent, session, offered)
    wrong = {
        "lease_id": ops.Accept(agent, offered.job_id, new_ulid(START), offered.fence, session.id),
        "fence": ops.Accept(agent, offered.job_id, offered.lease_id, offered.fence + 1, session.id),
        "agent": ops.Accept(other, offered.job_id, offered.lease_id, offered.fence, session.id),
        "session": ops.Accept(agent, offered.job_id, offered.lease_id, offered.fence, others.id),
    }[change]
    with pytest.raises(RouterProblem):
        world.do(wrong)
    assert world.do(accept) == 1
    assert world.do(accept) == 1, "again under the same lease counts nothing"


def test_an_offer_lapses_without_an_attempt(world: World) -> None:
    agent = world.agent()
    session = world.session(agent)
    job = world.job()
    (offered,) = world.lease(session)
    world.tick(OFFER_SECONDS + 1)
    assert world.state(job) == "queued"
    with refused("offer.lapsed"):
        world.do(accept_of(agent, session, offered))
    (again,) = world.lease(session)
    assert (again.attempt, again.fence) == (1, offered.fence + 1)


def test_offers_are_handed_back_and_taken_by_the_next(world: World) -> None:
    agent, other = world.agent(), world.agent("plant-8")
    job = world.job()
    (offered,) = world.lease(world.session(agent))
    assert world.do(ops.HandBack(other, (offered.lease_id,))) == 0, "not this agent's"
    assert world.do(ops.HandBack(agent, (offered.lease_id,))) == 1
    assert world.do(ops.HandBack(agent, (offered.lease_id,))) == 0
    (again,) = world.lease(world.session(other))
    assert again.job_id == job.id


def test_no_agent_leases_what_is_not_its_own(world: World) -> None:
    mine, stranger = world.agent(), world.agent(tenant="other")
    elsewhere = world.agent("plant-9", pool="night")
    world.job()
    world.job(audience="agent:plant-7")
    assert world.lease(world.session(stranger)) == ()
    assert world.lease(world.session(elsewhere)) == ()
    assert len(world.lease(world.session(mine))) == 2


def test_slots_of_each_kind_are_leased_apart(world: World) -> None:
    session = world.session(world.agent())
    kinds = ["sql", "python", "catalog", "explain", "python"]
    jobs = [world.job(kind=kind) for kind in kinds]
    offered = {one.job_id for one in world.lease(session, sql=2, python=1)}
    assert offered == {jobs[0].id, jobs[2].id, jobs[1].id}


def test_priority_comes_first_then_turns_are_fair(world: World) -> None:
    session = world.session(world.agent())
    flood = [world.job(submitter="greedy") for _ in range(5)]
    late = world.job(submitter="modest")
    urgent = world.job(submitter="greedy", priority=5)
    order = [world.lease(session, sql=1)[0].job_id for _ in range(7)]
    assert order[0] == urgent.id
    assert order.index(late.id) <= 2, "one job of another submitter does not wait for all of the first one's"
    assert [job for job in order if job in {one.id for one in flood}] == [one.id for one in flood]


def test_a_late_result_is_kept_aside_and_changes_nothing(world: World) -> None:
    agent = world.agent()
    instance = new_ulid(START)
    session = world.session(agent, instance)
    job, first = world.running(session, agent, idempotent=True, max_attempts=2)
    world.tick(61)  # the session was silent: the job is queued again
    assert world.state(job) == "queued"
    session = world.session(agent, instance)
    (second,) = world.lease(session)
    assert (second.attempt, second.fence) == (2, first.fence + 1)
    assert world.do(complete_of(agent, job, first, digest="old")).late
    assert world.state(job) == "offered"
    world.do(accept_of(agent, session, second))
    done = world.do(complete_of(agent, job, second, digest="new"))
    assert (done.job.state, done.late) == ("succeeded", False)


def test_a_result_under_the_last_lease_counts_though_the_job_was_given_up(world: World) -> None:
    agent = world.agent()
    job, offered = world.running(world.session(agent), agent)
    world.tick(61)
    assert world.state(job) == "dead"
    done = world.do(complete_of(agent, job, offered))
    assert (done.job.state, done.late) == ("succeeded", False)


def test_the_same_result_twice_is_one_and_another_is_a_conflict(world: World) -> None:
    agent = world.agent()
    job, offered = world.running(world.session(agent), agent)
    result = new_ulid(START)
    first = world.do(complete_of(agent, job, offered, result=result))
    again = world.do(complete_of(agent, job, offered, result=result))
    assert first.job.state == again.job.state == "succeeded"
    with refused("result.conflict"):
        world.do(complete_of(agent, job, offered, result=result, digest="other"))
    with refused("result.conflict"):
        world.do(complete_of(agent, job, offered, result=new_ulid(START)))


def test_a_result_of_another_tenant_s_agent_or_job_is_not_found(world: World) -> None:
    agent, stranger = world.agent(), world.agent(tenant="other")
    job, offered = world.running(world.session(agent), agent)
    with refused("not_found"):
        world.do(complete_of(stranger, job, offered))
    with refused("not_found"):
        world.do(complete_of(agent, new_job(world.now, id=job.id), offered))
    assert world.state(job) == "running"


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("ok", "succeeded"),
        ("sql.parse", "refused"),
        ("source.error", "failed"),
        ("limit.wall", "timed_out"),
        ("job.cancelled", "cancelled"),
        ("job.interrupted", "dead"),
        ("code.from.the.future", "failed"),
    ],
)
def test_each_outcome_has_its_state(world: World, code: str, state: str) -> None:
    agent = world.agent()
    job, offered = world.running(world.session(agent), agent)
    assert world.do(complete_of(agent, job, offered, code=code)).job.state == state


def test_a_queued_job_is_cancelled_at_once_a_running_one_by_its_agent(world: World) -> None:
    agent = world.agent()
    queued = world.job()
    assert world.do(ops.Cancel("acme", (), queued.id)).state == "cancelled"
    session = world.session(agent)
    job, offered = world.running(session, agent)
    asked = world.do(ops.Cancel("acme", (), job.id))
    assert (asked.state, asked.cancelling) == ("running", True)
    assert world.store.cancelling(session.id) == (offered.lease_id,)
    assert world.do(ops.Beat(agent, session.id, (offered.lease_id,))) == {offered.lease_id: "cancel"}
    assert world.do(complete_of(agent, job, offered, code="job.cancelled")).job.state == "cancelled"
    with refused("job.ended"):
        world.do(ops.Cancel("acme", (), job.id))


@pytest.mark.parametrize(("tenant", "pools"), [("other", ()), ("acme", ("night",))])
def test_cancel_is_within_a_token_s_tenant_and_pools(world: World, tenant: str, pools: tuple[str, ...]) -> None:
    job = world.job()
    with refused("not_found"):
        world.do(ops.Cancel(tenant, pools, job.id))


def test_heartbeats_tell_each_lease_its_fate(world: World) -> None:
    agent = world.agent()
    session = world.session(agent)
    _, offered = world.running(session, agent)
    unknown = new_ulid(START)
    assert world.do(ops.Beat(agent, session.id, (offered.lease_id, unknown))) == {
        offered.lease_id: "ok",
        unknown: "lost",
    }
    with refused("session.unknown"):
        world.do(ops.Beat(agent, new_ulid(START), ()))


def test_a_session_that_shows_life_keeps_its_jobs(world: World) -> None:
    agent = world.agent()
    session = world.session(agent)
    job, offered = world.running(session, agent)
    for _ in range(4):
        world.now += 40
        world.do(ops.Beat(agent, session.id, (offered.lease_id,)))
        world.tick()
    assert world.state(job) == "running"
    world.now += 40
    world.do(ops.Seen({session.id: world.now}))
    world.tick(40)
    assert world.state(job) == "running"
    world.tick(61)
    assert world.state(job) == "dead"


def test_the_same_instance_again_has_the_session_that_it_was_told_of_and_all_its_jobs(world: World) -> None:
    agent, instance = world.agent(), new_ulid(START)
    session = world.session(agent, instance)
    job, offered = world.running(session, agent)
    other = world.job()
    (waits,) = world.lease(session)
    assert world.session(agent, instance) == session
    assert world.do(accept_of(agent, session, waits)) == 1
    leases = (offered.lease_id, waits.lease_id)
    assert world.do(ops.Beat(agent, session.id, leases)) == dict.fromkeys(leases, "ok")
    assert {one.id for one in world.store.jobs(JobFilter(tenant=agent.tenant))} == {job.id, other.id}


def test_the_successor_takes_over_at_once_a_stranger_waits(world: World) -> None:
    agent = world.agent()
    first, second = new_ulid(START), new_ulid(START)
    session = world.session(agent, first)
    job, offered = world.running(session, agent)
    with refused("session.held"):
        world.session(agent, second)
    taken = world.session(agent, second, previous=first)
    assert world.do(ops.Beat(agent, taken.id, (offered.lease_id,))) == {offered.lease_id: "ok"}
    assert world.state(job) == "running"
    world.now += 61
    stranger = world.session(agent, new_ulid(START))
    assert world.do(ops.Beat(agent, stranger.id, (offered.lease_id,))) == {offered.lease_id: "lost"}
    assert world.state(job) == "dead"


def test_a_job_waits_for_its_time_and_not_longer(world: World) -> None:
    session = world.session(world.agent())
    early = world.job(not_before=world.now + 30)
    assert (world.state(early), world.lease(session)) == ("waiting", ())
    assert world.tick(31).queued == {"acme/pool:default"}
    assert world.state(early) == "queued"
    world.tick(600)
    assert world.state(early) == "timed_out"
    with refused("job.expired"):
        world.do(submit(new_job(world.now, expires=world.now - 1)))


def test_a_job_without_a_result_in_its_time_is_timed_out(world: World) -> None:
    agent = world.agent()
    session = world.session(agent)
    job, _ = world.running(session, agent, result_until=world.now + 700)
    world.now += 720
    world.do(ops.Seen({session.id: world.now}))
    world.tick()
    assert world.state(job) == "timed_out"


def test_quotas_of_a_tenant(world: World) -> None:
    first = new_job(world.now)
    world.do(submit(first, max_open=1))
    with refused("quota.jobs"):
        world.do(submit(new_job(world.now), max_open=1))
    world.do(submit(new_job(world.now, tenant="other"), max_open=1))
    world.do(ops.Cancel("acme", (), first.id))
    with refused("quota.bytes"):
        world.do(submit(new_job(world.now), max_open=1, max_bytes=1000))
    world.do(submit(new_job(world.now), max_open=1, max_bytes=1400))


def test_results_go_after_they_were_fetched_or_their_time(world: World) -> None:
    agent = world.agent()
    session = world.session(agent)
    job, offered = world.running(session, agent)
    other, others = world.running(session, agent)
    result = new_ulid(START)
    world.do(complete_of(agent, job, offered, result=result))
    world.do(complete_of(agent, other, others))
    with refused("not_found"):
        world.do(ops.Fetched("other", job.id))
    assert world.do(ops.Fetched("acme", job.id)) == result
    assert world.do(ops.Fetched("acme", job.id)) is None
    assert world.store.result("acme", job.id) is None
    assert world.do(complete_of(agent, job, offered, result=result)).job.state == "succeeded", "delivered again"
    world.tick(8 * 86_400)
    assert world.store.result("acme", other.id) is None
    assert world.state(other) == "succeeded"
    world.tick(31 * 86_400)
    assert world.store.job("acme", other.id) is None
    assert world.store.jobs(JobFilter(tenant="acme")) == ()


def test_a_revoked_agent_has_nothing_any_more(world: World) -> None:
    agent = world.agent()
    session = world.session(agent)
    job, offered = world.running(session, agent, idempotent=True, max_attempts=2)
    assert world.do(ops.RevokeAgent("acme", agent.name)).revoked == world.now
    assert world.state(job) == "queued"
    assert world.do(complete_of(agent, job, offered)).late, "its result does not count"
    for op in (lease_of(session, {"sql": 1}), ops.Beat(agent, session.id, ())):
        with refused("session.unknown"):
            world.do(op)
    with refused("auth.invalid"):
        world.session(agent)
    with refused("auth.invalid"):
        world.do(ops.Renewed(agent, "2", world.now + 1))
    assert agent in world.store.revoked(world.now)


def test_an_enrolment_token_is_used_up(world: World) -> None:
    world.agent("plant-7")
    with refused("enroll.token"):
        world.do(ops.Enroll("hash-1-acme-plant-7", "plant-8", {}, "2", world.now + 1))
    with refused("enroll.token"):
        world.do(ops.Enroll("never made", "plant-8", {}, "2", world.now + 1))


def test_a_drained_session_gets_nothing_more_and_closing_gives_back(world: World) -> None:
    agent, other = world.agent(), world.agent("plant-8")
    session = world.session(agent)
    job = world.job()
    world.lease(session)
    world.do(ops.CloseSession(other, session.id))
    assert world.store.session(session.id) is not None, "not this agent's session"
    world.do(ops.CloseSession(agent, session.id))
    world.do(ops.CloseSession(agent, session.id))
    assert world.state(job) == "queued"
    drained = world.session(agent)
    world.do(ops.DrainSession(agent, drained.id))
    assert world.lease(drained) == ()


def test_a_dead_letter_is_tried_again_by_hand(world: World) -> None:
    agent = world.agent()
    instance = new_ulid(START)
    job, _ = world.running(world.session(agent, instance), agent)
    world.tick(61)
    assert world.state(job) == "dead"
    with refused("not_found"):
        world.do(ops.Retry("other", job.id))
    assert world.do(ops.Retry("acme", job.id)).state == "queued"
    (again,) = world.lease(world.session(agent, instance))
    assert again.fence == 2


def test_an_envelope_that_is_not_trusted_ends_the_job(world: World) -> None:
    agent = world.agent()
    job, offered = world.running(world.session(agent), agent)
    said = world.do(ops.Rejected(agent, job.id, offered.lease_id, offered.fence, "envelope.untrusted"))
    assert (said.state, said.code, said.outcome) == ("refused", "envelope.untrusted", "rejected")


def test_lists_are_of_one_tenant(world: World) -> None:
    agent = world.agent()
    world.agent(tenant="other")
    world.session(agent)
    jobs = [world.job() for _ in range(3)]
    world.job(tenant="other")
    listed = world.store.jobs(JobFilter(tenant="acme", limit=2))
    assert [one.id for one in listed] == sorted((one.id for one in jobs), reverse=True)[:2]
    rest = world.store.jobs(JobFilter(tenant="acme", before=listed[-1].id))
    assert len(rest) == 1
    assert world.store.jobs(JobFilter(tenant="acme", pools=("night",))) == ()
    assert [one.name for one in world.store.agents("acme")] == ["plant-7"]
    assert {one.tenant for one in world.store.agents(None)} == {"acme", "other"}
    (pool,) = world.store.pools("acme")
    assert (pool.audience, pool.queued, pool.agents) == ("pool:default", 3, 1)
