"""The log: its lines are the agent's own words, in a file of its own account; no exception's text, no library's."""

import json
import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.service import journal


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    root = logging.getLogger()
    before, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    journal.begin(tmp_path)
    yield tmp_path / journal.FOLDER / journal.FILE
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = before
    root.setLevel(level)
    logging.raiseExceptions = raising


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_agents_own_words_are_kept(log: Path) -> None:
    logging.getLogger("agent.service.intake").warning("%s rejected: %s", "a job", "envelope.role")
    (line,) = lines(log)
    assert line["event"] == "a job rejected: envelope.role"
    assert (line["level"], line["logger"]) == ("warning", "agent.service.intake")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def broken(text: str) -> None:
    raise ValueError(text)


def test_of_an_exception_only_class_and_place(log: Path) -> None:
    try:
        broken("900-55-0001")
    except ValueError:
        logging.getLogger("agent.service").exception("broken")
    (line,) = lines(log)
    assert "900-55" not in log.read_text()
    assert line["error"].startswith("ValueError at ")


def test_of_a_library_only_who_spoke(log: Path) -> None:
    try:
        broken("900-55-0002")
    except ValueError:
        logging.getLogger("asyncio").exception("exception was never retrieved: %s", "900-55-0003")
    (line,) = lines(log)
    assert "900-55" not in log.read_text()
    assert line["logger"] == "asyncio"


def test_what_sounds_like_a_secret_is_hidden(log: Path) -> None:
    assert journal._without_values(None, "", {"event": "e", "api_token": "t0k"}) == {
        "event": "e",
        "api_token": "********",
    }
    assert not log.exists()


def test_a_folder_that_cannot_be_made_is_no_matter(tmp_path: Path, log: Path) -> None:
    del log
    (tmp_path / "file").touch()
    journal.begin(tmp_path / "file")
    logging.getLogger("agent").warning("on standard error alone")
