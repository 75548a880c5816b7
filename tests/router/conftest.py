"""The Router's stores, one after the other, for every test that asks for one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from router.store.port import Store
from tests.router import stores
from tests.router.stores import World
from tests.support import postgres as pg


@pytest.fixture(params=["sqlite", "postgresql"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens stores over one and the same fresh database."""
    opened: list[Store] = []

    def keep(store: Store) -> Store:
        opened.append(store)
        return store

    if request.param == "sqlite":
        yield lambda: keep(stores.sqlite(tmp_path))
    else:
        server: pg.Postgres = request.getfixturevalue("postgres")
        with stores.postgres(server) as make:
            yield lambda: keep(make())
            for store in opened:
                store.close()
    for store in opened:
        store.close()


@pytest.fixture
def world(open_store: Callable[[], Store]) -> World:
    """One store and a clock."""
    return World(open_store())
