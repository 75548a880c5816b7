"""The sandbox's real server as tests start it: `python -I sandbox_server.py [FLAG...] ARGUMENTS...`.

`--without-policy` takes the policy for programs out: what is left must hold by itself. `--as-in-a-container` takes all
capabilities and puts the process under Docker's default seccomp profile first.
"""

import builtins
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

FLAGS = {flag for flag in ("--without-policy", "--as-in-a-container") if flag in sys.argv}
ARGUMENTS = [word for word in sys.argv[1:] if word not in FLAGS]

if "--as-in-a-container" in FLAGS:
    from agent.sandbox import process
    from tests.support import docker_profile

    process.drop_capabilities()
    docker_profile.install()

from agent.guard.python import Admitted, Imports  # noqa: E402 - under the profile from here on
from agent.sandbox import server  # noqa: E402
from agent.sandbox.program import life  # noqa: E402


def admit(code: str, imports: Imports) -> Admitted:
    """Whatever it is."""
    return Admitted(code=compile(code, "<program>", "exec", dont_inherit=True), text=code)


def namespace(admitted: Admitted, imports: Imports, values: Mapping[str, object]) -> dict[str, object]:
    """Every builtin, every import."""
    return {"__name__": "__main__", "__builtins__": builtins, **values}


if "--without-policy" in FLAGS:
    life.admit = admit
    life.namespace = namespace
sys.exit(server.main(ARGUMENTS))
