"""Modules as a program sees them that hold more than a program may have: the rest of each is as it is.

A shadow stands for its module in the program's own imports only; libraries see the module itself.
"""

import operator
import string
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from typing_extensions import override

from agent.guard.python.guards import check_format, checked_name, guarded
from agent.guard.python.words import words

ONLY: Final[Mapping[str, frozenset[str]]] = {
    "gc": frozenset({"collect", "disable", "enable", "get_count", "get_stats", "get_threshold", "isenabled"}),
    "timeit": frozenset({"default_timer"}),
    "inspect": words(
        "Parameter Signature BoundArguments signature cleandoc getdoc getmro isclass isfunction ismethod isbuiltin "
        "isgenerator isgeneratorfunction isabstract ismodule isroutine iscoroutinefunction "
    ),
    "importlib": frozenset({"import_module", "metadata", "resources", "invalidate_caches"}),
}
"""Of these modules only these names."""

LESS: Final[Mapping[str, frozenset[str]]] = {
    "sys": words(
        "_getframe _current_frames _current_exceptions _xoptions _clear_type_cache _debugmallocstats modules "
        "settrace setprofile gettrace getprofile addaudithook audit meta_path path_hooks path_importer_cache "
        "breakpointhook call_tracing set_asyncgen_hooks set_coroutine_origin_tracking_depth unraisablehook "
        "setdlopenflags "
    ),
    "types": frozenset({"CodeType", "FunctionType", "LambdaType", "CellType", "FrameType", "TracebackType"}),
}
"""Of these modules all but these names."""


class _Shadow(ModuleType):
    """Stands for a module. What is set goes to the module itself: `sys.stdout = …` means what it says."""

    def __init__(self, real: ModuleType, own: Mapping[str, object]) -> None:
        super().__init__(real.__name__, real.__doc__)
        vars(self).update(own, __spec__=real.__spec__)

    @override
    def __getattr__(self, name: str) -> Any:
        real = vars(self)["__name__"]
        if name in LESS.get(real, ()) or (real in ONLY and name not in ONLY[real]):
            raise AttributeError(f"module {real!r} has no attribute {name!r} here", name=name)
        return getattr(import_module(real), name)

    @override
    def __setattr__(self, name: str, value: object) -> None:
        setattr(import_module(vars(self)["__name__"]), name, value)

    @override
    def __dir__(self) -> list[str]:
        real = vars(self)["__name__"]
        found = set(dir(import_module(real))) & ONLY.get(real, frozenset(dir(import_module(real))))
        return sorted(found - LESS.get(real, frozenset()))


class _Formatter(string.Formatter):
    """`string.Formatter` that looks up fields as the policy lets attributes be read."""

    @override
    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        check_format(f"{{{field_name}}}")
        return super().get_field(field_name, args, kwargs)


def _attrgetter(*names: str) -> Callable[[Any], Any]:
    for name in names:
        for part in _text(name).split("."):
            checked_name(part)
    return operator.attrgetter(*names)


def _methodcaller(name: str, /, *args: object, **words: object) -> Callable[[object], object]:
    checked_name(_text(name))

    def call(target: object) -> object:
        return guarded(target, name)(*args, **words)

    return call


def _text(name: object) -> str:
    if type(name) is not str:
        raise TypeError("attribute name must be a string")
    return name


def shadows(importing: Callable[[str, str | None], ModuleType]) -> dict[str, ModuleType]:
    """Name -> module as the program sees it. `importing` imports as the program may: a name, and a package."""

    def load(name: str, package: str | None = None) -> ModuleType:
        return importing(name, package)

    own: dict[str, dict[str, object]] = {
        "operator": {"attrgetter": _attrgetter, "methodcaller": _methodcaller},
        "string": {"Formatter": _Formatter},
        "importlib": {"import_module": load},
    }
    names = sorted({*ONLY, *LESS, *own})
    return {name: _Shadow(import_module(name), own.get(name, {})) for name in names}
