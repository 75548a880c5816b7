"""`agent logs`: what the service said of itself, from STATE_DIR/log."""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from agent.cli.options import Config, Json

_RANKS: Final = {"debug": 0, "info": 1, "warning": 2, "error": 3, "critical": 4}
_LOOK_SECONDS: Final = 0.5
_SHOWN: Final = ("timestamp", "level", "logger", "event")


def logs(
    *,
    config: Config = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="The last so many.", min=1, max=1_000_000)] = 100,
    level: Annotated[Literal["debug", "info", "warning", "error"], typer.Option(help="Only this level and above.")] = (
        "debug"
    ),
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    as_json: Json = False,
) -> int:
    """The service's own log. It never holds a statement's values, a result or a secret. Exit 1 when there is none."""
    from agent.cli.exits import FAILURE, complain
    from agent.service.journal import FILE, FOLDER
    from agent.settings.locate import state_dir

    file = state_dir(config, os.environ) / FOLDER / FILE
    if not file.exists():
        complain(f"agent: there is no log at {file}. Fix: `agent run` writes one; systemd keeps one too: `journalctl`.")
        return FAILURE
    for line in deque((line for line in kept(file.parent) if _wanted(line, level)), lines):
        _put(line, as_json=as_json)
    if follow:
        for line in _new(file):
            if _wanted(line, level):
                _put(line, as_json=as_json)
    return 0


def kept(folder: Path) -> Iterator[str]:
    """All lines that are kept, the oldest first. Raises OSError."""
    from agent.service.journal import FILE, KEPT_FILES

    names = [*(f"{FILE}.{number}" for number in range(KEPT_FILES, 0, -1)), FILE]
    for path in (folder / name for name in names):
        if path.exists():
            with path.open(encoding="utf-8", errors="replace") as file:
                yield from file


def _new(path: Path) -> Iterator[str]:
    """What is written from now on; a file that was put in its place is read from its beginning."""
    file = path.open(encoding="utf-8", errors="replace")
    file.seek(0, os.SEEK_END)
    held = ""
    while True:
        held += file.readline()
        if held.endswith("\n"):
            yield held
            held = ""
            continue
        if path.exists() and path.stat().st_ino != os.fstat(file.fileno()).st_ino:
            file.close()
            file = path.open(encoding="utf-8", errors="replace")
            continue
        sys.stdout.flush()
        time.sleep(_LOOK_SECONDS)


def _wanted(line: str, level: str) -> bool:
    return _RANKS.get(str(_read(line).get("level")), 1) >= _RANKS[level]


def _read(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {"event": line.rstrip("\n")}
    return found if isinstance(found, dict) else {"event": line.rstrip("\n")}


def _put(line: str, *, as_json: bool) -> None:
    from agent.cli.render import dump, put, safe

    found = _read(line)
    if as_json:
        put(dump(found))
        return
    more = {name: value for name, value in found.items() if name not in _SHOWN}
    said = " ".join(safe(found[name]) for name in _SHOWN if name in found)
    put(said + "".join(f" {safe(name)}={safe(value)}" for name, value in more.items()))
