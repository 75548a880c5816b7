"""Helpers: configurations in a folder of their own, and errors that must not hold a canary."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.settings import Settings, SettingsError, load

CANARY = "c4n4ry"
POLICY = "version: 1\ndefault: redact\n"

Load = Callable[..., Settings]
Wrong = Callable[..., list[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a policy; files in it are made with a mode that other accounts cannot read."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    return tmp_path


@pytest.fixture
def loaded(folder: Path) -> Load:
    """Write sandbox.yaml and load it; keyword arguments are environment variables."""

    def run(text: str | bytes, /, **environ: str) -> Settings:
        file = folder / "sandbox.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(file, environ)

    return run


@pytest.fixture
def wrong(loaded: Load, folder: Path) -> Wrong:
    """Load what must fail: the findings as lines, without the folder. No canary, no chained exception."""

    def run(text: str | bytes, /, **environ: str) -> list[str]:
        with pytest.raises(SettingsError) as caught:
            loaded(text, **environ)
        return lines(caught.value, folder)

    return run


def lines(error: BaseException, folder: Path) -> list[str]:
    """What an error says, after making sure that it says no value."""
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    assert CANARY not in f"{error} {error!r} {error.args} {vars(error)}"
    return str(error).replace(f"{folder}/", "").splitlines()
