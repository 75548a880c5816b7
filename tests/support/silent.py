"""The agent under a rule of the kernel: nothing in its process tree may listen. `python silent.py PROGRAM ARGUMENT…`.

Routers, databases and proxies of a test run outside it.
"""

import os
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SILENT: Final = (sys.executable, "-I", "-S", str(Path(__file__)))
"""What a command is begun with."""
SILENT_AGENT: Final = (*SILENT, sys.executable, "-m", "agent")
"""The command `agent`, under the rule."""


def install() -> None:
    """The rule, for this process and all that it will start: `listen` fails with EPERM. Raises OSError."""
    from agent.sandbox import seccomp

    seccomp.install((seccomp.Forbid(("listen",)),))


def environment(folder: Path) -> Path:
    """Make `folder` this Python's virtual environment, whose `agent` runs under the rule; the file that tells of it.

    Each command line of it is a line there.
    """
    bin_, log = folder / "bin", folder / "agent-ran"
    bin_.mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text((Path(sys.prefix) / "pyvenv.cfg").read_text())
    (folder / "lib").symlink_to(Path(sys.prefix) / "lib")
    for program in (Path(sys.prefix) / "bin").iterdir():
        if program.name == "activate":
            (bin_ / "activate").write_text(program.read_text().replace(sys.prefix, str(folder)))
        elif program.name != "agent":
            (bin_ / program.name).symlink_to(program)
    words = " ".join(f"'{word}'" for word in SILENT_AGENT)
    (bin_ / "agent").write_text(f'#!/bin/sh\necho "$*" >>\'{log}\'\nexec {words} "$@"\n')
    (bin_ / "agent").chmod(0o755)
    return log


def main(*command: str) -> None:
    sys.path.insert(0, str(ROOT))
    install()
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
