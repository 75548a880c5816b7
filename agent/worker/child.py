"""The whole life of one job's process: jail, order, work, answer."""

import errno
import logging
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

from typing_extensions import override

from agent.core import defect
from agent.core.errors import Fault
from agent.core.order import Order
from agent.core.outcome import Report
from agent.core.ports import Endpoint, Finding
from agent.sandbox import announced, process
from agent.sandbox.answer import Answer, Failure, encode
from agent.worker import jail

_ORDER_BYTES = 1 << 24
_LOG_LINES = 32
_LOG_CHARACTERS = 300


class Pipeline(Protocol):
    """What a worker does with an order. `agent.worker.pipeline` is the one that ships."""

    def warm(self) -> None:
        """Load what jobs need. Called once in the server, before any fork; must leave no thread and no data behind."""
        ...

    def rehearse(self) -> None:
        """Go through the motions of a job, without any. Called in a process that stands by; must start no thread."""
        ...

    def reads(self, order: Order) -> Sequence[Path]:
        """Files and folders that `work` must be able to read beside the code. Called before the jail is locked."""
        ...

    def connects(self, order: Order) -> Sequence[Endpoint]:
        """Servers that the order needs, their names looked up. Called before the jail is locked."""
        ...

    def work(self, order: Order, sink: BinaryIO, announce: Callable[[str], None], sandbox: int | None = None) -> Report:
        """Seal the job's outcome into `sink`; `announce`: see `agent.core.ports.Session`. Called in the locked jail.

        `sandbox` is the channel on which a sandbox can be asked for; only a worker of a job that needs one has it.
        """
        ...

    def errand(self, order: Order) -> Sequence[Finding]:
        """Do what is no job. Called in the locked jail. Raises Fault."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipes:
    """A job's own descriptors: where its order comes from, where sealed parts and its answer go.

    `sandbox`: see `Pipeline.work`.
    """

    order: int
    parts: int
    report: int
    sandbox: int | None = None

    def all(self) -> tuple[int, ...]:
        """The descriptors that the job's process keeps."""
        own = (self.order, self.parts, self.report)
        return own if self.sandbox is None else (*own, self.sandbox)


def stand_by(
    line: socket.socket,
    receive: Callable[[socket.socket], tuple[Pipes, jail.Resources] | None],
    pipeline: Pipeline,
    *,
    parent: int,
    version: int,
) -> None:
    """Wait for a job on `line`, the only descriptor that is kept, and do it. Ends when the server is gone.

    What every job touches is touched while there is none: those pages would be copied at the job's own expense.
    """
    process.die_with_parent(parent)
    process.keep_descriptors({0, 1, 2, line.fileno()})
    pipeline.rehearse()
    if len(process.threads()) != 1:  # the jail would not hold for the others
        return
    given = receive(line)
    if given is not None:
        run(*given, pipeline, parent=parent, version=version)


def run(pipes: Pipes, resources: jail.Resources, pipeline: Pipeline, *, parent: int, version: int) -> None:
    """Do one job and say how it went. `parent` is the server, `version` the newest Landlock ABI to use."""
    log = _Log()
    logging.getLogger("agent").addHandler(log)
    try:
        jail.leave(parent, pipes.all(), resources)
        order = Order.decode(_read(pipes.order))
        jail.lock(pipeline.reads(order), jail.Network.of(pipeline.connects(order)), version=version)
    except Exception as error:  # noqa: BLE001 - whatever it was, the job must not run
        log.lines.append(defect.describe(error))
        _say(pipes.report, Answer(failed="worker.isolation", log=tuple(log.lines)))
        return
    _say(pipes.report, _work(pipeline, order, pipes, log))


def _work(pipeline: Pipeline, order: Order, pipes: Pipes, log: "_Log") -> Answer:
    try:
        if order.errand is not None:
            return Answer(findings=tuple(pipeline.errand(order)), log=tuple(log.lines))
        with os.fdopen(pipes.parts, "wb") as sink:
            report = pipeline.work(order, sink, partial(announced.announce, pipes.report), pipes.sandbox)
        return Answer(report=report, log=tuple(log.lines))
    except Exception as error:  # noqa: BLE001 - the service seals a failure for the job
        return Answer(failed=_failure(error), log=(*log.lines[: _LOG_LINES - 1], defect.describe(error)))


def _failure(error: Exception) -> Failure:
    if isinstance(error, MemoryError):
        return "limit.memory"
    if isinstance(error, Fault) and error.code == "source.unavailable":
        return "source.unavailable"
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "spool.full"
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return "limit.bytes"
    return "internal.error"


def _read(pipe: int) -> bytes:
    with os.fdopen(pipe, "rb") as file:
        data = file.read(_ORDER_BYTES + 1)
    if len(data) > _ORDER_BYTES:
        raise ValueError("the order is too large")
    return data


def _say(pipe: int, answer: Answer) -> None:
    try:
        data = encode(answer)
    except ValueError:
        data = encode(Answer(failed="internal.error", log=("the answer is too large",)))
    with os.fdopen(pipe, "wb") as file:
        file.write(data)


class _Log(logging.Handler):
    """Keeps this package's own warnings for the answer; libraries' records may quote statements and values."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if len(self.lines) < _LOG_LINES - 1:
            text = f"{record.name} {record.getMessage()}"
            self.lines.append("".join(c if c.isprintable() else " " for c in text[:_LOG_CHARACTERS]))
