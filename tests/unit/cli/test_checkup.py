"""Sections -> one exit code; and a doctor that has something to say without a configuration."""

from pathlib import Path

import pytest

from agent.cli.checkup import CODES, Section, exit_code, sections
from agent.core.ports import Finding

BAD = (Finding("x", "error", "is wrong", "mend it."),)
WARNED = (Finding("x", "warning", "is odd", "look at it."),)


@pytest.mark.parametrize(
    ("failed", "code"),
    [
        ([], 0),
        (["sources"], 1),
        (["sources", "platform"], 69),
        (["disk", "platform", "files"], 77),
        (["files", "configuration", "sources"], 78),
    ],
)
def test_what_counts_most(failed: list[str], code: int) -> None:
    assert exit_code([Section(name, BAD if name in failed else WARNED) for name in CODES]) == code


def test_without_a_configuration_the_kernel_is_looked_at(tmp_path: Path) -> None:
    found = list(sections(tmp_path / "none.yaml"))
    assert [section.name for section in found] == ["configuration", "kernel"]
    assert exit_code(found) == 78
    assert all(finding.fix for finding in found[0].findings)


def test_a_configuration_that_does_not_hold_is_said_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "sandbox.yaml").write_text("tenant: acme\ntenent: x\nlimits: {rows: -1}\n")
    (section, *_) = sections(tmp_path, ["configuration"])
    assert section.failed
    assert {finding.check.rpartition(": ")[2] for finding in section.findings} == {"tenent", "limits.rows"}
    assert all("sandbox.yaml:" in finding.check for finding in section.findings)
