"""docs/python/policy.md says what the code does."""

from pathlib import Path

from agent.guard.python import reference
from agent.guard.python.guards import GONE
from agent.guard.python.modules import HINTS, PACKAGES, STANDARD

ROOT = Path(__file__).parents[4]


def test_the_page_is_current() -> None:
    page = (ROOT / reference.PAGE).read_text()
    assert reference.renewed(page) == page, "run: python -m agent.guard.python.reference"
    assert page.count("<!-- generated: ") == len(reference.PARTS)


def test_every_name_stands_on_the_page() -> None:
    page = (ROOT / reference.PAGE).read_text()
    assert [name for name in (*STANDARD, *PACKAGES, *HINTS, *GONE) if f"`{name}`" not in page] == []
