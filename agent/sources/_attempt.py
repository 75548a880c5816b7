"""Driver calls whose errors become Faults that carry nothing of the driver's text; files are looked at first."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.ports import Finding, Source

T = TypeVar("T")

HEAD_BYTES: Final = 100
"""Enough for the headers of both file formats."""


def attempt(call: Callable[[], T], fault_of: Callable[[Exception], Fault]) -> T:
    """The call's answer, or the Fault made from its error.

    The Fault is raised outside the handler, so that not even `__context__` holds the driver's error, whose text may
    quote values.
    """
    try:
        return call()
    except Fault:
        raise
    except Exception as error:  # noqa: BLE001 - drivers raise their own, builtin and Arrow errors; none may get out
        fault = fault_of(error)
    raise fault


def attempt_each(items: Iterator[T], fault_of: Callable[[Exception], Fault]) -> Iterator[T]:
    """The items, with every error of the iterator handled as in `attempt`."""
    end = object()
    while True:
        item = attempt(lambda: next(items, end), fault_of)
        if item is end:
            return
        yield item  # type: ignore[misc]  # the sentinel was just ruled out


def unavailable(message: str, hint: str) -> Fault:
    """The source cannot be opened. Both texts are fixed and name no path."""
    return Fault("source.unavailable", message, hint)


def head(path: Path) -> bytes:
    """The first bytes of a regular file. Raises Fault(source.unavailable) that says what is in the way."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise unavailable(
                "The source's path is not a regular file.", "Point `path` of the source at the database file."
            )
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except FileNotFoundError:
        fault = unavailable(
            "The source's file does not exist.",
            "Check `path` of the source, and that the file is mounted where the agent runs.",
        )
    except PermissionError:
        fault = unavailable(
            "The agent's account may not read the source's file.",
            "Give the account read permission on the file and search permission on the folders above it.",
        )
    except OSError:
        fault = unavailable(
            "The source's file cannot be read.", "Check the disk or the mount that holds the source's file."
        )
    raise fault


def real(path: Path) -> Path:
    """The absolute path without links. Never raises: what is wrong with the path shows when it is opened."""
    return Path(os.path.realpath(path))


def present(*paths: Path) -> tuple[Path, ...]:
    """Those of the paths that can be seen. Never raises."""
    return tuple(path for path in paths if os.path.lexists(path))


def examined(source: Source) -> tuple[Finding, ...]:
    """Whether a source opens and tells what it holds."""
    try:
        with source.open("source", Limits()) as connection:
            count = len(connection.catalog().relations)
    except Fault as fault:
        return (Finding("connect", "error", fault.message, fault.hint),)
    return (Finding("connect", "ok", f"opens read-only and locked; {count} relations"),)
