"""DuckDB's errors -> Faults of fixed text. Nothing of the engine's message gets out but its class."""

import re
from typing import Final

from agent.core.errors import Fault
from agent.sources._attempt import unavailable

_CLASS: Final = re.compile(r"([A-Za-z ]{2,40}?) Error: ")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")

_DAMAGED: Final = unavailable(
    "The DuckDB file is damaged.", "Restore it from a backup, or export and import it with DuckDB's own tools."
)
_OPENING: Final[tuple[tuple[str, Fault], ...]] = (
    (
        "set lock on file",
        unavailable(
            "Another process has the DuckDB file open for writing.",
            "Close the writing program while jobs run, or point the source at a copy of the file.",
        ),
    ),
    (
        "version number",
        unavailable(
            "The DuckDB file has a storage format that this agent's DuckDB does not read.",
            "Upgrade the agent, or write the file with an older STORAGE_VERSION.",
        ),
    ),
    (
        "encrypted",
        unavailable(
            "The DuckDB file is encrypted.", "Encrypted DuckDB files are not supported: give the agent a plain copy."
        ),
    ),
    (
        "WAL",
        unavailable(
            "The DuckDB file's write-ahead log (.wal) cannot be replayed.",
            "Open and close the database once with the program that writes it, so that it checkpoints.",
        ),
    ),
    (
        "not a valid DuckDB",
        unavailable("The file is not a DuckDB database.", "Check `type` and `path` of the source."),
    ),
    ("orrupt database file", _DAMAGED),
    ("read enough bytes", _DAMAGED),
    (
        "Permission denied",
        unavailable(
            "The agent's account may not read a file of the source.",
            "Give the account read permission on the files and search permission on the folders above them.",
        ),
    ),
)
_NOT_OPENED: Final = unavailable(
    "The source cannot be opened with DuckDB.", "The platform engineer runs `agent config check --connect`."
)
_NOT_READ: Final = unavailable(
    "A data file of the source's folder cannot be read as what its name says it is.",
    "Check the files; write new ones under a name that starts with `.` or `_` and rename them when they are complete.",
)

_OUT_OF_MEMORY: Final = Fault(
    "limit.memory",
    "The statement needed more memory than its limit; nothing is spilled to disk.",
    "Aggregate earlier, select fewer columns, or raise limits.memory_mb.",
)
_NOT_BOUND: Final = Fault(
    "source.binding",
    "The engine could not bind the statement.",
    "Check that columns exist and that operators and functions get the types that they take.",
)
_FAILED: Final = Fault(
    "source.error", "The engine reported an error while running the statement.", "Check casts, divisions and types."
)
_RUNNING: Final[dict[str, Fault]] = {
    "out of memory": _OUT_OF_MEMORY,
    "binder": _NOT_BOUND,
    "catalog": _NOT_BOUND,
    "parser": _NOT_BOUND,
    "syntax": _NOT_BOUND,
    "conversion": Fault(
        "source.error", "A value could not be converted to the asked type.", "Use TRY_CAST, or filter such values out."
    ),
    "out of range": Fault(
        "source.error", "A value left the range of its type.", "Cast to a wider type before the operation."
    ),
    "invalid input": Fault(
        "source.error",
        "An operation got an input that it does not take, for example a division by zero.",
        "Guard it with NULLIF, CASE or TRY.",
    ),
    "interrupt": Fault("limit.wall", "The statement was interrupted.", "Ask for less, or raise limits.wall_seconds."),
    "io": Fault(
        "source.error", "A file of the source could not be read to its end.", "Check that no one replaces it meanwhile."
    ),
    "not implemented": Fault(
        "source.error", "The engine does not implement an operation of the statement.", "Write it in another way."
    ),
}


def opening_fault(error: Exception) -> Fault:
    """Why the database file could not be opened: Fault(source.unavailable)."""
    text = str(error)
    return next((fresh(fault) for mark, fault in _OPENING if mark in text), fresh(_NOT_OPENED))


def folder_fault(error: Exception) -> Fault:
    """Why a data file could not be shown as a table: Fault(source.unavailable)."""
    return fresh(_OPENING[-1][1] if "Permission denied" in str(error) else _NOT_READ)


def running_fault(error: Exception) -> Fault:
    """Why a statement did not run to its end: Fault(source.binding | source.error | limit.memory | limit.wall).

    While rows stream, the Arrow reader raises OSError, whose text starts with the engine's class.
    """
    if isinstance(error, MemoryError):
        return fresh(_OUT_OF_MEMORY)
    named = _CLASS.match(str(error))
    kind = named[1] if named else _CAMEL.sub(" ", type(error).__name__.removesuffix("Exception"))
    return fresh(_RUNNING.get(kind.casefold(), _FAILED))


def fresh(fault: Fault) -> Fault:
    """A new exception of the same texts, so that no traceback is kept from one job to the next."""
    return Fault(fault.code, fault.message, fault.hint)
