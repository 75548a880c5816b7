"""What a program finds: guarded builtins, and names that are judged when it runs."""

import builtins

import pytest

from agent.core.errors import Refuse
from agent.guard.python import Imports, admit, nameable, namespace
from agent.guard.python.guards import GONE

DEFAULT = Imports.default()


def result(code: str, **values: object) -> object:
    admitted = admit(code, DEFAULT)
    found = namespace(admitted, DEFAULT, values)
    exec(admitted.code, found)
    return found["result"]


def test_every_builtin_is_there_or_has_a_reason_not_to_be() -> None:
    found = namespace(admit("result = 1", DEFAULT), DEFAULT, {})["__builtins__"]
    assert isinstance(found, dict)
    public = {name for name in dir(builtins) if not name.startswith("_")}
    assert public - found.keys() == GONE.keys() & public
    assert {name for name in found if name.startswith("_")} == {"__import__", "__build_class__", "__debug__"}
    assert found["print"] is print
    assert found["open"] is open
    for name in ("getattr", "setattr", "delattr", "vars", "globals", "locals", "dir", "input", "exit", "__import__"):
        assert found[name] is not getattr(builtins, name)


def reserved_in_the_text(program: str) -> bool:
    try:
        admit(program, DEFAULT)
    except Refuse as refusal:
        return refusal.code == "python.name"
    return False


@pytest.mark.parametrize(
    "code",
    [
        "getattr(x, '__cla' + 'ss__')",
        "getattr(x, '__cla' + 'ss__', None)",
        "getattr(f, '__glob' + 'als__')",
        "setattr(f, '__co' + 'de__', None)",
        "setattr(x, '__cla' + 'ss__', int)",
        "delattr(f, '__co' + 'de__')",
        "list(map(getattr, [x], ['__cla' + 'ss__']))",
        "'{0.__class__}'.format(x)",
        "'{0.a.__class__}'.format(x)",
        "'{0:{1.__class__}}'.format(x, x)",
        "'{x.__init__.__globals__}'.format_map({'x': x})",
        "'{0[0].__class__}'.format([x])",
        "str.format('{0.__class__}', x)",
        "str.format_map('{x.__class__}', {'x': x})",
        "getattr('{0.__class__}', 'format')(x)",
        "S('{0.__class__}').format(x)",
        "list(map('{0.__class__}'.format, [x]))",
        "operator.attrgetter('__class__')(x)",
        "operator.attrgetter('a.__class__')(x)",
        "operator.methodcaller('__subclasses__')(int)",
        "operator.methodcaller('__getattribute__', '__class__')(x)",
        "string.Formatter().format('{0.__class__}', x)",
        "string.Formatter().vformat('{0.__class__}', (x,), {})",
        "object.__getattribute__(x, '__cla' + 'ss__')",
        "x.__getattribute__('__cla' + 'ss__')",
        "type.__getattribute__(int, '__subclas' + 'ses__')",
        "object.__setattr__(x, '__cla' + 'ss__', int)",
        "type.__setattr__(X, '__ba' + 'ses__', ())",
        "x.__delattr__('__cla' + 'ss__')",
        "getattr(x, '__getattribute__')('__cla' + 'ss__')",
        "str.__getattribute__('{0.__class__}', 'format')(x)",
        "object.__getattribute__('{0.__class__}', 'format')(x)",
        "'{0.__class__}'.__getattribute__('format')(x)",
        "'{0.__class__}'.format._method('{0.__class__}')",
        "x.__getattribute__._method('__class__')",
        "x.__getattribute__('__dict__')",
        "vars(operator)",
        "vars(X)",
        "vars(f)",
        "operator.__dict__",
        "X.__dict__",
        "f.__dict__",
        "getattr(X, '__dict__')",
        "getattr(g, 'gi_fra' + 'me')",
        "getattr(x, S('a'))",
    ],
)
def test_reserved_attributes_by_names_that_are_made_up(code: str) -> None:
    prelude = (
        "import operator, string\n"
        "class X:\n    a = 1\n"
        "class S(str): pass\n"
        "def f(): pass\n"
        "g = (i for i in [])\n"
        "x = X()\n"
        "seen = []\n"
        "try:\n    seen.append({code})\n"
        "except (AttributeError, TypeError) as error:\n    seen = str(error)\n"
        "result = seen\n"
    )
    program = prelude.replace("{code}", code)
    if reserved_in_the_text(program):
        return
    found = result(program)
    assert isinstance(found, str), found
    assert (
        "reserved for the interpreter" in found
        or "must be" in found
        or "for objects here" in found
        or "no attribute '_method'" in found
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("'{0.a} {0.__name__} {1[k]:>{w}} {{}}'.format(x, {'k': 1}, w=3)", "1 X   1 {}"),
        ("'{} {}'.format(1, 2)", "1 2"),
        ("str.format('{}', 1)", "1"),
        ("'{a}'.format_map({'a': 1})", "1"),
        ("S('{}').format(3)", "3"),
        ("getattr(x, 'a', 0) + getattr(x, 'zz', 5)", 6),
        ("getattr(x, '__name__')", "X"),
        ("hasattr(x, 'a') and not hasattr(x, 'b')", True),
        ("hasattr([], '__iter__') and hasattr(x, '__class__')", True),
        ("operator.attrgetter('a', '__name__')(x)", (1, "X")),
        ("operator.methodcaller('upper')('a')", "A"),
        ("operator.methodcaller('format', 1)('{}')", "1"),
        ("string.Formatter().format('{0.a}{b}', x, b=2)", "12"),
        ("x.__class__.__name__", "type"),
        ("vars(y)", {"b": 2}),
        ("y.__dict__", {"b": 2}),
        ("y.__class__.__name__ + type(y).__qualname__", "YY"),
        ("(lambda: sorted(locals()))()", []),
        ("sorted(n for n in globals() if n in ('x', 'y', '<guard>', '__builtins__'))", ["x", "y"]),
        ("sorted(n for n in dir() if n in ('x', 'y', '<guard>', '__builtins__'))", ["x", "y"]),
        ("sorted(n for n in vars() if n == 'x')", ["x"]),
        ("Fmt().format(1)", "mine 1"),
    ],
)
def test_what_is_harmless_works(code: str, expected: object) -> None:
    prelude = (
        "import operator, string\n"
        "class X:\n    a = 1\n"
        "class Y:\n    def __init__(self): self.b = 2\n"
        "class Fmt:\n    def format(self, v): return f'mine {v}'\n"
        "class S(str): pass\n"
        "x = X\ny = Y()\n"
    )
    assert result(f"{prelude}result = {code}") == expected


def test_a_wrong_format_says_so_itself() -> None:
    with pytest.raises(ValueError, match="Single '}'"):
        result("result = '}'.format(1)")
    with pytest.raises(IndexError):
        result("result = '{3}'.format(1)")


def test_exit_ends_the_program() -> None:
    for code in ("exit()", "quit()", "import sys; sys.exit()"):
        with pytest.raises(SystemExit) as ended:
            result(code)
        assert ended.value.code is None
    with pytest.raises(SystemExit) as ended:
        result("exit(3)")
    assert ended.value.code == 3


@pytest.mark.parametrize("name", ["df", "_x", "größe", "input", "id", "result", "T1"])
def test_names_that_a_program_finds(name: str) -> None:
    assert nameable(name)
    assert result(f"result = {name}", **{name: 5}) == 5


@pytest.mark.parametrize(
    "name", ["", "a b", "1a", "class", "None", "__x__", "__builtins__", "eval", "ｄｆ", "<guard>", "a.b"]
)
def test_names_that_no_program_finds(name: str) -> None:
    assert not nameable(name)
    with pytest.raises(ValueError, match="no program can use"):
        namespace(admit("result = 1", DEFAULT), DEFAULT, {name: 1})


def test_only_what_was_admitted_gets_a_namespace() -> None:
    with pytest.raises(TypeError):
        namespace("result = 1", DEFAULT, {})  # type: ignore[arg-type]


def test_one_programs_builtins_are_not_anothers() -> None:
    first = namespace(admit("print = 1\nresult = 1", DEFAULT), DEFAULT, {})
    first["__builtins__"]["len"] = None  # type: ignore[index]
    assert result("result = len([1])") == 1
