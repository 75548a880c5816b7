"""The mutation score: which mutants are tried, which results still stand, what the number is worth."""

import json
from pathlib import Path

import pytest

from tests.support import mutants
from tests.support.mutants import Wanted, chosen, wilson

NAMES = [f"agent.guard.scan.x_f__mutmut_{n}" for n in range(50)] + ["agent.masking.lint.x_g__mutmut_1"]


def wanted(only: str = "*", sample: int = 0, seed: int = 1) -> Wanted:
    return Wanted(only=only, sample=sample, seed=seed, show="")


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    assert chosen(NAMES, wanted(sample=7)) == chosen(reversed(NAMES), wanted(sample=7))
    assert chosen(NAMES, wanted(sample=7)) != chosen(NAMES, wanted(sample=7, seed=2))
    assert len(set(chosen(NAMES, wanted(sample=7)))) == 7
    assert sorted(chosen(NAMES, wanted(sample=999))) == sorted(NAMES)
    assert sorted(chosen(NAMES, wanted())) == sorted(NAMES)


def test_a_part_is_named_by_patterns() -> None:
    assert chosen(NAMES, wanted("agent.masking.*")) == ["agent.masking.lint.x_g__mutmut_1"]
    assert len(chosen(NAMES, wanted("agent.masking.* *_7"))) == 2
    assert chosen(NAMES, wanted("nothing")) == []


@pytest.mark.parametrize(
    ("killed", "tried", "low", "high"),
    [
        (0, 0, 0.0, 100.0),
        (0, 10, 0.0, 27.75),
        (10, 10, 72.25, 100.0),
        (85, 100, 76.72, 90.69),
        (340, 400, 81.17, 88.16),
    ],
)
def test_the_interval_is_wilsons(killed: int, tried: int, low: float, high: float) -> None:
    assert wilson(killed, tried) == pytest.approx((low, high), abs=0.01)


def line(name: str, *, killed: bool, by: str = "", digest: str = "all", function: str = "f1") -> str:
    return json.dumps({"name": name, "function": function, "killed": killed, "by": by, "digest": digest})


def test_a_result_stands_until_what_it_rests_on_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = tmp_path / "results.jsonl"
    monkeypatch.setattr(mutants, "RESULTS", results)
    made, digests = dict.fromkeys("abcdefg", "f1"), {"": "all", "tests/test_x.py": "x1"}
    assert mutants._known(made, digests) == {}
    written = [
        line("a", killed=False),
        line("b", killed=False, digest="before"),
        line("c", killed=True, by="tests/test_x.py::test_one", digest="x1"),
        line("d", killed=True, by="tests/test_x.py::test_one", digest="x0"),
        line("e", killed=True, by="tests/gone.py::test_one", digest="x1"),
        line("f", killed=True, function="f0"),
        line("gone", killed=True),
        line("g", killed=False),
        line("g", killed=True),
        '{"name": "a", "fun',
    ]
    results.write_text("\n".join(written))
    assert mutants._known(made, digests) == {"a": False, "c": True, "g": True}


@pytest.mark.parametrize(
    ("killed", "survived", "of", "ended", "code"),
    [(85, 15, 100, 0, 0), (84, 16, 100, 0, 1), (85, 15, 101, 0, 2), (85, 15, 100, 1, 2), (0, 0, 1, 0, 2)],
)
def test_the_exit_code_says_whether_it_is_enough(
    killed: int, survived: int, *, of: int, ended: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {f"m.k{n}": True for n in range(killed)} | {f"m.s{n}": False for n in range(survived)}
    assert mutants._report(found, wanted(sample=of), of=of, ended=ended) == code
    said = capsys.readouterr().out
    assert said.count("survived: make mutants SHOW='m.s") == survived
    assert "% with 95 % confidence" in said


def test_a_copy_is_made_equal_and_what_is_equal_keeps_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "ROOT", tmp_path / "tree")
    monkeypatch.setattr(mutants, "COPY", tmp_path / "copy")
    source, target = tmp_path / "tree" / "agent", tmp_path / "copy" / "agent"
    source.mkdir(parents=True)
    for name in ("a.py", "b.py"):
        (source / name).write_text(name)
    mutants._sync(source, target)
    first = (target / "a.py").stat().st_mtime_ns
    (source / "b.py").unlink()
    (target / "a.py.meta").write_text("{}")
    (target / "b.py.meta").write_text("{}")
    mutants._sync(source, target)
    assert sorted(one.name for one in target.iterdir()) == ["a.py", "a.py.meta"]
    assert (target / "a.py").stat().st_mtime_ns == first
    (source / "a.py").write_text("new")
    mutants._sync(source, target, but={target / "a.py"})
    assert (target / "a.py").read_text() == "a.py"
