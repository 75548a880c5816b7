"""What every kind of task gets, and what it notes down while it runs."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from agent.core.job import Job, SourceName
from agent.core.limits import Limits
from agent.core.order import PythonTerms
from agent.core.outcome import Facts, InputFacts
from agent.core.ports import NOBODY, Session, Source
from agent.core.table import Analysis, Batch, Disclosure, Document, Masked, Printed, Tally
from agent.masking.audit_text import plain_name
from agent.masking.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One verified job and what the site lends it. `limits` are the site's, clamped by the job's.

    `catalogs` are the sources' as earlier workers handed them on, not yet decoded. `deadline` is when the job's time is
    over, by the monotonic clock. `announce` is told `SOURCE:HANDLE`, see `agent.core.order.Order`. `python` is what
    programs run under, and `sandbox` the channel on which a sandbox can be asked for.
    """

    job: Job
    sources: Mapping[str, Source]
    policy: Policy
    policy_sha256: str
    token_key: bytes | None = field(repr=False)
    limits: Limits
    token_previous: bytes | None = field(default=None, repr=False)
    reveal: bool = False
    survey: int | None = None
    catalogs: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    announce: Callable[[str], None] = NOBODY.announce
    deadline: float = math.inf
    python: PythonTerms | None = None
    sandbox: int | None = None

    def session(self, source: SourceName) -> Session:
        """On whose behalf a source is opened."""
        return Session(self.job.id, lambda handle: self.announce(f"{source}:{handle}" if handle else ""))


@dataclass(slots=True)
class Notes:
    """What is known of a run so far, also of one that fails. `engine_seconds` counts waiting for the source only.

    `catalogs` are what was read of sources, for the next workers. `pii` is what the second net found. `inputs` are the
    notes of a program's inputs, by path and source; `printed` what a program that failed has written.
    """

    statement: str = ""
    statement_sha256: str = ""
    disclosure: Disclosure | None = None
    masked: Masked | None = None
    document: Document | None = None
    analysis: Analysis | None = None
    catalogs: dict[str, bytes] = field(default_factory=dict)
    engine_seconds: float = 0.0
    pii: Mapping[str, int] = field(default_factory=dict)
    program_sha256: str = ""
    inputs: dict[tuple[str, str], "Notes"] = field(default_factory=dict)
    printed: Printed | None = None

    def take_statement(self, text: str, shape: str) -> None:
        """Note a submitted statement: its digest, and its `shape` without literals."""
        self.statement, self.statement_sha256 = shape, digest(text)

    def input(self, path: str, source: str) -> "Notes":
        """The notes of one input, which share the catalogs."""
        return self.inputs.setdefault((path, source), Notes(catalogs=self.catalogs))

    def timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches; the time that each takes is added up."""
        while True:
            started = time.monotonic()
            batch = next(batches, None)
            self.engine_seconds += time.monotonic() - started
            if batch is None:
                return
            yield batch

    def facts(self) -> Facts:
        """For the audit: names and counts. Final only when the rows were consumed."""
        tally = self._tally()
        return Facts(
            statement=self.statement,
            statement_sha256=self.statement_sha256,
            relations=self.disclosure.relations if self.disclosure else (),
            columns=tuple(self.disclosure.columns) if self.disclosure else (),
            rows=tally.rows,
            bytes=tally.bytes,
            truncated=tally.truncated,
            engine_seconds=round(self.engine_seconds + sum(one.engine_seconds for one in self.inputs.values()), 6),
            pii=self._pii(),
            suppressed=tally.suppressed
            + sum(one.masked.tally.suppressed for one in self.inputs.values() if one.masked),
            program_sha256=self.program_sha256,
            inputs=tuple(one.as_input(path, source) for (path, source), one in self.inputs.items()),
        )

    def _pii(self) -> dict[str, int]:
        """What the second net found, by names that hold no value: a program calls its columns as it likes."""
        found = Counter(_plainly(self.pii, [path for path, _ in self.inputs]))
        if self.analysis is not None and isinstance(self.analysis.result, Masked):
            for key, count in self.analysis.result.tally.pii.items():
                found[f"result: {key.rpartition(': ')[2]}"] += count
        return dict(found)

    def as_input(self, name: str, source: str) -> InputFacts:
        """The same of an input."""
        tally = self._tally()
        return InputFacts(
            name=name,
            source=source,
            statement=self.statement,
            statement_sha256=self.statement_sha256,
            rows=tally.rows,
            bytes=tally.bytes,
        )

    def _tally(self) -> Tally:
        """What left, counted; nothing when nothing did."""
        if self.document is not None:
            return Tally(bytes=len(self.document.data), truncated=self.document.truncated)
        if self.analysis is not None:
            return counted(self.analysis)
        return self.masked.tally if self.masked is not None else Tally()


def counted(analysis: Analysis) -> Tally:
    """Rows and bytes of what a program gave back, its charts included."""
    result = analysis.result
    rows = result.tally if isinstance(result, Masked) else Tally(bytes=len(result or b""))
    size = rows.bytes + sum(len(one.data) for one in analysis.outputs)
    return Tally(rows.rows, size, rows.truncated or analysis.truncated, suppressed=rows.suppressed)


def digest(text: str) -> str:
    """SHA-256 of a submitted text, which may be any; in hex."""
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


def _plainly(pii: Mapping[str, int], inputs: Sequence[str]) -> dict[str, int]:
    """`column: kind` -> count, where a column's name that a statement could fill with anything is `?`.

    Columns of a program's `inputs` stand behind the input's own name.
    """
    found: Counter[str] = Counter()
    for key, count in pii.items():
        column, _, kind = key.rpartition(": ")
        path = max((one for one in inputs if column.startswith(f"{one}.")), key=len, default="")
        shown = f"{path}.{plain_name(column[len(path) + 1 :])}" if path else plain_name(column)
        found[f"{shown}: {kind}"] += count
    return dict(found)


class Kind(Protocol):
    """How one kind of task runs."""

    def __call__(self, bench: Bench, notes: Notes, stack: ExitStack) -> Masked | Document | Analysis:
        """What is fit to leave; `stack` keeps open what streaming rows are read from. Raises Refuse, Fault."""
        ...
