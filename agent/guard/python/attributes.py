"""Which attributes a program may name: only some with two underscores at both ends, and those of frames, are kept back.

The same rule holds for what stands in the text, for `getattr` and its kin, and for fields of `str.format`.
"""

from collections.abc import Mapping
from typing import Final

from RestrictedPython.transformer import INSPECT_ATTRIBUTES

from agent.guard.python.words import words

METHODS: Final = frozenset(
    f"__{name}__"
    for name in words(
        # what a class may define, and what may be called by name
        "new init post_init del repr str bytes format hash bool call len length_hint getitem setitem delitem missing "
        "contains iter next reversed lt le eq ne gt ge enter exit get set delete set_name init_subclass "
        "class_getitem instancecheck subclasscheck subclasshook prepare dir copy deepcopy replace getstate setstate "
        "getnewargs getnewargs_ex sizeof fspath index int float complex round trunc floor ceil neg pos abs invert "
        "getattr getattribute setattr delattr array array_ufunc array_function array_wrap array_finalize dataframe "
        "arrow_c_schema arrow_c_array arrow_c_stream sklearn_tags sklearn_is_fitted sklearn_clone repr_html "
        "array_namespace array_namespace_info from_arrow arrow_array "
        # binary operators, reflected and in place
        "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor or "
        "radd rsub rmul rmatmul rtruediv rfloordiv rmod rdivmod rpow rlshift rrshift rand rxor ror "
        "iadd isub imul imatmul itruediv ifloordiv imod ipow ilshift irshift iand ixor ior"
    )
)
"""Special methods."""

FACTS: Final = frozenset(
    f"__{name}__"
    for name in words(
        "name qualname doc module annotations version author all license copyright email date status credits "
        "maintainer slots match_args wrapped signature defaults kwdefaults members isabstractmethod "
        "abstractmethods type_params dataclass_fields dataclass_params required_keys optional_keys total args "
        "origin parameters metadata supertype forward_arg cause context suppress_context traceback notes "
        "array_priority pandas_priority debug test "
    )
)
"""What classes, functions, modules and exceptions tell of themselves."""

READABLE: Final = METHODS | FACTS | {"__dict__"}
WRITABLE: Final = METHODS | FACTS - {"__abstractmethods__", "__debug__"}

CHECKED: Final = words(
    "format format_map vformat get_field __dict__ __getattribute__ __getattr__ __setattr__ __delattr__"
)
"""Read through a guard: they reach other attributes by a name that is known only at run time."""

TELLING: Final = frozenset({"__name__", "__qualname__", "__doc__", "__module__"})
"""What may be read of `x.__class__`."""

_HINTS: Final[Mapping[str, str]] = {
    "__class__": "Write type(x); for its name, type(x).__name__.",
    "__dict__": "Write vars(x).",
    "__bases__": "Name the classes themselves.",
    "__base__": "Name the classes themselves.",
    "__mro__": "Write isinstance(x, Class), or name the classes themselves.",
    "__subclasses__": "Keep the classes in a list of your own.",
    "__globals__": "Pass what a function needs as its arguments.",
    "__builtins__": "Call the function by its name.",
    "__code__": "Write the function itself.",
    "__closure__": "Return what the function keeps.",
    "__func__": "Call the method by its class.",
    "__self__": "Keep the object under a name of its own.",
    "__import__": "Write `import name`.",
    "__loader__": "Write `import name`.",
    "__spec__": "Write `import name`.",
    "__file__": 'The program is not a file: make files by relative names, open("name").',
    "__path__": "Write `import name`.",
    "__reduce__": "Nothing is pickled here: leave it out.",
    "__reduce_ex__": "Nothing is pickled here: leave it out.",
    "__await__": "Nothing is asynchronous here: write a plain method.",
    "__aenter__": "Nothing is asynchronous here: define __enter__.",
    "__aexit__": "Nothing is asynchronous here: define __exit__.",
    "__aiter__": "Nothing is asynchronous here: define __iter__.",
    "__anext__": "Nothing is asynchronous here: define __next__.",
}

HINTED: Final = frozenset(_HINTS)
"""Names that are kept back and have a hint of their own."""


def is_dunder(name: str) -> bool:
    """Whether the name has two underscores at both ends."""
    return len(name) > len("____") and name.startswith("__") and name.endswith("__")


def may_read(name: str) -> bool:
    """Whether an attribute of this name may be read."""
    return name in READABLE if is_dunder(name) else name not in INSPECT_ATTRIBUTES


def may_write(name: str) -> bool:
    """Whether an attribute of this name may be set or deleted."""
    return name in WRITABLE if is_dunder(name) else name not in INSPECT_ATTRIBUTES


def instead(name: str) -> str:
    """What to write in the place of an attribute or a name that is kept back."""
    if name in _HINTS:
        return _HINTS[name]
    if name in INSPECT_ATTRIBUTES:
        return f'Frames are not to be looked into; for a column or a key, write ["{name}"].'
    return f"Choose a name without the double underscores: {name.strip('_') or 'name'}."
