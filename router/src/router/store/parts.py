"""Sealed parts as files: `FOLDER/<result id>/<index>.<sha256>`, each complete or not there."""

import os
import shutil
from pathlib import Path

from agent.wire.ids import is_ulid
from router.store.port import StoreError

_OWNER = ".job"


class FolderParts:
    """Satisfies `router.store.port.Parts`."""

    def __init__(self, folder: Path) -> None:
        """Make the folder (mode 0700). Raises StoreError."""
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"The folder of parts cannot be made ({error.strerror}).") from None

    def claim(self, result_id: str, job_id: str) -> bool:
        """See `Parts.claim`: a file that is linked into place whole, so that one of two callers wins."""
        place = self._place(result_id)
        try:
            place.mkdir(mode=0o700, exist_ok=True)
            unfinished = place / f".claim.{os.urandom(4).hex()}"
            unfinished.write_text(job_id, "ascii")
            try:
                os.link(unfinished, place / _OWNER)
            except FileExistsError:
                return (place / _OWNER).read_text("ascii") == job_id
            finally:
                unfinished.unlink()
        except OSError as error:
            raise StoreError(f"A result cannot be begun ({error.strerror}).") from None
        return True

    def put(self, result_id: str, index: int, digest: str, data: bytes) -> None:
        """See `Parts.put`: written, synced, renamed, and the folder synced."""
        place = self._place(result_id)
        try:
            place.mkdir(mode=0o700, exist_ok=True)
            unfinished = place / f".{index}.{os.urandom(4).hex()}"
            with unfinished.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            for other in place.glob(f"{index}.*"):
                other.unlink(missing_ok=True)
            unfinished.rename(place / f"{index}.{digest}")
            folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StoreError(f"A part cannot be written ({error.strerror}).") from None

    def held(self, result_id: str) -> dict[int, tuple[str, int]]:
        """See `Parts.held`."""
        found: dict[int, tuple[str, int]] = {}
        try:
            for entry in os.scandir(self._place(result_id)):
                index, _, digest = entry.name.partition(".")
                if index.isdecimal():
                    found[int(index)] = (digest, entry.stat().st_size)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreError(f"Parts cannot be listed ({error.strerror}).") from None
        return found

    def read(self, result_id: str, index: int) -> bytes:
        """See `Parts.read`."""
        try:
            found = next(self._place(result_id).glob(f"{index}.*"), None)
            if found is None:
                raise KeyError(index)
            return found.read_bytes()
        except FileNotFoundError:
            raise KeyError(index) from None
        except OSError as error:
            raise StoreError(f"A part cannot be read ({error.strerror}).") from None

    def owners(self) -> dict[str, str]:
        """See `Parts.owners`. What else lies in the folder is left alone."""
        try:
            return {entry.name: _owner(Path(entry)) for entry in os.scandir(self._folder) if is_ulid(entry.name)}
        except OSError as error:
            raise StoreError(f"The folder of parts cannot be listed ({error.strerror}).") from None

    def drop(self, result_id: str) -> None:
        """See `Parts.drop`."""
        shutil.rmtree(self._place(result_id), ignore_errors=True)

    def close(self) -> None:
        """See `Parts.close`: nothing is held open."""

    def _place(self, result_id: str) -> Path:
        if not is_ulid(result_id):
            raise ValueError("not a result id")
        return self._folder / result_id


def _owner(place: Path) -> str:
    try:
        return (place / _OWNER).read_text("ascii")
    except FileNotFoundError:
        return ""
