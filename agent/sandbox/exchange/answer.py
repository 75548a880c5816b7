"""An answer <-> its one frame: `length, header length, header, frame, value, outputs`. Decoding believes nothing."""

import struct
from typing import Any, Final

from agent.core.problem import ProgramError
from agent.sandbox.exchange import pictures, printed, stream
from agent.sandbox.exchange.types import Answer, Output, Program
from agent.wire import strictjson
from agent.wire.errors import WireError

TOTAL = struct.Struct(">Q")
"""Counts everything behind it."""
_HEAD = struct.Struct(">I")
HEADER_BYTES: Final = 65_536
_SLACK: Final = 1 << 20
_JSON_BYTES: Final = 16 << 20
_EXACT: Final = 2**53
_MAX_TYPE, _MAX_MESSAGE, _MAX_NAME, _MAX_WITHHELD = 200, 4096, 200, 50
_KEYS: Final = {"code", "result", "frame", "value", "outputs", "error", "withheld"}
_CODES: Final = {"ok", "python.error", "python.result", "limit.output"}


class AnswerError(Exception):
    """The bytes are no answer. The text says why, without any of their content."""


def json_bytes(program: Program) -> int:
    """How long a result that is JSON may be."""
    return min(program.bytes, _JSON_BYTES)


def frame_bytes(program: Program) -> int:
    """How large a frame may be. Over the cap on purpose: what counts the bytes that leave has to see that more came."""
    return 2 * program.bytes + _SLACK


def total_bytes(program: Program) -> int:
    """How long a whole answer may be."""
    return _HEAD.size + HEADER_BYTES + frame_bytes(program) + json_bytes(program) + program.output_bytes


def encode(answer: Answer) -> list[bytes]:
    """The frame, in pieces."""
    table = b"" if answer.frame is None else stream.write(answer.frame)
    value = strictjson.dumps(answer.value) if answer.result == "json" else b""
    error = answer.error
    header = strictjson.dumps(
        {
            "code": answer.code,
            "result": answer.result,
            "frame": len(table),
            "value": len(value),
            "outputs": [[output.name, output.media_type, len(output.data)] for output in answer.outputs],
            "error": None if error is None else [error.type[:_MAX_TYPE], error.message[:_MAX_MESSAGE], error.line],
            "withheld": [name[:_MAX_NAME] for name in answer.withheld[:_MAX_WITHHELD]],
        }
    )
    parts = [_HEAD.pack(len(header)), header, table, value, *(output.data for output in answer.outputs)]
    return [TOTAL.pack(sum(map(len, parts))), *parts]


def decode(data: bytes | bytearray | memoryview, program: Program) -> Answer:
    """The answer in everything that followed the length. Raises AnswerError."""
    try:
        return _decode(memoryview(data).toreadonly(), program)
    except (WireError, struct.error):
        raise AnswerError("it is not in the form of an answer") from None
    except stream.StreamError as error:
        raise AnswerError(f"its frame is not allowed: {error}") from None


def _decode(data: memoryview, program: Program) -> Answer:
    (length,) = _HEAD.unpack_from(data)
    if length > HEADER_BYTES:
        raise AnswerError("its header is too long")
    rest = _Rest(data[_HEAD.size :])
    header = _header(strictjson.loads(bytes(rest.take(length)), HEADER_BYTES))
    frame, value = header["frame"], header["value"]
    if frame > frame_bytes(program) or value > json_bytes(program):
        raise AnswerError("its result is too large")
    outputs = _outputs(header["outputs"], program)
    answer = Answer(
        code=header["code"],
        result=header["result"],
        frame=stream.read(bytes(rest.take(frame)), program.rows + 1) if header["result"] == "frame" else None,
        value=_value(bytes(rest.take(value)), program) if header["result"] == "json" else None,
        outputs=tuple(_output(name, media, bytes(rest.take(size)), program) for name, media, size in outputs),
        error=_error(header["error"]),
        withheld=tuple(printed.line(name, _MAX_NAME) for name in header["withheld"]),
    )
    rest.end()
    return answer


class _Rest:
    """What has not been read yet."""

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def take(self, length: int) -> memoryview:
        if length > len(self._data):
            raise AnswerError("it is cut short")
        taken, self._data = self._data[:length], self._data[length:]
        return taken

    def end(self) -> None:
        if len(self._data):
            raise AnswerError("something follows it")


def _header(value: Any) -> dict[str, Any]:
    match value:
        case {
            "code": str() as code,
            "result": "frame" | "json" | "none" as result,
            "frame": int() as frame,
            "value": int() as size,
            "outputs": list(),
            "error": list() | None as error,
            "withheld": list() as withheld,
        } if set(value) == _KEYS and code in _CODES and frame >= 0 and size >= 0:
            whole = (
                bool(frame) == (result == "frame")
                and bool(size) == (result == "json")
                and (error is None) == (code == "ok")
                and (result == "none" or code == "ok")
                and len(withheld) <= _MAX_WITHHELD
                and all(isinstance(name, str) for name in withheld)
                and not any(isinstance(number, bool) for number in (frame, size))
            )
            if whole:
                return dict(value)
    raise AnswerError("its header does not agree with itself")


def _outputs(listed: list[Any], program: Program) -> list[tuple[str, str, int]]:
    found: list[tuple[str, str, int]] = []
    for item in listed:
        match item:
            case [str() as name, str() as media, int() as size] if size > 0 and not isinstance(size, bool):
                found.append((printed.line(name, _MAX_NAME), media, size))
            case _:
                raise AnswerError("its header does not agree with itself")
    if len(found) > program.outputs or sum(size for _, _, size in found) > program.output_bytes:
        raise AnswerError("its outputs are too many or too large")
    return found


def _output(name: str, media: str, data: bytes, program: Program) -> Output:
    output = Output(name, media, data)
    if pictures.format_of(media) not in program.charts:
        raise AnswerError("an output is in a format that was not allowed")
    if problem := pictures.problem(output):
        raise AnswerError(f"an output is not allowed: {problem}")
    return output


def _error(found: list[Any] | None) -> ProgramError | None:
    match found:
        case None:
            return None
        case [str() as kind, str() as message, int() | None as line] if line is None or (
            not isinstance(line, bool) and line > 0
        ):
            return ProgramError(printed.line(kind, _MAX_TYPE), printed.harmless(message)[:_MAX_MESSAGE], line)
        case _:
            raise AnswerError("its header does not agree with itself")


def _value(data: bytes, program: Program) -> object:
    value = strictjson.loads(data, json_bytes(program))
    level = [value]
    while level:
        if any(isinstance(item, int) and abs(item) > _EXACT for item in level):
            raise AnswerError("a number is larger than JSON's readers can tell")
        level = [child for item in level for child in _inside(item)]
    return value


def _inside(item: object) -> list[Any]:
    return list(item.values()) if isinstance(item, dict) else item if isinstance(item, list) else []
