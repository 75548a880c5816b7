"""An audit folder -> the records about one job. Reads only, and proves nothing: that is `verify`."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.audit.records import FILE_NAME, MAX_LINE_BYTES
from agent.core.errors import AuditError


def about(folder: Path, job_id: str) -> Iterator[dict[str, Any]]:
    """Records whose `job` is this one, the oldest first. Raises AuditError when the folder cannot be read."""
    sought = job_id.encode()
    try:
        files = sorted(path for path in folder.iterdir() if FILE_NAME.fullmatch(path.name))
        for path in files:
            with path.open("rb") as file:
                while line := file.readline(MAX_LINE_BYTES):
                    if sought in line and (record := _record(line)).get("job") == job_id:
                        yield record
    except OSError as error:
        raise AuditError(f"{folder} cannot be read ({error.strerror}). Fix: run as the agent's account.") from None


def events(folder: Path) -> dict[str, int]:
    """How often each event, and each outcome code, stands in the log. Raises AuditError."""
    found: Counter[str] = Counter()
    try:
        for path in sorted(path for path in folder.iterdir() if FILE_NAME.fullmatch(path.name)):
            with path.open("rb") as file:
                while line := file.readline(MAX_LINE_BYTES):
                    record = _record(line)
                    found[" ".join(str(record[name]) for name in ("event", "code") if name in record)] += 1
    except OSError as error:
        raise AuditError(f"{folder} cannot be read ({error.strerror}). Fix: run as the agent's account.") from None
    return dict(sorted(found.items()))


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:  # the end of a line that is being written
        return {}
    return record if isinstance(record, dict) else {}
