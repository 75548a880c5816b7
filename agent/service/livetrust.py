"""trust.json as it is at this moment: `agent trust add` and `revoke` count for the next job, without a restart."""

from collections.abc import Callable
from pathlib import Path

from agent.core.errors import ConfigError
from agent.identity import trustfile
from agent.wire.trust import TrustStore

Stamp = tuple[int, int, int, int, int]


class LiveTrust:
    """Reads the file again whenever it changed. A file that cannot be used is an error, never the list before it."""

    def __init__(self, path: Path, *, finish: Callable[[TrustStore], TrustStore] = lambda store: store) -> None:
        """Args: `finish` is applied to each store that was read, say to drop or add an entry."""
        self._path = path
        self._finish = finish
        self._stamp: Stamp | None = None
        self._store = TrustStore()

    def current(self) -> TrustStore:
        """The store. Raises ConfigError, each time anew, while the file cannot be used."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = None
            self._store = self._finish(trustfile.load(self._path))
            self._stamp = stamp
        return self._store

    def _look(self) -> Stamp:
        try:
            found = self._path.stat()
        except OSError as error:
            problem = f"cannot be read ({error.strerror})."
            raise ConfigError(str(self._path), problem, "Restore it, or check its owner and mode.") from None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
