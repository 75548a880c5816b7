"""A source never holds the agent's own folders."""

from pathlib import Path

import pytest

from agent.settings import SettingsError, load

HEAD = "version: 1\ntenant: a\n"


@pytest.mark.parametrize("path", [".", "./state", "./state/../", "/"])
def test_a_source_around_the_state_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "state").mkdir()
    file = tmp_path / "sandbox.yaml"
    file.write_text(f"{HEAD}sources: {{shop: {{type: duckdb, path: {path}}}}}\n")
    with pytest.raises(SettingsError, match=r"sandbox.yaml:3: sources.shop.path: the source holds"):
        load(file, {})


def test_a_folder_beside_it_is_fine(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "sandbox.yaml"
    file.write_text(f"{HEAD}sources: {{shop: {{type: duckdb, path: ./data}}}}\n")
    assert load(file, {}).sources["shop"].path == tmp_path / "data"


def test_a_source_around_the_shared_result_key_is_refused(tmp_path: Path) -> None:
    """Whoever takes over a worker would sign results of their own."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/result.jwk").touch(0o600)
    file = tmp_path / "sandbox.yaml"
    source = "sources: {shop: {type: duckdb, path: ./data}}\n"
    file.write_text(f'{HEAD}agent: {{result_key: "file:data/result.jwk"}}\n{source}')
    with pytest.raises(SettingsError, match=r"sources.shop.path: the source holds what `agent.result_key` names"):
        load(file, {})
