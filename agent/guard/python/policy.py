"""Syntax -> what of it is refused, and where. An allow-list of nodes; names and modules by their own rules.

RestrictedPython gives the allow-list: what it and this class do not name is refused, also in a later Python. Its guards
around every read, item and loop are left out: here a name is judged once, in the text, and the kernel is the boundary.
"""

import ast
from collections.abc import Sequence
from typing import Any, Final

from RestrictedPython.transformer import RestrictingNodeTransformer
from typing_extensions import override

from agent.core.errors import Refuse
from agent.core.problem import Problem
from agent.guard.python.attributes import (
    CHECKED,
    FACTS,
    METHODS,
    TELLING,
    instead,
    is_dunder,
    may_read,
    may_write,
)
from agent.guard.python.guards import GONE, GUARD
from agent.guard.python.imports import Imports
from agent.guard.python.places import Places
from agent.guard.python.words import words

_MAX_SCOPES: Final = 4_000
_MAX_WORDS: Final = 1_000
_MAX_SIGHTS: Final = 8_000_000
"""The compiler takes quadratic time in the functions of a program, in the named arguments of a call, and in the names
that each function can see."""

_MAX_DEPTH: Final = 300
"""So that what is refused does not hang on how deep the caller stands in the interpreter's own stack."""

_MAX_NAME: Final = 64
_MAX_FOUND: Final = 32
"""Beyond so many, refusals are not looked for in the text any more."""

_READ_NAMES: Final = FACTS | {"__debug__"}
_SET_NAMES: Final = FACTS - {"__debug__"}
_IMPORT_ERRORS: Final = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
_BY_NAME: Final = {"getattr": may_read, "setattr": may_write, "delattr": may_write}

_PLAIN: Final = frozenset(
    getattr(ast, name, ast.Pass)
    for name in words(
        "Module Expr Assign AugAssign AnnAssign Delete For While If With withitem Raise Assert Pass Break "
        "Continue Return Yield YieldFrom NamedExpr BinOp UnaryOp IfExp Dict Set comprehension "
        "FormattedValue JoinedStr Constant Subscript Starred List Tuple Slice arguments Load Store Del And Or "
        "Not Invert UAdd USub Add Sub Mult Div FloorDiv Mod Pow LShift RShift BitOr BitXor BitAnd MatMult Eq "
        "NotEq Lt LtE Gt GtE Is IsNot In NotIn Match MatchSingleton MatchSequence MatchOr "
        "keyword TypeAlias "
    )
)
"""Nodes that carry no name and are what they are: only what is in them is looked at."""

_SCOPES: Final = frozenset({ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp})
_TYPE_NAMES: Final = frozenset({"TypeVar", "ParamSpec", "TypeVarTuple"})
"""Nodes of later Pythons than the oldest that this runs on."""

_CONSTRUCTS: Final = {
    "AsyncFunctionDef": ("`async def`", "Write `def`: nothing is asynchronous here."),
    "Await": ("`await`", "Leave out `await`: call the function itself."),
    "AsyncFor": ("`async for`", "Write `for`: nothing is asynchronous here."),
    "AsyncWith": ("`async with`", "Write `with`: nothing is asynchronous here."),
}


class Policy(RestrictingNodeTransformer):
    """Visits one program. `found` holds what is refused; what is left of the tree may be compiled when it is empty."""

    def __init__(self, text: str, imports: Imports) -> None:
        super().__init__()
        self.found: list[Problem] = []
        self.finals = 0
        self.at: ast.AST | None = None
        self._imports, self._places = imports, Places(text)
        self._bound: set[str] = set()
        self._loaded: list[tuple[ast.Name, ast.AST | None]] = []
        self._told: set[ast.AST] = set()
        self._compared: set[ast.AST] = set()
        self._captures = 0
        self._scopes = 0
        self._depth = 0
        self._optional = 0

    def problems(self) -> list[Problem]:
        """What is refused, in the order of the text, each place once."""
        for node, at in self._loaded:
            if node.id not in self._bound:
                what = f"The function {node.id} is not allowed."
                self._add(Refuse("python.construct", what, GONE[node.id]), node, node.id, at)
        if self._scopes * len(self._bound) > _MAX_SIGHTS:
            what = "The program has too many names for so many functions, classes and comprehensions."
            self.found.append(Problem("python.depth", what, "Use a loop over data."))
        places: dict[tuple[int, int], Problem] = {}
        for one in sorted(self.found, key=lambda one: (one.line or 0, one.column or 0)):
            places.setdefault((one.line or 0, one.column or 0), one)
        return list(places.values())

    # What carries this: one call for each node of most kinds, so that depth costs little of the interpreter's.

    @override
    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.stmt):
            self.at = node
        if type(node) in _PLAIN:
            return self.node_contents_visit(node)
        if type(node) in _SCOPES:
            return self._scope(node)
        if type(node).__name__ in _TYPE_NAMES:
            self.check_name(node, getattr(node, "name", None))
            return self.node_contents_visit(node)
        return getattr(self, f"visit_{type(node).__name__}", self.generic_visit)(node)

    @override
    def node_contents_visit(self, node: Any) -> Any:
        if self._depth > _MAX_DEPTH:
            raise RecursionError
        self._depth += 1
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list):
                value[:] = [self.visit(one) if isinstance(one, ast.AST) else one for one in value]
            elif isinstance(value, ast.AST):
                setattr(node, field, self.visit(value))
        self._depth -= 1
        return node

    @override
    def not_allowed(self, node: ast.AST) -> None:
        kind = type(node).__name__
        what, hint = _CONSTRUCTS.get(kind, (kind, "Write it with plain statements."))
        self._add(Refuse("python.construct", f"{what} is not allowed.", hint), node)

    @override
    def generic_visit(self, node: ast.AST) -> Any:
        self.not_allowed(node)
        return node

    @override
    def error(self, node: ast.AST, info: str) -> None:
        """What the base class refuses on its own."""
        self._add(Refuse("python.construct", info, "Write it with plain statements."), node)

    # Names

    @override
    def check_name(self, node: Any, name: str | None, allow_magic_methods: bool = False) -> None:
        """A name that the program binds."""
        if name is None:
            return
        self._bound.add(name)
        if is_dunder(name) and name not in (METHODS | _SET_NAMES if allow_magic_methods else _SET_NAMES):
            self._reserved("name", node, name)

    @override
    def visit_Name(self, node: ast.Name) -> Any:
        if not isinstance(node.ctx, ast.Load):
            self.check_name(node, node.id, allow_magic_methods=True)
        elif node.id in GONE:
            self._loaded.append((node, self.at))
        elif is_dunder(node.id) and node.id not in METHODS | _READ_NAMES:
            self._reserved("name", node, node.id)
        return node

    @override
    def visit_Attribute(self, node: ast.Attribute) -> Any:
        value = node.value
        if node.attr in TELLING:
            self._telling(value)
        node.value = self.visit(value)
        reading = isinstance(node.ctx, ast.Load)
        if node in self._told:
            return node
        if not (may_read(node.attr) if reading else may_write(node.attr)):
            self._reserved("attribute", node, node.attr)
        elif reading and node.attr in CHECKED and node not in self._compared:
            return self._guarded(node)
        return node

    def _telling(self, *nodes: ast.expr) -> None:
        """Lets `x.__class__` be read where it is no more than type(x): called, compared, asked for its name."""
        for node in nodes:
            if isinstance(node, ast.Tuple):
                self._telling(*node.elts)
            elif isinstance(node, ast.Attribute) and node.attr == "__class__":
                self._told.add(node)

    @override
    def visit_Compare(self, node: ast.Compare) -> Any:
        self._telling(node.left, *node.comparators)
        return self.node_contents_visit(node)

    def _guarded(self, node: ast.Attribute) -> ast.Call:
        name = ast.Constant(node.attr)
        call = ast.Call(func=ast.Name(GUARD, ast.Load()), args=[node.value, name], keywords=[])
        ast.copy_location(call, node)
        ast.copy_location(call.func, node)
        ast.copy_location(name, node)
        return call

    @override
    def visit_Call(self, node: ast.Call) -> Any:
        if len(node.keywords) > _MAX_WORDS:
            hint = "Pass one dict."
            self._add(Refuse("python.depth", f"A call has more than {_MAX_WORDS:,} named arguments.", hint), node)
            node.keywords.clear()
        self._telling(node.func)
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if called in {"isinstance", "issubclass"}:
            self._telling(*node.args[1:])
        if called in _BY_NAME and isinstance(node.func, ast.Name) and len(node.args) > 1:
            name = node.args[1]
            if isinstance(name, ast.Constant) and isinstance(name.value, str) and not _BY_NAME[called](name.value):
                self._reserved("attribute", name, name.value)
        if called == "import_module" and node.args and isinstance(node.args[0], ast.Constant):
            self._module(node.args[0], str(node.args[0].value), ())
        return self.node_contents_visit(node)

    @override
    def visit_arg(self, node: ast.arg) -> Any:
        self.check_name(node, node.arg)
        return self.node_contents_visit(node)

    @override
    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> Any:
        self.check_name(node, node.name)
        return self.node_contents_visit(node)

    @override
    def visit_Global(self, node: ast.Global) -> Any:
        for name in node.names:
            self.check_name(node, name)
        return node

    @override
    def visit_Nonlocal(self, node: ast.Nonlocal) -> Any:
        for name in node.names:
            self.check_name(node, name)
        return node

    # Functions and classes

    @override
    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        self.check_name(node, node.name, allow_magic_methods=True)
        return self._scope(node)

    @override
    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        self.check_name(node, node.name)
        return self._scope(node)

    def _scope(self, node: Any) -> Any:
        self._scopes += 1
        if self._scopes == _MAX_SCOPES + 1:
            what = f"The program has more than {_MAX_SCOPES:,} functions, classes and comprehensions."
            self._add(Refuse("python.depth", what, "Use a loop over data."), node)
        return self.node_contents_visit(node)

    # Imports

    @override
    def visit_Import(self, node: ast.Import) -> Any:
        for alias in node.names:
            self._module(alias, alias.name, ())
            self.check_name(alias, alias.asname or alias.name.partition(".")[0])
        return node

    @override
    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        if node.level:
            hint = "Import modules by their full names."
            self._add(Refuse("python.import", "A program has no package of its own.", hint), node)
            return node
        module = node.module or ""
        if any(alias.name == "*" for alias in node.names):
            hint = f"Name what is used: from {module[:_MAX_NAME]} import name."
            self._add(Refuse("python.construct", "`import *` is not allowed.", hint), node)
            return node
        reserved = [alias for alias in node.names if not may_read(alias.name)]
        for alias in reserved:
            self._reserved("attribute", alias, alias.name)
        if not reserved:
            self._module(node, module, [alias.name for alias in node.names])
        for alias in node.names:
            if alias not in reserved:
                self.check_name(alias, alias.asname or alias.name)
        return node

    def _module(self, node: ast.AST, module: str, names: Sequence[str]) -> None:
        if self._optional or len(self.found) >= _MAX_FOUND:
            return
        refusal = self._imports.refusal(module, names)
        if refusal is not None:
            self._add(refusal, node, module)

    @override
    def visit_Try(self, node: ast.Try) -> Any:
        """A program that says what to do without a module gets that when it runs: the import fails there."""
        self.finals += bool(node.finalbody)
        spare = any(_catches_imports(handler.type) for handler in node.handlers)
        self._optional += spare
        node.body[:] = [self.visit(one) for one in node.body]
        self._optional -= spare
        for part in (node.handlers, node.orelse, node.finalbody):
            part[:] = [self.visit(one) for one in part]
        return node

    @override
    def visit_TryStar(self, node: Any) -> Any:
        self.finals += bool(node.finalbody)
        return self.node_contents_visit(node)

    # Patterns

    @override
    def visit_MatchAs(self, node: ast.MatchAs) -> Any:
        self._captures += 1
        self.check_name(node, node.name)
        return self.node_contents_visit(node)

    @override
    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        if sum(isinstance(one, ast.BoolOp) for one in node.values) > _MAX_WORDS:
            hint = "Use any() or all() over a list."
            self._add(Refuse("python.depth", "A condition has too many parts.", hint), node)
        return self.node_contents_visit(node)

    @override
    def visit_match_case(self, node: ast.match_case) -> Any:
        before, self._captures = self._captures, 0
        self.node_contents_visit(node)
        if self._captures > _MAX_WORDS:
            self._add(
                Refuse("python.depth", "A pattern has too many names.", "Take the rest with *rest."), node.pattern
            )
        self._captures = before
        return node

    @override
    def visit_MatchValue(self, node: ast.MatchValue) -> Any:
        """What is only compared is not handed out; and a pattern takes no call."""
        self._compared.add(node.value)
        return self.node_contents_visit(node)

    @override
    def visit_MatchStar(self, node: ast.MatchStar) -> Any:
        self.check_name(node, node.name)
        return node

    @override
    def visit_MatchMapping(self, node: ast.MatchMapping) -> Any:
        self.check_name(node, node.rest)
        return self.node_contents_visit(node)

    @override
    def visit_MatchClass(self, node: ast.MatchClass) -> Any:
        for name in node.kwd_attrs:
            if not may_read(name):
                self._reserved("attribute", node, name)
        return self.node_contents_visit(node)

    def _reserved(self, kind: str, node: ast.AST, name: str) -> None:
        what = f"The {kind} {name[:_MAX_NAME]} is reserved for the interpreter."
        self._add(Refuse("python.name", what, instead(name[:_MAX_NAME])), node, name)

    def _add(self, refusal: Refuse, node: ast.AST, name: str = "", at: ast.AST | None = None) -> None:
        if len(self.found) >= _MAX_FOUND:
            return
        line, column = self._places.of(node, name, at or self.at)
        shown = name[:_MAX_NAME] if name.isprintable() else ""
        self.found.append(Problem(refusal.code, refusal.message, refusal.hint, shown, line, column))


def _catches_imports(caught: ast.expr | None) -> bool:
    if caught is None:
        return True
    parts = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(isinstance(one, ast.Name) and one.id in _IMPORT_ERRORS for one in parts)
