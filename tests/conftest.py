"""Servers that several suites share: started once for each test process."""

from collections.abc import Iterator

import pytest

from tests.support import mariadb as maria
from tests.support import postgres as pg


@pytest.fixture(scope="session")
def postgres() -> Iterator[pg.Postgres]:
    """A real PostgreSQL."""
    with pg.running() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[maria.MariaDb]:
    """A real MariaDB."""
    if maria.program() is None:
        pytest.skip("mariadbd is not installed")
    with maria.running() as server:
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not tried here."""
    if maria.program() is None:
        terminalreporter.write_line(
            "NOTE: mariadbd is not installed: the tests that need a real MariaDB were skipped, and mysql-mimic stood in "
            "for what it can do (Debian, Ubuntu: apt install mariadb-server; .ci/run does it).",
            yellow=True,
        )
