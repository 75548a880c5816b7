"""A program's inputs -> tables, each masked and released as rows of a statement are; what they disclose together.

A source is closed before its rows are used: all rows of an input are here by then, up to `python_inputs` of the policy.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pyarrow as pa

from agent.core.errors import Fault, Refuse
from agent.core.job import InlineTable, PythonTask, SqlTask
from agent.core.table import Disclosure, Table, Tally
from agent.masking.release import Caps, Form, passed
from agent.wire import inline
from agent.worker.kinds.base import Bench, Notes
from agent.worker.kinds.sql import asked

Path = tuple[str, ...]

TOO_MUCH = "An input of the program has more {} than the policy lets programs have."
_HINT = "Aggregate or filter in the statement, add LIMIT, or set on_limit to truncate."
_MAX_SOURCE = 256


def programs(task: PythonTask, path: Path = ()) -> Iterator[tuple[Path, PythonTask]]:
    """The program and all that feed it, each with its path."""
    yield path, task
    for name, given in task.inputs.items():
        if isinstance(given, PythonTask):
            yield from programs(given, (*path, name))


def statements(task: PythonTask) -> Iterator[tuple[Path, SqlTask]]:
    """The statements of all inputs, each with its path."""
    for path, program in programs(task):
        for name, given in program.inputs.items():
            if isinstance(given, SqlTask):
                yield (*path, name), given


def said_of(path: Path, error: Refuse) -> Refuse:
    """The same refusal, of an input; the main program's own is not renamed."""
    if not path:
        return error
    named = Refuse(error.code, f"Input {'.'.join(path)}: {error.message}", error.hint)
    named.problems = error.problems
    return named


def failed_at(path: Path, error: Fault) -> Fault:
    """The same failure, of an input."""
    if not path:
        return error
    named = Fault(error.code, f"Input {'.'.join(path)}: {error.message}", error.hint)
    named.problems = error.problems
    return named


def inline_table(path: Path, given: InlineTable) -> Any:
    """A table that came with the task. Raises Refuse(python.input)."""
    try:
        return inline.table(given)
    except Refuse as refusal:
        raise said_of(path, refusal) from None


def input_table(bench: Bench, path: Path, frame: Any, caps: Caps) -> Any:
    """The frame of a program that feeds another one. Raises Refuse(policy.pii), Fault(limit.rows | limit.bytes)."""
    rows = Table(frame.schema, iter(frame.to_batches()))
    nothing = Disclosure("", (), {}, bench.policy.version, bench.policy_sha256)
    try:
        made = passed(rows, caps, bench.policy, nothing, Form(bench.job.on_limit))
        return pa.Table.from_batches(list(made.batches), made.schema)
    except Refuse as refusal:
        raise said_of(path, refusal) from None
    except Fault as fault:
        raise failed_at(path, Fault(fault.code, fault.message, fault.hint or _HINT)) from None


def sql_table(bench: Bench, notes: Notes, path: Path, task: SqlTask, caps: Caps) -> Any:
    """The released rows of one statement as a `pyarrow.Table`.

    Raises Refuse(task.source | sql.* | policy.*), Fault(source.* | limit.rows | limit.bytes).
    """
    own = notes.input(".".join(path), task.source)
    try:
        with ExitStack() as stack:
            plan, rows = asked(bench, task, own, stack)
            own.disclosure = plan.disclosure
            form = Form(bench.job.on_limit)
            own.masked = passed(rows, caps, bench.policy, plan.disclosure, form, plan.exempt)
            return pa.Table.from_batches(list(own.masked.batches), own.masked.schema)
    except Refuse as refusal:
        raise said_of(path, refusal) from None
    except Fault as fault:
        if fault.code in {"limit.rows", "limit.bytes"} and not fault.hint:
            fault = Fault(fault.code, fault.message, _HINT)
        raise failed_at(path, fault) from None


def disclosed(bench: Bench, notes: Notes) -> Disclosure:
    """What all inputs together disclose. Where there are several sources, names begin with theirs."""
    inputs = [(path, source, one) for (path, source), one in notes.inputs.items() if one.disclosure is not None]
    sources = list(dict.fromkeys(source for _, source, _ in inputs))
    found = Disclosure(
        source=", ".join(sources)[:_MAX_SOURCE],
        relations=(),
        columns={},
        policy_version=bench.policy.version,
        policy_sha256=bench.policy_sha256,
    )
    for path, source, one in inputs:
        prefix = f"{source}." if len(sources) > 1 else ""
        found = _with(found, path, prefix, one)
    return found


def _with(found: Disclosure, path: str, prefix: str, notes: Notes) -> Disclosure:
    own = notes.disclosure
    assert own is not None
    tally = notes.masked.tally if notes.masked is not None else Tally()
    relations = tuple(prefix + name for name in own.relations)
    columns = {prefix + name: rule for name, rule in own.columns.items()}
    return replace(
        found,
        relations=tuple(dict.fromkeys((*found.relations, *relations))),
        columns={**found.columns, **columns},
        notes=(*found.notes, *_notes(path, relations, notes)),
        statement="\n".join(filter(None, (found.statement, own.statement and f"-- {path}\n{own.statement}"))),
        pii={**found.pii, **{f"{path}.{key}": count for key, count in tally.pii.items()}},
        suppressed=found.suppressed + tally.suppressed,
    )


def _notes(path: str, relations: Sequence[str], notes: Notes) -> Iterator[str]:
    assert notes.disclosure is not None
    tally = notes.masked.tally if notes.masked is not None else None
    rows = f"{tally.rows} rows" if tally is not None else "rows"
    cut = ", cut at a limit" if tally is not None and tally.truncated else ""
    yield f"Input {path}: {rows} of {', '.join(relations) or 'no relation'}{cut}."
    yield from (f"Input {path}: {note}" for note in notes.disclosure.notes)


def pii_of(notes: Notes) -> dict[str, int]:
    """What the second net found in inputs, by `input.column: kind`."""
    return {
        f"{path}.{key}": count
        for (path, _), one in notes.inputs.items()
        if one.masked is not None
        for key, count in one.masked.tally.pii.items()
    }
