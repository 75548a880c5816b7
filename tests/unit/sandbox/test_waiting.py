from agent.sandbox.waiting import Waiting


def queue(at_once: int = 2, budget: float = 100) -> Waiting[float]:
    return Waiting(at_once, budget, lambda cost: cost)


def test_first_come_first_served_up_to_the_places() -> None:
    jobs = queue()
    for cost in (1.0, 2.0, 3.0):
        jobs.add(cost)
    assert [jobs.start(), jobs.start(), jobs.start()] == [1.0, 2.0, None]
    assert (jobs.running, jobs.waiting, jobs.used) == (2, 1, 3.0)
    jobs.end(1.0)
    assert jobs.start() == 3.0


def test_the_budget_holds_and_nobody_overtakes() -> None:
    jobs = queue(at_once=8)
    for cost in (60.0, 50.0, 1.0):
        jobs.add(cost)
    assert [jobs.start(), jobs.start()] == [60.0, None]
    jobs.end(60.0)
    assert [jobs.start(), jobs.start(), jobs.start()] == [50.0, 1.0, None]


def test_what_is_larger_than_all_never_fits() -> None:
    assert not queue().fits(100.5)
    assert queue().fits(100)


def test_who_waits_can_leave_and_who_runs_cannot() -> None:
    jobs = queue(at_once=1)
    jobs.add(1.0)
    jobs.add(2.0)
    assert jobs.start() == 1.0
    assert not jobs.withdraw(1.0)
    assert jobs.withdraw(2.0)
    assert not jobs.withdraw(2.0)
    jobs.end(1.0)
    assert jobs.start() is None


def test_drain_leaves_those_that_run() -> None:
    jobs = queue(at_once=1)
    for cost in (1.0, 2.0, 3.0):
        jobs.add(cost)
    jobs.start()
    assert (jobs.drain(), jobs.waiting, jobs.running) == ([2.0, 3.0], 0, 1)
