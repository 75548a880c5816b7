import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire.streams import read_upto, write_all


class Slow(io.RawIOBase):
    """Gives and takes at most `step` bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self.inner = io.BytesIO(data)
        self.step = step

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self.inner.read(min(len(buffer), self.step))
        buffer[: len(piece)] = piece
        return len(piece)

    def write(self, data: Any) -> int:
        return self.inner.write(bytes(data)[: self.step])


@given(st.binary(max_size=200), st.integers(1, 50), st.integers(0, 250))
def test_reads_are_whole(data: bytes, step: int, length: int) -> None:
    stream: Any = Slow(data, step)
    assert read_upto(stream, length) == data[:length]
    assert stream.inner.tell() == min(length, len(data))


@given(st.binary(max_size=200), st.integers(1, 50))
def test_writes_are_whole(data: bytes, step: int) -> None:
    stream: Any = Slow(b"", step)
    write_all(stream, data)
    assert stream.inner.getvalue() == data


@pytest.mark.parametrize("answer", [0, None])
def test_a_sink_that_takes_nothing_is_an_error_and_not_a_loop(answer: int | None) -> None:
    class Stuck(io.RawIOBase):
        def write(self, _: Any) -> int | None:  # type: ignore[override]
            return answer

    sink: Any = Stuck()
    with pytest.raises(OSError, match="no more"):
        write_all(sink, b"x")
