"""What the service and a warm server say to each other. Never a value, a secret or a name of a job."""

from pydantic import BaseModel, ConfigDict, Field

from agent.sandbox.supervisor import Cause

DESCRIPTORS = 4
"""With each request: the order pipe's read end, the parts file, the answer pipe's write end, the job's line."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Ready(_Message):
    """The server's first and only message on its channel. `landlock` is the kernel's ABI, 0 for none."""

    landlock: int = Field(ge=0)
    preload_seconds: float


class Request(_Message):
    """Run one job. `file_bytes` bounds the file of sealed parts."""

    wall_seconds: float = Field(gt=0)
    cpu_seconds: float = Field(gt=0)
    memory_mb: float = Field(gt=0)
    file_bytes: int = Field(gt=0)


class Done(_Message):
    """On a job's line: no process of the job is left. `status` as in `agent.sandbox.supervisor.End`."""

    cause: Cause
    status: int
