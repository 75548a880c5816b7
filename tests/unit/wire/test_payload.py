import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire import strictjson
from agent.wire.errors import ResultError
from agent.wire.models import PART_BYTES
from agent.wire.payload import MAX_CHUNK_BYTES, MAX_MEMBERS, Member, PayloadWriter, read_payload, size_class

NAMES = st.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,40}\Z")
MEMBERS = st.lists(
    st.tuples(NAMES, st.lists(st.binary(max_size=300), max_size=5)), max_size=4, unique_by=lambda m: m[0]
)


def write(members: list[tuple[str, list[bytes]]]) -> bytearray:
    plain = bytearray()
    writer = PayloadWriter(plain.extend)
    for name, pieces in members:
        with writer.member(name, "text/plain") as take:
            for piece in pieces:
                take(piece)
    writer.finish()
    return plain


def word(number: int) -> bytes:
    return number.to_bytes(4, "big")


def raw(*pieces: bytes) -> bytes:
    """Pieces by hand, padded as they should be."""
    body = b"".join(pieces)
    return body + bytes(size_class(len(body)) - len(body))


HEADER = b'{"name":"a","media_type":"b"}'


@given(MEMBERS)
def test_members_survive(members: list[tuple[str, list[bytes]]]) -> None:
    expected = tuple(Member(name, "text/plain", b"".join(pieces)) for name, pieces in members)
    assert read_payload(write(members)) == expected


@given(st.integers(min_value=1, max_value=40 * 1024 * 1024))
def test_a_size_class_hides_the_size(length: int) -> None:
    padded = size_class(length)
    assert padded >= length
    if length <= PART_BYTES:
        assert padded & (padded - 1) == 0
        assert padded == 1024 or padded < 2 * length
    else:
        assert padded % PART_BYTES == 0
        assert padded - length < PART_BYTES


@pytest.mark.parametrize(
    ("length", "padded"),
    [
        (1, 1024),
        (1023, 1024),
        (1024, 1024),
        (1025, 2048),
        (PART_BYTES, PART_BYTES),
        (PART_BYTES + 1, 2 * PART_BYTES),
        (2 * PART_BYTES, 2 * PART_BYTES),
        (2 * PART_BYTES + 1, 3 * PART_BYTES),
    ],
)
def test_size_classes(length: int, padded: int) -> None:
    assert size_class(length) == padded


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 200_000, 3_000_000])
def test_large_members_survive_in_any_pieces(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    assert read_payload(write([("a", [data])]))[0].data == data
    assert read_payload(write([("a", [data[:1000], data[1000:]])]))[0].data == data


def test_the_writer_does_not_keep_what_it_was_given() -> None:
    seen: list[int] = []
    writer = PayloadWriter(lambda piece: seen.append(len(piece)))
    with writer.member("a", "b") as take:
        for _ in range(64):
            take(bytes(65_536))
            assert sum(seen) >= 65_536 * (len(seen) - 2)
    assert max(seen) < 2 * 65_536


def test_a_member_that_breaks_is_not_ended() -> None:
    plain = bytearray()
    writer = PayloadWriter(plain.extend)
    with pytest.raises(TypeError), writer.member("a", "b") as take:
        [take(piece) for piece in (b"x" * 70_000, None)]  # type: ignore[arg-type]
    with pytest.raises(ResultError):
        read_payload(plain)


@pytest.mark.parametrize("name", ["", "a" * 65, "../a", "/a", ".a", "a/b", "a\\b", "a\n", "A", "é", "a b", "a\x00"])
def test_a_name_that_could_be_a_path_is_neither_written_nor_read(name: str) -> None:
    with pytest.raises(ValueError), PayloadWriter(bytearray().extend).member(name, "b"):
        pass
    header = strictjson.dumps({"name": name, "media_type": "b"})
    with pytest.raises(ResultError):
        read_payload(raw(word(len(header)), header, word(0), word(0)))


def test_a_media_type_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError), PayloadWriter(bytearray().extend).member("a", "b" * 1024):
        pass


@pytest.mark.parametrize(("size", "taken"), [(MAX_CHUNK_BYTES, True), (MAX_CHUNK_BYTES + 1, False)])
def test_a_chunk_ends_at_its_limit(size: int, taken: bool) -> None:
    plain = raw(word(len(HEADER)), HEADER, word(size), bytes(size), word(0), word(0))
    if taken:
        assert len(read_payload(plain)[0].data) == size
        return
    with pytest.raises(ResultError, match="cut short or malformed"):
        read_payload(plain)


def test_a_length_beyond_the_end_is_refused_as_cut_short() -> None:
    plain = word(len(HEADER)) + HEADER + word(988) + bytes(987)
    with pytest.raises(ResultError, match="cut short or malformed"):
        read_payload(plain)


def test_more_members_than_the_format_allows_are_refused() -> None:
    assert len(read_payload(write([(f"m{i}", []) for i in range(MAX_MEMBERS)]))) == MAX_MEMBERS
    with pytest.raises(ResultError):
        read_payload(write([(f"m{i}", []) for i in range(MAX_MEMBERS + 1)]))


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"\x00\x00\x00",
        bytes(1024)[:-1],
        bytes(2048),
        bytes(1025),
        raw(word(len(HEADER)), HEADER, word(0), word(0)) + bytes(1024),
        raw(word(len(HEADER)), HEADER, word(0), word(0))[:-1] + b"\x01",
        raw(word(len(HEADER)), HEADER, word(0), word(0), b"x"),
        raw(word(len(HEADER)), HEADER, word(0), word(0), word(len(HEADER)), HEADER, word(0), word(0)),
        raw(word(len(HEADER)), HEADER, word(0), word(len(HEADER)), HEADER, word(0), word(0)),
        raw(word(len(HEADER)), HEADER, word(2000), b"x"),
        raw(word(len(HEADER)), HEADER, word(2**32 - 1), b"x"),
        (word(len(HEADER)) + HEADER + word(988) + bytes(2000))[:1024],
        (word(len(HEADER)) + HEADER + word(987) + bytes(2000))[:1024],
        raw(word(2**31), HEADER),
        raw(word(2), b"{}", word(0), word(0)),
        raw(word(2), b"[]", word(0), word(0)),
        raw(word(4), b"null", word(0), word(0)),
        raw(word(3), b"\xff{}", word(0), word(0)),
        raw(word(33), b'{"name":"a","media_type":"b","c":1}'[:33], word(0), word(0)),
        raw(word(35), b'{"name":"a","media_type":"b","c":1}', word(0), word(0)),
        raw(word(40), b'{"name":"a","name":"a","media_type":"b"}', word(0), word(0)),
        raw(word(27), b'{"name":1,"media_type":"b"}', word(0), word(0)),
        raw(word(1025), b" " * 996 + HEADER, word(0), word(0)),
    ],
)
def test_malformed_plaintext_is_refused(plain: bytes) -> None:
    good = raw(word(len(HEADER)), HEADER, word(0), word(0))
    assert read_payload(good) == (Member("a", "b", b""),)
    with pytest.raises(ResultError):
        read_payload(plain)


def test_no_member_at_all_is_a_payload() -> None:
    assert read_payload(bytes(1024)) == ()


@given(st.binary(max_size=1500))
def test_any_plaintext_is_read_or_refused(data: bytes) -> None:
    try:
        members = read_payload(data)
    except ResultError:
        return
    assert read_payload(write([(m.name, [m.data]) for m in members])) is not None
