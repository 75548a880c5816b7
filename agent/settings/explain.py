"""A validation error -> findings, from position and type alone: the library's own texts quote the input."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from agent.settings import shape
from agent.settings.findings import Finding, Path, dotted
from agent.settings.suggest import meant
from agent.settings.yamltree import Document
from agent.wire.fields import NAME_PATTERN, SOURCE_PATTERN

Context = Mapping[str, Any]

_PATTERNS = {
    NAME_PATTERN: "must be letters, digits, `.`, `_` or `-`, starting with a letter or digit, at most 127.",
    SOURCE_PATTERN: "must be letters, digits, `_` or `-`, at most 63.",
}
_QUOTE = "Put the value in quotes."
_WRITE_BLOCK = "Write `key: value` lines under it, indented."

_TEXTS: Mapping[str, tuple[str, str]] = {
    "missing": ("is missing.", "Add it."),
    "bool": ("must be true or false.", ""),
    "int": ("must be a whole number.", ""),
    "float": ("must be a number.", ""),
    "finite": ("must be a finite number.", ""),
    "string_type": ("must be a text.", _QUOTE),
    "string_sub_type": ("must be a text.", _QUOTE),
    "string_unicode": ("is not valid Unicode.", ""),
    "path": ("must be a path.", ""),
    "dict": ("must be a block of keys.", _WRITE_BLOCK),
    "mapping": ("must be a block of keys.", _WRITE_BLOCK),
    "model": ("must be a block of keys.", _WRITE_BLOCK),
    "list": ("must be a list.", "Write `[a, b]`, or one `- item` a line."),
    "tuple": ("must be a list.", "Write `[a, b]`, or one `- item` a line."),
    "url": ("must be a URL.", ""),
}
_BOUNDS: Mapping[str, Callable[[Context], str]] = {
    "greater_than": lambda ctx: f"must be more than {ctx['gt']}.",
    "greater_than_equal": lambda ctx: f"must be at least {ctx['ge']}.",
    "less_than": lambda ctx: f"must be less than {ctx['lt']}.",
    "less_than_equal": lambda ctx: f"must be at most {ctx['le']}.",
    "string_too_short": lambda ctx: f"must have at least {ctx['min_length']} characters.",
    "string_too_long": lambda ctx: f"must have at most {ctx['max_length']} characters.",
    "too_short": lambda ctx: f"must have at least {ctx['min_length']} entries.",
    "too_long": lambda ctx: f"must have at most {ctx['max_length']} entries.",
    "string_pattern_mismatch": lambda ctx: _PATTERNS.get(ctx["pattern"], f"must match {ctx['pattern']}"),
    "literal_error": lambda ctx: f"must be {_as_yaml(ctx['expected'])}.",
    "enum": lambda ctx: f"must be {_as_yaml(ctx['expected'])}.",
}


class Explainer:
    """Turns validation errors of one model into findings about one document.

    `tree` is what was validated: the document with the environment's overrides; `origins` names the variable of each
    overridden path; `later` are dotted keys of a later version.
    """

    def __init__(
        self,
        model: type[BaseModel],
        document: Document,
        tree: object,
        *,
        origins: Mapping[Path, str] | None = None,
        later: Collection[str] = (),
    ) -> None:
        self._model, self._document, self._tree, self._origins, self._later = (
            model,
            document,
            tree,
            origins or {},
            later,
        )

    def findings(self, error: ValidationError) -> list[Finding]:
        """All findings, one for each key, in the order of the file."""
        merged: dict[Path, Finding] = {}
        for details in error.errors(include_url=False):
            path = self._path(details)
            finding = self._finding(path, details)
            merged[path] = _both(merged[path], finding) if path in merged else finding
        return sorted(merged.values(), key=lambda finding: finding.line or 0)

    def unknown(self, path: Path, loc: tuple[str | int, ...]) -> Finding:
        """The finding for a key that does not exist. `loc` is the error's own position, with tags of unions."""
        if dotted(path) in self._later:
            return self.at(path, "this version does not support this key.", "Remove it.")
        written = str(path[-1])
        siblings = sorted({key for kind in shape.at(self._model, loc[:-1]) for key in shape.fields(kind)})
        guess = meant(written, siblings) or next((key for key in self._keys() if key.endswith(f".{written}")), None)
        level = f"`{dotted(path[:-1])}`" if path[:-1] else "The file"
        fix = (
            f"Did you mean `{guess}`?" if guess else f"Remove it. {level} can have: {', '.join(siblings) or 'nothing'}."
        )
        return self.at(path, "this key does not exist.", fix)

    def _keys(self) -> Iterable[str]:
        return (key for key in shape.keys([self._model]) if "NAME" not in key and "[" not in key)

    def _finding(self, path: Path, details: ErrorDetails) -> Finding:
        kind, ctx = details["type"], details.get("ctx", {})
        if kind == "extra_forbidden":
            return self.unknown(path, details["loc"])
        if kind.startswith("union_tag"):
            return self._tag(path, details)
        if kind in {"value_error", "assertion_error"}:
            return self._said(path, _own_words(details))
        problem, fix = _text(kind, ctx, details["input"])
        if details["loc"][-1:] == ("[key]",):
            problem, fix = f"this name {problem}", "Rename it."
        return self.at(path, problem, fix or self._meant(kind, details))

    def _said(self, path: Path, problem: str) -> Finding:
        """A validator's own words. Those of a whole block may begin with the key that they are about."""
        first = (*path, problem.partition(" ")[0])
        return self.at(first if _found(self._tree, first) else path, problem)

    def _meant(self, kind: str, details: ErrorDetails) -> str:
        """A suggestion for a misspelt word of a fixed list."""
        if kind != "literal_error":
            return ""
        allowed = [str(word) for found in shape.at(self._model, details["loc"]) for word in shape.literals(found)]
        guess = meant(str(details["input"]), allowed)
        return f"Did you mean `{guess}`?" if guess else ""

    def _tag(self, path: Path, details: ErrorDetails) -> Finding:
        """A block that has several forms, and says none of them."""
        ctx = details.get("ctx", {})
        name = str(ctx.get("discriminator", "")).strip("'")
        members = shape.at(self._model, details["loc"])
        tags = sorted({str(tag) for kind in members for tag in _tags(kind, name)})
        listed = ", ".join(f"`{tag}`" for tag in tags)
        guess = meant(str(ctx.get("tag", "")), tags)
        fix = f"Did you mean `{guess}`?" if guess else f"Write one of {listed}."
        inner = (*path, name)
        if _found(self._tree, inner):
            return self.at(inner, f"must be one of {listed}.", fix)
        problem = f"`{name}` is missing." if isinstance(details["input"], Mapping) else "must be a block of keys."
        return self.at(path, problem, fix)

    def _path(self, details: ErrorDetails) -> Path:
        """The position in the file. Pydantic adds tags of unions and names of validators; the file knows neither."""
        node, loc = self._tree, details["loc"]
        path: list[str | int] = []
        for index, step in enumerate(loc):
            last = index == len(loc) - 1
            inside = _inside(node, step)
            if not inside and not (last and details["type"] == "missing"):
                continue
            node = inside[0] if inside else None
            path.append(step)
        return tuple(path)

    def at(self, path: Path, problem: str, fix: str = "") -> Finding:
        """A finding about a path: where it stands in the file, or the variable that set it."""
        variable = next(
            (self._origins[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self._origins), None
        )
        if variable is not None:
            return Finding(key=dotted(path), problem=problem, fix=fix, where=variable)
        name, line = self._document.name, self._document.line(path)
        return Finding(key=dotted(path), problem=problem, fix=fix, where=name, line=line)


def _as_yaml(expected: str) -> str:
    """`'a', 'b' or True` -> the same words as YAML writes them."""
    return expected.replace("'", "`").replace("True", "`true`").replace("False", "`false`")


def _text(kind: str, ctx: Context, given: object) -> tuple[str, str]:
    if kind in _BOUNDS:
        return _BOUNDS[kind](ctx), ""
    if kind == "string_type" and given is None:
        return "is empty.", "Give it a value, or remove the line."
    known = next((text for prefix, text in _TEXTS.items() if kind.startswith(prefix)), None)
    return known or ("is not valid.", "Compare it with docs/configure.md.")


def _own_words(details: ErrorDetails) -> str:
    """What a validator of ours said; nothing when it holds the text that was given."""
    said = str(details.get("ctx", {}).get("error", "")).strip()
    given = details["input"]
    if not said or (isinstance(given, str | int | float) and str(given) and str(given) in said):
        return "is not valid."
    return f"{said}." if said[-1] not in ".?!" else said


def _tags(kind: object, name: str) -> tuple[object, ...]:
    field = shape.fields(kind).get(name)
    return shape.literals(field.annotation) if field else ()


def _found(tree: object, path: Path) -> bool:
    inside = [tree]
    for part in path:
        inside = _inside(inside[0], part)
        if not inside:
            return False
    return True


def _inside(node: object, step: str | int) -> list[object]:
    """What stands one step below, as a list of at most one."""
    if isinstance(node, Mapping):
        return [node[step]] if step in node else []
    if isinstance(node, list) and isinstance(step, int):
        return node[step : step + 1]
    return []


def _both(first: Finding, second: Finding) -> Finding:
    """Two forms of one key were tried and neither fits."""
    if second.problem in first.problem:
        return first
    problem = f"{first.problem.removesuffix('.')}, or {second.problem}"
    return replace(first, problem=problem, fix=first.fix or second.fix)
