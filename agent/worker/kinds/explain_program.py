"""An explained program: each statement of its inputs as one is described alone, and what the program imports."""

import ast
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from agent.core.errors import Refuse
from agent.core.job import PythonTask, SqlTask
from agent.core.table import Disclosure
from agent.masking.analysis import chart_formats
from agent.worker.kinds.base import Bench, Notes, digest
from agent.worker.kinds.program_inputs import disclosed, said_of, statements
from agent.worker.kinds.python import check
from agent.worker.kinds.sandboxed import imports_of

Describe = Callable[[Bench, SqlTask, Notes, ExitStack], tuple[dict[str, object], Disclosure]]

_NOT_RUN = "The program was described, not run."


def explained_program(
    bench: Bench, task: PythonTask, notes: Notes, describe: Describe
) -> tuple[dict[str, object], Disclosure]:
    """What would become of a program. One that would be refused is described as that.

    Raises Refuse(task.kind | task.source), Fault(source.unavailable).
    """
    if bench.python is None:
        raise Refuse("task.kind", "This agent does not run Python.", "Ask for SQL, or have Python switched on.")
    notes.program_sha256 = digest(task.code)
    imports, refusal = _checked(bench, task)
    inputs: list[dict[str, object]] = []
    for path, statement in statements(task):
        own = notes.input(".".join(path), statement.source)
        try:
            with ExitStack() as stack:
                value, own.disclosure = describe(bench, statement, own, stack)
        except Refuse as error:
            raise said_of(path, error) from None
        inputs.append({"input": ".".join(path), **value})
    value = {
        "version": 1,
        "kind": "python",
        "admitted": refusal is None and all(one["admitted"] for one in inputs),
        "refusal": None if refusal is None else _told(refusal),
        "imports": imports,
        "charts": {"formats": list(chart_formats(bench.policy, task.charts)), "policy": bench.policy.release.charts},
        "inputs": inputs,
        "max_rows": bench.policy.python_inputs.max_rows,
        "max_bytes": bench.policy.python_inputs.max_bytes,
    }
    return value, _disclosed(bench, notes)


def _checked(bench: Bench, task: PythonTask) -> tuple[list[str], Refuse | None]:
    """The modules that all programs name in imports, and why the job would be refused."""
    try:
        admitted = check(task, imports_of(bench))
    except Refuse as refusal:
        return [], refusal
    imports = sorted({name for program in admitted for name in _imported(program.text)})
    if task.charts and not chart_formats(bench.policy, task.charts):
        return imports, Refuse("policy.chart", "The policy does not let charts of this kind out.")
    return imports, None


def _told(refusal: Refuse) -> dict[str, object]:
    problems = [
        {"code": one.code, "message": one.message, "hint": one.hint, "line": one.line, "column": one.column}
        for one in refusal.problems
    ]
    return {"code": refusal.code, "message": refusal.message, "hint": refusal.hint, "problems": problems}


def _imported(admitted: str) -> set[str]:
    """The modules that an admitted program names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(admitted)):
        match node:
            case ast.Import(names=names):
                found |= {one.name for one in names}
            case ast.ImportFrom(module=str() as module, level=0):
                found.add(module)
            case _:
                pass
    return found


def _disclosed(bench: Bench, notes: Notes) -> Disclosure:
    found = disclosed(bench, notes)
    return replace(found, notes=(_NOT_RUN, *found.notes))


__all__ = ["explained_program"]
