"""Records about one job, and how often which event: of a log that may be written meanwhile, or be damaged."""

from pathlib import Path

import pytest

from agent.audit.find import about, events
from agent.audit.log import AuditLog
from agent.core.errors import AuditError


def test_the_records_of_one_job_in_their_order(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, None, rotate_bytes=600)
    for event in ("job.started", "job.ended"):
        for job in ("A", "B"):
            log.append(event, job=job, code="ok" if event == "job.ended" else None)
    log.append("note", text="A")
    assert [record["event"] for record in about(tmp_path, "A")] == ["job.started", "job.ended"]
    assert len(list(tmp_path.glob("audit-*.jsonl"))) > 1
    assert events(tmp_path) == {"job.ended ok": 2, "job.started None": 2, "note": 1}
    log.close()


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, None)
    log.append("job.started", job="A")
    log.close()
    (file,) = tmp_path.glob("audit-*.jsonl")
    with file.open("ab") as end:
        end.write(b'{"seq":2,"job":"A"')
    assert len(list(about(tmp_path, "A"))) == 1


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="cannot be read"):
        list(about(tmp_path / "none", "A"))
