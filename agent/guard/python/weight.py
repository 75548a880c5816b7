"""How large the compiled form of a program grows: the compiler repeats each `finally` at every way out of its `try`.

Nested, or with many ways out, a page of text would become gigabytes. What is counted here is an upper bound.
"""

import ast
from collections.abc import Sequence

_OUT = (ast.Return, ast.Break, ast.Continue)
_OWN_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def weight(node: ast.AST) -> int:
    """Nodes that the compiler will write code for. Raises RecursionError for what is nested too deeply."""
    return _count(node)[0]


def _count(node: ast.AST) -> tuple[int, int]:
    """Nodes, and ways out of a surrounding `try`."""
    if isinstance(node, (ast.Try, ast.TryStar)) and node.finalbody:
        nodes, ways = _sum([*node.body, *node.handlers, *node.orelse])
        last_nodes, last_ways = _sum(node.finalbody)
        copies = 2 + ways
        return nodes + last_nodes * copies, ways + last_ways * copies
    nodes, ways = _sum(list(ast.iter_child_nodes(node)))
    if isinstance(node, _OWN_SCOPE):
        ways = 0
    return nodes + 1, ways + isinstance(node, _OUT)


def _sum(nodes: Sequence[ast.AST]) -> tuple[int, int]:
    found = [_count(node) for node in nodes]
    return sum(one[0] for one in found), sum(one[1] for one in found)
