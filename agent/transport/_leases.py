"""Leases that this agent holds: `FOLDER/<job id>.json`, durable before a job is accepted, gone when it is settled.

After a restart they say what was under way and under which lease its result still counts.
"""

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from agent.core.durable import make_folder, replace_file, sync_folder
from agent.core.errors import TransportError
from agent.wire.calls import Offered

_MAX_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Held:
    """One lease. `accepted`: the Router counts the attempt."""

    job: str
    lease: str
    fence: int
    attempt: int
    envelope: bytes = field(repr=False)
    accepted: bool = False


class Leases:
    """Blocking; from several threads. All methods raise TransportError when the folder cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        """Args: the folder; made when it is first needed."""
        self._folder = folder
        self._held: dict[str, Held] | None = None
        self._loading = threading.Lock()

    def all(self) -> tuple[Held, ...]:
        """Every lease, by job id. A file that is no lease is passed over: the Router forgets that lease by itself."""
        held = dict(self._load())
        return tuple(held[job] for job in sorted(held))

    def count(self) -> int:
        """How many, as far as they have been looked at."""
        return len(self._held or ())

    def of(self, job: str) -> Held | None:
        """The lease of a job."""
        return self._load().get(job)

    def by_lease(self, lease: str) -> Held | None:
        """The job of a lease."""
        return next((held for held in self.all() if held.lease == lease), None)

    def put(self, held: Held) -> None:
        """Keep a lease durably; a later one of the same job replaces it."""
        plain = {
            "job": held.job,
            "envelope": held.envelope.decode("ascii"),
            "lease": held.lease,
            "attempt": held.attempt,
            "fence": held.fence,
            "accepted": held.accepted,
        }
        known = self._load()
        try:
            make_folder(self._folder)
            replace_file(self._path(held.job), json.dumps(plain).encode())
        except OSError as error:
            raise self._failed(error) from None
        known[held.job] = held

    def drop(self, job: str) -> None:
        """Forget a lease. Idempotent."""
        known = self._load()
        try:
            self._path(job).unlink(missing_ok=True)
            if job in known:
                sync_folder(self._folder)
        except OSError as error:
            raise self._failed(error) from None
        known.pop(job, None)

    def _load(self) -> dict[str, Held]:
        with self._loading:
            if self._held is None:
                try:
                    paths = sorted(self._folder.glob("*.json")) if self._folder.is_dir() else []
                    found = [_read(path.read_bytes()) for path in paths if path.stat().st_size <= _MAX_BYTES]
                except OSError as error:
                    raise self._failed(error) from None
                self._held = {held.job: held for held in found if held is not None}
            return self._held

    def _path(self, job: str) -> Path:
        return self._folder / f"{job}.json"

    def _failed(self, error: OSError) -> TransportError:
        what = error.strerror or type(error).__name__
        return TransportError(f"{self._folder}: leases cannot be kept ({what}). Fix: free disk space, check the mode.")


def _read(data: bytes) -> Held | None:
    try:
        plain = json.loads(data)
        offered = Offered.model_validate(plain)
        accepted = plain["accepted"] is True
    except (ValueError, ValidationError, KeyError, TypeError):
        return None
    envelope = offered.envelope.encode("ascii", "replace")
    return Held(offered.job, offered.lease, offered.fence, offered.attempt, envelope, accepted)
