"""docs/errors.md names every code, once, under its class."""

from pathlib import Path

from agent.core import reference
from agent.core.codes import CODES

ROOT = Path(__file__).parents[3]


def test_the_page_is_current() -> None:
    assert (ROOT / reference.FILE).read_text() == reference.page(), "run: python -m agent.core.reference"


def test_every_code_has_one_line() -> None:
    rows = [line for line in reference.page().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == sorted(
        CODES, key=lambda name: ["completed", "rejected", "refused", "failed"].index(CODES[name].outcome)
    )


def test_cells_do_not_break_the_table() -> None:
    rows = [line for line in reference.page().splitlines() if line.startswith("| `")]
    assert {row.replace("\\|", "").count("|") for row in rows} == {5}
