"""`agent run`, as the composition root makes it, that kills itself with SIGKILL when a job reaches a named step.

run_service.py SANDBOX_YAML [STEP]
"""

import os
import signal
import sys
from pathlib import Path

from agent.app import serve
from agent.settings import load


def main(config: str, die_at: str = "") -> int:
    def step(name: str) -> None:
        if name == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    return serve(load(Path(config), {}), step=step)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
