"""What one Router process tells the others after a commit: the names of what changed, never anything of it."""

from typing import Final

QUEUE: Final = "queue:"
JOB: Final = "job:"
SESSION: Final = "session:"
CLOSED: Final = "closed:"
REVOKED: Final = "revoked"


def queue_key(queue: str) -> str:
    """A queue has new work."""
    return QUEUE + queue


def job_key(job_id: str) -> str:
    """A job changed its state."""
    return JOB + job_id


def session_key(session_id: str) -> str:
    """A session has orders."""
    return SESSION + session_id


def closed_key(session_id: str) -> str:
    """A session is over, or takes no more jobs: whoever remembers it must look again."""
    return CLOSED + session_id
