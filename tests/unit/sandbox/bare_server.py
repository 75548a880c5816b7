"""The sandbox's server whose children run whatever comes in at 0: `python -I bare_server.py [--break NAME] OPTIONS`.

What they say goes out at 3, as JSON. `--break` puts a function that fails in the place of one of the jail's.
"""

import json
import os
import sys

from agent.sandbox import landlock, namespaces, process, seccomp, server


def run(input_: int, result: int) -> None:
    code = b""
    while piece := os.read(input_, 1 << 16):
        code += piece
    exec(code, {"say": lambda value: os.write(result, json.dumps(value).encode()), "os": os})
    os._exit(0)


def fail(*_: object, **__: object) -> None:
    raise OSError(1, "broken by a test")


BREAK = {
    "seccomp": (seccomp, "install"),
    "landlock": (landlock, "restrict"),
    "capabilities": (process, "drop_capabilities"),
    "limits": (process, "limit_resources"),
    "descriptors": (process, "keep_descriptors"),
    "scratch": (namespaces, "own_scratch"),
}

if __name__ == "__main__":
    if sys.argv[1] == "--break":
        chosen = sys.argv[2]
        del sys.argv[1:3]
        choose = server.tiers.choose

        def break_after(wanted: str) -> object:
            verdict = choose(wanted)
            setattr(*BREAK[chosen], fail)
            return verdict

        server.tiers.choose = break_after
    sys.exit(server.main(run=run))
