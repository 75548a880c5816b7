"""Every kind of the second net: one file, one line in the union, gates that RE2 takes, a validator, a line in the manual."""

import pkgutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import agent.masking.pii.kinds as package
from agent.masking.pii.kind import Kind
from agent.masking.pii.kinds import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()


def test_each_file_is_listed_and_named_after_its_kind() -> None:
    assert {module.name for module in pkgutil.iter_modules(package.__path__)} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_kind_is_whole(kind: Kind) -> None:
    for gate in filter(None, (kind.first, kind.gate, kind.named_gate)):
        assert pc.match_substring_regex(pa.array(["", "plain words", None]), pattern=gate).to_pylist() == [
            False,
            False,
            None,
        ]
    assert list(kind.spans("plain words", False)) == list(kind.spans("", True)) == []
    assert all(low <= high for low, high in kind.bounds)
    assert not kind.named_gate or kind.speaks is not None
    assert kind.about.endswith(".")
    assert f"| {kind.name} |" in PAGE
    assert not list(kind.spans(f"[{kind.name}]", True)), "a label must not be a hit"
