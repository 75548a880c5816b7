import os
import socket
from collections.abc import Iterator

import pytest

from agent.sandbox import channel

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    mine, its = channel.pair()
    with mine, its:
        yield mine, its


def test_a_message_arrives_whole_with_its_descriptors(ends: Ends) -> None:
    mine, its = ends
    reading, writing = os.pipe()
    channel.send(mine, {"a": 1}, (writing,))
    os.close(writing)
    message, (received,) = channel.receive(its, 1)
    os.write(received, b"x")
    assert (message, os.read(reading, 1), os.get_inheritable(received)) == ({"a": 1}, b"x", False)
    os.close(received)
    os.close(reading)


def test_messages_keep_their_borders(ends: Ends) -> None:
    mine, its = ends
    for number in range(3):
        channel.send(mine, {"n": number})
    assert [channel.receive(its)[0]["n"] for _ in range(3)] == [0, 1, 2]


def test_a_closed_side_is_none(ends: Ends) -> None:
    mine, its = ends
    mine.close()
    assert channel.receive(its) is None


@pytest.mark.parametrize("data", [b"[1]", b"{", b"\xff", b'{"a":"' + b"x" * 70_000 + b'"}'])
def test_what_is_no_message_is_refused(ends: Ends, data: bytes) -> None:
    mine, its = ends
    mine.send(data)
    with pytest.raises(channel.ChannelError):
        channel.receive(its)


@pytest.mark.parametrize("count", [0, 2, 20])
def test_the_wrong_number_of_descriptors_is_refused_and_none_is_kept(ends: Ends, count: int) -> None:
    mine, its = ends
    reading, writing = os.pipe()
    socket.send_fds(mine, [b"{}"], [writing] * count)
    os.close(writing)
    with pytest.raises(channel.ChannelError):
        channel.receive(its, 1)
    os.set_blocking(reading, False)
    assert os.read(reading, 1) == b"", "a received descriptor is still open"  # else it would block
    os.close(reading)
