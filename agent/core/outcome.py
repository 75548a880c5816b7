"""How a job ended: a closed union, so that `match` is checked for completeness."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from agent.core.job import Digest, JobId
from agent.core.problem import Problem
from agent.core.table import Analysis, Disclosure, Document, Masked, Printed

OutcomeName = Literal["completed", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Completed:
    """The job ran; rows in `result` stream."""

    result: Masked | Document | Analysis


@dataclass(frozen=True, slots=True)
class Refused:
    """The job must not run. `code` from `agent.core.codes`."""

    code: str
    message: str
    hint: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The job ran and broke, or could not be run. `printed` is what a program wrote until then."""

    code: str
    message: str
    hint: str = ""
    disclosure: Disclosure | None = None
    problems: tuple[Problem, ...] = ()
    printed: Printed | None = None


Outcome = Completed | Refused | Failed


@dataclass(frozen=True, slots=True)
class Part:
    """One sealed part: SHA-256 over its ciphertext, and its size in bytes."""

    sha256: Digest
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A sealed outcome and its unsigned manifest: all that the service sees. Made only by `agent.wire.sealing.seal`.

    `sealed_key` is the content key, HPKE-sealed to `recipient` (a kid).
    """

    job_id: JobId
    job_digest: Digest
    result_id: str
    attempt: int
    outcome: OutcomeName
    code: str
    media_types: tuple[str, ...]
    parts: tuple[Part, ...]
    policy_version: int
    policy_sha256: str
    isolation: str
    disclosure_sha256: str
    recipient: str
    sealed_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFacts:
    """What the audit records of one input of a program. `name` is its path, `outer.inner` for a nested program's."""

    name: str
    source: str
    statement: str
    statement_sha256: str
    rows: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the audit records of a run: names and counts, never a value. `pii`: what the second net found.

    `program_sha256` names a program, whose text could hold values; `inputs` are the statements of its inputs.
    """

    statement: str = ""
    statement_sha256: str = ""
    relations: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: int = 0
    bytes: int = 0
    truncated: bool = False
    engine_seconds: float = 0.0
    pii: Mapping[str, int] = field(default_factory=dict)
    suppressed: int = 0
    program_sha256: str = ""
    inputs: tuple[InputFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker hands to the service beside the sealed parts.

    `catalogs` are what the worker read of its sources, for the next workers of the same ones; a source of which it read
    nothing that can be handed on is not in it. The service never looks inside.
    """

    parcel: Parcel
    facts: Facts
    catalogs: Mapping[str, bytes] = field(default_factory=dict, repr=False)
