import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sandbox.exchange import printed


@pytest.mark.parametrize(
    ("data", "cut", "shown"),
    [
        (b"plain\n\ttext", False, "plain\n\ttext"),
        (b"a\r\nb\rc", False, "a\nb\nc"),
        (b"nul\0 bell\a", False, "nul␀ bell␇"),
        (b"\x1b[31mred\x1b]0;title\x07", False, "␛[31mred␛]0;title␇"),
        ("\u202egnp.exe\u2066".encode(), False, "\ufffdgnp.exe\ufffd"),
        ("\x9bA\x7f".encode(), False, "\ufffdA␡"),
        (b"\xff\xfeok", False, "\ufffd\ufffdok"),
        ("ä€".encode()[:-1], True, "ä"),
        ("ä€".encode()[:-1], False, "ä\ufffd"),
        (b"\xed\xa0\x80", False, "\ufffd\ufffd\ufffd"),
    ],
)
def test_what_could_trick_a_terminal_is_seen_instead(data: bytes, cut: bool, shown: str) -> None:
    assert printed.text(data, cut=cut) == shown


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_give_text_that_holds_no_control(data: bytes, cut: bool) -> None:
    shown = printed.text(data, cut=cut)
    shown.encode()
    assert not any(ord(char) < 32 and char not in "\n\t" for char in shown)
    assert not any(0x7F <= ord(char) < 0xA0 for char in shown)


def test_a_line_is_one_and_short() -> None:
    assert printed.line("a\nb\0c" * 100, 5) == "a b␀c"
