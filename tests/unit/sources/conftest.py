from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from agent.core.plan import MaskedPlan
from agent.core.table import Disclosure

Plans = Callable[..., MaskedPlan]


@pytest.fixture(scope="session")
def plan() -> Plans:
    """A plan as the rewrite would make it."""

    def make(
        sql: str, parameters: Mapping[str, Any] | None = None, variables: Mapping[str, bytes] | None = None
    ) -> MaskedPlan:
        disclosure = Disclosure("shop", (), {}, 1, "0" * 64)
        return MaskedPlan(sql=sql, parameters=parameters or {}, disclosure=disclosure, variables=variables or {})

    return make


def duck_file(path: Path, *statements: str) -> Path:
    with duckdb.connect(path) as con:
        for statement in statements:
            con.execute(statement)
    return path


@pytest.fixture
def duck(tmp_path: Path) -> Callable[..., Path]:
    """Makes a DuckDB file from statements."""
    return lambda *statements, name="shop.duckdb": duck_file(tmp_path / name, *statements)


@pytest.fixture(scope="module")
def shared_duck(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The same, for files that all tests of a module only read."""
    return lambda *statements: duck_file(tmp_path_factory.mktemp("source") / "shop.duckdb", *statements)
