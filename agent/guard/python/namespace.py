"""`namespace`: what a program finds when it starts."""

import builtins
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from opcode import opmap
from types import FrameType, ModuleType
from typing import Any

from agent.guard.python.admitting import Admitted
from agent.guard.python.guards import GUARD, builtins_of, guarded, nameable
from agent.guard.python.imports import Imports
from agent.guard.python.shadows import shadows


def namespace(admitted: Admitted, imports: Imports, values: Mapping[str, object]) -> dict[str, object]:
    """The globals to execute `admitted.code` in: guarded builtins, the import hook, and `values` by their names.

    The hook stands in the program's own builtins, so only the program's own frames meet it: what it imports may import
    what it needs. Raises ValueError when a name of `values` is not `nameable`.
    """
    if not isinstance(admitted, Admitted):
        raise TypeError("only an admitted program gets a namespace")
    wrong = [name for name in values if not nameable(name)]
    if wrong:
        raise ValueError("a value has a name that no program can use")
    return {
        "__name__": "__main__",
        "__doc__": None,
        "__builtins__": builtins_of(_hook(imports)),
        GUARD: guarded,
        **values,
    }


def _hook(imports: Imports) -> Callable[..., Any]:
    seen: dict[str, ModuleType] = {}

    def by_name(name: str, package: str | None = None) -> ModuleType:
        if type(name) is not str:
            raise TypeError("the name of a module must be a string")
        module = importlib.util.resolve_name(name, package) if name.startswith(".") else name
        _check(imports, module, ())
        found = importlib.import_module(module)
        return seen.get(found.__name__, found)

    def import_(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the interpreter's names
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        del globals, locals
        if level:
            raise ImportError("A program has no package of its own: import modules by their full names.")
        if name not in _OF_C or _is_statement(sys._getframe(1)):  # noqa: SLF001 - who imports
            _check(imports, name, fromlist or ())
        found = builtins.__import__(name, None, None, fromlist, 0)
        return seen.get(found.__name__, found)

    seen.update(shadows(by_name))
    return import_


# What functions written in C import when they are first called, by the hook of whoever calls them: `datetime.strptime`.
_OF_C = frozenset({"_strptime", "copyreg", "encodings", "unicodedata", "warnings"})


def _is_statement(frame: FrameType) -> bool:
    """Whether a frame is at an import statement, rather than at the call of such a function."""
    return frame.f_code.co_code[frame.f_lasti] == opmap["IMPORT_NAME"]


def _check(imports: Imports, name: str, names: Sequence[str]) -> None:
    """Raises ModuleNotFoundError, so that a program which has another way can take it."""
    refusal = imports.refusal(name, names)
    if refusal is not None:
        raise ModuleNotFoundError(f"{refusal.message} {refusal.hint}", name=name)
