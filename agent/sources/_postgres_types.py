"""The described columns of a PostgreSQL statement -> how each is carried, so that no value changes on its way.

The driver hands over some types as the server's own bytes, and a few with other values than they had: those are cast
by the server before they are sent. docs/sources/postgres.md has the table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from agent.core.errors import Fault

How = Literal["as it is", "numeric", "json", "moment", "day", "time"]

_PLAIN: Final = frozenset({"bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "bpchar", "name"})
_KEPT: Final = _PLAIN | {"char", "bytea", "interval"}
_TEMPORAL: Final[dict[str, How]] = {"timestamp": "moment", "timestamptz": "moment", "date": "day", "time": "time"}
_NO_LIST: Final = "'[2:2]={NULL}'"
"""An array that the driver refuses to carry, in the place of one that it would flatten."""

_TYPMOD_HEADER: Final = 4
_WIDE, _WIDEST = 38, 76

# Microseconds and days since 1970 as the driver makes them, by overflow, of the server's infinities since 2000.
_MICROSECONDS: Final = (-(2**63) + 946_684_800_000_000 - 1, -(2**63) + 946_684_800_000_000, 2**63 - 1)
_DAYS: Final = (-(2**31) + 10_957 - 1, -(2**31) + 10_957, 2**31 - 1)
_FIRST_MICROSECOND: Final = -210_866_803_200_000_000
_FIRST_DAY: Final = -2_440_588
_LAST_TIME: Final = 86_399_999_999


@dataclass(frozen=True, slots=True)
class Carried:
    """One output column: its name, the cast that the server applies to it, and what becomes of it here.

    `precision` and `scale` are those of a numeric that has them, else None.
    """

    name: str
    how: How = "as it is"
    cast: str = ""
    array: bool = False
    precision: int | None = None
    scale: int = 0

    def expression(self, place: str) -> str:
        """What is selected for it, of the column `place` of the statement."""
        value = f"CAST({place} AS {self.cast})" if self.cast else place
        if self.array:
            return f"CASE WHEN pg_catalog.array_ndims({place}) > 1 THEN {_NO_LIST} ELSE {value} END"
        return value


def carried(field: Any) -> Carried:
    """How a column of the statement's described schema (`pyarrow.Field`, with the driver's metadata) is carried."""
    name, kind = field.name, _of_server(field)
    pa = _arrow()
    if kind == "numeric":
        return _numeric(name, int(_meta(field, b"POSTGRESQL:typmod") or -1))
    if kind in _TEMPORAL:
        return Carried(name, _TEMPORAL[kind])
    if kind in {"json", "jsonb"}:
        return Carried(name, "json")
    if kind == "money":
        return Carried(name, "numeric", "numeric(21,4)", precision=21, scale=4)
    if pa.types.is_list(field.type):
        plain = _of_server(field.type.value_field) in _PLAIN
        return Carried(name, cast="" if plain else "text[]", array=True)
    return Carried(name, cast="bigint" if kind == "oid" else "" if kind in _KEPT else "text")


def wrapped(sql: str, columns: Sequence[Carried]) -> str:
    """The statement with its columns as they are carried; as it is when none needs anything."""
    if not any(column.cast or column.array for column in columns):
        return sql
    places = [f"c{number}" for number in range(len(columns))]
    chosen = (
        f"{column.expression(place)} AS {quoted(column.name)}" for column, place in zip(columns, places, strict=True)
    )
    return f"SELECT {', '.join(chosen)} FROM (\n{sql}\n) AS meridyen({', '.join(places)})"  # noqa: S608 - masked


def quoted(name: str) -> str:
    """The name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


class Converter:
    """Batches as the driver gives them -> batches as they leave; `schema` is known once the first ones were seen.

    A numeric without precision gets that of the values that come in the first `ahead` bytes; when there are more,
    it is carried as text.
    """

    def __init__(self, columns: Sequence[Carried], reader: Any, ahead: int) -> None:
        """Args: `reader` iterates over record batches. Raises what it raises."""
        self._columns = columns
        self._batches = iter(reader)
        self._waiting: list[Any] = []
        numerics = {place for place, one in enumerate(columns) if one.how == "numeric" and not one.precision}
        kinds = self._kinds(numerics, ahead) if numerics else {}
        pa = _arrow()
        self.schema = pa.schema(
            [
                pa.field(column.name, kinds.get(place) or _kind(column, reader.schema.field(place).type))
                for place, column in enumerate(columns)
            ]
        )

    def batches(self) -> Iterator[Any]:
        """All rows. Raises Fault(source.error) for values that nothing can carry."""
        while self._waiting:
            yield self._converted(self._waiting.pop(0))
        for batch in self._batches:
            yield self._converted(batch)

    def _kinds(self, places: set[int], ahead: int) -> dict[int, Any]:
        """The narrowest exact type for each open numeric, after a look at what comes first."""
        pa, size, ended = _arrow(), 0, False
        shapes = dict.fromkeys(places, (0, 0))
        while size <= ahead:
            batch = next(self._batches, None)
            if batch is None:
                ended = True
                break
            size += batch.nbytes
            self._waiting.append(batch)
            for place in places:
                shapes[place] = _widened(shapes[place], _storage(batch.column(place)))
        return {place: _decimal(shapes[place]) if ended else pa.string() for place in places}

    def _converted(self, batch: Any) -> Any:
        pa = _arrow()
        arrays = []
        for place, column in enumerate(self._columns):
            array = _storage(batch.column(place))
            match column.how:
                case "moment":
                    array = _finite(array, _MICROSECONDS, pa.int64(), _FIRST_MICROSECOND)
                case "day":
                    array = _finite(array, _DAYS, pa.int32(), _FIRST_DAY)
                case "time":
                    _check_times(array)
                case "numeric" if not pa.types.is_string(self.schema.field(place).type):
                    array = _decimals(array, self.schema.field(place).type)
                case "numeric":
                    array = _spelled(array)
                case "as it is" | "json":
                    pass
            arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _arrow() -> Any:
    import pyarrow as pa  # noqa: PLC0415 - the service reads this package's Config and must not load Arrow

    return pa


def _compute() -> Any:
    import pyarrow.compute as pc  # noqa: PLC0415 - as above

    return pc


def _meta(field: Any, key: bytes) -> str:
    return ((field.metadata or {}).get(key) or b"").decode("utf-8", "replace")


def _of_server(field: Any) -> str:
    """The server's name of the type, where the driver's own type is the one that belongs to it; else nothing.

    A type of the database's own may have a built-in's name. An enumeration comes as text under its own name.
    """
    pa, kind = _arrow(), _meta(field, b"POSTGRESQL:type")
    expected = {
        "bool": pa.bool_(), "int2": pa.int16(), "int4": pa.int32(), "int8": pa.int64(), "oid": pa.int32(),
        "float4": pa.float32(), "float8": pa.float64(), "bytea": pa.binary(), "money": pa.int64(),
        "timestamp": pa.timestamp("us"), "timestamptz": pa.timestamp("us", "UTC"), "date": pa.date32(),
        "time": pa.time64("us"), "interval": pa.month_day_nano_interval(), "numeric": pa.string(),
        "json": pa.string(), "jsonb": pa.string(),
    }  # fmt: skip
    storage = field.type.storage_type if isinstance(field.type, pa.BaseExtensionType) else field.type
    if storage == pa.string():
        return kind if kind in {"numeric", "json", "jsonb"} else "text"
    return kind if expected.get(kind) == storage and kind not in {"numeric", "json", "jsonb"} else ""


def _numeric(name: str, typmod: int) -> Carried:
    """A numeric's modifier holds precision and scale; a scale below zero or above the precision is left open."""
    if typmod < _TYPMOD_HEADER:
        return Carried(name, "numeric")
    precision = ((typmod - _TYPMOD_HEADER) >> 16) & 0xFFFF
    scale = (typmod - _TYPMOD_HEADER) & 0x7FF
    if not 0 <= scale <= precision <= _WIDEST:
        return Carried(name, "numeric")
    return Carried(name, "numeric", precision=precision, scale=scale)


def _kind(column: Carried, given: Any) -> Any:
    pa = _arrow()
    if column.how == "numeric":
        precision = column.precision or 0
        make = pa.decimal128 if precision <= _WIDE else pa.decimal256
        return make(precision, column.scale)
    return given.storage_type if isinstance(given, pa.BaseExtensionType) else given


def _storage(array: Any) -> Any:
    return array.storage if isinstance(array.type, _arrow().BaseExtensionType) else array


def _widened(shape: tuple[int, int] | None, array: Any) -> Any:
    """The digits before and behind the point that hold all values so far; None when one is no number."""
    if shape is None:
        return None
    pc = _compute()
    plain = pc.match_substring_regex(array, r"^-?\d+(\.\d+)?$")
    if pc.all(plain, min_count=0).as_py() is False:
        return None
    found = pc.extract_regex(pc.drop_null(array), r"^-?(?P<before>\d+)(?:\.(?P<behind>\d+))?$")
    before = pc.max(pc.utf8_length(pc.struct_field(found, "before"))).as_py() or 0
    behind = pc.max(pc.utf8_length(pc.struct_field(found, "behind"))).as_py() or 0
    return max(shape[0], before), max(shape[1], behind)


def _decimal(shape: tuple[int, int] | None) -> Any:
    pa = _arrow()
    if shape is None or sum(shape) > _WIDEST:
        return pa.string()
    return pa.decimal128(_WIDE, shape[1]) if sum(shape) <= _WIDE else pa.decimal256(_WIDEST, shape[1])


def _decimals(array: Any, kind: Any) -> Any:
    pa = _arrow()
    try:
        return array.cast(kind)
    except pa.ArrowInvalid:
        pass
    if any(text in _NO_NUMBERS for text in array.to_pylist()):
        raise Fault(
            "source.error",
            "A numeric column with a precision holds NaN, which a decimal cannot say.",
            "Select it as text: CAST(x AS text), or filter with x <> 'NaN'.",
        )
    return pa.array([None if text is None else Decimal(text) for text in array.to_pylist()], kind)


_NO_NUMBERS: Final = frozenset({"nan", "inf", "-inf", "NaN", "Infinity", "-Infinity"})
_SPELLINGS: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _spelled(array: Any) -> Any:
    """Texts of numerics, with the server's own words for those that are no numbers."""
    pa, pc = _arrow(), _compute()
    if not pc.any(pc.is_in(array, pa.array(list(_SPELLINGS))), min_count=0).as_py():
        return array
    return pa.array([_SPELLINGS.get(text, text) for text in array.to_pylist()], pa.string())


def _finite(array: Any, marks: tuple[int, int, int], integer: Any, first: int) -> Any:
    """The infinities as the largest and smallest numbers, as which the published format knows them."""
    pa, pc = _arrow(), _compute()
    counts = array.view(integer)
    lowest = pc.min(counts).as_py()
    if lowest is None or lowest >= first:
        return array
    infinite, minus, most = marks
    counts = pc.if_else(pc.equal(counts, infinite), pa.scalar(most, integer), counts)
    counts = pc.if_else(pc.equal(counts, minus), pa.scalar(-most, integer), counts)
    strange = pc.and_(pc.less(counts, first), pc.not_equal(counts, -most))
    if pc.any(strange, min_count=0).as_py():
        raise Fault("source.error", "A timestamp is later than results can carry.", "Select it as text.")
    return counts.view(array.type)


def _check_times(array: Any) -> None:
    pa, pc = _arrow(), _compute()
    latest = pc.max(array.view(pa.int64())).as_py()
    if latest is not None and latest > _LAST_TIME:
        raise Fault("source.error", "A time is 24:00, which results cannot carry.", "Select it as text.")
