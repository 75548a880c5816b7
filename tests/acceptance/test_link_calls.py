"""Calls of the outbound link that are answered into the void, arrive twice, late, or in another order.

Somebody stands between a real agent and a real Router who holds the keys of both, and meddles with every call.
In every case: no result is lost, none counts twice, no job that may not run twice did.
"""

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.links import HUNG, WIDE, LinkSite
from tests.support.relays import Answer, Call, Meddler, Send, meddler

pytestmark = [pytest.mark.timeout(600), pytest.mark.full]  # a busy machine: nothing here measures time


@pytest.fixture
def between(link: LinkSite) -> Iterator[Meddler]:
    with meddler(link.files, link.port, link.tls.pair) as made:
        link.aim(made.port)
        yield made


def test_answers_that_are_lost_are_asked_for_again_and_change_nothing(link: LinkSite, between: Meddler) -> None:
    """The first answer to every kind of call is lost after the Router did what it was asked."""
    lost: list[str] = []

    def losing(call: Call, send: Send) -> Answer | None:
        first = call.kind not in lost
        lost.extend([call.kind] * first)
        answer = send(call)
        return None if first else answer

    between.meddling = losing
    link.widen()
    with link.service() as process:
        small, large, hung = link.submit(), link.submit(WIDE), link.submit(HUNG)
        link.wait(lambda: "heartbeat" in lost, process)
        link.call("POST", f"/jobs/{hung}/cancel")
        link.wait(link.settled, process)
        link.end(process)
    assert {"sessions", "lease", "accept", "heartbeat", "result", "parts", "part", "manifest", "events"} <= set(lost)
    assert link.check() == {small: "ok", large: "ok", hung: "job.cancelled"}
    once_each(link)


@pytest.mark.parametrize("forwarded", [True, False])
def test_what_somebody_else_answers_in_the_routers_place_counts_for_nothing(
    link: LinkSite, between: Meddler, forwarded: bool
) -> None:
    """A portal's page and a gateway's own error, after the Router did what it was asked; an empty yes without asking it."""
    page = Answer(200, {"content-type": "text/html"}, b"<html>Log in</html>")
    failure, empty = Answer(502, {"content-type": "text/html"}, b"Bad gateway"), Answer(204, {}, b"")
    said: list[str] = []

    def pretending(call: Call, send: Send) -> Answer | None:
        if call.kind in said:
            return send(call)
        said.append(call.kind)
        if not forwarded:
            return empty
        send(call)
        return page if len(said) % 2 else failure

    between.meddling = pretending
    link.widen()
    with link.service() as process:
        jobs = [link.submit(), link.submit(WIDE)]
        link.wait(link.settled, process)
        link.end(process)
    assert {"sessions", "lease", "accept", "result", "part", "manifest"} <= set(said)
    assert link.check() == dict.fromkeys(jobs, "ok")
    once_each(link)


@pytest.mark.parametrize("heard", ["first", "second"])
def test_calls_that_arrive_twice_are_done_once(link: LinkSite, between: Meddler, heard: str) -> None:
    def doubling(call: Call, send: Send) -> Answer | None:
        first, second = send(call), send(call)
        return first if heard == "first" else second

    between.meddling = doubling
    link.widen()
    with link.service() as process:
        jobs = [link.submit() for _ in range(5)] + [link.submit(WIDE)]
        link.wait(link.settled, process)
        link.end(process)
    assert link.check() == dict.fromkeys(jobs, "ok")
    assert Counter(between.kinds())["result"] >= 2 * 5
    once_each(link)


def test_calls_that_come_again_later_and_in_any_order_change_nothing(link: LinkSite, between: Meddler) -> None:
    """After each call two earlier ones come again, and at the end all of them, backwards."""
    chance, past = random.Random(5), list[Call]()

    def replaying(call: Call, send: Send) -> Answer | None:
        answer = send(call)
        for old in chance.sample(past, min(2, len(past))):
            send(old)
        if call.kind not in {"lease", "orders"}:  # they take jobs, and wait
            past.append(call)
        return answer

    between.meddling = replaying
    link.widen()
    with link.service() as process:
        jobs = [link.submit(), link.submit(idempotent=True, attempts=3), link.submit(WIDE)]
        jobs += [link.submit(idempotent=True, attempts=3) for _ in range(3)]
        link.wait(link.settled, process)
        link.end(process)
    assert link.check() == dict.fromkeys(jobs, "ok")
    once_each(link)
    before = record(link)
    for call in reversed([call for call, _ in between.calls]):
        answer = between.send(call)
        assert answer.status < 500, call
    assert record(link) == before
    assert link.check() == dict.fromkeys(jobs, "ok")


def once_each(link: LinkSite) -> None:
    """Every job was accepted once, and has one result; nothing came late."""
    assert set(link.rows("SELECT attempt FROM jobs")) == {(1,)}
    assert link.rows("SELECT state, count(*) FROM results GROUP BY state") == [("held", len(link.jobs))]


def record(link: LinkSite) -> list[tuple[object, ...]]:
    """What the Router knows of jobs and results."""
    return [
        *link.rows("SELECT id, state, code, attempt, fence, result_id, changed FROM jobs ORDER BY id"),
        *link.rows("SELECT result_id, job_id, state, digest, size FROM results ORDER BY result_id"),
        *link.rows("SELECT * FROM usage"),
    ]
