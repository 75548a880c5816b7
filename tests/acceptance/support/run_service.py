"""`agent run`, as the composition root makes it, that kills itself with SIGKILL when a job reaches a named step.

A rule of the kernel keeps its whole process tree from listening.

run_service.py SANDBOX_YAML [STEP]
"""

import os
import signal
import sys
from pathlib import Path

from agent.app import serve
from agent.sandbox import seccomp
from agent.settings import load


def main(config: str, die_at: str = "") -> int:
    seccomp.install((seccomp.Forbid(("listen",)),))

    def step(name: str) -> None:
        if name == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    return serve(load(Path(config), {}), step=step)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
