"""How often the compiler repeats a `finally`."""

import ast

import pytest

from agent.guard.python.weight import weight


def size(code: str) -> int:
    """Constants that the compiler really writes for `0xABC`, counted in its own output."""
    found = compile(code, "x", "exec")
    stack, count = [found], 0
    while stack:
        one = stack.pop()
        stack += [const for const in one.co_consts if hasattr(const, "co_code")]
        count += sum(name == "marker" for name in names_loaded(one))
    return count


def names_loaded(code: object) -> list[str]:
    import dis

    return [one.argval for one in dis.get_instructions(code) if one.opname in {"LOAD_NAME", "LOAD_GLOBAL"}]


@pytest.mark.parametrize(
    "code",
    [
        "try: x\nfinally: marker",
        "def f():\n try:\n  if x: return 1\n  if x: return 2\n finally: marker",
        "for i in x:\n try:\n  if x: break\n  if x: continue\n finally: marker",
        "def f():\n try:\n  try: return x\n  finally: marker\n finally: marker",
        "".join(" " * i + "try: x\n" + " " * i + "finally:\n" for i in range(6)) + " " * 6 + "marker",
        "def f():\n try:\n  def g():\n   return 1\n finally: marker",
        "def f():\n try: x\n except A: return 1\n except B: return 2\n else: return 3\n finally: marker",
    ],
)
def test_the_bound_is_one(code: str) -> None:
    tree = ast.parse(code)
    markers = sum(isinstance(one, ast.Name) and one.id == "marker" for one in ast.walk(tree))
    assert size(code) > markers - 1
    assert weight(tree) >= size(code)
    assert weight(tree) < 60 * size(code)


def test_without_a_finally_it_is_the_number_of_nodes() -> None:
    tree = ast.parse("def f(x):\n    return [y for y in x if y]\nfor i in f([1]): print(i)")
    assert weight(tree) == sum(1 for _ in ast.walk(tree))
