"""What every kind of task gets, and what it notes down while it runs."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from agent.core.job import Job
from agent.core.limits import Limits
from agent.core.outcome import Facts
from agent.core.ports import NOBODY, Session, Source
from agent.core.table import Batch, Disclosure, Document, Masked
from agent.masking.audit_text import plain_name
from agent.masking.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One verified job and what the site lends it. `limits` are the site's, clamped by the job's.

    `catalog` is the source's as an earlier worker handed it on, not yet decoded.
    """

    job: Job
    source: Source | None
    policy: Policy
    policy_sha256: str
    token_key: bytes | None = field(repr=False)
    limits: Limits
    token_previous: bytes | None = field(default=None, repr=False)
    reveal: bool = False
    survey: int | None = None
    catalog: bytes | None = field(default=None, repr=False)
    session: Session = NOBODY


@dataclass(slots=True)
class Notes:
    """What is known of a run so far, also of one that fails. `engine_seconds` counts waiting for the source only.

    `catalog` is what was read of the source, for the next worker; empty when there is nothing to hand on. `pii` is what
    the second net found.
    """

    statement: str = ""
    statement_sha256: str = ""
    disclosure: Disclosure | None = None
    masked: Masked | None = None
    document: Document | None = None
    catalog: bytes = b""
    engine_seconds: float = 0.0
    pii: Mapping[str, int] = field(default_factory=dict)

    def take_statement(self, text: str, shape: str) -> None:
        """Note a submitted statement: its digest, and its `shape` without literals."""
        self.statement, self.statement_sha256 = shape, sha256(text.encode(errors="surrogatepass")).hexdigest()

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
        tally, document = self.masked.tally if self.masked else None, self.document
        return Facts(
            statement=self.statement,
            statement_sha256=self.statement_sha256,
            relations=self.disclosure.relations if self.disclosure else (),
            columns=tuple(self.disclosure.columns) if self.disclosure else (),
            rows=tally.rows if tally else 0,
            bytes=tally.bytes if tally else len(document.data) if document else 0,
            truncated=tally.truncated if tally else document.truncated if document else False,
            engine_seconds=round(self.engine_seconds, 6),
            pii=_plainly(self.pii),
            suppressed=tally.suppressed if tally else 0,
        )


def _plainly(pii: Mapping[str, int]) -> dict[str, int]:
    """`column: kind` -> count, where a column's name that a statement could fill with anything is `?`."""
    found: Counter[str] = Counter()
    for key, count in pii.items():
        column, _, kind = key.rpartition(": ")
        found[f"{plain_name(column)}: {kind}"] += count
    return dict(found)


class Kind(Protocol):
    """How one kind of task runs."""

    def __call__(self, bench: Bench, notes: Notes, stack: ExitStack) -> Masked | Document:
        """What is fit to leave; `stack` keeps open what streaming rows are read from. Raises Refuse, Fault."""
        ...
