"""`agent exec`: a line that cannot start is told, and leaves nothing that the program would wait for."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

from agent.cli.execute import Operator
from agent.core.errors import AgentError
from agent.identity import state


class Line:
    """Starts, or does not."""

    def __init__(self, error: AgentError | None) -> None:
        self.error, self.ended = error, False

    async def __aenter__(self) -> Self:
        if self.error is not None:
            raise self.error
        return self

    async def __aexit__(self, *_: object) -> None:
        self.ended = True


@pytest.fixture
def settings(tmp_path: Path) -> Any:
    state.ensure(tmp_path)
    return SimpleNamespace(state_dir=tmp_path)


def test_a_line_that_does_not_start_leaves_no_thread(settings: Any) -> None:
    before = set(threading.enumerate())
    with pytest.raises(AgentError, match="not ready"), Operator(settings, Line(AgentError("not ready"))):  # type: ignore[arg-type]
        pytest.fail("it started")
    assert set(threading.enumerate()) <= before


def test_a_line_that_starts_is_ended(settings: Any) -> None:
    before, line = set(threading.enumerate()), Line(None)
    with Operator(settings, line):  # type: ignore[arg-type]
        assert not line.ended
    assert line.ended
    assert set(threading.enumerate()) <= before
