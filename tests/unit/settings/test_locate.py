"""Finding the state folder without the models."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.settings import Settings, SettingsError, find_config, state_dir

Load = Callable[..., Settings]


@pytest.mark.parametrize("text", ["tenant: a\n", "tenant: a\nstate_dir: ./x\n", "tenant: a\nstate_dir: /y\n"])
@pytest.mark.parametrize(
    "environ", [{}, {"MERIDYEN_STATE_DIR": "z"}, {"meridyen_state_dir": "/z"}, {"MERIDYEN_STATE_DIR": ""}]
)
def test_it_is_the_one_of_the_settings(loaded: Load, folder: Path, text: str, environ: dict[str, str]) -> None:
    settings = loaded(text, **environ)
    assert state_dir(folder / "sandbox.yaml", environ) == settings.state_dir
    assert state_dir(folder, environ) == settings.state_dir


def test_other_mistakes_in_the_file_do_not_matter(folder: Path) -> None:
    (folder / "sandbox.yaml").write_text("nonsense: 1\nstate_dir: s\n")
    assert state_dir(folder, {}) == folder / "s"
    (folder / "sandbox.yaml").write_text("state_dir: [s]\n")
    with pytest.raises(SettingsError, match=r"sandbox.yaml:1: state_dir: must be a path"):
        state_dir(folder, {})


def test_nothing_heavy_is_loaded_for_it(folder: Path) -> None:
    (folder / "sandbox.yaml").write_text("state_dir: s\n")
    code = (
        "import sys; from pathlib import Path; from agent.settings import state_dir;"
        "state_dir(Path(sys.argv[1]), {});"
        "print([name for name in ('pydantic', 'anyio', 'cryptography', 'sqlglot', 'duckdb') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True, text=True)
    assert ran.stdout == "[]\n"


def test_reading_settings_loads_no_driver_parser_or_frames(folder: Path) -> None:
    (folder / "sandbox.yaml").write_text("tenant: a\nsources: {s: {type: duckdb, path: x}}\n")
    code = (
        "import sys; from pathlib import Path; from agent.settings import load, load_policy;"
        "load_policy(load(Path(sys.argv[1]), {}));"
        "print([name for name in ('sqlglot', 'duckdb', 'pyarrow', 'pandas', 'numpy') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True, text=True)
    assert ran.stdout == "[]\n"


def test_a_working_folder_that_this_account_may_not_look_into_holds_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `runuser -u meridyen -- agent status` in root's home."""
    closed = tmp_path / "closed"
    closed.mkdir()
    monkeypatch.chdir(closed)
    closed.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(SettingsError, match="no configuration found"):
            find_config(None)
    finally:
        if root:
            os.seteuid(0)
        closed.chmod(0o700)
