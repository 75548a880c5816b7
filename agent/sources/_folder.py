"""A folder of data files -> tables: a file is a table, a sub-folder of files of one type is a table."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from agent.core.errors import Fault
from agent.sources._attempt import unavailable

FileType = Literal["parquet", "csv", "json"]

_TYPES: Final[dict[str, FileType]] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}
_PACKED: Final = frozenset({".gz", ".zst"})
_MAX_FILES: Final = 10_000


@dataclass(frozen=True, slots=True)
class FileTable:
    """One table: its name, the type of its files, and the files as they are named below the folder."""

    name: str
    type: FileType
    files: tuple[Path, ...]


def tables(folder: Path) -> tuple[FileTable, ...]:
    """The folder's tables by name.

    Hidden files, files that start with `_` and other types are passed over, as are links that lead out of the folder.
    Raises Fault(source.unavailable) when there are none, or when a name or a type is ambiguous.
    """
    try:
        entries = sorted(folder.iterdir())
        found = [table for entry in entries if (table := _table(entry, folder)) is not None]
    except OSError:
        fault = unavailable(
            "The source's folder cannot be read.", "Give the agent's account read and search permission on it."
        )
    else:
        _check(found)
        return tuple(found)
    raise fault


def _table(entry: Path, root: Path) -> FileTable | None:
    if _passed_over(entry, root):
        return None
    if not entry.is_dir():
        kind = _type(entry)
        return None if kind is None or not entry.is_file() else FileTable(_stem(entry), kind, (entry,))
    files = tuple(path for path in _below(entry, root) if _type(path) is not None)
    kinds = {kind for path in files if (kind := _type(path)) is not None}
    if not kinds:
        return None
    if len(kinds) > 1:
        raise unavailable(
            "A sub-folder of the source holds data files of several types.",
            "Keep one type (Parquet, CSV or JSON) in a sub-folder; each sub-folder is one table.",
        )
    return FileTable(entry.name, kinds.pop(), files)


def _below(folder: Path, root: Path) -> Iterator[Path]:
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        paths = (Path(at, name) for name in sorted(files))
        yield from (path for path in paths if not _passed_over(path, root) and path.is_file())


def _passed_over(path: Path, root: Path) -> bool:
    if path.name.startswith((".", "_")):
        return True
    return path.is_symlink() and not path.resolve().is_relative_to(root)


def _stem(path: Path) -> str:
    stem = path.name.removesuffix(path.suffix) if path.suffix.lower() in _PACKED else path.name
    return Path(stem).stem


def _type(path: Path) -> FileType | None:
    suffix = path.suffix.lower()
    if suffix not in _PACKED:
        return _TYPES.get(suffix)
    kind = _TYPES.get(Path(path.stem).suffix.lower())
    return None if kind == "parquet" else kind


def _check(found: list[FileTable]) -> None:
    fault: Fault | None = None
    if not found:
        fault = unavailable(
            "The source's folder holds no data files.",
            "Put .parquet, .csv, .tsv, .json, .jsonl or .ndjson files into it; a sub-folder of them is one table.",
        )
    elif len({table.name.casefold() for table in found}) < len(found):
        fault = unavailable(
            "Two entries of the source's folder would be tables of the same name.",
            "Rename one of them; the type's suffix and upper or lower case do not count.",
        )
    elif sum(len(table.files) for table in found) > _MAX_FILES:
        fault = unavailable(
            f"The source's folder holds more than {_MAX_FILES} data files.",
            "Compact them into fewer files, or load them into a DuckDB file.",
        )
    if fault is not None:
        raise fault
