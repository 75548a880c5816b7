"""Servers that several suites share: started once for each test process."""

from collections.abc import Iterator

import pytest

from tests.support import postgres as pg


@pytest.fixture(scope="session")
def postgres() -> Iterator[pg.Postgres]:
    """A real PostgreSQL."""
    with pg.running() as server:
        yield server
