"""The sandbox's server: `python -I -m agent.sandbox.server --control FD --requests FD --parent PID …`.

It has the analytics libraries imported and holds no data: what a program gets and gives goes through pipes between its
worker and its own process. The service holds `control`, and its closing ends everything; over `requests` workers send
one `SandboxRequest` with five descriptors each. In the full tier the server itself lives in namespaces of its own, and
this process only waits for it.
"""

import argparse
import importlib
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import cast

from pydantic import ValidationError

from agent.core.ports import Finding
from agent.sandbox import cgroups, channel, inmate, landlock, namespaces, places, process, tiers
from agent.sandbox.jobs import Job, Jobs, usable
from agent.sandbox.kennel import Kennel
from agent.sandbox.messages import SANDBOX_DESCRIPTORS, Reason, SandboxLoad, SandboxReady, SandboxRequest
from agent.sandbox.procfs import Procfs
from agent.sandbox.waiting import Waiting

MAX_WAITING = 64
"""So many requests are taken; those behind them wait in the channel, and their workers with them."""


class Server:
    """Serves until its control channel closes or SIGTERM comes."""

    def __init__(
        self,
        control: socket.socket,
        requests: socket.socket,
        kennel: Kennel | None,
        jobs: Jobs,
        selector: selectors.BaseSelector,
    ) -> None:
        self._control = control
        self._requests = requests
        self._kennel = kennel
        self._jobs = jobs
        self._selector = selector
        self._open = True
        self._taking = False
        requests.setblocking(False)
        control.setblocking(False)
        selector.register(control, selectors.EVENT_READ, self._stop)
        self._listen(wanted=True)
        self._stop_on(signal.SIGTERM)

    def run(self) -> None:
        """Start and supervise jobs. On return no process of any job is left."""
        try:
            while self._open:
                events = self._selector.select(None if self._kennel is None else self._kennel.look())
                for key, _ in events:
                    key.data()
                if self._kennel is not None and not events:
                    self._kennel.stand_by()  # a fork takes as long as a short job: not while there is one to end
                self._listen(wanted=self._jobs.waiting < MAX_WAITING)
        finally:
            self._jobs.close()
            if self._kennel is not None:
                self._kennel.close()

    def _stop_on(self, number: signal.Signals) -> None:
        woken, waker = socket.socketpair()
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.detach())
        signal.signal(number, lambda *_: None)
        self._selector.register(woken, selectors.EVENT_READ, self._stop)

    def _stop(self) -> None:
        self._open = False

    def _listen(self, *, wanted: bool) -> None:
        if wanted != self._taking and self._requests.fileno() >= 0:
            self._taking = wanted
            if wanted:
                self._selector.register(self._requests, selectors.EVENT_READ, self._take)
            else:
                self._selector.unregister(self._requests)

    def _take(self) -> None:
        """One request. What is none is dropped with its descriptors: its worker sees the pipes close."""
        try:
            received = channel.receive(self._requests, SANDBOX_DESCRIPTORS)
        except (channel.ChannelError, OSError):
            return
        if received is None:  # nobody can ask any more
            self._listen(wanted=False)
            self._requests.close()
            return
        message, descriptors = received
        request = None
        with suppress(ValidationError):
            request = SandboxRequest.model_validate(message)
        if request is None or not usable(descriptors):
            for fd in descriptors:
                os.close(fd)
            return
        self._jobs.add(request, descriptors)


def _serve(options: argparse.Namespace, verdict: tiers.Verdict, *, own: int, proc: Procfs) -> None:
    control = socket.socket(fileno=options.control)
    requests = socket.socket(fileno=options.requests)
    selector = selectors.DefaultSelector()
    version = landlock.abi()
    kennel = None
    if verdict.tier is not None:
        kennel = Kennel(selector, verdict.tier, version, options.run, proc=proc, own=own, groups=options.groups)

    def changed(load: SandboxLoad) -> None:
        with suppress(OSError):  # the next one will be heard
            channel.send(control, load.model_dump())

    waiting: Waiting[Job] = Waiting(options.at_once, options.memory_mb, lambda job: job.cost)
    jobs = Jobs(selector, kennel, waiting, changed)
    serving = Server(control, requests, kennel, jobs, selector)
    ready = SandboxReady(
        tier=verdict.tier or "none",
        landlock=version,
        reasons=tuple(map(_reason, verdict.findings)),
        preload_seconds=time.monotonic() - options.started,
    )
    channel.send(control, ready.model_dump())
    serving.run()


def _reason(finding: Finding) -> Reason:
    return Reason(check=finding.check, level=finding.level, found=finding.found[:500], fix=finding.fix)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--tier", choices=("auto", "full", "container"), default="auto")
    parser.add_argument("--at-once", type=int, default=2, help="so many jobs run at once")
    parser.add_argument("--memory-mb", type=float, default=2048, help="what all jobs may hold together")
    parser.add_argument("--preload", default="", help="packages to import once, with commas")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, run: inmate.Run | None = None) -> int:
    """Serve until the service is gone. Exit status 0, or another with a sentence on stderr when it cannot serve.

    `run` is called in each jailed child instead of the program's life.
    """
    options = _options(arguments)
    process.die_with_parent(options.parent, signal.SIGTERM)
    process.become_subreaper()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    options.started = time.monotonic()
    options.run = _prepared([name for name in options.preload.split(",") if name], run)
    if len(names := process.threads()) != 1:
        sys.stderr.write(f"agent sandbox server: libraries started threads ({', '.join(names)}); refusing to fork\n")
        return 1
    verdict = tiers.choose(options.tier)
    options.groups, group = cgroups.found()
    verdict = replace(verdict, findings=(*verdict.findings, group))
    proc = Procfs()
    if verdict.tier == "full":
        return _wait_for_world(options, verdict, proc)
    _serve(options, verdict, own=-1, proc=proc)
    sys.stderr.flush()
    os._exit(0)  # libraries would tear themselves down, noisily, for nobody


def _prepared(preload: list[str], run: inmate.Run | None) -> inmate.Run:
    """What runs in each child, with all that it needs imported."""
    if run is not None and not preload:
        return run
    program = importlib.import_module("agent.sandbox.program")
    program.warm(preload)
    return run or cast("inmate.Run", program.run)


def _wait_for_world(options: argparse.Namespace, verdict: tiers.Verdict, proc: Procfs) -> int:
    root = namespaces.Root.plan(places.code())

    def first(own: int) -> None:
        _serve(options, verdict, own=own, proc=proc)

    try:
        status = tiers.world(root, first, leave_to_it=(options.control, options.requests))
    except OSError as error:
        sys.stderr.write(f"agent sandbox server: {process.describe(error)}\n")
        status = 1
    sys.stderr.flush()
    os._exit(status if status >= 0 else 1)


if __name__ == "__main__":
    sys.exit(main())
