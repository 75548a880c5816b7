"""SQLite's errors -> Faults of fixed text. Nothing of the engine's message gets out but its result code."""

from typing import Final

from agent.core.errors import Fault
from agent.sources._attempt import unavailable

_UNREADABLE: Final = (
    "The SQLite file, its journal or its write-ahead log cannot be opened.",
    "Give the agent's account read permission on them and search permission on the folders above them.",
)
_DAMAGED: Final = ("The SQLite file is damaged.", "Restore it from a backup, or rebuild it with `.recover`.")
_OPENING: Final = {
    "SQLITE_CANTOPEN": _UNREADABLE,
    "SQLITE_PERM": _UNREADABLE,
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_NOTADB": _DAMAGED,
    "SQLITE_BUSY": (
        "Another process holds the SQLite file locked for writing.",
        "Try again when it has committed, keep its transactions short, or switch the file to WAL mode.",
    ),
    "SQLITE_READONLY": (
        "The SQLite file has an unfinished transaction beside it (-journal or -wal), which a reader cannot undo.",
        "Open and close the database once with the program that writes it.",
    ),
}
_NOT_OPENED: Final = (
    "The source cannot be opened with SQLite.",
    "The platform engineer runs `agent config check --connect`.",
)
_RUNNING: Final = {
    "SQLITE_NOMEM": (
        "limit.memory",
        "The statement needed more memory than its limit; nothing is spilled to disk.",
        "Aggregate earlier, select fewer columns, or raise limits.memory_mb.",
    ),
    "SQLITE_INTERRUPT": ("limit.wall", "The statement was interrupted.", "Ask for less, or raise limits.wall_seconds."),
    "SQLITE_TOOBIG": ("source.error", "A value is larger than the engine allows.", "Cut it with substr."),
    "SQLITE_CORRUPT": ("source.error", *_DAMAGED),
    "SQLITE_NOTADB": ("source.error", *_DAMAGED),
    "SQLITE_IOERR": ("source.error", "The source's file could not be read to its end.", "Check the disk or the mount."),
}
_FAILED: Final = (
    "source.error",
    "The engine reported an error while running the statement.",
    "Check functions and JSON paths for the values they are given, and sums for overflow.",
)


def opening_fault(error: Exception) -> Fault:
    """Why the database could not be opened or its catalog read: Fault(source.unavailable)."""
    return unavailable(*_OPENING.get(_primary(error), _NOT_OPENED))


def binding_fault(error: Exception) -> Fault:
    """Why the statement could not be compiled: Fault(source.binding), or limit.memory."""
    if _primary(error) == "SQLITE_NOMEM":
        return running_fault(error)
    if _primary(error) == "SQLITE_AUTH":
        return Fault(
            "source.binding",
            "The statement asks for something that is not open to statements.",
            "Read relations of the catalog only.",
        )
    return Fault(
        "source.binding",
        "The engine could not bind the statement.",
        "Check that columns exist and that functions get the number of arguments that they take.",
    )


def running_fault(error: Exception) -> Fault:
    """Why the statement did not run to its end: Fault(source.error | limit.memory | limit.wall)."""
    return Fault(*_RUNNING.get(_primary(error), _FAILED))


def _primary(error: Exception) -> str:
    """The primary result code: SQLITE_IOERR for SQLITE_IOERR_READ."""
    if isinstance(error, MemoryError):
        return "SQLITE_NOMEM"
    return "_".join(str(getattr(error, "sqlite_errorname", "")).split("_")[:2])
