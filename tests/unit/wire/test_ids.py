from hypothesis import given
from hypothesis import strategies as st

from agent.wire.ids import ALPHABET, is_ulid, new_ulid


@given(st.floats(min_value=0, max_value=281_474_976_710.0))
def test_a_new_id_is_a_ulid_and_holds_its_time(now: float) -> None:
    made = new_ulid(now)
    milliseconds = 0
    for character in made[:10]:
        milliseconds = milliseconds * 32 + ALPHABET.index(character)
    assert is_ulid(made)
    assert milliseconds == int(now * 1000)


def test_ids_of_one_moment_differ() -> None:
    assert len({new_ulid(1_700_000_000) for _ in range(1000)}) == 1000


def test_ids_sort_by_time() -> None:
    assert new_ulid(1_700_000_000.001) < new_ulid(1_700_000_000.002)


def test_a_time_that_does_not_fit_is_an_error() -> None:
    for now in (-1.0, 2.0**48):
        try:
            new_ulid(now)
        except ValueError:
            continue
        raise AssertionError(now)


@given(st.text() | st.none() | st.integers() | st.binary())
def test_anything_else_is_not_a_ulid(value: object) -> None:
    assert not is_ulid(value) or (isinstance(value, str) and len(value) == 26)


def test_other_spellings_are_not_ulids() -> None:
    good = "01HF7YAT00TESTVECTR0000001"
    assert is_ulid(good)
    wrong = (
        good.lower(),
        good + "\n",
        good[:-1],
        good + "0",
        "8" + good[1:],
        good.replace("1", "I"),
        good.replace("0", "O"),
        good.replace("E", "U"),
        good[:-1] + "١",  # a digit, but not ASCII
        "../" + good[3:],
    )
    assert [text for text in wrong if is_ulid(text)] == []
