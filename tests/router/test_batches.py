"""Operations in batches give what the same operations give one by one: the same answers, and the same tables."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.wire.ids import new_ulid
from router.core import ops
from router.core.jobs import Offered
from router.core.problem import RouterProblem
from router.store.order import FREQUENT, arranged
from router.store.port import Store
from router.store.reads import Reads
from tests.router import stores
from tests.router.stores import START, World, accept_of, complete_of, lease_of, new_job, submit
from tests.support import postgres as pg

_NUMBERS = count(1)
_AGENTS = (("t", "a"), ("t", "b"), ("u", "c"))
_TABLES = {
    "jobs": "SELECT * FROM jobs WHERE tenant IN (?, ?) ORDER BY id",
    "envelopes": "SELECT e.* FROM envelopes e JOIN jobs j ON j.id = e.job_id WHERE j.tenant IN (?, ?) ORDER BY j.id",
    "results": "SELECT * FROM results WHERE tenant IN (?, ?) ORDER BY result_id",
    "usage": "SELECT * FROM usage WHERE tenant IN (?, ?) ORDER BY tenant",
    "sessions": "SELECT * FROM sessions WHERE tenant IN (?, ?) ORDER BY id",
    "turns": "SELECT * FROM turns WHERE substr(queue, 1, length(?)) IN (?, ?) ORDER BY queue, submitter",
}

Plain = tuple[Any, ...]
"""An operation by name and numbers, before a side makes it with its own leases."""

_job, _agent, _small = st.integers(0, 5), st.integers(0, 2), st.integers(0, 3)
_operation = st.one_of(
    st.tuples(st.just("submit"), _job, st.sampled_from(("same", "other digest")), st.sampled_from((1, 3, 99))),
    st.tuples(st.just("lease"), _agent, _small, st.integers(0, 1)),
    st.tuples(st.just("accept"), _job, st.integers(1, 3), _agent),
    st.tuples(st.just("complete"), _job, st.integers(1, 3), _agent, _small, st.sampled_from(("ok", "source.error"))),
    st.tuples(st.just("beat"), _agent, st.lists(_job, max_size=3)),
    st.tuples(st.just("seen"), st.lists(st.tuples(_agent, st.integers(-5, 5)), max_size=3)),
    st.tuples(st.just("hand back"), _job, st.integers(1, 3)),
    st.tuples(st.just("cancel"), _job),
    st.tuples(st.just("drain"), _agent),
)
_batches = st.lists(
    st.tuples(st.sampled_from((0, 0, 1, 11, 65)), st.lists(_operation, min_size=1, max_size=12)), min_size=1, max_size=8
)


@dataclass
class Case:
    """The names that all sides of one example share."""

    number: int = field(default_factory=lambda: next(_NUMBERS))

    def __post_init__(self) -> None:
        self.tenants = {letter: f"{letter}{self.number:07}" for letter in "tu"}
        kinds = ("sql", "python", "sql", "sql", "python", "sql")
        self.jobs = [
            new_job(
                START,
                tenant=self.tenants["u" if number == 5 else "t"],
                kind=kind,
                audience="agent:a" if number == 3 else "pool:p",
                priority=number % 2,
                submitter=f"s{number % 3}",
                idempotent=number > 1,
                max_attempts=1 + 2 * (number > 1),
                not_before=START + 5 * (number == 4),
                expires=START + 100,
            )
            for number, kind in enumerate(kinds)
        ]
        self.others = [new_job(START, id=job.id, tenant=job.tenant) for job in self.jobs]
        self.sessions = [new_ulid(START) for _ in _AGENTS]
        self.instances = [new_ulid(START) for _ in _AGENTS]
        self.results = [new_ulid(START) for _ in range(4)]


class Side:
    """One store and what its callers know."""

    def __init__(self, store: Store, case: Case) -> None:
        self.world, self.case = World(store), case
        self.agents = [self.world.agent(name, case.tenants[tenant], "p") for tenant, name in _AGENTS]
        for agent, session, instance in zip(self.agents, case.sessions, case.instances, strict=True):
            hello = ops.Hello(agent=agent, instance=instance, previous=None, labels={}, slots={}, version="1")
            self.world.do(ops.OpenSession(hello, session))
        self.sessions = [store.session(session) for session in case.sessions]
        self.leases: dict[tuple[str, int], str] = {}

    def offered(self, job: int, fence: int) -> Offered:
        found = self.case.jobs[job].id
        lease = self.leases.get((found, fence), "0" * 26)
        return Offered(job_id=found, envelope=b"", lease_id=lease, attempt=1, fence=fence, offer_expires=0)

    def made(self, plain: Plain) -> ops.Op:  # noqa: PLR0911 - one for each
        match plain:
            case ("submit", job, which, most):
                return submit((self.case.jobs if which == "same" else self.case.others)[job], max_open=most)
            case ("lease", agent, sql, python):
                session = self.sessions[agent]
                assert session is not None
                return lease_of(session, {"sql": sql, "python": python})
            case ("accept", job, fence, agent):
                session = self.sessions[agent]
                assert session is not None
                return accept_of(self.agents[agent], session, self.offered(job, fence))
            case ("complete", job, fence, agent, result, code):
                given, found = self.offered(job, fence), self.case.jobs[job]
                return complete_of(self.agents[agent], found, given, result=self.case.results[result], code=code)
            case ("beat", agent, jobs):
                leases = tuple(self.offered(job, 1).lease_id for job in jobs)
                return ops.Beat(self.agents[agent], self.case.sessions[agent], leases)
            case ("seen", moments):
                return ops.Seen({self.case.sessions[agent]: self.world.now + more for agent, more in moments})
            case ("hand back", job, fence):
                return ops.HandBack(self.agents[0], (self.offered(job, fence).lease_id,))
            case ("cancel", job):
                return ops.Cancel(self.case.jobs[job].tenant, (), self.case.jobs[job].id)
            case ("drain", agent):
                return ops.DrainSession(self.agents[agent], self.case.sessions[agent])
        raise AssertionError(plain)

    def shown(self, answer: object) -> object:
        """An answer without the names of leases, which are random; they are learnt here."""
        if isinstance(answer, RouterProblem):
            return answer.code, answer.message, answer.retry_after
        if isinstance(answer, tuple):
            for one in answer:
                self.leases[one.job_id, one.fence] = one.lease_id
            return [(one.job_id, one.fence, one.attempt, one.envelope, one.offer_expires) for one in answer]
        if isinstance(answer, dict):
            return sorted(answer.values())
        return answer

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        store, tenants = self.world.store, list(self.case.tenants.values())
        assert isinstance(store, Reads)
        names = {lease: f"{job}#{fence}" for (job, fence), lease in self.leases.items()}
        found = {}
        for table, sql in _TABLES.items():
            rows = store._all(sql, *tenants[: sql.count("?") - 2], *tenants)
            found[table] = [{name: _same(names.get(row[name], row[name])) for name in row.keys()} for row in rows]  # noqa: SIM118
        return found


def _same(cell: Any) -> Any:
    return bytes(cell) if isinstance(cell, (bytes, memoryview)) else cell


def one_by_one(side: Side, batch: Sequence[ops.Op]) -> list[object]:
    return [side.world.together(op)[0] for op in batch]


def in_turns(side: Side, batch: Sequence[ops.Op]) -> list[object]:
    """One by one in the order of a batch's runs; polls that come together take one job each in turn."""
    answers: dict[int, object] = {}
    for run in arranged(batch):
        if isinstance(run[0][1], ops.Lease):
            answers.update(_dealt(side, run))
        else:
            answers.update((place, side.world.together(op)[0]) for place, op in run)
    return [answers[place] for place in range(len(batch))]


def _dealt(side: Side, run: Sequence[tuple[int, ops.Op]]) -> dict[int, object]:
    answers: dict[int, Any] = {}
    taken: dict[tuple[int, str], list[Offered]] = {}
    for turn in range(4):
        for place, op in run:
            assert isinstance(op, ops.Lease)
            for slot, free in op.free.items():
                single = ops.Lease(op.session, op.tenant, op.agent, op.pool, {slot: 1 if free > turn else 0})
                answer: Any = side.world.together(single)[0]
                if isinstance(answer, RouterProblem):
                    answers[place] = answer
                else:
                    taken.setdefault((place, slot), []).extend(answer)
    for place, op in run:
        assert isinstance(op, ops.Lease)
        answers.setdefault(place, tuple(one for slot in op.free for one in taken.get((place, slot), ())))
    return answers


@pytest.fixture(scope="module")
def sides(postgres: pg.Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Store]]:
    names = ("sqlite one by one", "sqlite in batches", "sqlite in turns")
    opened = {name: stores.sqlite(tmp_path_factory.mktemp("batches")) for name in names}
    with stores.postgres(postgres) as make:
        opened["postgresql"] = make()
        yield opened
        for store in opened.values():
            store.close()


def _compare(sides: dict[str, Store], batches: list[tuple[int, list[Plain]]]) -> None:
    case = Case()
    how = {
        "sqlite one by one": one_by_one,
        "sqlite in batches": lambda side, batch: side.world.together(*batch),
        "sqlite in turns": in_turns,
        "postgresql": lambda side, batch: side.world.together(*batch),
    }
    found = {}
    for name, store in sides.items():
        side = Side(store, case)
        said = []
        for seconds, batch in batches:
            side.world.tick(seconds)
            said.append([side.shown(one) for one in how[name](side, [side.made(plain) for plain in batch])])
        found[name] = (said, side.tables())
    assert found["sqlite in batches"] == found["sqlite one by one"]
    assert found["postgresql"] == found["sqlite in turns"]


def _common(runs: int) -> Any:
    return settings(max_examples=runs, deadline=None, suppress_health_check=list(HealthCheck))


@given(batches=_batches)
@_common(40)
def test_batches_are_what_their_operations_are(sides: dict[str, Store], batches: list[tuple[int, list[Plain]]]) -> None:
    _compare(sides, batches)


@pytest.mark.full
@pytest.mark.timeout(900)
@given(batches=_batches)
@_common(int(os.environ.get("ROUTER_RUNS", "400")))
def test_many_batches_are_what_their_operations_are(
    sides: dict[str, Store], batches: list[tuple[int, list[Plain]]]
) -> None:
    _compare(sides, batches)


def test_a_life_of_many_jobs_in_batches(sides: dict[str, Store]) -> None:
    """Every kind of operation, with every job of a batch getting through."""
    every = range(6)
    _compare(
        sides,
        [
            (0, [("submit", job, "same", 99) for job in every]),
            (6, [("lease", 0, 2, 1), ("lease", 1, 2, 1), ("lease", 2, 2, 1)]),
            (0, [("accept", job, 1, agent) for job in every for agent in range(3)]),
            (0, [("beat", 0, [0, 1, 2]), ("complete", 0, 1, 0, 0, "ok"), ("cancel", 2), ("beat", 1, [0, 1, 2])]),
            (1, [("complete", job, 1, agent, agent, "ok") for job in every for agent in range(3)]),
            (65, [("seen", [(0, 1)]), ("lease", 0, 3, 1)]),
            (1, [("complete", job, 2, 0, 3, "source.error") for job in every]),
        ],
    )


@given(batch=st.lists(_operation, max_size=20))
@_common(50)
def test_an_arranged_batch_keeps_what_must_be_kept(batch: list[Plain]) -> None:
    kinds = {"submit": ops.Submit, "lease": ops.Lease, "accept": ops.Accept, "complete": ops.Complete}
    made = [object.__new__(kinds.get(plain[0], ops.Cancel)) for plain in batch]
    runs = arranged(made)
    order = [place for run in runs for place, _ in run]
    assert sorted(order) == list(range(len(batch)))
    for kind in {type(op) for op in made}:
        same = [place for place in order if type(made[place]) is kind]
        assert same == sorted(same), "the order within a kind"
    for place, op in enumerate(made):
        if type(op) not in FREQUENT:
            assert set(order[: order.index(place)]) == set(range(place)), "nothing passes it"


def test_a_poll_sees_the_job_that_was_put_after_it_in_the_same_batch(sides: dict[str, Store]) -> None:
    side = Side(sides["postgresql"], Case())
    poll, job = side.made(("lease", 0, 1, 0)), side.made(("submit", 0, "same", 9))
    (offered,), view = side.world.together(poll, job)
    assert offered.job_id == view.id


def test_polls_in_one_batch_share_what_there_is(sides: dict[str, Store]) -> None:
    side = Side(sides["postgresql"], Case())
    jobs = [new_job(START, tenant=side.case.tenants["t"], audience="pool:p") for _ in range(4)]
    side.world.together(*map(submit, jobs))
    first, second = side.world.together(side.made(("lease", 0, 3, 0)), side.made(("lease", 1, 3, 0)))
    assert [one.job_id for one in first] == [jobs[0].id, jobs[2].id]
    assert [one.job_id for one in second] == [jobs[1].id, jobs[3].id]


@pytest.mark.parametrize("name", ["sqlite in batches", "postgresql"])
def test_poisoned_operations_of_a_frequent_kind_fail_alone(sides: dict[str, Store], name: str) -> None:
    side = Side(sides[name], Case())
    tenant = side.case.tenants["t"]
    good = [submit(new_job(START, tenant=tenant, audience="pool:p")) for _ in range(20)]
    poisoned = [submit(new_job(START, tenant=tenant, envelope=1.5)), ops.Seen({"x": "y"}), ops.Beat(None, "s", ())]  # type: ignore[dict-item, arg-type]
    poll = side.made(("lease", 0, 3, 0))
    answers = side.world.together(*good[:7], poisoned[0], *good[7:15], *poisoned[1:], *good[15:], poll)
    codes = [answer.code if isinstance(answer, RouterProblem) else "ok" for answer in answers]
    assert codes == ["ok"] * 7 + ["internal"] + ["ok"] * 8 + [codes[16], codes[17]] + ["ok"] * 6
    assert "ok" not in codes[16:18] or name.startswith("sqlite"), "SQLite takes any value for a moment"
    assert len(answers[-1]) == 3
