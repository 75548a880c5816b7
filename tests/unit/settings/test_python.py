"""The `python` block: what reaches the sandbox server, and what is refused before it could."""

import pytest

from agent.app import python_of, site_of
from agent.settings import load_policy
from tests.unit.settings.conftest import Load, Wrong

HEAD = "version: 1\ntenant: a\n"


def test_the_defaults_give_every_slot_the_memory_of_a_whole_job(loaded: Load) -> None:
    settings = loaded(f"{HEAD}agent: {{slots: {{python: 3}}}}\nlimits: {{memory_mb: 500}}\n")
    python = python_of(settings)
    assert (python.min_tier, python.outer, python.terms.imports, python.terms.scratch_mb) == ("container", "", None, 64)
    assert (python.shape.at_once, python.shape.memory_mb) == (3, 3 * 564)
    assert python.shape.preload == ("pandas", "numpy", "pyarrow", "duckdb")
    assert site_of(settings, load_policy(settings)).python == python


def test_everything_that_is_written_counts(loaded: Load) -> None:
    text = "python: {min_tier: full, imports: [json, scipy.stats], memory_mb: 4000, outer: kata, idle_seconds: 5}\n"
    python = python_of(loaded(HEAD + text))
    assert (python.min_tier, python.outer, python.idle_seconds) == ("full", "kata", 5)
    assert (python.terms.imports, python.shape.memory_mb) == (("json", "scipy.stats"), 4000)


def test_without_python_jobs_there_are_no_terms(loaded: Load) -> None:
    settings = loaded(f"{HEAD}python: {{enabled: false, memory_mb: 32}}\n")
    assert site_of(settings, load_policy(settings)).python is None


def test_memory_in_which_no_job_would_fit_is_refused(wrong: Wrong) -> None:
    (line,) = wrong(f"{HEAD}limits: {{memory_mb: 500}}\npython: {{memory_mb: 563}}\n")
    assert line.startswith("sandbox.yaml:4: python.memory_mb: this is less than")
    assert line.endswith("Fix: Write at least 564, or leave it out.")


@pytest.mark.parametrize("name", ["a,b", "--tier=none", "os;", "", "a..b", ".a", "1a"])
def test_what_is_no_module_does_not_reach_the_servers_command_line(wrong: Wrong, name: str) -> None:
    for key in ("preload", "imports"):
        assert wrong(f'{HEAD}python: {{{key}: ["{name}"]}}\n')


def test_the_weakest_tier_belongs_to_the_file(wrong: Wrong) -> None:
    (line,) = wrong(f"{HEAD}python: {{min_tier: full}}\n", MERIDYEN_PYTHON__MIN_TIER="container")
    assert "contradicts the file" in line
