"""A program that ends in a bare expression gives its value, as a notebook's cell does."""

import ast
import re
from typing import Final

LAST: Final = "_last_expression"

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


def with_last(code: str) -> str:
    """The program with its last expression assigned to `LAST`; as it is when it has none. No line moves."""
    code = code.removeprefix("\ufeff")  # admit takes it away, ast does not
    try:
        tree = ast.parse(code)
        last = tree.body[-1]
        if not isinstance(last, ast.Expr) or isinstance(last.value, ast.Constant):
            return code
        changed = _wrapped(code, last)
        return changed if _same(tree, ast.parse(changed)) else code
    except (SyntaxError, ValueError, RecursionError, MemoryError, IndexError):
        return code  # it is admit's to say what is wrong with it


def _wrapped(code: str, last: ast.Expr) -> str:
    lines = _LINES.findall(code)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def place(line: int, column: int) -> int:
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    # The statement's place, not the expression's: that may stand in brackets, which are outside of it.
    begin, end = place(last.lineno, last.col_offset), place(last.end_lineno or 0, last.end_col_offset or 0)
    return f"{code[:begin]}{LAST} = ({code[begin:end]}){code[end:]}"


def _same(old: ast.Module, new: ast.Module) -> bool:
    """Nothing but the last statement changed, and that only by its target."""
    last, ours = old.body[-1], new.body[-1]
    if len(old.body) != len(new.body) or not isinstance(last, ast.Expr) or not isinstance(ours, ast.Assign):
        return False
    before, after = [*old.body[:-1], last.value], [*new.body[:-1], ours.value]
    return all(ast.dump(one) == ast.dump(other) for one, other in zip(before, after, strict=True))
