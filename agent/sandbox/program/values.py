"""A program's values -> JSON by the rules of the published format: what JSON cannot say exactly is text."""

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import math
import pathlib
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from agent.sandbox.program import tables
from agent.sandbox.program.refusal import Place
from agent.wire import cells

MAX_DEPTH: Final = 24
MAX_NODES: Final = 1_000_000
_EXACT: Final = 2**53
_DIGITS: Final = 4000
_ONE_SECOND = dt.timedelta(seconds=1)


class Writer:
    """Turns one value into JSON. Holds what was spent on it, and where it is."""

    def __init__(self, rows: int) -> None:
        """Args: rows that a frame inside the value may have."""
        self._rows = rows
        self._nodes = 0
        self._above: list[int] = []

    def json(self, value: Any, place: Place) -> Any:
        """The JSON value. Raises ResultError, which names the place."""
        self._count(1, place)
        if (plain := _PLAIN.get(type(value))) is not None:
            return plain(value)
        for kinds, write in _SCALARS:
            if isinstance(value, kinds):
                return write(value)
        return self._inside(value, place)

    def _inside(self, value: Any, place: Place) -> Any:
        if id(value) in self._above:
            raise place.why("contains itself")
        if len(self._above) >= MAX_DEPTH:
            raise place.why(f"is nested deeper than {MAX_DEPTH}")
        self._above.append(id(value))
        try:
            return self._container(value, place)
        finally:
            self._above.pop()

    def _container(self, value: Any, place: Place) -> Any:  # noqa: PLR0911  one for each kind
        if isinstance(value, Mapping):
            return self._mapping(value, place)
        if isinstance(value, list | tuple | deque | range | AbstractSet):
            if isinstance(value, tuple) and hasattr(value, "_asdict"):
                return self._mapping(value._asdict(), place)
            return self._sequence(_ordered(value) if isinstance(value, AbstractSet) else value, place)
        if isinstance(value, np.ndarray | np.generic):
            return self._array(value, place)
        if tables.is_frame(value):
            return self._records(value, place)
        if isinstance(value, pa.Scalar):
            return cells.values(pa.array([value.as_py()], value.type))[0]
        if isinstance(value, pd.api.extensions.ExtensionArray):
            return self.json([None if gap else item for item, gap in zip(value, value.isna(), strict=True)], place)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self._mapping({field.name: getattr(value, field.name) for field in dataclasses.fields(value)}, place)
        raise place.refuse(value)

    def _sequence(self, items: Any, place: Place) -> list[Any]:
        self._count(len(items), place)
        return [
            self.json(item, place.item(index)) if (plain := _PLAIN.get(type(item))) is None else plain(item)
            for index, item in enumerate(items)
        ]

    def _count(self, more: int, place: Place) -> None:
        self._nodes += more
        if self._nodes > MAX_NODES:
            raise place.why("holds too many values")

    def _mapping(self, value: Mapping[Any, Any], place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for position, (key, inner) in enumerate(value.items()):
            name = self._key(key, place)
            if name in found:
                raise place.why("has two keys that read the same")
            found[name] = self.json(inner, place.at(key, position))
        return found

    def _key(self, key: Any, place: Place) -> str:
        if isinstance(key, tuple):
            return ", ".join(self._key(part, place) for part in key)
        if isinstance(key, str | int | float | bool | None) or any(isinstance(key, kinds) for kinds, _ in _SCALARS):
            return cells.text(self.json(key, place)) or "null"
        raise place.why(f"has a key of type {type(key).__name__[:200]}")

    def _array(self, value: Any, place: Place) -> Any:
        if value.ndim == 0 and value.dtype.names is None and value.dtype.kind not in "OV":
            kind = value.dtype.kind
            plain = pd.Timestamp(value) if kind == "M" else pd.Timedelta(value) if kind == "m" else value.item()
            return self.json(plain, place)
        if value.dtype.kind in "mM":
            value = value.astype(object) if value.ndim != 1 else np.asarray(pd.Series(value).astype(object))
        return self.json(value.tolist(), place)

    def _records(self, value: Any, place: Place) -> list[dict[str, Any]]:
        table = tables.normal(value, place, self._rows, self)
        self._count(table.num_rows * table.num_columns, place)
        if table.num_rows > self._rows:
            raise place.why(f"has more than {self._rows} rows inside another value")
        columns = [[item for chunk in column.chunks for item in cells.values(chunk)] for column in table.columns]
        return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def _text(value: str) -> str:
    """Text that is valid Unicode."""
    return str(value) if value.isascii() else value.encode("utf-8", "replace").decode()


def _ordered(value: AbstractSet[Any]) -> list[Any]:
    """In order where there is one, so that equal programs give equal results."""
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=lambda item: (type(item).__name__, str(item)))


def _integer(value: int) -> int | str:
    plain = int(value)
    if abs(plain) <= _EXACT:
        return plain
    return str(plain) if plain.bit_length() < 3 * _DIGITS else hex(plain)


def _float(value: float) -> float | str:
    plain = float(value)
    if math.isfinite(plain):
        return plain
    return "NaN" if math.isnan(plain) else "Infinity" if plain > 0 else "-Infinity"


def _decimal(value: decimal.Decimal) -> str:
    short = not value.is_finite() or abs(value.adjusted()) < _DIGITS
    return format(value, "f") if short else str(value)


def _instant(value: dt.datetime) -> str:
    if value.tzinfo is None:
        return _trimmed(value.isoformat())
    return _trimmed(value.astimezone(dt.UTC).replace(tzinfo=None).isoformat()) + "Z"


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _duration(value: dt.timedelta) -> str:
    nanoseconds = value.value if isinstance(value, pd.Timedelta) and value.unit == "ns" else None
    total = decimal.Decimal(nanoseconds).scaleb(-9) if nanoseconds is not None else _seconds(value)
    return f"PT{_trimmed(format(total, 'f'))}S"


def _seconds(value: dt.timedelta) -> decimal.Decimal:
    micro = (value.days * 86_400 + value.seconds) * 10**6 + value.microseconds
    return decimal.Decimal(micro).scaleb(-6)


def _same(value: Any) -> Any:
    return value


def _nothing(_: Any) -> None:
    return None


# Exact types first: a list of numbers is long.
_PLAIN: dict[type, Callable[[Any], Any]] = {
    str: _text,
    int: _integer,
    float: _float,
    bool: _same,
    type(None): _same,
}
_SCALARS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (enum.Enum, lambda value: Writer(0).json(value.value, Place("", "result"))),
    ((type(pd.NaT), type(pd.NA)), _nothing),
    (np.bool_, bool),
    (str, _text),
    (np.timedelta64, lambda value: None if np.isnat(value) else _duration(pd.Timedelta(value))),
    ((int, np.integer), _integer),
    ((float, np.floating), _float),
    (decimal.Decimal, _decimal),
    (dt.datetime, _instant),
    (dt.date, lambda value: value.isoformat()),
    (dt.time, lambda value: _trimmed(value.isoformat())),
    (dt.timedelta, _duration),
    ((bytes, bytearray, memoryview), lambda value: base64.b64encode(bytes(value)).decode()),
    (
        (
            complex,
            np.complexfloating,
            fractions.Fraction,
            uuid.UUID,
            pathlib.PurePath,
            pd.Period,
            pd.Interval,
            dt.tzinfo,
        ),
        str,
    ),
    ((np.dtype, pd.api.extensions.ExtensionDtype), str),
)
