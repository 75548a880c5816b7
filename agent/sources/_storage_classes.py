"""Rows of dynamically typed values -> Arrow batches under one schema, whatever storage classes a column mixes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from agent.core.errors import Fault
from agent.core.table import Table

Row = tuple[Any, ...]
Kind = Literal["null", "int", "wide", "real", "text", "blob"]
"""What a column has held so far. `wide`: whole numbers, some beyond ±2^53, which no double holds exactly."""

_EXACT: Final = 2**53
_KINDS: Final[dict[frozenset[type], Kind]] = {
    frozenset(): "null",
    frozenset({int}): "int",
    frozenset({float}): "real",
    frozenset({int, float}): "real",
    frozenset({str}): "text",
    frozenset({bytes}): "blob",
}


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Rows by column: an Arrow array each, and what it holds."""

    rows: int
    kinds: tuple[Kind, ...]
    arrays: tuple[Any, ...]

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays)


def tabled(names: Sequence[str], chunks: Iterator[Sequence[Row]], *, ahead_rows: int, ahead_bytes: int) -> Table:
    """A table of the chunks of rows, read ahead until one of the two sizes is passed to learn the columns' types.

    Whole and real numbers together become doubles where that is exact, other mixtures text. Types are final after the
    part that was read ahead; a later value that does not fit raises Fault(source.error).
    """
    converted = (_converted(chunk, len(names)) for chunk in chunks)
    held: list[_Chunk] = []
    rows, size, ended = 0, 0, True
    for chunk in converted:
        held.append(chunk)
        rows += chunk.rows
        size += chunk.nbytes
        if rows > ahead_rows or size > ahead_bytes:
            ended = False
            break
    final = [_joined([chunk.kinds[at] for chunk in held]) for at in range(len(names))]
    if not ended:
        final = ["text" if kind == "null" else kind for kind in final]
    schema = _arrow().schema([(name, _type(kind)) for name, kind in zip(names, final, strict=True)])
    return Table(schema, _batches(schema, final, held, converted))


def _batches(schema: Any, final: list[Kind], held: list[_Chunk], later: Iterator[_Chunk]) -> Iterator[Any]:
    while held:
        yield _batch(schema, final, held.pop(0))
    for chunk in later:
        if [_type(_joined(pair)) for pair in zip(final, chunk.kinds, strict=True)] != schema.types:
            raise Fault(
                "source.error",
                "A column of the result changes its type late in the result.",
                "CAST the column to one type in the statement.",
            )
        yield _batch(schema, final, chunk)


def _batch(schema: Any, final: list[Kind], chunk: _Chunk) -> Any:
    columns = zip(chunk.arrays, chunk.kinds, final, strict=True)
    return _arrow().record_batch([_as(array, kind, wanted) for array, kind, wanted in columns], schema=schema)


def _converted(chunk: Sequence[Row], width: int) -> _Chunk:
    columns = [_array(values) for values in zip(*chunk, strict=True)] if chunk else [_array(())] * width
    return _Chunk(len(chunk), tuple(kind for kind, _ in columns), tuple(array for _, array in columns))


def _array(values: Sequence[Any]) -> tuple[Kind, Any]:
    pa = _arrow()
    kind = _KINDS.get(frozenset(map(type, values)) - {type(None)})
    if kind is not None:
        try:
            array = pa.array(values, _type(kind))
        except pa.ArrowInvalid:  # a whole number, beside real ones, that no double holds
            return "text", _texts(values)
        return ("wide" if kind == "int" and _is_wide(array) else kind), array
    return "text", _texts(values)


def _is_wide(array: Any) -> bool:
    import pyarrow.compute as pc  # noqa: PLC0415 - see _arrow

    span = pc.min_max(array)
    return bool(span["min"].as_py() < -_EXACT or span["max"].as_py() > _EXACT)


def _joined(kinds: Sequence[Kind]) -> Kind:
    match sorted(set(kinds) - {"null"}):
        case []:
            return "null"
        case [kind]:
            return kind
        case ["int", "wide"]:
            return "wide"
        case ["int", "real"]:
            return "real"
        case _:
            return "text"


def _as(array: Any, kind: Kind, wanted: Kind) -> Any:
    """An array of one chunk in its column's final type, which `_joined` chose."""
    if wanted == "text" and kind not in {"text", "null"}:
        return _texts(array.to_pylist())
    return array.cast(_type(wanted))


def _texts(values: Sequence[Any]) -> Any:
    return _arrow().array([None if value is None else _text(value) for value in values], _arrow().string())


def _text(value: float | str | bytes) -> str:
    if isinstance(value, bytes):
        return f"X'{value.hex().upper()}'"
    return value if isinstance(value, str) else repr(value)


def _type(kind: Kind) -> Any:
    pa = _arrow()
    match kind:
        case "null":
            return pa.null()
        case "int" | "wide":
            return pa.int64()
        case "real":
            return pa.float64()
        case "text":
            return pa.string()
        case "blob":
            return pa.binary()


def _arrow() -> Any:
    import pyarrow as pa  # noqa: PLC0415 - the Configs import in processes that must not load Arrow

    return pa
