"""What `admit` takes, what it gives, and that it is bounded."""

import dataclasses
import sys
import warnings

import pytest

from agent.core.errors import Refuse
from agent.guard.python import FILE, Imports, admit, namespace

IMPORTS = Imports.default()


def refusal(code: str, imports: Imports = IMPORTS) -> Refuse:
    with pytest.raises(Refuse) as refused:
        admit(code, imports)
    return refused.value


def result(code: str, **values: object) -> object:
    admitted = admit(code, IMPORTS)
    found = namespace(admitted, IMPORTS, values)
    exec(admitted.code, found)
    return found["result"]


def test_what_is_admitted_is_what_runs() -> None:
    admitted = admit("result = 1\r\nresult += x\r", IMPORTS)
    assert admitted.text == "result = 1\nresult += x\n"
    assert admitted.code.co_filename == FILE
    with pytest.raises(dataclasses.FrozenInstanceError):
        admitted.code = admitted.code  # type: ignore[misc]
    assert "result" not in repr(admitted)


@pytest.mark.parametrize(
    "code",
    [
        "\ufeffresult = 1",
        "# -*- coding: rot13 -*-\nresult = 1",
        "# -*- coding: no-such-codec -*-\nresult = 1",
        "\x0cresult = 1\x0c\n",
        "if 1:\n\tresult = 1",
        "result = 1\r",
        "#!/usr/bin/env python3\nresult = 1",
        "result = '\u200f\u0645' and 1",
        "from __future__ import annotations\nx: undefined = 0\nresult = 1",
        "assert __debug__\nresult = 1",
        '"""A docstring."""\nresult = 1',
        "result = 1 # \\d",
    ],
)
def test_ways_to_write_a_text(code: str) -> None:
    assert result(code) == 1


def test_asserts_are_kept_and_flags_of_this_module_are_not_handed_down() -> None:
    with pytest.raises(AssertionError):
        result("assert False")
    assert result("def f(x: int): ...\nresult = f.__annotations__['x']") is int


def test_a_warning_about_an_escape_is_neither_shown_nor_a_reason() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert result(r"import re; result = bool(re.match('\d', '1')) and (1 is 1)") is True
        assert refusal("x = '\\d'; y = = 1").code == "python.syntax"


@pytest.mark.parametrize("code", ["", "\n\n", "  \t\n", "\ufeff", "# nothing\n# but this", "\x0c"])
def test_nothing_to_run(code: str) -> None:
    found = refusal(code)
    assert found.code == "python.size"
    assert len(found.problems) == 1


def test_size_is_counted_in_bytes() -> None:
    assert result("result = len('" + "a" * 250_000 + "')") == 250_000
    assert refusal("x = '" + "ä" * 140_000 + "'").code == "python.size"


def test_at_most_three_problems_in_the_order_of_the_text() -> None:
    found = refusal("import socket\nx.__globals__\nasync def f(): pass\neval('1')\nimport ctypes")
    assert [(one.line, one.code) for one in found.problems] == [
        (1, "python.import"),
        (2, "python.name"),
        (3, "python.construct"),
    ]
    assert (found.code, found.message, found.hint) == (
        "python.import",
        "The module socket is not allowed here.",
        "No network here: name the data as an input.",
    )


def test_a_builtin_that_is_not_there_may_be_the_name_of_a_function_of_ones_own() -> None:
    assert result("def compile(x): return x + 1\nresult = compile(1)") == 2
    assert result("eval = lambda x: x\nresult = [f(3) for f in (eval,)][0]") == 3
    assert refusal("def f(eval): return eval\nexec('1')").code == "python.construct"


@pytest.mark.parametrize("many", [2_000, 60_000])
def test_many_refusals_are_not_all_looked_for(many: int) -> None:
    found = refusal(";".join(["a.__b__"] * (many // 8)) + ";" + "a" * 90_000)
    assert found.problems[0].column == 3


def test_depth_does_not_hang_on_the_callers_own() -> None:
    code = "x = a" + "+a" * 280

    def deep(n: int) -> object:
        return admit(code, IMPORTS).text if n == 0 else deep(n - 1)

    assert deep(0) == deep(200)
    assert refusal("x = a" + "+a" * 310).problems[0].line == 1


@pytest.mark.parametrize("limit", [1_000, 20_000])
def test_depth_does_not_hang_on_the_interpreters_limit(limit: int) -> None:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        assert refusal("x = 1\nx = [" + "-" * 400 + "1]").problems[0].line == 2
    finally:
        sys.setrecursionlimit(before)


def test_constants_that_the_compiler_could_compute_are_left_alone() -> None:
    admitted = admit("x = 'x' * 10**9; y = 10**10**8; z = 1 << 10**10; w = ((0,) * 10**6) * 10**6", IMPORTS)
    assert all(sys.getsizeof(one) < 1_000 for one in admitted.code.co_consts)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("x = 1\ny = df.__ｇｌｏｂａｌｓ__", "__globals__"),
        ("x = ('ä', df.__code__)", "__code__"),
        ("(df\n  .a\n  .__code__)", "__code__"),
    ],
)
def test_places_count_characters_of_the_text(code: str, name: str) -> None:
    problem = refusal(code).problems[0]
    line = code.split("\n")[(problem.line or 0) - 1]
    assert problem.name == name
    assert line[(problem.column or 0) - 1 :].startswith("__")


def test_a_module_that_is_optional_is_asked_for_when_it_runs() -> None:
    for caught in ("ImportError", "ModuleNotFoundError", "(ValueError, ImportError)", "Exception", "BaseException"):
        assert result(f"try:\n    import socket\nexcept {caught}:\n    result = 1") == 1
    assert result("try:\n    import socket\nexcept:\n    result = 1") == 1
    assert refusal("try:\n    import socket\nexcept OSError:\n    result = 1").code == "python.import"
    assert refusal("try: pass\nexcept ImportError: pass\nelse:\n    import socket").code == "python.import"
    assert refusal("try: pass\nexcept ImportError: pass\nimport socket").code == "python.import"
