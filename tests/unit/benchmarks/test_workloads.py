"""The benchmark's statements have the sizes that its limits are for, and every workload file is used."""

from pathlib import Path

import pytest

from benchmarks import guard
from benchmarks.figures import HERE, Figure, text

SIZES = {"guard-119b.sql": 119, "guard-667b.sql": 667, "guard-6kb.sql": 6000}


@pytest.mark.parametrize(("name", "size"), SIZES.items(), ids=SIZES)
def test_sizes(name: str, size: int) -> None:
    assert len(text(f"statements/{name}").encode()) == pytest.approx(size, rel=0.01)


def test_every_workload_file_is_used() -> None:
    programs = "".join(path.read_text() for path in HERE.glob("*.py"))
    files = [path.name for folder in ("statements", "policies") for path in (HERE / folder).iterdir()]
    rules = {"redact.yaml", "last4.yaml", "token.yaml"}
    assert [name for name in files if name not in programs and name not in rules] == []


def test_the_statements_are_admitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "ROUNDS", 1)
    figures = list(guard.run(tmp_path))
    assert [figure.limit for figure in figures] == [1.2, 4.4, 39.0]


def test_a_limit_is_a_limit() -> None:
    figure = Figure(group="g", name="n", value=1.0, unit="s", limit=1.0)
    assert figure.within is True
    assert Figure(group="g", name="n", value=1.1, unit="s", limit=1.0).within is False
    assert Figure(group="g", name="n", value=1.1, unit="s").within is None
