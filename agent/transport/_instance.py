"""Who this run of the agent is, and which run came before: a Router lets the successor take over at once."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from agent.core.durable import make_folder, replace_file
from agent.core.errors import TransportError
from agent.wire.ids import is_ulid, new_ulid


@dataclass(frozen=True, slots=True)
class Runs:
    """This run, and the last one that had a session."""

    now: str
    before: str | None


class Instance:
    """Blocking. Raises TransportError when the file cannot be written."""

    def __init__(self, path: Path) -> None:
        """Args: the file that remembers."""
        self._path = path
        self._runs: Runs | None = None

    def begin(self) -> Runs:
        """This run's random id, the same at every call, and the one before."""
        if self._runs is None:
            self._runs = Runs(new_ulid(time.time()), _read(self._path))
        return self._runs

    def opened(self) -> None:
        """This run has a session: the next run is its successor."""
        runs = self.begin()
        try:
            make_folder(self._path.parent)
            replace_file(self._path, json.dumps({"instance": runs.now}).encode())
        except OSError as error:
            raise TransportError(
                f"{self._path}: cannot be written ({error.strerror}). Fix: free disk space, check the folder's mode."
            ) from None


def _read(path: Path) -> str | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    before = found.get("instance") if isinstance(found, dict) else None
    return before if is_ulid(before) else None
