"""What stands where in a tree of models: fields, unions, maps and lists, read from the annotations."""

from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_LISTS = (list, tuple, set, frozenset, Sequence)
_MAPS = (dict, Mapping)

Kinds = list[Any]
"""Types that may stand at one place."""


def alternatives(kind: Any) -> Kinds:
    """`Annotated[A | B, …]` -> `[A, B]`."""
    if get_origin(kind) is Annotated:
        return alternatives(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [inner for part in get_args(kind) for inner in alternatives(part)]
    return [kind]


def fields(kind: Any) -> dict[str, FieldInfo]:
    """The fields of a model, none for any other type."""
    return kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else {}


def is_map(kind: Any) -> bool:
    """Whether this is a map by name."""
    return (get_origin(kind) or kind) in _MAPS


def is_list(kind: Any) -> bool:
    """Whether this is a list of any sort."""
    return (get_origin(kind) or kind) in _LISTS


def is_block(kind: Any) -> bool:
    """Whether this has keys of its own."""
    return bool(fields(kind)) or is_map(kind)


def down(kinds: Kinds, key: str | int) -> Kinds:
    """The types one step below; none when nothing stands there."""
    found: Kinds = []
    for kind in kinds:
        if key in fields(kind):
            found += alternatives(fields(kind)[str(key)].annotation)
        elif is_map(kind):
            found += alternatives(get_args(kind)[1])
        elif is_list(kind) and isinstance(key, int):
            found += alternatives(get_args(kind)[0])
    return found


def tagged(kinds: Kinds, tag: str | int) -> Kinds:
    """The members of a union that a discriminator's value picks."""
    return [kind for kind in kinds if any(tag in literals(field.annotation) for field in fields(kind).values())]


def literals(kind: Any) -> tuple[Any, ...]:
    """The values of a `Literal`, none for any other type."""
    return get_args(kind) if get_origin(kind) is Literal else ()


def at(model: type[BaseModel], loc: Sequence[str | int]) -> Kinds:
    """The types at a position of a validation error, where union members add their tag to the path."""
    kinds: Kinds = [model]
    for step in loc:
        kinds = down(kinds, step) or tagged(kinds, step) or kinds
    return kinds


def keys(kinds: Kinds, prefix: str = "") -> Iterator[str]:
    """Every dotted key below; `NAME` stands for a name of the user's, `[]` for any item of a list."""
    for kind in kinds:
        for name, field in fields(kind).items():
            yield prefix + name
            yield from keys(alternatives(field.annotation), f"{prefix}{name}.")
        if is_map(kind):
            yield from keys(alternatives(get_args(kind)[1]), f"{prefix}NAME.")
        if is_list(kind) and get_args(kind):
            yield from keys(alternatives(get_args(kind)[0]), f"{prefix.removesuffix('.')}[].")
