"""Sealed parts as files: `FOLDER/<result id>/<index>`, each complete or not there."""

import os
import shutil
from pathlib import Path

from agent.wire.ids import is_ulid
from router.store.port import StoreError


class FolderParts:
    """Satisfies `router.store.port.Parts`."""

    def __init__(self, folder: Path) -> None:
        """Make the folder (mode 0700). Raises StoreError."""
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"The folder of parts cannot be made ({error.strerror}).") from None

    def put(self, result_id: str, index: int, data: bytes) -> None:
        """See `Parts.put`: written, synced, renamed, and the folder synced."""
        place = self._place(result_id)
        try:
            place.mkdir(mode=0o700, exist_ok=True)
            unfinished = place / f".{index}.{os.urandom(4).hex()}"
            with unfinished.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(place / str(index))
            folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StoreError(f"A part cannot be written ({error.strerror}).") from None

    def held(self, result_id: str) -> dict[int, int]:
        """See `Parts.held`."""
        try:
            entries = list(os.scandir(self._place(result_id)))
            return {int(entry.name): entry.stat().st_size for entry in entries if entry.name.isdecimal()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreError(f"Parts cannot be listed ({error.strerror}).") from None

    def read(self, result_id: str, index: int) -> bytes:
        """See `Parts.read`."""
        try:
            return (self._place(result_id) / str(index)).read_bytes()
        except FileNotFoundError:
            raise KeyError(index) from None
        except OSError as error:
            raise StoreError(f"A part cannot be read ({error.strerror}).") from None

    def drop(self, result_id: str) -> None:
        """See `Parts.drop`."""
        shutil.rmtree(self._place(result_id), ignore_errors=True)

    def _place(self, result_id: str) -> Path:
        if not is_ulid(result_id):
            raise ValueError("not a result id")
        return self._folder / result_id
