"""What can go wrong for a caller: each with a stable code and a hint of what to do. No secret, no data value."""

from collections.abc import Sequence
from dataclasses import dataclass


class ClientError(Exception):
    """The base of all. `code` is stable; `message` says what happened, `hint` what to do."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        """Args: as above."""
        self.code, self.message, self.hint = code, message, hint
        super().__init__(f"{code}: {message}" + (f" {hint}" if hint else ""))


class ConfigurationError(ClientError):
    """Keys, profile, token or address cannot be used."""


class RouterError(ClientError):
    """The Router refused a call. `status` is HTTP's; `retry_after` in seconds, where it says so."""

    def __init__(
        self, code: str, message: str, hint: str = "", *, status: int = 0, retry_after: float | None = None
    ) -> None:
        """Args: as above."""
        super().__init__(code, message, hint)
        self.status, self.retry_after = status, retry_after


class RouterUnavailableError(RouterError):
    """No Router could be reached, or none answered as one."""


class ResultError(ClientError):
    """A result is not what it should be: not signed by a pinned agent, not of this job, not for this key, changed."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a statement or program. `line` and `column` count from 1."""

    code: str
    message: str
    hint: str = ""
    name: str = ""
    line: int | None = None
    column: int | None = None


class JobError(ClientError):
    """The job ended without a result of its own. `problems` are up to three, with their place in what was sent."""

    def __init__(
        self,
        code: str,
        message: str,
        hint: str = "",
        *,
        problems: Sequence[Problem] = (),
        stdout: str = "",
        stderr: str = "",
    ) -> None:
        """Args: as above; what a program printed before it ended."""
        super().__init__(code, message, hint)
        self.problems, self.stdout, self.stderr = tuple(problems), stdout, stderr


class JobRefusedError(JobError):
    """The site's agent refused to run it: correct it by the hint, and send it again."""


class JobFailedError(JobError):
    """It ran and broke, or could not be run."""


class JobCancelledError(JobError):
    """It was cancelled."""


class JobTimeoutError(JobError):
    """It did not start or end within its time; or, with code `wait.timeout`, the caller did not wait long enough."""
