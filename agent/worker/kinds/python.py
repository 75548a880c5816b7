"""`PythonTask` -> `Analysis`: admit all programs, then the masked inputs, then the programs, the innermost first."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from agent.core.codes import CODES
from agent.core.errors import Fault, Refuse
from agent.core.job import ChartFormat, InlineTable, PythonTask, SqlTask
from agent.core.table import Analysis
from agent.guard.python import Admitted, Imports, admit, nameable
from agent.masking.analysis import Terms, analysed, chart_formats
from agent.masking.release import Caps, caps_of
from agent.sandbox.exchange import Answer, Printed
from agent.worker.kinds.base import Bench, Notes, digest
from agent.worker.kinds.opening import source_of
from agent.worker.kinds.program_inputs import (
    TOO_MUCH,
    Path,
    disclosed,
    failed_at,
    inline_table,
    input_table,
    pii_of,
    programs,
    said_of,
    sql_table,
    statements,
)
from agent.worker.kinds.sandboxed import Run, channel, imports_of, sandboxed


def run(bench: Bench, notes: Notes, stack: ExitStack) -> Analysis:  # noqa: ARG001 - each input has a stack of its own
    """One program over its inputs. What can be refused is refused before any source is opened.

    Raises Refuse(task.* | sql.* | python.* | policy.*), Fault(source.* | limit.* | python.* | sandbox.*).
    """
    task = bench.job.task
    if not isinstance(task, PythonTask) or bench.python is None:
        raise Refuse("task.kind", "This agent does not run Python.", "Ask for SQL, or have Python switched on.")
    notes.program_sha256 = digest(task.code)
    check(task, imports_of(bench))
    charts = _charts(bench, task)
    for path, statement in statements(task):
        try:
            source_of(bench, statement.source)
        except Refuse as refusal:
            raise said_of(path, refusal) from None
    channel(bench)
    line = _Line(bench, notes)
    try:
        answer, said = line.ran(task, (), charts)
    finally:
        notes.disclosure = disclosed(bench, notes)
        notes.pii = pii_of(notes)
    terms = Terms(
        policy=bench.policy,
        limits=bench.limits,
        on_limit=bench.job.on_limit,
        format=task.format,
        disclosure=notes.disclosure,
    )
    notes.analysis = analysed(answer, said, terms)
    notes.pii = {**notes.pii, **notes.analysis.pii}
    return notes.analysis


def check(task: PythonTask, imports: Imports) -> list[Admitted]:
    """All programs, admitted. Raises Refuse(python.*) for what no program may be or be given."""
    admitted: list[Admitted] = []
    for path, program in programs(task):
        try:
            admitted.append(admit(program.code, imports))
        except Refuse as refusal:
            raise said_of(path, refusal) from None
        for name in (*program.inputs, *program.variables):
            if not nameable(name):
                message = "An input or a variable has a name that programs do not find."
                raise said_of(path, Refuse("python.input", message, CODES["python.input"].remedy))
    return admitted


def _charts(bench: Bench, task: PythonTask) -> tuple[ChartFormat, ...]:
    """The formats that may leave. A job that asks for others only is refused before it runs."""
    formats = chart_formats(bench.policy, task.charts)
    if task.charts and not formats:
        allowed = ", ".join(bench.policy.release.charts_out) or "none"
        raise Refuse("policy.chart", CODES["policy.chart"].meaning, f"Formats that the policy allows: {allowed}.")
    return formats


@dataclass(slots=True)
class _Line:
    """The runs of one job. `used` counts the bytes of all inputs."""

    bench: Bench
    notes: Notes
    used: int = 0

    def ran(self, task: PythonTask, path: Path, charts: tuple[ChartFormat, ...] = ()) -> tuple[Answer, Printed]:
        """What a program gave back, after everything that feeds it was made."""
        tables = {name: self._table(given, (*path, name)) for name, given in task.inputs.items()}
        caps = self._room() if path else caps_of(self.bench.policy, self.bench.limits)
        try:
            return sandboxed(self.bench, self.notes, Run(task, tables, charts, caps))
        except Fault as fault:
            raise failed_at(path, fault) from None

    def _table(self, given: SqlTask | InlineTable | PythonTask, path: Path) -> Any:
        if isinstance(given, InlineTable):
            return inline_table(path, given)
        if isinstance(given, SqlTask):
            table = sql_table(self.bench, self.notes, path, given, self._room())
        else:
            table = self._yielded(given, path)
        self.used += table.nbytes
        return table

    def _yielded(self, given: PythonTask, path: Path) -> Any:
        """The frame of a program that feeds another: no more of it than the policy lets one have."""
        answer, _ = self.ran(given, path)
        if answer.result != "frame":
            message = f"Input {'.'.join(path)}: the program's result is not a frame."
            raise Fault("python.result", message, "Assign a frame to `result` in a program that feeds another one.")
        return input_table(self.bench, path, answer.frame, self._room())

    def _room(self) -> Caps:
        """What one more input may hold."""
        most = self.bench.policy.python_inputs
        return Caps(most.max_rows, max(most.max_bytes - self.used, 0), TOO_MUCH)
