"""An exception -> its class and place, fit for a log: no message, no argument, no value."""

import logging
import traceback

_FRAMES = 3


def describe(error: BaseException) -> str:
    """For example `KeyError at agent/worker/pipeline.py:41 < agent/worker/child.py:90`, innermost first."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = (f"{'/'.join(frame.filename.split('/')[-3:])}:{frame.lineno}" for frame in reversed(frames))
    kind = type(error)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    return f"{name} at {' < '.join(places)}"


def report(logger: logging.Logger, what: str, error: BaseException) -> None:
    """Log a defect of the agent's own that something went on from."""
    logger.error("%s: %s", what, describe(error))
