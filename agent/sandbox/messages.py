"""What the service and a warm server say to each other. Never a value, a secret or a name of a job."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.sandbox.supervisor import Cause

DESCRIPTORS = 4
"""With each request: the order pipe's read end, the parts file, the answer pipe's write end, the job's line.

A job that needs the sandbox brings one more behind them: the channel on which its worker asks for a child.
"""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Ready(_Message):
    """The server's first and only message on its channel. `landlock` is the kernel's ABI, 0 for none."""

    landlock: int = Field(ge=0)
    preload_seconds: float


class Request(_Message):
    """Run one job. `file_bytes` bounds the file of sealed parts. `sandbox`: the sandbox's channel comes along."""

    wall_seconds: float = Field(gt=0)
    cpu_seconds: float = Field(gt=0)
    memory_mb: float = Field(gt=0)
    file_bytes: int = Field(gt=0)
    sandbox: bool = False


class Done(_Message):
    """On a job's line: no process of the job is left. `status` as in `agent.sandbox.supervisor.End`."""

    cause: Cause
    status: int


class Reason(_Message):
    """One finding of the sandbox server's live probes: see `agent.core.ports.Finding`."""

    check: str
    level: Literal["ok", "note", "warning", "error"]
    found: str
    fix: str = ""


class SandboxReady(_Message):
    """The sandbox server's first message. `tier` is the best one that its probes saw hold; `none`: it runs nothing."""

    tier: Literal["full", "container", "none"]
    landlock: int = Field(ge=0)
    reasons: tuple[Reason, ...] = ()
    preload_seconds: float


class SandboxLoad(_Message):
    """What the sandbox server has to do now: children that run, jobs that wait, and the MiB that the former may use."""

    running: int = Field(ge=0)
    waiting: int = Field(ge=0)
    memory_mb: float = Field(ge=0)


SANDBOX_DESCRIPTORS = 5
"""With each request for a child: its input's read end, then the write ends of result, stdout, stderr and end."""


class SandboxRequest(_Message):
    """Run one untrusted program. Wall time counts from its start; MiB of memory beyond the server's, and of scratch.

    The answer is one `Done` as a line of JSON in the end pipe, when no process of the job is left.
    """

    wall_seconds: float = Field(gt=0, allow_inf_nan=False)
    cpu_seconds: float = Field(gt=0, allow_inf_nan=False)
    memory_mb: float = Field(gt=0, le=1 << 20, allow_inf_nan=False)
    # A folder in memory that were given no bytes at all would have no bound.
    scratch_mb: float = Field(ge=1, le=1 << 20, allow_inf_nan=False)
