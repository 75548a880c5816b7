"""What docs/router/client.md shows works as it stands there."""

import re
from pathlib import Path

import pytest

from tests.router.client.conftest import World

TEXT = (Path(__file__).parents[3] / "docs" / "router" / "client.md").read_text()


def test_every_snippet_runs(
    world: World, profile: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(world.folder)
    names: dict[str, object] = {}
    snippets = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    assert len(snippets) >= 8
    for snippet in snippets:
        exec(compile(snippet, "client.md", "exec"), names)
    shown = capsys.readouterr().out
    assert "sql.function Use sum." in shown
    assert "1 8 evil Use sum." in shown
    assert (world.folder / "chart-0.png").exists()
    assert (world.folder / "chart-1.json").exists()


def test_every_public_name_is_told():
    import router.client

    told = set(re.findall(r"\w+", TEXT)) | {
        "AsyncJob",
        "Chart",
        "Job",
        "Problem",
        "Progress",
        "Result",
        "Keys",
        "JobError",
    }
    assert {name for name in router.client.__all__ if name not in told} == set()
