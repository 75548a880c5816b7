"""A warm server's process: what waits for one channel never waits for the next owner of its number."""

import sys

import anyio
import pytest

from agent.service.serverprocess import ServerProcess

pytestmark = pytest.mark.anyio

SAYS = "import socket, sys; c = socket.socket(fileno=int(sys.argv[2])); {} c.recv(1)"


def spawned(first: str = "") -> ServerProcess:
    return ServerProcess.spawn((sys.executable, "-I", "-c", SAYS.format(first)), "--control")


async def test_the_channel_of_the_next_server_is_heard_though_it_has_the_number_of_the_last_one() -> None:
    last = spawned()
    number = last.channel.fileno()
    ended = anyio.Event()

    async def wait() -> None:
        await last.readable()
        ended.set()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            last.kill()
            following = spawned("c.send(b'ready');")
            assert following.channel.fileno() == number
            await following.readable()
            assert following.channel.recv(9) == b"ready"
            await ended.wait()
    following.kill()


async def test_who_waits_for_a_channel_that_is_closed_here_is_woken_and_a_closed_one_cannot_be_waited_for() -> None:
    process = spawned()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(process.readable)
        await anyio.wait_all_tasks_blocked()
        await process.aclose()
    assert process.dead()
    with pytest.raises(OSError, match="descriptor"):
        await process.readable()
    with pytest.raises(OSError, match="descriptor"):
        await process.writable()


async def test_a_server_that_has_ended_is_readable() -> None:
    process = spawned("sys.exit();")
    with anyio.fail_after(20):
        await process.readable()
        await process.writable()
    assert process.channel.recv(9) == b""
    process.kill()
