"""An flock that is waited for, but not for ever."""

import fcntl
import time

WAIT_SECONDS = 10.0
_PAUSE_SECONDS = 0.005


def hold(descriptor: int, operation: int) -> bool:
    """Whether the lock (`fcntl.LOCK_EX` or `LOCK_SH`) was got in time: its holder may have been stopped. Blocking."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_SECONDS)
        else:
            return True
