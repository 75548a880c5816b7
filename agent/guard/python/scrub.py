"""The exception that ended a program -> what of it may leave: its type, its message without values, its line.

A message keeps words that the submitter knows (those of the program, names of inputs and their columns) and words that
say nothing of the data (`vocabulary`). Numbers, quoted values and every other word become `?`.
"""

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from functools import cached_property
from types import TracebackType
from typing import Any, Final

from agent.core.problem import ProgramError
from agent.guard.python.admitting import FILE
from agent.guard.python.attributes import HINTED, READABLE
from agent.guard.python.vocabulary import ERRORS, TYPES, WORDS

_MAX_READ: Final = 4_000
_MAX_MESSAGE: Final = 500
_MAX_CAUSES: Final = 2
_MAX_FRAMES: Final = 100_000
_MAX_NAME: Final = 200

_WORD: Final = re.compile(r"[^\W\d]\w*")
_TOKENS: Final = re.compile(
    r"""(?P<quoted>(?<!\w)(?P<mark>['"`])(?P<inner>(?:(?!(?P=mark))[^\\\n]|\\.)*)(?P=mark)(?!\w))"""
    r"|(?P<joined>\w+(?:[@.:/\\+-]\w+)+)"
    r"|(?P<word>[^\W\d]\w*(?:'(?:t|s|re|ve|ll)\b)?)"
    r"|(?P<number>\d[\w.]*\w|\d)"
    r"|(?P<space>\s+)"
    r"|(?P<mark_>[!-/:-@\[-`{-~])"
    r"|(?P<other>.)",
    re.DOTALL,
)
_PARTS: Final = re.compile(r"[@.:/\\+-]")
_GAPS: Final = re.compile(r"\?(?:[^\w'\"`]*\?)+")
_SHORT: Final = frozenset(
    f"{one}n't" for one in ("do", "does", "did", "is", "are", "was", "ca", "wo", "could", "has", "have")
)

_SAYING: Final = {
    "MemoryError": "The program needed more memory than it may have.",
    "SystemExit": "The program ended itself.",
    "KeyboardInterrupt": "The program was interrupted.",
}
"""For exceptions that say nothing themselves, or nothing of use."""


def scrubbed(error: BaseException, code: str, known: Collection[str]) -> ProgramError:
    """What may leave of an exception of the program `code`; `known` are names of its inputs, columns and variables.

    Never raises, whatever the exception's class does when it is asked. Asks its `__str__`: call it in the sandbox only.
    """
    try:
        said = _Said(code, known)
        message = told = _message(error, said)
        meant = _meant(error, said)
        if meant:
            message = f"{message}{'' if message.endswith('.') else '.'} {meant}"
        for cause in _causes(error):
            about = _message(cause, said)
            if about != told:
                message += f" (from {_type(cause, said)}{': ' if about else ''}{about})"
        return ProgramError(_type(error, said), said.clean(message)[:_MAX_MESSAGE].rstrip(), _line(error))
    except BaseException:  # noqa: BLE001 - a hostile exception: nothing of it is told
        return ProgramError("Exception", "", None)


def rescrubbed(error: ProgramError, code: str, known: Collection[str]) -> ProgramError:
    """The same over what an untrusted process says that `scrubbed` gave."""
    said = _Said(code, known)
    kind = error.type if error.type in ERRORS or said.is_code(error.type) else "Exception"
    line = error.line if error.line is not None and 0 < error.line <= code.count("\n") + 1 else None
    return ProgramError(kind, said.clean(error.message[:_MAX_READ])[:_MAX_MESSAGE].rstrip(), line)


class _Said:
    """What the submitter has said or knows."""

    def __init__(self, code: str, known: Collection[str]) -> None:
        self._code, self.known = code, frozenset(known)

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(_WORD.findall(self._code)).union(*(_WORD.findall(name) for name in self.known))

    def is_code(self, name: str) -> bool:
        """Whether the program holds the word."""
        return name in self._words

    def is_known(self, text: str) -> bool:
        """Whether the program holds the text in quotes, or it is a known name."""
        return text in self.known or any(f"{mark}{text}{mark}" in self._code for mark in "'\"")

    def clean(self, text: str) -> str:
        """The text without values."""
        return _GAPS.sub("?", "".join(self._parts(text, quoted=False))).strip()

    def _parts(self, text: str, *, quoted: bool) -> Iterator[str]:
        for token in _TOKENS.finditer(text):
            match token.lastgroup:
                case "quoted":
                    yield f"{token['mark']}{self._inner(token['inner'])}{token['mark']}"
                case "word":
                    yield token[0] if self._may(token[0], quoted=quoted) else "?"
                case "joined":  # an address, a path, a date, a dotted name: nothing of it, unless all is known
                    yield token[0] if all(self._may(part, quoted=quoted) for part in _PARTS.split(token[0])) else "?"
                case "space":
                    yield " "
                case "mark_":
                    yield token[0]
                case _:
                    yield "?"

    def _inner(self, text: str) -> str:
        if text in TYPES or self.is_known(text):
            return text
        return _GAPS.sub("?", "".join(self._parts(text, quoted=True))).strip() or "?"

    def _may(self, word: str, *, quoted: bool) -> bool:
        if word in self._words or word in TYPES or word in ERRORS or word in READABLE or word in HINTED:
            return True
        plain = word.lower()
        return not quoted and (plain.removesuffix("'s") in WORDS or plain in _SHORT)


def _message(error: BaseException, said: _Said) -> str:
    kind = _type(error, said)
    text = _SAYING.get(kind) or _key(error, said)
    if text is None:
        try:
            text = str.__getitem__(str(error), slice(_MAX_READ))
        except BaseException:  # noqa: BLE001 - the program's own class
            text = ""
    return said.clean(text)


def _key(error: BaseException, said: _Said) -> str | None:
    """A KeyError shows its key in quotes; where the key is a sentence, those are not quotes."""
    args = _args(error)
    if not _is(error, KeyError) or len(args) != 1 or type(args[0]) is not str:
        return None
    key = args[0][:_MAX_READ]
    if said.is_known(key):
        return f"'{key}'"
    return key if re.search(r"\s", key) else "'?'"


def _meant(error: BaseException, said: _Said) -> str:
    """Which known name was probably meant."""
    name: Any = None
    if _is(error, NameError):
        name = _own(NameError, "name", error)
    elif _is(error, AttributeError):
        name = _own(AttributeError, "name", error)
    elif _is(error, KeyError) and _args(error):
        name = _args(error)[0]
    if (
        type(name) is not str
        or len(name) > _MAX_NAME
        or name in said.known
        or not (said.is_code(name) or said.is_known(name))
    ):
        return ""
    close = get_close_matches(name, sorted(said.known), n=1, cutoff=0.7)
    return f"Did you mean '{close[0]}'?" if close else ""


def _type(error: BaseException, said: _Said) -> str:
    """The name of its class, or of the first base that may be named."""
    for one in _own(type, "__mro__", type(error)):
        name = str.__getitem__(_own(type, "__name__", one), slice(_MAX_NAME))
        if name in ERRORS or said.is_code(name):
            return name
    return "Exception"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What it was raised from; of a group, the first of its members."""
    for _ in range(_MAX_CAUSES):
        cause = _own(BaseException, "__cause__", error)
        if cause is None and _is(error, BaseExceptionGroup):
            cause = _own(BaseExceptionGroup, "exceptions", error)[0]
        if not _is(cause, BaseException):
            return
        yield cause
        error = cause


def _line(error: BaseException) -> int | None:
    """The last line of the program's own that it passed through."""
    for one in (error, *_causes(error)):
        found = None
        at: TracebackType | None = _own(BaseException, "__traceback__", one)
        for _ in range(_MAX_FRAMES):
            if at is None:
                break
            if at.tb_frame.f_code.co_filename == FILE:
                found = at.tb_lineno
            at = at.tb_next
        if found is not None:
            return found
    return None


def _args(error: BaseException) -> tuple[Any, ...]:
    found: tuple[Any, ...] = _own(BaseException, "args", error)
    return found


def _is(error: object, kind: type[BaseException]) -> bool:
    """Whether it is of that class, whatever it says itself: `isinstance` would ask its `__class__`."""
    return issubclass(type(error), kind)


def _own(owner: type, name: str, target: object) -> Any:
    """What `owner` itself keeps for the target, whatever the target's own class says."""
    return vars(owner)[name].__get__(target)
