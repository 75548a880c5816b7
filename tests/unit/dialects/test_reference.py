"""docs/sql holds one page a dialect with all that a statement may use."""

from functools import cache
from pathlib import Path

import pytest

from agent.dialects import DIALECTS, reference

ROOT = Path(__file__).parents[3]
PAGES = ("docs/sql/index.md", *(f"docs/sql/{name}.md" for name in DIALECTS))


@cache
def files() -> dict[str, str]:
    """They take seconds to write."""
    return reference.files()


@pytest.mark.parametrize("path", [*PAGES, "agent/dialects/typed.py"])
def test_the_pages_are_current(path: str) -> None:
    assert (ROOT / path).read_text() == files()[path], "run: python -m agent.dialects.reference"


def test_there_is_no_page_too_many() -> None:
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/sql").iterdir()} == set(PAGES)
    assert {name for name in files() if name.startswith("docs/")} == set(PAGES)


@pytest.mark.parametrize("name", DIALECTS)
def test_every_name_stands_on_the_page(name: str) -> None:
    dialect = DIALECTS[name]
    words = set(reference.page(dialect).replace(",", " ").split())
    functions = frozenset(map(dialect.spelling, dialect.functions))
    assert functions | dialect.bare_functions | dialect.table_functions | dialect.casts <= words
