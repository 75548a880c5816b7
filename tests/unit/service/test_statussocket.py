"""The status socket: a caller with a pipe gets an answer, a stranger gets none, a hostile one cannot hold the agent up."""

import array
import grp
import json
import os
import pwd
import select
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from agent.core.errors import AgentError
from agent.service import statusclient, statussocket
from agent.service.board import Board
from agent.service.statusclient import NotAllowedError, NotRunningError
from agent.service.statussocket import Caller, may_ask

pytestmark = pytest.mark.anyio

ANSWER = {"state": "online", "health": []}


def answer() -> bytes:
    return json.dumps(ANSWER).encode()


async def asked(folder: Path, ask: Callable[[], object], reply: Callable[[], bytes] = answer) -> object:
    """Serve on `folder` while `ask` runs in a thread; its value, or the error it raised."""
    outcome: object = None
    async with anyio.create_task_group() as tasks:
        await tasks.start(statussocket.serve, folder, reply, Board())
        try:
            outcome = await to_thread.run_sync(ask)
        except AgentError as error:
            outcome = error
        tasks.cancel_scope.cancel()
    return outcome


def send(folder: Path, data: bytes, passed: list[int]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller, statusclient.address(folder) as path:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", passed))] if passed else []
        caller.sendmsg([data], rights, 0, path)


async def test_the_answer_goes_down_the_pipe(tmp_path: Path) -> None:
    assert await asked(tmp_path, lambda: statusclient.ask(tmp_path)) == ANSWER


async def test_a_state_folder_with_a_very_long_path(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["a" * 60] * 4)
    folder.mkdir(parents=True)
    assert await asked(folder, lambda: statusclient.ask(folder)) == ANSWER


async def test_a_status_larger_than_a_pipe_arrives_whole(tmp_path: Path) -> None:
    large = {"loops": "x" * 500_000}
    assert await asked(tmp_path, lambda: statusclient.ask(tmp_path), lambda: json.dumps(large).encode()) == large


async def test_the_socket_is_for_owner_and_group_and_does_not_listen(tmp_path: Path) -> None:
    def look() -> str:
        seen.append((tmp_path / statusclient.SOCKET_FILE).lstat().st_mode)
        (line,) = [line for line in Path("/proc/net/unix").read_text().splitlines() if str(tmp_path) in line]
        return line

    seen: list[int] = []

    previous = os.umask(0o077)
    try:
        line = str(await asked(tmp_path, look))
    finally:
        os.umask(previous)
    assert stat.S_ISSOCK(seen[0])
    assert stat.S_IMODE(seen[0]) == 0o660
    _, _, _, flags, kind, *_ = line.split()
    assert int(kind, 16) == socket.SOCK_DGRAM
    assert int(flags, 16) & 0x10000 == 0, "the socket accepts connections"


async def test_the_socket_goes_with_the_agent_and_a_stale_one_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(tmp_path / statusclient.SOCKET_FILE))
    with pytest.raises(NotRunningError):
        statusclient.ask(tmp_path)
    assert await asked(tmp_path, lambda: statusclient.ask(tmp_path)) == ANSWER
    assert not (tmp_path / statusclient.SOCKET_FILE).exists()


async def test_a_file_in_the_socket_s_place_is_kept_and_reported(tmp_path: Path) -> None:
    (tmp_path / statusclient.SOCKET_FILE).write_text("somebody's")
    board = Board()
    async with anyio.create_task_group() as tasks:
        await tasks.start(statussocket.serve, tmp_path, answer, board)
        tasks.cancel_scope.cancel()
    assert "is not a socket" in board.findings["socket"].sentence
    assert (tmp_path / statusclient.SOCKET_FILE).read_text() == "somebody's"


async def test_an_unknown_request_gets_no_status(tmp_path: Path) -> None:
    def ask() -> bytes:
        reading, writing = os.pipe()
        send(tmp_path, b"shutdown", [writing])
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            return pipe.read()

    assert await asked(tmp_path, ask) == b'{"error": "unknown_request"}'


async def test_bad_calls_hold_nobody_up_and_leave_no_descriptor(tmp_path: Path) -> None:
    def pester() -> object:
        before = len(list(Path("/proc/self/fd").iterdir()))
        victim = tmp_path / "victim"
        victim.write_text("precious")
        full_reading, filling = os.pipe()
        # A second opening, so that the passed one stays blocking.
        full_writing = os.open(f"/proc/self/fd/{filling}", os.O_WRONLY)
        os.set_blocking(filling, False)
        while select.select([], [filling], [], 0)[1]:
            os.write(filling, bytes(65_536))
        os.close(filling)
        with victim.open("r+b") as file:
            send(tmp_path, statusclient.REQUEST, [file.fileno()])
        send(tmp_path, statusclient.REQUEST, [])
        send(tmp_path, statusclient.REQUEST, [full_writing] * 2)
        send(tmp_path, statusclient.REQUEST, [full_writing] * 20)
        send(tmp_path, statusclient.REQUEST, [full_reading])
        send(tmp_path, statusclient.REQUEST, [full_writing])
        send(tmp_path, b"x" * 10_000, [full_writing])
        good = statusclient.ask(tmp_path)
        os.close(full_reading)
        os.close(full_writing)
        assert victim.read_text() == "precious"
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        return good

    assert await asked(tmp_path, pester) == ANSWER


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="agent run"):
        statusclient.ask(tmp_path)
    with pytest.raises(NotRunningError, match="agent run"):
        statusclient.read(tmp_path, now=0)


def test_an_agent_that_does_not_answer(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / statusclient.SOCKET_FILE))
        with pytest.raises(NotRunningError, match="did not answer in time"):
            statusclient.ask(tmp_path, timeout_seconds=0.05)


def test_status_json_is_the_second_choice_and_has_an_age(tmp_path: Path) -> None:
    file = tmp_path / statusclient.STATUS_FILE
    file.write_text(json.dumps(ANSWER))
    os.utime(file, (1000, 1000))
    reading = statusclient.read(tmp_path, now=1042)
    assert (reading.status, reading.live, reading.age_seconds) == (ANSWER, False, 42)
    file.write_text("[1")
    with pytest.raises(NotRunningError, match="cannot be read"):
        statusclient.read(tmp_path, now=0)


async def test_a_stranger_gets_no_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statussocket, "may_ask", lambda caller, *, owner, group: False)
    refusal = await asked(tmp_path, lambda: statusclient.ask(tmp_path))
    assert isinstance(refusal, NotAllowedError)
    assert "join the group" in str(refusal)


async def test_the_kernel_says_who_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Caller] = []

    def note(caller: Caller, **_: int) -> bool:
        seen.append(caller)
        return True

    monkeypatch.setattr(statussocket, "may_ask", note)
    await asked(tmp_path, lambda: statusclient.ask(tmp_path))
    assert seen == [Caller(os.getpid(), os.getuid(), os.getgid())]


def test_who_may_ask() -> None:
    assert may_ask(Caller(1, 0, 0), owner=10001, group=10001)
    assert may_ask(Caller(1, 10001, 5), owner=10001, group=10001)
    assert may_ask(Caller(1, 777, 10001), owner=10001, group=10001)
    assert not may_ask(Caller(1, 777, 777), owner=10001, group=10001)
    assert not may_ask(Caller(1, 65534, 65534), owner=0, group=0), "root's group is not everybody's"


def test_members_of_the_group_by_name_may_ask() -> None:
    for group in grp.getgrall():
        for name in group.gr_mem:
            try:
                user = pwd.getpwnam(name)
            except KeyError:
                continue
            if user.pw_uid and user.pw_gid != group.gr_gid:
                assert may_ask(Caller(1, user.pw_uid, user.pw_gid), owner=1, group=group.gr_gid)
                return
    pytest.skip("no group with members on this machine")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
async def test_another_account_is_refused_for_real(tmp_path: Path) -> None:
    def ask() -> int:
        child = os.fork()
        if child == 0:
            code = 9
            try:
                os.setgroups([])
                os.setgid(54321)
                os.setuid(54321)
                statusclient.ask(tmp_path)
                code = 1
            except NotAllowedError:
                code = 0
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    async with anyio.create_task_group() as tasks:
        await tasks.start(statussocket.serve, tmp_path, answer, Board())
        path = tmp_path
        while path != Path("/") and path.stat().st_uid == os.getuid() and path != Path("/tmp"):
            path.chmod(0o755)
            path = path.parent
        (tmp_path / statusclient.SOCKET_FILE).chmod(0o666)  # even where the file's mode would let everybody in
        assert await to_thread.run_sync(ask) == 0
        tasks.cancel_scope.cancel()
