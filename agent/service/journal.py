"""What the service says of itself -> JSON lines on standard error, and in STATE_DIR/log for `agent logs`.

Nothing that the agent logs holds a value; of what a library says only who said it is kept, for it may quote anything.
"""

import contextlib
import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from typing_extensions import override

from agent.core import defect
from agent.core.durable import make_folder

if TYPE_CHECKING:
    from io import TextIOWrapper

FOLDER: Final = "log"
FILE: Final = "agent.jsonl"
MAX_FILE_BYTES: Final = 5 * 2**20
KEPT_FILES: Final = 2
_OWN: Final = "agent"
_HIDDEN: Final = ("password", "secret", "token", "key", "authorization")


def begin(state_dir: Path, *, verbose: bool = False) -> None:
    """Log from now on. A folder that cannot be written keeps nobody from standard error."""
    logging.raiseExceptions = False  # a full disk must not fill standard error with tracebacks
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    with contextlib.suppress(OSError):
        make_folder(state_dir / FOLDER)
        handlers.append(_Private(state_dir / FOLDER / FILE))
    formatter = _formatter()
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=handlers, force=True)
    for name in ("apscheduler", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


class _Private(RotatingFileHandler):
    """For the agent's own account alone; opened with the first line."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=MAX_FILE_BYTES, backupCount=KEPT_FILES, encoding="utf-8", delay=True)

    @override
    def _open(self) -> "TextIOWrapper":
        return open(self.baseFilename, "a", encoding="utf-8", opener=_opened)


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _formatter() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            _without_values,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )


def _without_values(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """No exception's text, no library's text, and nothing under a name that sounds like a secret."""
    record = event.get("_record")
    raised = event.pop("exc_info", None)
    event.pop("stack_info", None)
    event.pop("exception", None)
    if isinstance(raised, tuple) and raised[1] is not None:
        event["error"] = defect.describe(raised[1])
    if isinstance(record, logging.LogRecord) and record.name.partition(".")[0] != _OWN:
        event["event"] = "a library's message is not shown"
    return {name: "********" if _sounds_secret(name) else value for name, value in event.items()}


def _sounds_secret(name: str) -> bool:
    return any(word in name.lower() for word in _HIDDEN)
