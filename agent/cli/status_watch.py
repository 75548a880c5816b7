"""`agent status --watch`: one screen, drawn anew until Ctrl-C; where there is no terminal, a line for each change."""

import contextlib
import io
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

BAR: Final = 20
_ENTER, _LEAVE, _HOME, _END, _REST = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l", "\x1b[H", "\x1b[K", "\x1b[J"


def watch(config: Path | None, every: float) -> int:
    """Until Ctrl-C: exit 0. Where there is no terminal it also ends with the agent: exit 3. Raises NotAllowedError."""
    from agent.settings.locate import state_dir

    folder = state_dir(config, os.environ)
    with contextlib.suppress(KeyboardInterrupt):
        if not sys.stdout.isatty():
            return _lines(folder, every)
        with _screen():
            while True:
                _draw(_text(folder))
                time.sleep(every)
    return 0


def _lines(folder: Path, every: float) -> int:
    """What changed, a line each: nothing scrolls by while nothing happens."""
    from agent.cli.exits import NOT_RUNNING

    before = ""
    while True:
        reading = _reading(folder)
        if reading is None:
            sys.stdout.write("not running\n")
            return NOT_RUNNING
        line = _line(reading.status)
        if line != before:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        before = line
        if not reading.live:
            return NOT_RUNNING
        time.sleep(every)


def _line(found: Mapping[str, Any]) -> str:
    from agent.cli.render import safe

    jobs = found.get("jobs") or {}
    done, queue = jobs.get("done_24h"), jobs.get("queue")
    counts = f"running {jobs.get('running')} of {jobs.get('slots')}, done {done}"
    waiting = "" if queue is None else f", queue {queue}"
    return f"{safe(found.get('agent'))}: {safe(found.get('state'))}; {counts}{waiting}"


def _reading(folder: Path) -> Any:
    from agent.service.statusclient import NotRunningError, read

    try:
        return read(folder, now=time.time())
    except NotRunningError:
        return None


def _text(folder: Path) -> str:
    """The whole screen: bars of the slots over what `agent status` prints."""
    from agent.cli.status_report import show

    reading = _reading(folder)
    if reading is None:
        return "The agent is not running. It is shown as soon as it is.\n"
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        show(reading.status, live=reading.live, age=reading.age_seconds)
    return bars(reading.status) + "\n" + shown.getvalue()


def bars(found: Mapping[str, Any]) -> str:
    """A line for each lane of slots, filled as far as jobs run; then how far they are."""
    jobs = found.get("jobs") or {}
    lanes = "".join(_bar(name, jobs[name]) for name in ("sql", "python") if isinstance(jobs.get(name), dict))
    phases = jobs.get("phases")
    if not isinstance(phases, dict):
        return lanes
    return (
        lanes
        + ("now     " + ", ".join(f"{n} {name}" for name, n in phases.items()) if phases else "now     idle")
        + "\n"
    )


def _bar(name: str, lane: Mapping[str, Any]) -> str:
    running, slots = lane["running"], max(lane["slots"], 1)
    filled = min(BAR, round(BAR * running / slots)) if running else 0
    return f"{name:<7}[{'#' * max(filled, bool(running)):<{BAR}}] {running} of {lane['slots']}\n"


@contextlib.contextmanager
def _screen() -> Iterator[None]:
    """The terminal's other screen: what stood there before comes back, however this ends."""
    sys.stdout.write(_ENTER)
    try:
        yield
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()


def _draw(text: str) -> None:
    """Over what stands there, cut to the window: nothing flickers and nothing scrolls."""
    width, height = shutil.get_terminal_size()
    lines = [line[:width] for line in text.splitlines()[: height - 1]]
    lines.append("Ctrl-C ends."[:width])
    sys.stdout.write(_HOME + "\n".join(line + _END for line in lines) + _REST)
    sys.stdout.flush()
