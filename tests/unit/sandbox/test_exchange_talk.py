"""Whatever the process does, the conversation ends, and what was printed is there."""

import os
import signal
import time
from collections.abc import Iterator

import pyarrow as pa
import pytest

from agent.core.errors import Fault
from agent.sandbox.exchange import Answer, Caps, Input, Output, Program, read_inputs, read_program, write_answer
from agent.sandbox.exchange.answer import TOTAL, encode
from tests.unit.sandbox.talks import INPUT, RESULT, STDERR, STDOUT, talk

TABLE = pa.table({"n": range(1000), "s": ["text"] * 1000})
LARGE = Input(TABLE.schema, TABLE.to_batches() * 500)
GOOD = Answer(result="json", value={"n": 1})


def test_program_inputs_and_answer_come_through_unchanged() -> None:
    sent = Program(
        code="é = 1", variables={"v": [1, {"x": None}]}, inputs=("a", "b"), charts=("png",), imports=("json",)
    )

    def body() -> None:
        program = read_program(INPUT)
        assert program == sent
        tables = read_inputs(INPUT, program.inputs)
        assert tables["b"].num_rows == 0
        os.write(STDOUT, b"out")
        os.write(STDERR, b"err")
        write_answer(RESULT, Answer(result="frame", frame=tables["a"]))

    inputs = {"a": Input.of(TABLE), "b": Input(TABLE.schema, ())}
    answer, printed, done = talk(body, sent, inputs)
    assert done is not None
    assert (done.cause, done.status, printed.stdout, printed.stderr) == ("exit", 0, "out", "err")
    assert answer is not None
    assert answer.frame.equals(TABLE)


def test_encoded_columns_arrive_plain() -> None:
    given = pa.table(
        {
            "d": pa.array(["x", None, "x"]).dictionary_encode(),
            "r": pa.RunEndEncodedArray.from_arrays([2, 3], [1, 2]),
        }
    )

    def body() -> None:
        program = read_program(INPUT)
        write_answer(RESULT, Answer(result="frame", frame=read_inputs(INPUT, program.inputs)["t"]))

    answer, _, _ = talk(body, inputs={"t": Input.of(given)})
    assert answer is not None
    assert answer.frame.to_pydict() == {"d": ["x", None, "x"], "r": [1, 1, 2]}
    assert [str(kind) for kind in answer.frame.schema.types] == ["string", "int64"]


def _never_reads() -> None:
    write_answer(RESULT, GOOD)


def _closes_its_input() -> None:
    os.close(INPUT)
    write_answer(RESULT, GOOD)


def _prints_before_it_reads() -> None:
    os.write(STDOUT, b"x" * 300_000)
    os.write(STDERR, b"y" * 300_000)
    read_program(INPUT)
    read_inputs(INPUT, ("t",))
    write_answer(RESULT, GOOD)


def _answers_before_it_reads() -> None:
    write_answer(RESULT, GOOD)
    read_program(INPUT)
    read_inputs(INPUT, ("t",))


def _closes_what_it_prints_to() -> None:
    os.close(STDOUT)
    os.close(STDERR)
    write_answer(RESULT, GOOD)


@pytest.mark.parametrize(
    "body",
    [_never_reads, _closes_its_input, _prints_before_it_reads, _answers_before_it_reads, _closes_what_it_prints_to],
)
def test_order_and_closed_pipes_do_not_matter(body) -> None:
    answer, _, done = talk(body, inputs={"t": LARGE})
    assert answer == GOOD
    assert done is not None
    assert done.status == 0


def _nothing() -> None:
    os._exit(5)


def _killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _half() -> None:
    os.write(RESULT, b"".join(encode(GOOD))[:-3])


def _closes_its_result() -> None:
    os.close(RESULT)


def _mixed() -> None:
    """What a second thread could do: write between the halves."""
    data = b"".join(encode(GOOD))
    os.write(RESULT, data[:20])
    os.write(RESULT, b"forged")
    os.write(RESULT, data[20:])


def _twice() -> None:
    write_answer(RESULT, GOOD)
    write_answer(RESULT, GOOD)


def _trailing() -> None:
    write_answer(RESULT, GOOD)
    os.write(RESULT, b"\0")


def _noise() -> None:
    os.write(RESULT, TOTAL.pack(5000) + b"\xff" * 5000)


def _claims_terabytes() -> None:
    os.write(RESULT, TOTAL.pack(1 << 40))
    for _ in range(200):
        os.write(RESULT, b"\0" * 65536)


@pytest.mark.parametrize("body", [_nothing, _killed, _half, _closes_its_result])
def test_without_a_whole_answer_there_is_none(body) -> None:
    answer, _, done = talk(body, inputs={"t": LARGE})
    assert answer is None
    assert done is not None
    assert (done.cause, done.status) == {_nothing: ("exit", 5), _killed: ("signal", 9)}.get(body, ("exit", 0))


@pytest.mark.parametrize("body", [_mixed, _twice, _trailing, _noise, _claims_terabytes])
def test_what_is_no_answer_is_refused_and_the_print_kept(body) -> None:
    def printing() -> None:
        os.write(STDOUT, b"kept")
        body()

    answer, printed, _ = talk(printing)
    assert printed.stdout == "kept"
    assert answer is not None
    assert (answer.code, answer.result, answer.outputs) == ("sandbox.crashed", "none", ())
    assert answer.error is not None
    assert answer.error.message.startswith("The answer was refused: ")


def test_a_server_that_goes_away_says_nothing() -> None:
    answer, printed, done = talk(lambda: os.write(STDOUT, b"said"), silent=True)
    assert (answer, printed.stdout, done) == (None, "said", None)


def test_prints_are_capped_apart_and_the_rest_is_drained() -> None:
    def body() -> None:
        for _ in range(100):
            os.write(STDOUT, "ä".encode() * 5000)
        os.write(STDERR, b"few")
        write_answer(RESULT, GOOD)

    answer, printed, _ = talk(body, caps=Caps(1001, 1001))
    assert answer == GOOD
    assert printed.stdout == "ä" * 500  # the cut goes through a character, which is dropped
    assert (printed.stdout_cut, printed.stderr, printed.stderr_cut) == (True, "few", False)


def test_a_cap_that_is_just_met_is_no_cut() -> None:
    _, printed, _ = talk(lambda: os.write(STDOUT, b"x" * 10), caps=Caps(10, 0))
    assert (printed.stdout, printed.stdout_cut, printed.stderr_cut) == ("x" * 10, False, False)


def test_what_the_inputs_raise_comes_out_and_nobody_is_left_waiting() -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield from TABLE.to_batches()
        raise Fault("source.unavailable", "The source went away.")

    def body() -> None:
        program = read_program(INPUT)
        read_inputs(INPUT, program.inputs)

    with pytest.raises(Fault):
        talk(body, inputs={"t": Input(TABLE.schema, batches())})


def test_nothing_is_spun_on_while_the_program_thinks() -> None:
    def body() -> None:
        time.sleep(0.5)
        write_answer(RESULT, GOOD)

    before = time.process_time()
    answer, _, _ = talk(body)
    assert answer == GOOD
    assert time.process_time() - before < 0.3


def test_outputs_come_in_formats_that_were_asked_for_only() -> None:
    output = Output("chart", "application/vnd.plotly.v1+json", b'{"data":[],"layout":{}}')

    def body() -> None:
        write_answer(RESULT, Answer(outputs=(output,)))

    asked, _, _ = talk(body, Program(code="", charts=("plotly",)))
    assert asked is not None
    assert asked.outputs == (output,)
    other, _, _ = talk(body, Program(code="", charts=("png",)))
    assert other is not None
    assert (other.code, other.outputs) == ("sandbox.crashed", ())
