"""A YAML file -> plain values and the line of each. Stricter than YAML: what could surprise a reader is refused.

Scalars follow the core schema of YAML 1.2: `no`, `on` and `2026-01-01` are texts, only `true` and `false` are booleans.
Refused: duplicate keys, anchors, aliases, merge keys, tags, several documents, more than 1 MiB, more than 32 levels.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import NoReturn

import yaml

from agent.settings.files import NotRegularError, opened
from agent.settings.findings import Finding, Path, SettingsError, dotted, printable

LIMIT_BYTES = 1_048_576
MAX_DEPTH = 32

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,38})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_FLOAT_CHARACTERS = 64
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file. `lines` gives the line, from 1, of every key and list item; `sha256` is over the file's bytes."""

    name: str
    data: dict[str, Value]
    lines: Mapping[Path, int]
    sha256: str

    def line(self, path: Path) -> int | None:
        """The line of `path`, or of the nearest block around it."""
        known = (self.lines.get(path[:length]) for length in range(len(path), 0, -1))
        return next((line for line in known if line), None)


def read(path: FilePath) -> Document:
    """Read and parse a regular file. Raises SettingsError."""
    return parse(content(path), str(path))


def parse(data: bytes, name: str) -> Document:
    """The pure part of `read`; `name` stands in messages."""
    text = _text(data, name)
    builder = _Builder(name)
    problem: Finding | None = None
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        problem = _syntax(error, text, name)
    except yaml.YAMLError:
        fix = "Save it as plain text."
        problem = Finding(key="", problem="the file holds a control character.", fix=fix, where=name)
    if problem is not None:  # raised here, because PyYAML's own error carries the offending line
        raise SettingsError([*builder.findings, problem])
    if builder.findings:
        raise SettingsError(builder.findings)
    root = builder.root
    if root is not None and not isinstance(root, dict):
        _refuse(name, "the file is not a list of `key: value` lines.", "Start it with `version: 1`.", line=1)
    return Document(name, root or {}, builder.lines, hashlib.sha256(data).hexdigest())


def _refuse(name: str, problem: str, fix: str, *, line: int | None = None) -> NoReturn:
    raise SettingsError([Finding(key="", problem=problem, fix=fix, where=name, line=line)])


def content(path: FilePath) -> bytes:
    """The bytes of a regular file of at most 1 MiB. Raises SettingsError."""
    try:
        with opened(path) as file:
            data = file.read(LIMIT_BYTES + 1)
    except FileNotFoundError:
        reason, fix = "the file does not exist.", "Check the path, or make one with `agent init DIR`."
    except PermissionError:
        reason, fix = "the file cannot be read by this account.", "Give the agent's account read permission."
    except NotRegularError:
        reason, fix = "this is not a regular file.", "Name a plain file."
    except (OSError, ValueError) as error:
        reason, fix = f"the file cannot be opened ({type(error).__name__}).", "Check the path."
    else:
        if len(data) <= LIMIT_BYTES:
            return data
        reason, fix = "the file is larger than 1 MiB.", "Remove what does not belong into it."
    _refuse(printable(str(path)), reason, fix)


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
    _refuse(name, "the file is not valid UTF-8.", "Save it with UTF-8 encoding.", line=line)


_PHRASES = (
    ("mapping values", "a `:` stands where no key can stand.", "Put a text that holds `: ` in quotes."),
    ("could not find expected ':'", "a key has no `:` after it.", "Write `key: value`."),
    ("found unexpected end of stream", "a quote is never closed.", "Close it."),
    ("found undefined", "a YAML tag (`!…`) is not allowed here.", "Remove it."),
    ("found unknown escape", "a `\\` escape in double quotes is unknown.", "Use single quotes."),
)


def _syntax(error: yaml.MarkedYAMLError, text: str, name: str) -> Finding:
    """Our own words for a syntax error: PyYAML's message quotes the offending line."""
    mark = error.problem_mark or error.context_mark
    number = mark.line if mark else 0
    lines = text.splitlines()
    near = lines[max(number - 1, 0) : number + 1]
    if any("\t" in line[: len(line) - len(line.lstrip())] for line in near):
        return Finding(
            key="", problem="a tab stands in the indentation.", fix="Use spaces.", where=name, line=_tab(lines, number)
        )
    said = error.problem or ""
    for phrase, problem, fix in _PHRASES:
        if said.startswith(phrase):
            return Finding(key="", problem=problem, fix=fix, where=name, line=number + 1)
    fix = "Check indentation, quotes and brackets here and one line above."
    return Finding(key="", problem="this is not valid YAML.", fix=fix, where=name, line=number + 1)


def _tab(lines: list[str], number: int) -> int:
    at = lines[number] if number < len(lines) else ""
    return number + 1 if "\t" in at[: len(at) - len(at.lstrip())] else number


@dataclass(slots=True)
class _Open:
    """A block that is still being read. `key` is the key that waits for its value."""

    value: "dict[str, Value] | list[Value]"
    path: Path
    key: str | None = None
    seen: set[str] = field(default_factory=set)


class _Builder:
    """Takes parser events, which need no recursion, so that depth is ours to cap."""

    def __init__(self, name: str) -> None:
        self.root: Value = None
        self.lines: dict[Path, int] = {}
        self.findings: list[Finding] = []
        self._name = name
        self._open: list[_Open] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """One parser event. Raises SettingsError for what cannot be read past."""
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            self._stop("anchors and aliases (`&x`, `*x`) are not allowed.", "Write the value out.", line)
        if getattr(event, "tag", None) is not None:
            self._stop("a YAML tag (`!…`) is not allowed here.", "Remove it.", line)
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._stop("the file holds more than one document.", "Remove the `---` line.", line)
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._start(event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        top = self._open[-1] if self._open else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._key(top, event.value, line)
        else:
            self._put(_plain(event.value) if event.implicit[0] else event.value, line)

    def _key(self, top: _Open, key: str, line: int) -> None:
        path = (*top.path, key)
        if key == "<<":
            self._stop("merge keys (`<<`) are not allowed.", "Write the keys out.", line)
        if key in top.seen:
            first = self.lines.get(path, line)
            self._find(path, f"the key stands twice, first on line {first}.", "Keep one of them.", line)
        top.seen.add(key)
        top.key = key
        self.lines.setdefault(path, line)

    def _start(self, event: yaml.CollectionStartEvent, line: int) -> None:
        top = self._open[-1] if self._open else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._stop("a key must be a plain text, not a list or a block.", "Put it in quotes.", line)
        if len(self._open) >= MAX_DEPTH:
            self._stop(f"the file is nested more than {MAX_DEPTH} levels deep.", "Flatten it.", line)
        value: dict[str, Value] | list[Value] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Open(value, self._put(value, line)))

    def _put(self, value: Value, line: int) -> Path:
        """Put a finished scalar or a fresh block where it belongs, and return its path."""
        if not self._open:
            self.root = value
            return ()
        top = self._open[-1]
        if isinstance(top.value, dict):
            key = str(top.key)
            top.value[key], top.key = value, None
            return (*top.path, key)
        top.value.append(value)
        path = (*top.path, len(top.value) - 1)
        self.lines[path] = line
        return path

    def _find(self, path: Path, problem: str, fix: str, line: int) -> None:
        self.findings.append(Finding(key=dotted(path), problem=problem, fix=fix, where=self._name, line=line))

    def _stop(self, problem: str, fix: str, line: int) -> NoReturn:
        path = self._path()
        finding = Finding(key=dotted(path), problem=problem, fix=fix, where=self._name, line=line)
        raise SettingsError([*self.findings, finding])

    def _path(self) -> Path:
        if not self._open:
            return ()
        top = self._open[-1]
        return top.path if top.key is None else (*top.path, top.key)


def _plain(text: str) -> Value:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if len(text) <= _FLOAT_CHARACTERS and _FLOAT.fullmatch(text):
        return float(text)
    return text


def leaves(value: Value, path: Path = ()) -> Iterator[tuple[Path, str | int | float | bool | None]]:
    """Every scalar of a tree with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path, value
