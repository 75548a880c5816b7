"""A sandbox server that only says what it is told to: `python -I sandboxd.py --say TIER --log FILE …`.

The service meets a real process over real channels; what the real server does with requests is tested with it.
"""

import argparse
import os
import socket
import sys
from pathlib import Path

from agent.sandbox import channel
from agent.sandbox.messages import Reason, SandboxLoad, SandboxReady

REASON = Reason(check="full: namespaces", level="error", found="unshare was refused", fix="Allow user namespaces.")


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--control", "--requests", "--parent", "--at-once", "--memory-mb"):
        parser.add_argument(name, type=int)
    for name in ("--tier", "--preload", "--log"):
        parser.add_argument(name)
    parser.add_argument("--say", default="full")
    parser.add_argument("--loaded", type=int, default=0)
    options = parser.parse_args()
    with Path(options.log).open("a") as log:
        log.write(f"{os.getpid()} {options.at_once} {options.memory_mb} {options.preload}\n")
    if options.say == "nothing":
        sys.exit(3)
    control = socket.socket(fileno=options.control)
    reasons = () if options.say == "full" else (REASON,)
    ready = SandboxReady(tier=options.say, landlock=7, reasons=reasons, preload_seconds=0.1)
    channel.send(control, ready.model_dump())
    if options.loaded:
        load = SandboxLoad(running=options.loaded, waiting=1, memory_mb=300.4)
        channel.send(control, load.model_dump())
    control.recv(1)


if __name__ == "__main__":
    main()
