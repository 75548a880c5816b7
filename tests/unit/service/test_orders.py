"""Orders over the status socket: what they do, who may give them, and that each is on record."""

import json
import os
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from agent.core.errors import AuditError
from agent.service import statusclient, statussocket
from agent.service.board import Board, State
from agent.service.orders import CANCEL, DRAIN, RESUME, Orders
from agent.service.running import Running
from agent.service.statusclient import NotAllowedError
from agent.service.statussocket import Caller, may_order
from agent.wire.ids import new_ulid

pytestmark = pytest.mark.anyio
JOB = new_ulid(1_700_000_000)


class Desk:
    """Orders over a board, with what they record."""

    def __init__(self) -> None:
        self.board, self.running = Board(state=State.ONLINE), Running({"sql": 2, "python": 1})
        self.records: list[dict[str, object]] = []
        self.broken = False

    async def record(self, event: str, **fields: object) -> None:
        if self.broken:
            raise AuditError("the disk is full")
        self.records.append({"event": event, **fields})

    async def give(self, *requests: bytes, uid: int = 7) -> list[object]:
        async with anyio.create_task_group() as tasks:
            orders = Orders(self.board, self.running, record=self.record, tasks=tasks)
            return [None if (said := orders(request, uid)) is None else json.loads(said) for request in requests]


async def test_a_drain_blocks_new_jobs_until_it_is_taken_back() -> None:
    desk = Desk()
    assert await desk.give(DRAIN) == [{"done": True}]
    assert desk.board.blocked() is not None
    assert desk.board.word() is State.DRAINING
    assert await desk.give(RESUME) == [{"done": True}]
    assert desk.board.blocked() is None
    assert desk.board.word() is State.ONLINE
    assert desk.records == [{"event": "operator.order", "order": order, "uid": 7} for order in ("drain", "resume")]


async def test_a_drain_ends_the_wait_for_new_jobs() -> None:
    desk = Desk()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(desk.running.asked)
            await anyio.wait_all_tasks_blocked()
            await desk.give(DRAIN)


async def test_a_job_that_runs_is_ended_and_no_other() -> None:
    desk = Desk()
    with desk.running.only(JOB), desk.running.killable(JOB) as scope:
        assert await desk.give(CANCEL + JOB.encode()) == [{"done": True}]
        assert scope.cancel_called
        assert desk.running.why(JOB) == "job.cancelled"
        await desk.give(CANCEL + new_ulid(1).encode())
    assert desk.records == [{"event": "operator.order", "order": "cancel", "uid": 7, "job": JOB}]
    assert await desk.give(CANCEL + JOB.encode()) == [{"done": False}]


@pytest.mark.parametrize(
    "request_", [b"", b"drain", b"drain 2", b"cancel 1 ", b"cancel 1 ../x", b"stop 1", b"\xff" * 40]
)
async def test_what_is_no_order_does_nothing(request_: bytes) -> None:
    desk = Desk()
    assert await desk.give(request_) == [None]
    assert desk.board.findings == {}
    assert desk.records == []


async def test_an_order_is_obeyed_also_while_the_log_cannot_be_written() -> None:
    desk = Desk()
    desk.broken = True
    assert await desk.give(DRAIN) == [{"done": True}]
    assert desk.board.blocked() is not None


def test_the_group_may_look_and_not_order() -> None:
    assert may_order(Caller(1, 0, 0), owner=10001)
    assert may_order(Caller(1, 10001, 5), owner=10001)
    assert not may_order(Caller(1, 777, 10001), owner=10001)


async def test_who_may_only_look_is_refused_by_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statussocket, "may_order", lambda caller, *, owner: False)
    given: list[bytes] = []

    def obey(request: bytes, _: int) -> bytes:
        given.append(request)
        return b"{}"

    serve = statussocket.serve
    async with anyio.create_task_group() as tasks:
        await tasks.start(lambda **more: serve(tmp_path, lambda: b'{"state": "online"}', Board(), obey=obey, **more))
        assert (await to_thread.run_sync(statusclient.ask, tmp_path))["state"] == "online"
        with pytest.raises(NotAllowedError, match="may look at the agent, not give it orders"):
            await to_thread.run_sync(lambda: statusclient.ask(tmp_path, request=DRAIN))
        tasks.cancel_scope.cancel()
    assert given == []


async def test_the_kernel_says_who_orders(tmp_path: Path) -> None:
    seen: list[int] = []

    def obey(_: bytes, uid: int) -> bytes:
        seen.append(uid)
        return b'{"done": true}'

    serve = statussocket.serve
    async with anyio.create_task_group() as tasks:
        await tasks.start(lambda **more: serve(tmp_path, lambda: b"{}", Board(), obey=obey, **more))
        assert (await to_thread.run_sync(lambda: statusclient.ask(tmp_path, request=DRAIN)))["done"] is True
        tasks.cancel_scope.cancel()
    assert seen == [os.getuid()]
