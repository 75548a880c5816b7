from agent.transport._streams import WINDOW, Streams, headers


def test_only_numbers_between_the_first_and_the_last_count() -> None:
    streams = Streams()
    for number in (5, 9, 7):
        streams.saw(("s", number))
    (sentence,) = streams.gaps([])
    assert "2 of the jobs 5 to 9 never came, first 6" in sentence
    assert streams.gaps([("s", 6), ("s", 8), None]) == ()


def test_old_gaps_leave_the_window() -> None:
    streams = Streams()
    streams.saw(("s", 0))
    for number in range(2, WINDOW + 3):
        streams.saw(("s", number))
    assert streams.gaps([]) == ()


def test_what_is_remembered_is_bounded() -> None:
    streams = Streams()
    for number in range(10_000):
        streams.saw((f"s{number}", 1))
    for number in range(5 * WINDOW):
        streams.saw(("s", number))
    streams.saw(("s", 2**53))
    assert len(streams._streams) <= 257
    assert len(streams._streams["s"].seen) <= 2 * WINDOW + 1
    assert len(streams.gaps([])) == 1


def test_headers_of_garbage_are_empty() -> None:
    for data in (b"", b"a.b.c", b"..", b"e30.W10.x", b"\xff.\xff.\xff", b"W10.e30.x"):
        assert headers(data) == {}
