"""The real sandbox server, policy and all, and programs that are run in it as a worker runs them."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from agent.sandbox import channel, hand
from agent.sandbox.environment import ENVIRONMENT
from agent.sandbox.exchange import Answer, Caps, Input, Printed, Program, converse
from agent.sandbox.messages import Done, SandboxReady, SandboxRequest
from agent.sandbox.program import DEFAULT

CAPS = Caps(65_536, 65_536)
CHARTS = ("vega-lite", "plotly", "png", "svg")


@dataclass(frozen=True)
class Told:
    """What a worker hears of one program."""

    answer: Answer | None
    printed: Printed
    done: Done | None

    @property
    def whole(self) -> Answer:
        assert self.answer is not None, (self.done, self.printed)
        return self.answer

    @property
    def frame(self) -> pa.Table:
        assert self.whole.result == "frame", (self.whole, self.printed)
        return self.whole.frame

    @property
    def value(self) -> Any:
        assert self.whole.result == "json", (self.whole, self.printed)
        return self.whole.value


@dataclass(frozen=True)
class Sandbox:
    """A running server. `tier` is the one that its probes chose."""

    tier: str
    requests: int

    def run(
        self,
        code: str,
        inputs: Mapping[str, pa.Table] | None = None,
        *,
        caps: Caps = CAPS,
        wall_seconds: float = 60,
        memory_mb: float = 800,
        **terms: Any,
    ) -> Told:
        """Run one program in it."""
        given = inputs or {}
        program = Program(code=code, inputs=tuple(given), **{"charts": CHARTS, **terms})
        request = SandboxRequest(wall_seconds=wall_seconds, cpu_seconds=60, memory_mb=memory_mb, scratch_mb=32)
        with hand.ask(self.requests, request) as running:
            return Told(*converse(running, program, {name: Input.of(table) for name, table in given.items()}, caps))


@contextmanager
def started(tier: str = "auto", preload: tuple[str, ...] = DEFAULT) -> Iterator[Sandbox]:
    """The server, as the service starts it, until the block ends."""
    with ExitStack() as stack:
        control, its_control = map(stack.enter_context, channel.pair())
        requests, its_requests = map(stack.enter_context, channel.pair())
        fds = (its_control.fileno(), its_requests.fileno())
        command = [sys.executable, "-I", "-m", "agent.sandbox.server", "--control", str(fds[0])]
        command += ["--requests", str(fds[1]), "--parent", str(os.getpid()), "--tier", tier, "--at-once", "2"]
        command += ["--memory-mb", "2048", "--preload", ",".join(preload)]
        server = subprocess.Popen(command, env=dict(ENVIRONMENT), pass_fds=fds, cwd="/", start_new_session=True)
        its_control.close()
        its_requests.close()
        try:
            control.settimeout(60)
            received = channel.receive(control)
            assert received is not None, "the server did not start"
            ready = SandboxReady.model_validate(received[0])
            assert ready.tier != "none", ready.reasons
            yield Sandbox(ready.tier, requests.fileno())
        finally:
            control.close()
            server.wait(20)
