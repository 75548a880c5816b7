"""The text that runs instead of a statement, to the letter, and what is told of a refused one, to the column.

What other suites hold is what such a text must not do; this one makes every change of it visible.
"""

import pytest

from agent.dialects import DIALECTS
from tests.attacks import written

LINES = written.lines()


@pytest.mark.parametrize("line", LINES, ids=[f"{n}-{one['dialect']}-{one['under']}" for n, one in enumerate(LINES, 1)])
def test_what_becomes_of_a_statement_changes_only_on_purpose(line):
    """If it is meant: `python -m tests.attacks.written`, and look at the difference."""
    assert written.becomes(line) == {key: value for key, value in line.items() if key not in written.GIVEN}


def test_every_dialect_and_every_policy_takes_part():
    assert {one["dialect"] for one in LINES} >= set(DIALECTS)
    assert {one["under"] for one in LINES} == {"redact", "rules", "people", "groups", "names"}
    assert sum("runs" in one for one in LINES) > len(LINES) / 3
    assert sum("refused" in one for one in LINES) > len(LINES) / 5
