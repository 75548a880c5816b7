"""`agent run` under a rule of the kernel that nothing in its process tree may listen; for the faults of the link.

run_linked.py SANDBOX_YAML JSON, of which each member is optional:
  die: kill itself with SIGKILL when a job reaches this step; skew: seconds by which its wall clock is wrong;
  check: seconds between looks at the certificate; environ: the environment variables that count;
  free: leave out the rule.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from agent.sandbox import seccomp


def main(config: str, asked: str) -> int:
    wanted = json.loads(asked)
    if not wanted.get("free"):
        seccomp.install((seccomp.Forbid(("listen",)),))
    if skew := wanted.get("skew"):
        right = time.time
        time.time = lambda: right() + skew
    from agent.app import serve
    from agent.service import supervisor
    from agent.settings import load

    supervisor.CHECK_SECONDS = wanted.get("check", supervisor.CHECK_SECONDS)

    def step(name: str) -> None:
        if name == wanted.get("die"):
            os.kill(os.getpid(), signal.SIGKILL)

    return serve(load(Path(config), wanted.get("environ", {})), step=step)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
