"""What the tests of the format share: the makers of tests/vectors."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

VECTORS = Path(__file__).parents[2] / "vectors"


def _load() -> ModuleType:
    name = "meridyen_vectors_make"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, VECTORS / "make.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def make() -> ModuleType:
    """The recipe of the vectors: keys, trust store, good and bad envelopes, results."""
    return _load()


@pytest.fixture(scope="session")
def folder() -> Path:
    """tests/vectors."""
    return VECTORS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`bad_name`: every named bad envelope."""
    if "bad_name" in metafunc.fixturenames:
        metafunc.parametrize("bad_name", sorted(_load().bad()))
