"""The probe in a process of its own: `python -I probed.py SCENARIO TIER` launches a child that has no jail.

Says a JSON object: `findings`, and how many processes are `left`. The probe ends all children of its process, so that it
must not run in one that has others.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import astuple

from agent.sandbox import probe, process

Body = Callable[[int, int], None]
Fds = tuple[int, int, int, int]


def launch(life: Callable[[Body, Fds], object]) -> Callable[[Body, Fds], int]:
    def start(body: Body, fds: Fds) -> int:
        pid = os.fork()
        if pid == 0:
            try:
                life(body, fds)
            finally:
                os._exit(0)
        return pid

    return start


def half(_: Body, fds: Fds) -> None:
    os.write(fds[1], b'["files", "read", true, "EACCES"]\n["files", "wri')


def with_a_child(_: Body, __: Fds) -> None:
    if os.fork() == 0:
        os.setsid()
    time.sleep(600)


def refuse(_: Body, __: Fds) -> int:
    raise BlockingIOError(11, "no more processes")


SCENARIOS = {
    "no jail": launch(lambda body, fds: body(fds[0], fds[1])),
    "dies": launch(lambda *_: os._exit(70)),
    "dies in between": launch(half),
    "hangs": launch(lambda *_: time.sleep(600)),
    "hangs with a child": launch(with_a_child),
    "no process": refuse,
}


def main(scenario: str, tier: str) -> None:
    process.become_subreaper()
    if scenario.startswith("hangs"):
        probe.SECONDS = 0.3
    findings = probe.probe(tier, SCENARIOS[scenario])
    said = {"findings": [astuple(finding) for finding in findings], "left": len(process.children())}
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
