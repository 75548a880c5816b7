"""The short way to `agent status` takes just what it understands."""

import pytest

from agent.cli import quick
from agent.cli.render import safe, unexecuted
from agent.cli.tasks import parameter


@pytest.mark.parametrize(
    "words",
    ["status", "status --json", "status -c x --healthcheck", "status --config=x", "status --config x --json"],
)
def test_plain(words):
    assert quick.is_plain_status(words.split())


@pytest.mark.parametrize(
    "words", ["", "run", "status --help", "status x", "status -c", "status -c --json", "status --watch"]
)
def test_everything_else_goes_the_long_way(words):
    assert not quick.is_plain_status(words.split())


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\tx", "\rx", " =1", "\n=1", "\ufeff=1"])
def test_cells_are_quoted(cell):
    assert unexecuted(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "x=1", "1-1", "a@b", "'=1"])
def test_plain_cells_stay(cell):
    assert unexecuted(cell) == cell


def test_nothing_steers_a_terminal():
    assert safe("\x1b[31mred\x1b[0m\u202e") == "\\x1b[31mred\\x1b[0m\\u202e"
    assert safe("ü ✓") == "ü ✓"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a=5", ("a", 5)),
        ("a=1.5", ("a", 1.5)),
        ("a=true", ("a", True)),
        ("a=null", ("a", None)),
        ('a="5"', ("a", "5")),
        ("a=007", ("a", "007")),
        ("a=x=y", ("a", "x=y")),
        ("a=", ("a", "")),
        ("a=[1]", ("a", "[1]")),
    ],
)
def test_parameters(written, read):
    assert parameter(written) == read
