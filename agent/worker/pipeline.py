"""The line: `Order` -> verified `Job` -> masked rows -> sealed parts and a `Report`."""

import errno
import importlib
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter, ValidationError

from agent.core import defect
from agent.core.codes import CODES
from agent.core.errors import Fault, Refuse
from agent.core.job import Job
from agent.core.order import Order
from agent.core.outcome import Completed, Failed, Refused, Report
from agent.core.ports import NOBODY, Endpoint, Finding, Source
from agent.core.table import Analysis, Document, Masked
from agent.dialects import DIALECTS
from agent.masking.policy import Policy
from agent.sources import Config, duckdb
from agent.wire.sealing import SealContext, max_sealed_bytes, seal
from agent.wire.signing import verify
from agent.wire.trust import TrustStore
from agent.worker import rehearsal, survey
from agent.worker.kinds import KINDS
from agent.worker.kinds.base import Bench, Notes

_SOURCES: TypeAdapter[Config] = TypeAdapter(Config)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_log = logging.getLogger(__name__)


_LIBRARIES = (
    *("agent.wire.frames", "sqlite3", "adbc_driver_postgresql.dbapi", "pymysql.cursors"),
    *("pyarrow", "pyarrow.compute", "pyarrow.csv", "pyarrow.ipc", "pyarrow.parquet"),
)


def warm() -> None:
    """Import and compute once, before any fork, what every job would import and compute anew.

    Libraries, lists derived from the dialects, what a first connection loads; and, since libraries also import on first
    use, one job of nobody's: signed, verified, planned, encoded and sealed under keys that are forgotten here.
    """
    _without_pandas(*_LIBRARIES)
    duckdb.warm()
    for name in rehearsal.DIALECTS:  # the others have no source, and all together take seconds
        assert DIALECTS[name].typed, "a dialect without functions"
    rehearsal.rehearse()


def rehearse() -> None:
    """Go through the motions of a job, without any; the engine's too."""
    rehearsal.rehearse(wide=False)
    duckdb.rehearse()


def _without_pandas(*names: str) -> None:
    """Import these, and have them look for pandas now, and not find it: loading all of it takes 300 ms."""
    sys.meta_path.insert(0, _NoPandas)
    try:
        for name in names:
            importlib.import_module(name)
        importlib.import_module("pyarrow").array([None])  # a job's first list would look for it
    finally:
        sys.meta_path.remove(_NoPandas)


class _NoPandas:
    """An importer that has no library of frames: where one is installed, drivers load it, and some start threads."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        """Raises ModuleNotFoundError for them."""
        if name.partition(".")[0] in {"pandas", "polars"}:
            raise ModuleNotFoundError(name, name=name)


def reads(order: Order) -> Sequence[Path]:
    """Files and folders of the order's sources. An invalid source reads nothing, and `work` says so."""
    try:
        sources = _sources(order)
    except ValidationError:
        return ()
    return tuple(path for source in sources.values() for path in source.reads())


def connects(order: Order) -> Sequence[Endpoint]:
    """Servers of the order's sources. An invalid source has none, and `work` says so."""
    try:
        sources = _sources(order)
    except ValidationError:
        return ()
    return tuple(server for source in sources.values() for server in source.connects())


def errand(order: Order) -> Sequence[Finding]:
    """End what an earlier worker left at its sources, or examine sources. Raises Fault(source.unavailable)."""
    sources = _sources(order)
    if order.errand == "examine":
        return tuple(finding for name in order.sources for finding in _found(sources, name).examine())
    for one in order.handles:
        name, _, handle = one.partition(":")
        _found(sources, name).cancel(handle)
    return ()


def _found(sources: Mapping[str, Source], name: str) -> Source:
    if name not in sources:
        raise Fault("source.unavailable", "No source of this name is configured here.")
    return sources[name]


def work(
    order: Order, sink: BinaryIO, announce: Callable[[str], None] = NOBODY.announce, sandbox: int | None = None
) -> Report:
    """Run one order and seal its outcome into `sink`, whatever the outcome is.

    Raises only what leaves nobody to seal for or nowhere to write: Refuse for an envelope that does not verify (the
    service verified the same bytes before), OSError when the sink has no room, and ValueError for a broken order.
    """
    started = time.monotonic()
    trust = TrustStore.model_validate_json(order.trust)
    job = verify(order.envelope, trust, order.me, order.now)
    policy = Policy.model_validate_json(order.policy)
    context = SealContext(
        job_id=job.id,
        job_digest=job.digest,
        result_id=order.result_id,
        attempt=order.attempt,
        policy_version=policy.version,
        policy_sha256=order.policy_sha256,
        isolation=order.isolation,
        recipient=trust.recipient(job.reply_to),
        max_bytes=max_sealed_bytes(order.limits.bytes),
    )
    notes = Notes()
    try:
        with ExitStack() as stack:
            deadline = started + order.limits.wall_seconds
            bench = replace(_bench(order, job, policy), announce=announce, sandbox=sandbox, deadline=deadline)
            parcel = seal(Completed(_run(bench, notes, stack)), context=context, sink=sink)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise
        notes.masked = notes.document = notes.analysis = None  # nothing of it leaves
        ended = _ended(error, notes)
        sink.seek(0)
        sink.truncate()
        parcel = seal(ended, context=context, sink=sink)
    return Report(parcel, notes.facts(), {name: data for name, data in notes.catalogs.items() if data})


def _bench(order: Order, job: Job, policy: Policy) -> Bench:
    return Bench(
        job=job,
        sources=_sources(order),
        policy=policy,
        policy_sha256=order.policy_sha256,
        token_key=order.token_key,
        token_previous=order.token_previous,
        limits=order.limits.clamped(job.limits),
        reveal=order.reveal,
        survey=order.survey,
        catalogs=order.catalogs,
        python=order.python,
    )


def _run(bench: Bench, notes: Notes, stack: ExitStack) -> Masked | Document | Analysis:
    if bench.survey is not None:
        return survey.run(bench, notes)
    kind = KINDS.get(bench.job.task.kind)
    if kind is None:
        raise Refuse("task.kind", "This agent does not run this kind of task.", f"Use one of: {', '.join(KINDS)}.")
    return kind(bench, notes, stack)


def _sources(order: Order) -> Mapping[str, Source]:
    """Those that are configured. Raises ValidationError."""
    return {name: _SOURCES.validate_json(text) for name, text in order.sources.items() if text is not None}


def _ended(error: Exception, notes: Notes) -> Refused | Failed:
    match error:
        case Refuse():
            return Refused(error.code, error.message, error.hint, error.problems)
        case Fault():
            return Failed(error.code, error.message, error.hint, notes.disclosure, error.problems, notes.printed)
        case MemoryError():
            code = CODES["limit.memory"]
        case _:
            _log.error("a defect ended the job: %s", defect.describe(error))
            code = CODES["internal.error"]
    return Failed(code.name, code.meaning, code.remedy, notes.disclosure)
