import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire.container import MAGIC, read_mres, write_mres
from agent.wire.errors import ContainerError
from agent.wire.signing import MAX_MANIFEST_BYTES


def packed(manifest: bytes, parts: bytes) -> bytes:
    sink = io.BytesIO()
    write_mres(sink, manifest, io.BytesIO(parts))
    return sink.getvalue()


@given(st.binary(min_size=1, max_size=500), st.binary(max_size=500))
def test_a_file_survives(manifest: bytes, parts: bytes) -> None:
    found, rest = read_mres(io.BytesIO(packed(manifest, parts)))
    assert (found, rest.read()) == (manifest, parts)


def test_the_layout_is_the_published_one() -> None:
    assert packed(b"jws", b"parts") == b"MERIDYN1" + b"\x00\x00\x00\x03" + b"jws" + b"parts"


def test_parts_are_copied_from_where_they_stand() -> None:
    sink, parts = io.BytesIO(), io.BytesIO(b"before" + bytes(3_000_000))
    parts.seek(6)
    write_mres(sink, b"jws", parts)
    assert len(sink.getvalue()) == 8 + 4 + 3 + 3_000_000


@pytest.mark.parametrize("manifest", [b"", b"x" * (MAX_MANIFEST_BYTES + 1)])
def test_a_manifest_out_of_bounds_is_not_written(manifest: bytes) -> None:
    sink = io.BytesIO()
    with pytest.raises(ContainerError):
        write_mres(sink, manifest, io.BytesIO())
    assert sink.getvalue() == b""


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a Meridyen result"),
        (MAGIC[:-1], "not a Meridyen result"),
        (b"MERIDYN2" + b"\x00\x00\x00\x01x", "not a Meridyen result"),
        (b"meridyn1" + b"\x00\x00\x00\x01x", "not a Meridyen result"),
        (b"PK\x03\x04" + bytes(100), "not a Meridyen result"),
        (MAGIC, "cut short"),
        (MAGIC + b"\x00\x00\x00", "cut short"),
        (MAGIC + b"\x00\x00\x00\x00", "out of bounds"),
        (MAGIC + b"\xff\xff\xff\xff", "out of bounds"),
        (MAGIC + b"\x00\x40\x00\x01", "out of bounds"),
        (MAGIC + b"\x00\x00\x00\x05jws", "cut short"),
    ],
)
def test_other_bytes_are_refused_in_clear_words(data: bytes, says: str) -> None:
    with pytest.raises(ContainerError, match=says):
        read_mres(io.BytesIO(data))


def test_a_length_that_lies_does_not_take_memory() -> None:
    class Counting(io.BytesIO):
        asked = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.asked = max(self.asked, size or 0)
            return super().read(size)

    stream = Counting(MAGIC + b"\x7f\xff\xff\xff")
    with pytest.raises(ContainerError):
        read_mres(stream)
    assert stream.asked <= 8
