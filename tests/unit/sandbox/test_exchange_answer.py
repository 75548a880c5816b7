"""One frame, one meaning: an answer that does not agree with itself or with what was allowed is refused."""

import json
import struct

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.problem import ProgramError
from agent.sandbox.exchange import Answer, Output, Program
from agent.sandbox.exchange.answer import HEADER_BYTES, TOTAL, AnswerError, decode, encode, json_bytes
from agent.wire import strictjson

PROGRAM = Program(code="", charts=("plotly", "vega-lite"), rows=10, bytes=100_000, outputs=2, output_bytes=1000)
FIGURE = Output("chart", "application/vnd.plotly.v1+json", b'{"data":[],"layout":{}}')
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def framed(answer: Answer) -> bytes:
    return b"".join(encode(answer))[TOTAL.size :]


def raw(header: object, *parts: bytes) -> bytes:
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">I", len(head)) + head + b"".join(parts)


def header(**changes: object) -> dict[str, object]:
    plain = {"code": "ok", "result": "none", "frame": 0, "value": 0, "outputs": [], "error": None, "withheld": []}
    return plain | changes


@given(JSON)
@settings(max_examples=50, deadline=None)
def test_any_value_comes_through(value: object) -> None:
    answer = Answer(result="json", value=value, outputs=(FIGURE,), withheld=("figure 1: png",))
    assert decode(framed(answer), PROGRAM) == answer


def test_a_frame_with_an_output_comes_through() -> None:
    answer = decode(framed(Answer(result="frame", frame=pa.table({"a": [1]}), outputs=(FIGURE,))), PROGRAM)
    assert (answer.frame.to_pydict(), answer.outputs) == ({"a": [1]}, (FIGURE,))


def test_an_error_comes_through_short_and_harmless() -> None:
    error = ProgramError("E\x1b[1m\n", "x\r\ny\0" + "z" * 9000, 3)
    told = decode(framed(Answer(code="python.error", error=error)), PROGRAM).error
    assert told is not None
    assert told.type == "E␛[1m "
    assert told.message.startswith("x\ny␀zz")
    assert len(told.message) <= 4096


def test_the_plain_header_is_an_answer() -> None:
    assert decode(raw(header()), PROGRAM) == Answer()


WRONG = {
    "no header": b"",
    "half a length": b"\0\0",
    "header too long": struct.pack(">I", HEADER_BYTES + 1) + b"{}",
    "header cut": struct.pack(">I", 100) + b"{}",
    "not JSON": raw(b"{"),
    "a key twice": raw(b'{"code":"ok","code":"ok"}'),
    "not an object": raw([]),
    "not UTF-8": raw(b"\xff\xfe"),
    "missing key": raw({"code": "ok"}),
    "more keys": raw(header(more=1)),
    "unknown code": raw(header(code="completed")),
    "a code of the worker's": raw(header(code="sandbox.crashed", error=["", "", None])),
    "unknown result": raw(header(result="pickle")),
    "negative size": raw(header(value=-1)),
    "true as a size": raw(header(result="json", value=True), b"1"),
    "result without size": raw(header(result="json")),
    "size without result": raw(header(value=1), b"1"),
    "error beside ok": raw(header(error=["E", "m", 1])),
    "no error beside its code": raw(header(code="python.error")),
    "result beside an error": raw(header(code="python.error", error=["E", "m", 1], result="json", value=1), b"1"),
    "error of another shape": raw(header(code="python.error", error=["E", "m"])),
    "line zero": raw(header(code="python.error", error=["E", "m", 0])),
    "line true": raw(header(code="python.error", error=["E", "m", True])),
    "value cut": raw(header(result="json", value=5), b"1"),
    "something behind": raw(header(result="json", value=1), b"1", b"2"),
    "value not JSON": raw(header(result="json", value=3), b"NaN"),
    "value too deep": raw(header(result="json", value=80), b"[" * 40 + b"]" * 40),
    "value too large a number": raw(header(result="json", value=17), b"[9007199254740993]"[:17] + b""),
    "frame not Arrow": raw(header(result="frame", frame=3), b"abc"),
    "frame too large": raw(header(result="frame", frame=10_000_000), b"x"),
    "outputs of another shape": raw(header(outputs=[["a", "b"]])),
    "empty output": raw(header(outputs=[["a", FIGURE.media_type, 0]])),
    "too many outputs": raw(header(outputs=[["a", FIGURE.media_type, len(FIGURE.data)]] * 3), FIGURE.data * 3),
    "outputs too large": raw(header(outputs=[["a", FIGURE.media_type, 1001]]), b"x" * 1001),
    "a format that was not asked for": raw(header(outputs=[["a", "image/png", 1]]), b"x"),
    "HTML": raw(header(outputs=[["a", "text/html", 1]]), b"x"),
    "an output that leads somewhere": raw(header(outputs=[["a", FIGURE.media_type, 2]]), b"{}"),
    "withheld of another shape": raw(header(withheld=[1])),
    "much withheld": raw(header(withheld=["x"] * 51)),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_whole_answer_is_refused(name: str) -> None:
    with pytest.raises(AnswerError):
        decode(WRONG[name], PROGRAM)


def test_a_number_that_readers_of_json_would_change_is_refused() -> None:
    for number, fine in ((2**53, True), (2**53 + 1, False), (-(2**53) - 1, False)):
        data = strictjson.dumps({"a": [number]})
        whole = raw(header(result="json", value=len(data)), data)
        if fine:
            assert decode(whole, PROGRAM).value == {"a": [number]}
        else:
            with pytest.raises(AnswerError):
                decode(whole, PROGRAM)


def test_more_json_than_may_leave_is_refused() -> None:
    data = strictjson.dumps("x" * json_bytes(PROGRAM))
    with pytest.raises(AnswerError):
        decode(raw(header(result="json", value=len(data)), data), PROGRAM)


def test_more_rows_than_one_over_the_cap_are_refused() -> None:
    assert decode(framed(Answer(result="frame", frame=pa.table({"a": range(11)}))), PROGRAM).frame.num_rows == 11
    with pytest.raises(AnswerError):
        decode(framed(Answer(result="frame", frame=pa.table({"a": range(12)}))), PROGRAM)


def refused(data: bytes | bytearray) -> bool:
    """False: it is an answer. What is raised else fails the test."""
    try:
        decode(data, PROGRAM)
    except AnswerError:
        return True
    return False


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_refused_or_an_answer(data: bytes) -> None:
    assert refused(data) in {True, False}


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_change_of_one_byte_is_refused_or_an_answer(data: st.DataObject) -> None:
    whole = bytearray(framed(Answer(result="json", value={"a": [1, "x", None]}, outputs=(FIGURE,))))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    assert refused(whole) in {True, False}
