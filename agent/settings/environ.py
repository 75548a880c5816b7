"""MERIDYEN_* variables -> a tree of overrides for sandbox.yaml; variables that fit nothing are named."""

import json
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from typing_extensions import override

from agent.settings.findings import Finding, Path, dotted, printable
from agent.settings.shape import Kinds, down, fields, is_block, is_list, is_map
from agent.settings.suggest import meant
from agent.settings.yamltree import Value

PREFIX = "MERIDYEN_"
DELIMITER = "__"
PROTECTED = ("policy", "trust", "audit", "mode", "python.min_tier")
"""What a file that sets them has the last word on: the security officer's keys."""


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
            if not name.upper().startswith(PREFIX) or not self._environ[name]:
                continue
            found = self._placed(name)
            if found is not None and self._allowed(name, found[0]):
                path, value = found[0], self._value(name, *found)
                self.origins[path] = name
                insert(tree, path, value)
        return tree

    def _placed(self, name: str) -> tuple[Path, Kinds] | None:
        """The path that a variable sets and the types there, or a finding."""
        kinds: Kinds = [self.settings_cls]
        path: Path = ()
        segments = name[len(PREFIX) :].lower().split(DELIMITER)
        for segment in segments:
            key = _key(kinds, segment, _get(self._file, path))
            below = down(kinds, key) if key else []
            if not below:
                self._unknown(name, path, segments[len(path) :], kinds)
                return None
            path, kinds = (*path, key), below
        if any(is_block(kind) for kind in kinds):
            inner = [key for kind in kinds for key in fields(kind)] or ["NAME"]
            fix = f"Set single keys, for example {printable(name)}{DELIMITER}{inner[0].upper()}."
            self._find(name, dotted(path), "this names a whole block.", fix)
            return None
        return path, kinds

    def _unknown(self, name: str, path: Path, rest: list[str], kinds: Kinds) -> None:
        if name in self._mentioned:
            return
        guess = meant(rest[0], [key for kind in kinds for key in fields(kind)])
        known = PREFIX + DELIMITER.join(str(part) for part in (*path, guess, *rest[1:])).upper()
        fix = (
            f"Did you mean {printable(known)}?"
            if guess
            else "Unset it, or give it a name without the prefix MERIDYEN_."
        )
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

    def _value(self, name: str, path: Path, kinds: Kinds) -> object:
        """The text, or for a list its JSON: other types are read by the model."""
        text = self._environ[name]
        if not any(is_list(kind) for kind in kinds) or not text.lstrip().startswith("["):
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


def _key(kinds: Kinds, segment: str, written: object) -> str:
    """A segment as the file spells it, when it is a name of the user's."""
    if isinstance(written, Mapping) and any(is_map(kind) for kind in kinds):
        for key in written:
            if key.lower() == segment or key.lower().replace("-", "_") == segment:
                return str(key)
    return segment


def _get(tree: Any, path: Path) -> Any:
    for part in path:
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree


def insert(tree: dict[str, Any], path: Path, value: object) -> None:
    """Put a value into a tree of maps, making the blocks on the way."""
    *blocks, last = map(str, path)
    for block in blocks:
        tree = tree.setdefault(block, {})
    tree[last] = value


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
