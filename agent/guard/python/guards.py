"""Admitted program -> the globals that it runs in: guarded builtins, the import hook, and its inputs.

Attributes that stand in the text were judged there, so reading them costs nothing here. What is guarded at run time is
what takes a name as a value: `getattr` and its kin, `str.format`, imports by name.
"""

import builtins
import keyword
import string
import sys
import types
import unicodedata
from _string import formatter_field_name_split, formatter_parser  # type: ignore[import-not-found]
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NoReturn, cast

from agent.guard.python.attributes import CHECKED, instead, is_dunder, may_read, may_write

GUARD: Final = "<guard>"
"""Name of the guard of attributes in the program's globals. No program can write it."""

GONE: Final[Mapping[str, str]] = {
    "exec": "Write the statements themselves.",
    "eval": "Write the expression itself; for literals in text, use ast.literal_eval or json.loads.",
    "compile": "Write the code itself; for patterns, use re.compile.",
    "breakpoint": "Nobody debugs here: print what is of interest.",
    "help": "Nobody reads it here: leave it out.",
    "copyright": "Leave it out.",
    "credits": "Leave it out.",
    "license": "Leave it out.",
    "aiter": "Nothing is asynchronous here: use iter.",
    "anext": "Nothing is asynchronous here: use next.",
}
"""Builtins that a program does not have -> what to write instead."""

_CLASSES = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_ALL_CHARS: Final = 0x10FFFF
_MISSING: Final = object()


def nameable(name: str) -> bool:
    """Whether a program can find an input or a variable under this name."""
    plain = name.isidentifier() and unicodedata.normalize("NFKC", name) == name
    return plain and not keyword.iskeyword(name) and not is_dunder(name) and name not in GONE


def checked_name(name: object, may: Callable[[str], bool] = may_read) -> str:
    """The name of an attribute as it may be used. Raises TypeError for no text, AttributeError for a reserved name."""
    if type(name) is not str:
        raise TypeError("attribute name must be string")
    if not may(name):
        raise AttributeError(f"{name} is reserved for the interpreter. {instead(name)}", name=name)
    return name


def _format(method: Callable[..., Any], owner: str | None) -> Callable[..., Any]:
    """A method that formats, bound to a text or not, which may only look at what a program may look at.

    A closure: an object would hand out what it keeps.
    """

    def call(*args: Any, **words: Any) -> Any:
        text = next(iter(args), "") if owner is None else owner
        if isinstance(text, str):
            check_format(str.__str__(text))  # of a class derived from str too, what it holds
        return method(*args, **words)

    return call


@lru_cache(maxsize=256)
def check_format(text: str) -> None:
    """Raises AttributeError when a field of the format reaches for a reserved attribute."""
    try:
        for _, field, inner, _ in formatter_parser(text):
            for is_attribute, part in formatter_field_name_split(field)[1] if field else ():
                if is_attribute:
                    checked_name(part)
            if inner:
                check_format(inner)
    except ValueError:
        return  # the format is wrong, and says so itself


def _by_name(method: Callable[..., Any], may: Callable[[str], bool], at: int) -> Callable[..., Any]:
    """A method whose argument number `at` is the name of an attribute."""

    def call(*args: Any) -> Any:
        name = checked_name(args[at], may) if len(args) > at else ""
        if may is may_read and name in CHECKED:
            raise AttributeError(f"{name} is reserved for the interpreter. Write .{name} itself.", name=name)
        return method(*args)

    return call


def guarded(target: Any, name: str) -> Any:
    """The attribute, which leads no further than the policy lets a program look."""
    if name == "__dict__":
        return _vars(target)
    found = getattr(target, name)
    if name in {"format", "format_map"}:
        if isinstance(target, str):
            return _format(found, target)
        if isinstance(target, type) and issubclass(target, str):
            return _format(found, None)
    elif name in {"vformat", "get_field"}:
        if isinstance(target, string.Formatter) or target is string.Formatter:
            raise AttributeError(f"{name} is reserved for the interpreter. Use str.format or an f-string.", name=name)
    elif name in {"__getattribute__", "__getattr__", "__setattr__", "__delattr__"}:
        may = may_read if name.startswith("__get") else may_write
        return _by_name(found, may, 1 if isinstance(target, type) else 0)
    return found


def _getattr(target: object, name: str, default: object = _MISSING, /) -> Any:
    checked_name(name)
    if default is _MISSING:
        return guarded(target, name)
    try:
        return guarded(target, name)
    except AttributeError:
        return default


def _setattr(target: object, name: str, value: object, /) -> None:
    setattr(target, checked_name(name, may_write), value)


def _delattr(target: object, name: str, /) -> None:
    delattr(target, checked_name(name, may_write))


def _vars(*target: object) -> dict[str, Any]:
    if not target:
        return _own(sys._getframe(1).f_locals)  # noqa: SLF001 - what `vars()` and `locals()` are
    if isinstance(target[0], _CLASSES):
        raise TypeError("vars() is for objects here, not for classes, functions and modules: use dir().")
    return vars(*target)


def _locals() -> dict[str, Any]:
    return _own(sys._getframe(1).f_locals)  # noqa: SLF001


def _globals() -> dict[str, Any]:
    return _own(sys._getframe(1).f_globals)  # noqa: SLF001


def _dir(*target: object) -> list[str]:
    return dir(*target) if target else sorted(_own(sys._getframe(1).f_locals))  # noqa: SLF001


def _own(names: Mapping[str, Any]) -> dict[str, Any]:
    """A copy, without what is the interpreter's."""
    return {name: value for name, value in names.items() if name != GUARD and not is_dunder(name)}


def _input(_prompt: object = "", /) -> str:
    return ""


def _exit(code: object = None) -> NoReturn:
    raise SystemExit(code)


def builtins_of(importing: Callable[..., Any]) -> dict[str, object]:
    """The builtins of a program. What begins with an underscore and is not named here is not among them."""
    found = {name: getattr(builtins, name) for name in dir(builtins) if not name.startswith("_") and name not in GONE}
    own = {"getattr": _getattr, "setattr": _setattr, "delattr": _delattr, "vars": _vars, "locals": _locals}
    own |= {"globals": _globals, "dir": _dir, "input": _input, "exit": _exit, "quit": _exit}
    for name, function in own.items():
        cast("Any", function).__name__ = name
    hooks = {"__import__": importing, "__build_class__": builtins.__build_class__, "__debug__": True}
    return found | own | hooks
