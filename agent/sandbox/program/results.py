"""What a program leaves behind -> its answer."""

from collections.abc import Mapping
from typing import Any

from agent.core.problem import ProgramError
from agent.sandbox.exchange import stream
from agent.sandbox.exchange.answer import frame_bytes, json_bytes
from agent.sandbox.exchange.types import Answer, Program
from agent.sandbox.program import charts, tables
from agent.sandbox.program.last import LAST
from agent.sandbox.program.refusal import Place, ResultError
from agent.sandbox.program.values import Writer
from agent.wire import strictjson


def give(world: Mapping[str, Any], program: Program, error: ProgramError | None) -> Answer:
    """`result`, or the value of a last expression, and the charts. After an error: the charts that were made before.

    Raises ResultError, and TooManyError of `charts`.
    """
    if error is not None:
        return _broken(world, program, error)
    chosen = "result" in world
    given = world["result"] if chosen else world.get(LAST)
    found, rest = charts.taken(world, given, program.code, chosen=chosen)
    outputs, withheld = charts.encoded(found, program)
    try:
        answer = _result(rest, program)
    except ResultError as refused:
        if not chosen:  # it just stood there: most code ends in a call whose value nobody wants
            return Answer(outputs=outputs, withheld=withheld)
        told = ProgramError("", str(refused), None)
        return Answer(code="python.result", outputs=outputs, withheld=withheld, error=told)
    return Answer(result=answer.result, frame=answer.frame, value=answer.value, outputs=outputs, withheld=withheld)


def _broken(world: Mapping[str, Any], program: Program, error: ProgramError) -> Answer:
    try:
        outputs, withheld = charts.encoded(charts.taken(world, None, program.code, chosen=True)[0], program)
    except Exception:  # noqa: BLE001  the program's own error is the one to tell
        outputs, withheld = (), ()
    return Answer(code="python.error", outputs=outputs, withheld=withheld, error=error)


def _result(value: Any, program: Program) -> Answer:
    if value is None:
        return Answer()
    place, writer = Place(program.code), Writer(program.rows)
    if not tables.is_frame(value):
        plain = writer.json(value, place)
        if len(strictjson.dumps(plain)) > json_bytes(program):
            raise place.why(f"is larger than {json_bytes(program)} bytes")
        return Answer(result="json", value=plain)
    table = tables.fit(tables.normal(value, place, program.rows, writer), program.bytes)
    if table.nbytes > frame_bytes(program) * 3 // 4:
        raise place.why("has a row that is larger than what may leave")
    try:
        stream.check(table.schema)
    except stream.StreamError as error:
        raise place.why(f"cannot be given back as a frame: {error}") from None
    return Answer(result="frame", frame=table)
