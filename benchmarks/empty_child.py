"""The sandbox's server whose children do nothing: what a jail costs by itself. `--fork`: plain forks, when asked."""

import os
import sys
import time

from agent.sandbox import server


def forks(preload: str) -> None:
    """One fork for each byte that comes; its seconds go out."""
    from agent.sandbox import program  # noqa: PLC0415

    program.warm(preload.split(","))
    os.write(1, b"ready\n")
    while os.read(0, 1):
        started = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        os.write(1, f"{time.perf_counter() - started}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1] == "--fork":
        forks(sys.argv[2])
    sys.exit(server.main(run=lambda *_: os._exit(0)))
