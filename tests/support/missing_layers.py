"""`python -I missing_layers.py TIER`: takes one layer of the jail away at a time and asks the probe.

Says a JSON object: the layer -> the checks that failed. Every case is a forked process of its own; what is taken away is
taken away in it alone, by putting something else in the place of a function. No product code knows of this.
"""

import json
import os
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from agent.sandbox import jail, landlock, namespaces, probe, process, seccomp, tiers

Change = Callable[[], None]


def nothing(*_: object, **__: object) -> None:
    """In the place of a layer."""


def without(module: object, *names: str) -> Change:
    return lambda: [setattr(module, name, nothing) for name in names] and None


def without_root() -> None:
    """The machine's own root has another folder for what is passing."""
    namespaces.settle = nothing
    namespaces.SCRATCH = "/tmp"


def without_limit(kind: int) -> Change:
    def change() -> None:
        lower = process._lower
        process._lower = lambda which, soft, hard: None if which == kind else lower(which, soft, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    return change


def without_flag(name: str) -> Change:
    def change() -> None:
        flag = getattr(namespaces, name)
        namespaces.FLAGS &= ~flag
        if name == "NEW_PIDS":
            namespaces.NEW_PIDS = 0

    return change


def without_no_new_privileges() -> None:
    for module in (process, landlock, seccomp):
        module.forbid_new_privileges = nothing


def writable_root() -> None:
    protect = namespaces._protect
    namespaces._protect = lambda path, *rest, **more: None if path == "/" else protect(path, *rest, **more)


def scratch_with_programs() -> None:
    namespaces._NO_EXEC = 0


def scratch_without_size() -> None:
    own = namespaces._mount
    namespaces._mount = lambda *these: own(*these[:4], "mode=0700") if these[1] == namespaces.SCRATCH else own(*these)


BOTH: dict[str, Change] = {
    "nothing is missing": nothing,
    "descriptors": without(process, "keep_descriptors"),
    "environment": without(jail, "clear_environment"),
    "session": without(os, "setsid"),
    "no new privileges": without_no_new_privileges,
    "dumpable": without(process, "forbid_dumps"),
    "Landlock": without(landlock, "restrict"),
    "seccomp": without(seccomp, "install"),
    **{
        f"RLIMIT_{name}": without_limit(getattr(resource, f"RLIMIT_{name}", 12))
        for name in ("CORE", "MEMLOCK", "MSGQUEUE", "FSIZE", "NOFILE", "CPU", "AS", "SIGPENDING")
    },
}
FULL: dict[str, Change] = {
    "capabilities": without(process, "drop_capabilities"),
    "user namespace": without_flag("NEW_USER"),
    "pid namespace": without_flag("NEW_PIDS"),
    "net namespace": without_flag("NEW_NET"),
    "mount namespace": without_flag("NEW_MOUNTS"),
    "uts namespace": without_flag("NEW_UTS"),
    "own root": without_root,
    "read-only root": writable_root,
    "scratch of its own": without(namespaces, "own_scratch"),
    "scratch without programs": scratch_with_programs,
    "scratch with a size": scratch_without_size,
}
PRIVILEGED: dict[str, dict[str, Change]] = {
    # An account without privileges has no capability to drop, and is not shown the ipc namespace of the child.
    "container": {"capabilities": without(process, "drop_capabilities")},
    "full": {"ipc namespace": without_flag("NEW_IPC")},
}


def cases(tier: str) -> dict[str, Change]:
    own = PRIVILEGED[tier] if os.getuid() == 0 else {}
    return BOTH | (FULL if tier == "full" else {}) | own


def main(tier: str) -> None:
    found = {}
    for name, change in cases(tier).items():
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            change()
            seen = tiers._tried(tier)
            wrong = [f"{finding.check}: {finding.found[:100]}" for finding in seen if finding.level == "error"]
            os.write(writing, json.dumps([probe.stands(seen), wrong]).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as said:
            found[name] = json.loads(said.read() or b'["it crashed", []]')
        os.waitpid(pid, 0)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
