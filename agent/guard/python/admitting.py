"""`admit`: an untrusted text -> `Admitted`, which holds the compiled code that will run, or a refusal. Nothing is run.

Bounded in time and memory for every text: what the parser or the compiler would take too long for is refused before.
"""

import ast
import re
import warnings
from dataclasses import dataclass, field
from types import CodeType
from typing import Final

from agent.core.errors import Refuse
from agent.core.problem import MOST
from agent.guard.python import syntax
from agent.guard.python.imports import Imports
from agent.guard.python.policy import Policy
from agent.guard.python.weight import weight

FILE: Final = "<program>"
"""The file name of a program's own frames."""

_MAX_BYTES: Final = 256 * 1024
_MAX_WEIGHT: Final = 200_000
_MAX_FIELDS: Final = 20_000
_MAX_LINE: Final = 20_000
_MAX_LINE_FIELDS: Final = 2_000

_BLANKS: Final = re.compile(r"[ \t\f]|\\\n")
_DOTTED: Final = re.compile(r"(?<![^\x00-\x20!-/:-@\[-^`{-~])(?:[^\x00-\x20!-/:-@\[-^`{-~]++\.){200}")
"""The parser takes quadratic memory in the parts of a dotted name that is imported."""

_UNFIT: Final = re.compile("[\0\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Admitted:
    """A program that may run. Made only by `admit`. `text` has plain line ends; its lines are those of `code`."""

    code: CodeType = field(repr=False)
    text: str = field(repr=False)


def admit(code: str, imports: Imports) -> Admitted:
    """Raises Refuse, with up to three problems: what, where in the text, and what to write instead."""
    text = _text(code)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning about an escape sequence is no reason to refuse, or to print
        tree = _tree(text)
        policy = Policy(text, imports)
        try:
            policy.visit(tree)
            policy.at = None
            problems = policy.problems()
            if problems:
                raise syntax.among(problems, MOST)
            if policy.finals and weight(tree) > _MAX_WEIGHT:
                raise syntax.placed(_too_many_ways(), None, None)
            return Admitted(_compiled(tree, text), text)
        except (RecursionError, MemoryError):
            line = getattr(policy.at, "lineno", None)
            raise syntax.placed(syntax.too_deep(), line, line and 1) from None


def _text(code: str) -> str:
    """The text as the parser reads it."""
    text = code.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if len(text.encode("utf-8", "surrogatepass")) > _MAX_BYTES:
        hint = "Send the program's text, without data in it: data are inputs."
        raise _size(f"The program is longer than {_MAX_BYTES // 1024} KB.", hint)
    unfit = _UNFIT.search(text)
    if unfit is not None:
        line, column = _place(text, unfit.start())
        raise syntax.placed(_unfit(unfit[0]), line, column, f"U+{ord(unfit[0]):04X}")
    if text.count("{") > _MAX_FIELDS or any(map(_full, text.split("\n"))):
        hint = "Break the line, and send the program's text without data in it: data are inputs."
        raise _size("The program has too many braces, or too many of them in one line.", hint)
    if _DOTTED.search(_BLANKS.sub("", text)):
        raise syntax.placed(syntax.too_deep(), None, None)
    if not text.strip(" \t\f\n"):
        raise _size("The program is empty.", "Send at least one statement, such as `result = df`.")
    return text


def _size(message: str, hint: str) -> Refuse:
    return syntax.placed(Refuse("python.size", message, hint), None, None)


def _full(line: str) -> bool:
    """The parser takes quadratic time in the fields of one f-string."""
    return len(line) > _MAX_LINE and line.count("{") > _MAX_LINE_FIELDS


def _unfit(character: str) -> Refuse:
    if character == "\0":
        return Refuse("python.encoding", "The program holds a NUL.", r"Remove it; in a text, write \x00.")
    if "\ud800" <= character <= "\udfff":
        hint = "Send the program as UTF-8."
        return Refuse("python.encoding", "The program holds half of a surrogate pair.", hint)
    hint = rf"Remove it; in a text, write \u{ord(character):04x}."
    return Refuse("python.encoding", "The program holds a character that makes its text read otherwise.", hint)


def _place(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _tree(text: str) -> ast.Module:
    try:
        tree = ast.parse(text, FILE)
    except (RecursionError, MemoryError):
        raise syntax.placed(syntax.too_deep(), None, None) from None
    except SyntaxError as error:
        raise syntax.of(error, text) from None
    except ValueError:
        raise syntax.placed(
            Refuse("python.encoding", "The program cannot be read.", "Send the program as UTF-8."), None, None
        ) from None
    if not tree.body:
        hint = "Send at least one statement, such as `result = df`."
        raise _size("The program holds nothing but comments.", hint)
    return tree


def _compiled(tree: ast.Module, text: str) -> CodeType:
    try:
        return compile(tree, FILE, "exec", dont_inherit=True, optimize=0)
    except SyntaxError as error:
        raise syntax.of(error, text) from None
    except (ValueError, OverflowError):
        raise syntax.placed(
            Refuse("python.syntax", "The program does not compile.", "Write it with plain statements."), None, None
        ) from None


def _too_many_ways() -> Refuse:
    what = "The program's `finally` blocks are nested, or left in too many ways, to be compiled."
    return Refuse("python.depth", what, "Move what they do into a function, and call it there.")
