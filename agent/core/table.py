"""Rows in transit: Arrow record batches behind a small protocol, so that core needs no Arrow."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Batch(Protocol):
    """The part of `pyarrow.RecordBatch` that limits need."""

    @property
    def num_rows(self) -> int:
        """Rows in the batch."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of its buffers."""
        ...

    def slice(self, offset: int = ..., length: int | None = ...) -> "Batch":
        """Some of its rows, without a copy."""
        ...


@dataclass(frozen=True, slots=True)
class Table:
    """What a source answered to a masked statement. Never leaves the worker. `schema` is a `pyarrow.Schema`."""

    schema: Any
    batches: Iterator[Batch]


@dataclass(slots=True)
class Tally:
    """What has been released so far; final only when the batches are exhausted.

    `pii` counts what the second net found, by `column: kind`; `suppressed` are rows that it dropped.
    """

    rows: int = 0
    bytes: int = 0
    truncated: bool = False
    pii: dict[str, int] = field(default_factory=dict)
    suppressed: int = 0


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What a result discloses: relations, columns with the rule that was applied, and the policy that said so.

    `columns` maps `schema.relation.column` to the rule's name. `statement` is the text that ran,
    for local operators only. `pii` counts what the second net found, by `column: kind`; `suppressed` are rows that it
    dropped.
    """

    source: str
    relations: tuple[str, ...]
    columns: Mapping[str, str]
    policy_version: int
    policy_sha256: str
    notes: tuple[str, ...] = ()
    statement: str = ""
    pii: Mapping[str, int] = field(default_factory=dict)
    suppressed: int = 0


@dataclass(frozen=True, slots=True)
class Masked:
    """Rows fit to leave the site. Made only by `agent.masking.release.release`."""

    schema: Any
    batches: Iterator[Batch]
    disclosure: Disclosure
    format: str
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class Document:
    """A description fit to leave the site: JSON in UTF-8. Made only by `agent.masking.publish.publish`.

    `name` says what it describes: `catalog` or `explain`. `truncated`: it was cut at a limit, and says so itself.
    """

    name: str
    data: bytes = field(repr=False)
    disclosure: Disclosure
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Printed:
    """What a program printed, fit to leave the site; `_cut`: there was more than may leave. Made as `Analysis` is."""

    stdout: str = field(default="", repr=False)
    stderr: str = field(default="", repr=False)
    stdout_cut: bool = False
    stderr_cut: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """A chart that may leave. Made as `Analysis` is."""

    name: str
    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a program gave back, fit to leave the site. Made only by `agent.masking.analysis.analysed`.

    `result` is rows, JSON in UTF-8, or None. `truncated`: something was cut or left out at a limit. `pii` counts what
    the second net found beside the rows.
    """

    result: Masked | bytes | None = field(repr=False)
    outputs: tuple[Output, ...]
    printed: Printed
    disclosure: Disclosure
    truncated: bool = False
    pii: Mapping[str, int] = field(default_factory=dict)
