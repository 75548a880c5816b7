"""Jobs of agents that come and go, accept late, deliver twice: what must hold whatever the order of calls."""

import os
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from agent.wire.ids import new_ulid
from router.core import ops
from router.core.agents import AgentId, SessionView
from router.core.jobs import ENDED, NewJob, Offered
from router.core.problem import RouterProblem
from router.store.port import Store
from tests.router import stores
from tests.router.stores import START, World, accept_of, complete_of
from tests.support import postgres as pg

_RUNS = int(os.environ.get("ROUTER_RUNS", "0"))
_TENANTS = count(1)
_AGENTS = ("a", "b")


class Held:
    """A lease as its agent remembers it."""

    def __init__(self, offered: Offered, agent: str) -> None:
        self.offered, self.agent, self.accepted = offered, agent, False
        self.result = new_ulid(START)


class Lives(RuleBasedStateMachine):
    """One tenant of its own in a store that all runs share."""

    store: Store

    @initialize()
    def begin(self) -> None:
        tenant = f"t{next(_TENANTS)}-{os.getpid()}"
        self.world = World(self.store)
        self.agents: dict[str, AgentId] = {name: self.world.agent(name, tenant) for name in _AGENTS}
        self.instances = {name: new_ulid(START) for name in _AGENTS}
        self.sessions: dict[str, SessionView] = {
            name: self.world.session(agent, self.instances[name]) for name, agent in self.agents.items()
        }
        self.tenant = tenant
        self.jobs: dict[str, NewJob] = {}
        self.leases: list[Held] = []
        self.accepts: dict[str, int] = {}
        self.delivered: dict[str, str] = {}
        self.fences: dict[str, int] = {}

    @rule(idempotent=st.booleans(), attempts=st.integers(1, 3), lasts=st.sampled_from((30, 100, 400)))
    def submit(self, idempotent: bool, attempts: int, lasts: int) -> None:
        job = stores.new_job(
            self.world.now,
            tenant=self.tenant,
            idempotent=idempotent,
            max_attempts=attempts if idempotent else 1,
            expires=self.world.now + lasts,
            result_until=self.world.now + 2 * lasts,
        )
        assert self.world.do(stores.submit(job)).state == "queued"
        assert self.world.do(stores.submit(job)).state == "queued"
        self.jobs[job.id] = job

    @rule(agent=st.sampled_from(_AGENTS), free=st.integers(1, 3))
    def lease(self, agent: str, free: int) -> None:
        for offered in self._try(stores.lease_of(self.sessions[agent], {"sql": free})) or ():
            assert offered.fence > self.fences.get(offered.job_id, 0), "a fence that did not grow"
            self.fences[offered.job_id] = offered.fence
            self.leases.append(Held(offered, agent))

    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        held = self._one(data)
        if held is None:
            return
        offered = held.offered
        attempt = self._try(accept_of(self.agents[held.agent], self.sessions[held.agent], offered))
        if attempt is not None:
            assert attempt == offered.attempt
            self.accepts[offered.job_id] = max(self.accepts.get(offered.job_id, 0), attempt)
            held.accepted = True
            assert offered.fence == self.fences[offered.job_id], "an old lease was accepted"

    @rule(data=st.data())
    def hand_back(self, data: st.DataObject) -> None:
        held = self._one(data)
        if held is not None:
            self._try(ops.HandBack(self.agents[held.agent], (held.offered.lease_id,)))

    @rule(agent=st.sampled_from(_AGENTS))
    def beat(self, agent: str) -> None:
        leases = tuple(one.offered.lease_id for one in self.leases if one.agent == agent)
        for lease, fate in (self._try(ops.Beat(self.agents[agent], self.sessions[agent].id, leases)) or {}).items():
            job = next(one.offered.job_id for one in self.leases if one.offered.lease_id == lease)
            if fate != "lost":
                assert self.world.state(self.jobs[job]) in {"offered", "running", "uploading"}

    @rule(data=st.data(), code=st.sampled_from(("ok", "source.error")))
    def deliver(self, data: st.DataObject, code: str) -> None:
        held = self._one(data)
        if held is None or not held.accepted:
            return
        job = self.jobs[held.offered.job_id]
        landed = self._try(complete_of(self.agents[held.agent], job, held.offered, result=held.result, digest=code))
        if landed is not None and not landed.late:
            assert self.delivered.setdefault(job.id, held.result) == held.result, "two results of one job"
            assert held.offered.fence == self.fences[job.id], "a result of an old lease counts"

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.jobs:
            self._try(ops.Cancel(self.tenant, (), data.draw(st.sampled_from(list(self.jobs)))))

    @rule(seconds=st.sampled_from((1, 11, 40, 70)))
    def time_passes(self, seconds: int) -> None:
        self.world.tick(seconds)

    @rule(agent=st.sampled_from(_AGENTS))
    def restart(self, agent: str) -> None:
        fresh = new_ulid(START)
        self.sessions[agent] = self.world.session(self.agents[agent], fresh, previous=self.instances[agent])
        self.instances[agent] = fresh

    @rule(agent=st.sampled_from(_AGENTS))
    def close(self, agent: str) -> None:
        self._try(ops.CloseSession(self.agents[agent], self.sessions[agent].id))

    @invariant()
    def what_must_hold(self) -> None:
        for job in getattr(self, "jobs", {}).values():
            found = self.store.job(self.tenant, job.id)
            assert found is not None, "a job vanished"
            assert found.attempt <= job.max_attempts
            if not job.idempotent:
                assert found.attempt <= 1, "a job that may run once was started twice"
            if job.id in self.delivered:
                assert found.result_id == self.delivered[job.id], "a result was lost"
                assert found.state in ENDED, "a job with a result goes on"

    def teardown(self) -> None:
        """Whatever happened, time brings every job to an end, and the books of open jobs to nothing."""
        if not getattr(self, "jobs", None):
            return
        for _ in range(3):
            self.world.tick(900)
        assert {self.world.state(job) for job in self.jobs.values()} <= ENDED
        more = stores.new_job(self.world.now, tenant=self.tenant)
        assert self.world.do(stores.submit(more, max_open=1)).state == "queued", "open jobs were counted wrong"

    def _one(self, data: st.DataObject) -> Held | None:
        return data.draw(st.sampled_from(self.leases)) if self.leases else None

    def _try(self, op: ops.Op) -> Any:
        """The answer, None for a problem: what is allowed when is the other suite's; here only what follows counts."""
        (answer,) = self.world.together(op)
        if isinstance(answer, RouterProblem):
            assert answer.code != "internal", "a defect"
            return None
        return answer


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    if request.param == "sqlite":
        store = stores.sqlite(tmp_path_factory.mktemp("lives"))
        yield store
        store.close()
        return
    server: pg.Postgres = request.getfixturevalue("postgres")
    with stores.postgres(server) as make:
        store = make()
        yield store
        store.close()


def _live(store: Store, runs: int) -> None:
    machine = type("LivesHere", (Lives,), {"store": store})
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=runs, stateful_step_count=30, deadline=None, suppress_health_check=quiet),
    )


def test_jobs_live_and_end_as_promised(shared: Store) -> None:
    _live(shared, _RUNS or 15)


@pytest.mark.full
@pytest.mark.timeout(600)
def test_jobs_live_and_end_as_promised_500_times(shared: Store) -> None:
    _live(shared, _RUNS or 500)
