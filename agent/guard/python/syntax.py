"""A text that does not parse -> the refusal, with what most often stands behind it."""

import re
from collections.abc import Iterable
from typing import Final

from agent.core.errors import Refuse
from agent.core.problem import Problem

_MAX_MESSAGE: Final = 200
_MAX_NAME: Final = 64
_MAX_LINE: Final = 500

_LINES: Final = (
    (re.compile(r"\s*(```|~~~)"), "Send the program alone, without the lines of the code fence."),
    (re.compile(r"\s*%{1,2}[a-z]"), "Leave out notebook commands; matplotlib needs no %matplotlib here."),
    (re.compile(r"\s*!"), "Leave out shell commands: what the program may import is there."),
    (re.compile(r"\s*\?|.*\?\s*$"), "Leave out notebook commands."),
    (re.compile(r"\s*(>>>|\.\.\.( |$)|In \[\d+\]:)"), "Leave out the prompts of the interpreter."),
    (re.compile(r"\s*(SELECT|WITH|select)\s"), 'SQL is no Python: name it as an input, or write duckdb.sql("…").df().'),
    (re.compile(r".*[\u2018\u2019\u201c\u201d]"), "Write plain quotes: ' or \"."),
    (re.compile(r".*[\u2013\u2014\u2212]"), "Write a plain minus: -."),
    (re.compile(r".*[\u00a0\u2000-\u200b\u202f\u3000\ufeff]"), "Write plain spaces; one here is of another kind."),
)
"""What the line looks like -> what to do about it."""

_MESSAGES: Final = (
    ("'return' outside function", "Assign the value to `result`."),
    ("'yield' outside function", "Assign the values to `result`, as a list."),
    ("outside function", "Nothing is asynchronous here: call the function itself."),
    ("Missing parentheses in call to 'print'", "Write print(…)."),
    ("integer string conversion", "Write a long number as a power, or read it from text."),
    ("was never closed", "Close the bracket; the program may have been cut off."),
    ("unterminated", "Close the text with the quotes that it began with; the program may have been cut off."),
    ("inconsistent use of tabs", "Indent with spaces alone."),
    ("unindent does not match", "Indent with spaces alone, each level by four."),
    ("unexpected indent", "Begin the first line at the margin, and indent each level by four spaces."),
    ("expected an indented block", "Write at least `pass` in the block."),
    ("f-string", "Use other quotes inside the braces than around the f-string, and no backslash in them."),
    ("positional argument follows keyword", "Put the arguments without a name first."),
    ("Maybe you meant '=='", "Compare with ==."),
    ("invalid non-printable character", "Delete the character."),
    ("too many statically nested blocks", "Move the inner blocks into a function."),
)


def of(error: SyntaxError, text: str) -> Refuse:
    """The refusal of a text that the parser or the compiler does not take."""
    lines = text.split("\n")
    line = error.lineno if error.lineno and error.lineno > 0 else None
    written = lines[line - 1] if line and line <= len(lines) else ""
    column = min(max(error.offset or 1, 1), len(written) + 1) if line else None
    said = _plain(error.msg or "invalid syntax")
    if "too many nested" in said or "nested too deeply" in said or "too many levels of indentation" in said:
        return placed(too_deep(), line, column)
    hint = next((hint for part, hint in _MESSAGES if part in said), "")
    for pattern, advice in _LINES:
        if pattern.match(written[:_MAX_LINE]):
            hint = advice
            break
    message = f"{said[:1].upper()}{said[1:]}."
    return placed(Refuse("python.syntax", message, hint or "Correct the line."), line, column)


def too_deep() -> Refuse:
    """The refusal of what the parser, the policy or the compiler cannot go into."""
    return Refuse("python.depth", "The program is nested too deeply.", "Name the inner parts, or use a loop over data.")


def placed(refusal: Refuse, line: int | None, column: int | None, name: str = "") -> Refuse:
    """The refusal with its one problem."""
    shown = name[:_MAX_NAME] if name.isprintable() else ""
    refusal.problems = (Problem(refusal.code, refusal.message, refusal.hint, shown, line, column),)
    return refusal


def among(problems: Iterable[Problem], most: int) -> Refuse:
    """The refusal that the first problem is, with as many problems as are told at once."""
    found = tuple(problems)[:most]
    refusal = Refuse(found[0].code, found[0].message, found[0].hint)
    refusal.problems = found
    return refusal


def _plain(message: str) -> str:
    return "".join(one if one.isprintable() else " " for one in message)[:_MAX_MESSAGE].strip().rstrip(".")
