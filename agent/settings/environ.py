"""MERIDYEN_* variables -> a tree of overrides for sandbox.yaml; variables that fit nothing are named."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from typing_extensions import override

from agent.settings.findings import Finding, Path, dotted, printable
from agent.settings.suggest import meant
from agent.settings.yamltree import Value

PREFIX = "MERIDYEN_"
DELIMITER = "__"
PROTECTED = ("policy", "trust", "audit", "mode", "python.min_tier")
"""What a file that sets them has the last word on: the security officer's keys."""

_LISTS = (list, tuple, set, frozenset, Sequence)
_MAPS = (dict, Mapping)


class Environment(PydanticBaseSettingsSource):
    """The environment as a settings source. After a call, `findings` and `origins` (path -> variable) are filled.

    Names match without regard to case; a name of `sources` or `labels` also with `_` for `-`. An empty variable is
    as good as none. `mentioned` are MERIDYEN_ names that secret references use.
    """

    def __init__(
        self,
        settings_cls: type[BaseSettings],
        environ: Mapping[str, str],
        *,
        file: Mapping[str, Value],
        base: FilePath,
        mentioned: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(settings_cls)
        self.findings: list[Finding] = []
        self.origins: dict[Path, str] = {}
        self._environ, self._file, self._base, self._mentioned = environ, file, base, mentioned

    @override
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Part of the base class's shape; `__call__` reads everything at once."""
        return None, field_name, False

    @override
    def __call__(self) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for name in sorted(self._environ):
            if not name.upper().startswith(PREFIX) or name in self._mentioned or not self._environ[name]:
                continue
            found = self._placed(name)
            if found is not None and self._allowed(name, found[0]):
                path, value = found[0], self._value(name, *found)
                self.origins[path] = name
                _insert(tree, path, value)
        return tree

    def _placed(self, name: str) -> tuple[Path, Any] | None:
        """The path that a variable sets and the type there, or a finding."""
        segments = name[len(PREFIX) :].lower().split(DELIMITER)
        types, path, written = [self.settings_cls], (), self._file
        for segment in segments:
            step = next(_steps(types, segment, written), None)
            if step is None:
                self._unknown(name, path, segment, types)
                return None
            key, types = step
            path, written = (*path, key), written.get(key) if isinstance(written, Mapping) else None
        if any(_is_block(kind) for kind in types):
            inner = sorted(key for kind in types for key in _fields(kind)) or ["NAME"]
            fix = f"Set single keys, for example {name}{DELIMITER}{inner[0].upper()}."
            self._find(name, dotted(path), "this names a whole block.", fix)
            return None
        return path, types[0]

    def _unknown(self, name: str, path: Path, segment: str, types: list[Any]) -> None:
        guess = meant(segment, [key for kind in types for key in _fields(kind)])
        known = PREFIX + DELIMITER.join(str(part).upper() for part in (*path, guess)) if guess else ""
        fix = f"Did you mean {known}?" if known else "Unset it, or give it a name without the prefix MERIDYEN_."
        self._find(name, "", "no setting has this name.", fix)

    def _allowed(self, name: str, path: Path) -> bool:
        """Whether the file leaves the key open; the same value again is no contradiction."""
        earlier = self.origins.get(path)
        if earlier is not None:
            self._find(name, dotted(path), f"{earlier} sets the same key.", "Unset one of them.")
            return False
        for key in PROTECTED:
            guarded = tuple(key.split("."))
            if path[: len(guarded)] == guarded and _get(self._file, guarded) is not None:
                if not self._same(_get(self._file, path), self._environ[name]):
                    fix = f"Unset {printable(name)}, or have the owner of the file change `{dotted(path)}`."
                    self._find(name, dotted(path), "this contradicts the file, which has the last word.", fix)
                return False
        return True

    def _same(self, written: Value, variable: str) -> bool:
        if isinstance(written, bool):
            return str(written).lower() == variable.lower()
        return str(written) == variable or (isinstance(written, str) and self._base / written == self._base / variable)

    def _value(self, name: str, path: Path, kind: Any) -> object:
        """The text, or for a list its JSON: other types are read by the model."""
        text = self._environ[name]
        if not any(_is_list(inner) for inner in _alternatives(kind)) or not text.lstrip().startswith("["):
            return text
        try:
            value: object = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, list):
            self._find(name, dotted(path), "this is not a JSON list.", 'Write for example ["a", "b"].')
            return []
        return value

    def _find(self, name: str, key: str, problem: str, fix: str) -> None:
        self.findings.append(Finding(key=key, problem=problem, fix=fix, where=printable(name)))


def _steps(types: list[Any], segment: str, written: object) -> Iterator[tuple[str, list[Any]]]:
    """Every way to go one segment down: the key, and the types that may stand there."""
    fields = [field.annotation for kind in types if (field := _fields(kind).get(segment)) is not None]
    if fields:
        yield segment, [inner for kind in fields for inner in _alternatives(kind)]
    for kind in types:
        if get_origin(kind) in _MAPS:
            keys = [key for key in written if isinstance(written, Mapping)] if isinstance(written, Mapping) else []
            same = [key for key in keys if key.lower() == segment] or [
                key for key in keys if key.lower().replace("-", "_") == segment
            ]
            yield (same[0] if same else segment), _alternatives(get_args(kind)[1])


def _alternatives(kind: Any) -> list[Any]:
    """`Annotated[A | B, …]` -> `[A, B]`."""
    if get_origin(kind) is Annotated:
        return _alternatives(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [inner for part in get_args(kind) for inner in _alternatives(part)]
    return [kind]


def _fields(kind: Any) -> dict[str, FieldInfo]:
    return kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else {}


def _is_block(kind: Any) -> bool:
    return bool(_fields(kind)) or get_origin(kind) in _MAPS


def _is_list(kind: Any) -> bool:
    return (get_origin(kind) or kind) in _LISTS


def _get(tree: Any, path: Path) -> Any:
    for part in path:
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree


def _insert(tree: dict[str, Any], path: Path, value: object) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree[path[-1]] = value


def overlaid(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two trees as one: blocks are merged, everything else of `over` wins."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping):
            merged[key] = overlaid(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged
