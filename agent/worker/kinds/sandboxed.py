"""One program with its tables -> what it gave back, out of a sandbox of its own; other ends are stated failures."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.core.codes import CODES
from agent.core.errors import Fault
from agent.core.job import ChartFormat, PythonTask
from agent.core.problem import Problem, ProgramError
from agent.guard.python import Imports, rescrubbed
from agent.masking import analysis
from agent.masking.release import Caps as ResultCaps
from agent.sandbox import hand
from agent.sandbox.exchange import Answer, Caps, Input, Printed, Program, converse
from agent.sandbox.messages import Done, SandboxRequest
from agent.worker.kinds.base import Bench, Notes

_MAX_NAME: Final = 200
_SENTENCES: Final = (
    "result holds has have a an is are which that be given back too many values more rows than inside another value",
    "leave larger bytes nested deeper contains itself row two keys read the same key of type cannot as frame chart no",
    "may drawn it raised something into columns column name not or and in",
)
_WORDS: Final = frozenset(word for line in _SENTENCES for word in line.split())
"""Of the sentences that say why a result cannot be given back: they hold no value."""
_LEAST_SECONDS: Final = 0.05
_MARGIN_SECONDS: Final = 2.0
_MARGIN_SHARE: Final = 0.1
_ENDS: Final[Mapping[str, str]] = {
    "limit.wall": "limit.wall",
    "limit.cpu": "limit.cpu",
    "limit.memory": "limit.memory",
    "limit.scratch": "limit.memory",
    "limit.threads": "limit.memory",
    "isolation": "sandbox.isolation",
    "unseen": "sandbox.isolation",
    "fork": "sandbox.isolation",
}
_SAID: Final[Mapping[str, tuple[str, str]]] = {
    "limit.scratch": ("The program's files were larger than its scratch folder.", "Write less to files."),
    "limit.threads": ("The program started more threads than it may.", "Do without threads of your own."),
}
"""Causes that share a code with another one."""


def channel(bench: Bench) -> int:
    """Where a sandbox can be asked for. Raises Fault(sandbox.isolation)."""
    if bench.sandbox is None:
        known = CODES["sandbox.isolation"]
        raise Fault(known.name, known.meaning, known.remedy)
    return bench.sandbox


@dataclass(frozen=True, slots=True)
class Run:
    """One program, its tables (`pyarrow.Table`), the formats of charts that may leave, and the caps on its result."""

    task: PythonTask
    tables: Mapping[str, Any]
    charts: tuple[ChartFormat, ...]
    caps: ResultCaps


def sandboxed(bench: Bench, notes: Notes, run: Run) -> tuple[Answer, Printed]:
    """Run one program. Raises Fault(limit.* | python.* | sandbox.*); `notes.printed` then holds what it printed."""
    task, tables = run.task, run.tables
    program = Program(
        code=task.code,
        variables=task.variables,
        inputs=tuple(tables),
        frames=task.frames,
        charts=run.charts,
        imports=bench.python.imports if bench.python is not None else None,
        rows=run.caps.rows,
        bytes=run.caps.bytes,
        output_bytes=analysis.output_bytes(bench.policy, bench.limits),
        outputs=analysis.MOST_OUTPUTS,
    )
    inputs = {name: Input.of(table) for name, table in tables.items()}
    try:
        with hand.ask(channel(bench), _request(bench)) as running:
            answer, said, done = converse(running, program, inputs, Caps.of(bench.limits))
    except OSError:  # the server is gone
        raise _crashed() from None
    fault = _fault(answer, done, task, _known(task, tables), bench)
    if fault is not None or answer is None:
        notes.printed = analysis.printed(said, bench.policy)
        raise fault or _crashed()
    return answer, said


def _request(bench: Bench) -> SandboxRequest:
    """Its time ends before the job's: so that what it printed until then can still be sealed."""
    left = bench.deadline - time.monotonic()
    seconds = left - min(_MARGIN_SECONDS, max(bench.limits.wall_seconds * _MARGIN_SHARE, _LEAST_SECONDS))
    if seconds < _LEAST_SECONDS:
        known = CODES["limit.wall"]
        raise Fault(known.name, "The program's inputs took all of the job's time.", known.remedy)
    return SandboxRequest(
        wall_seconds=seconds,
        cpu_seconds=bench.limits.cpu_seconds,
        memory_mb=bench.limits.memory_mb,
        scratch_mb=bench.python.scratch_mb if bench.python is not None else 0,
    )


def _fault(
    answer: Answer | None, done: Done | None, task: PythonTask, known: Collection[str], bench: Bench
) -> Fault | None:
    """Why there is no result; None when there is one. A limit that was met counts more than what was said."""
    if done is not None and done.cause in _ENDS:
        code = CODES[_ENDS[done.cause]]
        said, hint = _SAID.get(done.cause, (code.meaning, code.remedy))
        return Fault(code.name, said, hint)
    if done is None or answer is None:
        return _crashed()
    if answer.code == "ok":
        return None
    return _stated(answer, task, known, bench)


def _crashed() -> Fault:
    code = CODES["sandbox.crashed"]
    return Fault(code.name, code.meaning, code.remedy)


def _stated(answer: Answer, task: PythonTask, known: Collection[str], bench: Bench) -> Fault:
    """What the child says went wrong; untrusted too, so that values are taken out here once more."""
    code, error = CODES[answer.code], answer.error or ProgramError("", "")
    # What was refused is said by this process; everything else by the child.
    clean = error if answer.code == "sandbox.crashed" else rescrubbed(error, task.code, {*known, *_WORDS})
    kind, text = (analysis.message(part, bench.policy) for part in (clean.type, clean.message))
    if answer.code == "python.error":
        message = f"{kind}: {text}" if text else kind
    else:
        message = f"{code.meaning} {text}".rstrip()
    fault = Fault(code.name, message or code.meaning, code.remedy)
    line = clean.line if clean.line is not None and 0 < clean.line <= task.code.count("\n") + 1 else None
    fault.problems = (Problem(code.name, text, name=kind[:_MAX_NAME], line=line),)
    return fault


def _known(task: PythonTask, tables: Mapping[str, Any]) -> tuple[str, ...]:
    """Names that the submitter knows, which a message may hold."""
    columns = (name for table in tables.values() for name in table.column_names)
    return (*tables, *columns, *task.variables)


def imports_of(bench: Bench) -> Imports:
    """What programs may import here."""
    named = bench.python.imports if bench.python is not None else None
    return Imports.default() if named is None else Imports.of(named)
