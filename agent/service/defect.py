"""An exception -> a line for the log: its class and place, no message: that may quote what nobody may read."""

import logging
import traceback

_FRAMES = 3


def describe(error: BaseException) -> str:
    """For example `KeyError at perform.py:41 < intake.py:90`, innermost first."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = (f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} at {' < '.join(places)}"


def report(logger: logging.Logger, what: str, error: BaseException) -> None:
    """Log a defect of the agent's own that something went on from."""
    logger.error("%s: %s", what, describe(error))
