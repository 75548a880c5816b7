"""Job and outcome -> audit records. The log is opened, and opened again after a failure, by whoever writes next."""

import contextlib
import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from itertools import zip_longest
from typing import Protocol

import anyio
from anyio import to_thread

from agent.core.errors import AuditError
from agent.core.job import Job, PythonTask, submitted
from agent.core.outcome import Facts, Parcel

_TEXT_MAX = 262_144
"""JSON characters of one field: a record that does not fit its line could never be written, and would hold its job."""

_CUT = "..."
_DIGEST_LENGTH = 64
_NAMES_MAX = 16_384
_STATEMENT_MAX = 131_072
_MOST_INPUTS = 64
_MOST = 2**53


class Head(Protocol):
    """The end of the chain: number and hash of its last record."""

    @property
    def seq(self) -> int:
        """From 1."""
        ...

    @property
    def hash(self) -> str:
        """Lower-case hexadecimal SHA-256."""
        ...


class Log(Protocol):
    """An open audit log. `append` is durable on return; any failure is AuditError."""

    def append(self, event: str, /, **fields: object) -> Head:
        """Write one record."""
        ...

    def close(self) -> None:
        """Let go of the log."""
        ...


class Recorder:
    """The service's one hand on the audit log: one record at a time, never on the event loop."""

    def __init__(self, open_log: Callable[[], Log]) -> None:
        """Args: `open_log` takes the log for this process alone, or raises AuditError."""
        self._open_log = open_log
        self._log: Log | None = None
        self._one = anyio.CapacityLimiter(1)
        self.head: Head | None = None
        self.sound: bool | None = None

    async def append(self, event: str, /, **fields: object) -> Head:
        """Write one record; it is durable on return. Raises AuditError: then nothing may happen that it stands for."""
        return await to_thread.run_sync(partial(self._append, event, fields), limiter=self._one)

    async def aclose(self) -> None:
        """Let go of the log."""
        await to_thread.run_sync(self._close, limiter=self._one)

    def _append(self, event: str, fields: dict[str, object]) -> Head:
        try:
            if self._log is None:
                self._log = self._open_log()
            self.head = self._log.append(event, **fields)
        except AuditError:
            self.sound = False
            self._close()
            raise
        self.sound = True
        return self.head

    def _close(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            with contextlib.suppress(AuditError, OSError):
                log.close()


def asked(job: Job) -> dict[str, object]:
    """Who asked for what, as the signing key says. The statement comes with the end: masked of its literals."""
    return {
        "job": job.id,
        "digest": job.digest,
        "kid": job.kid,
        "tenant": job.tenant,
        "user": job.requested_by.user,
        "roles": list(job.requested_by.roles),
        "purpose": job.requested_by.purpose,
        "recipient": job.reply_to,
        "kind": job.task.kind,
        **_sources(job.task.sources),
    }


def _sources(names: Sequence[str]) -> dict[str, object]:
    return {"source": names[0]} if len(names) == 1 else {"sources": list(names)}


def ended(parcel: Parcel, facts: Facts, seconds: float) -> dict[str, object]:
    """How an attempt ended. `seconds` is its wall time in the service; names come from the worker and are bounded."""
    return {
        "job": parcel.job_id,
        "digest": parcel.job_digest,
        "attempt": parcel.attempt,
        "result": parcel.result_id,
        "outcome": parcel.outcome,
        "code": parcel.code,
        "statement": "" if facts.program_sha256 else _fit([facts.statement], _STATEMENT_MAX)[0],
        "statement_sha256": facts.statement_sha256[:_DIGEST_LENGTH],
        **_program(facts),
        "relations": _fit(facts.relations),
        "columns": _fit(facts.columns),
        "rows": _count(facts.rows),
        "bytes": _count(facts.bytes),
        "truncated": facts.truncated,
        "pii": dict(zip(_fit([*facts.pii]), map(_count, facts.pii.values()), strict=False)),
        "suppressed": _count(facts.suppressed),
        "engine_seconds": round(facts.engine_seconds, 3) if math.isfinite(facts.engine_seconds) else 0.0,
        "seconds": round(seconds, 3),
        "result_sha256": result_digest(parcel),
        "disclosure_sha256": parcel.disclosure_sha256,
        "policy_version": parcel.policy_version,
        "policy_sha256": parcel.policy_sha256,
        "isolation": parcel.isolation,
        "recipient": parcel.recipient,
    }


def unrun(job: Job) -> Facts:
    """What is known of a job that no worker spoke about: which text was submitted."""
    texts = submitted(job.task)
    digest = sha256(texts[0].encode("utf-8", "surrogatepass")).hexdigest() if texts else ""
    return Facts(program_sha256=digest) if isinstance(job.task, PythonTask) else Facts(statement_sha256=digest)


def _program(facts: Facts) -> dict[str, object]:
    """Of a program, its digest, and the statements of its inputs without their literals."""
    if not facts.program_sha256:
        return {}
    inputs = facts.inputs[:_MOST_INPUTS]
    names, sources, shapes = (
        _fit([getattr(one, field) for one in inputs], room)
        for field, room in (("name", _NAMES_MAX), ("source", _NAMES_MAX), ("statement", _STATEMENT_MAX))
    )
    counts = [(one.statement_sha256[:_DIGEST_LENGTH], _count(one.rows), _count(one.bytes)) for one in inputs]
    keys = ("input", "source", "statement", "statement_sha256", "rows", "bytes")
    told = zip_longest(names, sources, shapes, counts, fillvalue=_CUT)
    listed = [dict(zip(keys, (*texts, *count), strict=True)) for *texts, count in told]
    return {"program_sha256": facts.program_sha256[:_DIGEST_LENGTH], "inputs": listed}


def result_digest(parcel: Parcel) -> str:
    """SHA-256 over the hexadecimal digests of the parts, in order: names the sealed bytes without holding them."""
    return sha256("".join(part.sha256 for part in parcel.parts).encode("ascii")).hexdigest()


def _fit(texts: Sequence[str], room: int = _TEXT_MAX) -> list[str]:
    """As many of the texts as fit, the last one cut if need be; what is missing shows as `...`."""
    kept: list[str] = []
    for text in texts:
        size = len(json.dumps(text)) + 1
        if size > room:
            # No character takes more than twelve in JSON.
            kept.append(text[: room // 12] + _CUT)
            break
        kept.append(text)
        room -= size
    return kept


def _count(number: int) -> int:
    return min(max(number, 0), _MOST)
