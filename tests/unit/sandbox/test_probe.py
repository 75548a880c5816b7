"""What the probe says of jails that are none; that each layer is missed is shown by tests/attacks/test_python_layers.py."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.core.ports import Finding
from agent.sandbox import canaries
from agent.sandbox.probe import stands

PROBED = Path(__file__).with_name("probed.py")


def probed(scenario: str, tier: str = "container") -> list[Finding]:
    """The findings; no process is left of the child."""
    command = [sys.executable, "-I", str(PROBED), scenario, tier]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["left"] == 0
    return [Finding(*finding) for finding in said["findings"]]


def errors(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.found for finding in findings if finding.level == "error"}


def test_nothing_stands_that_was_not_looked_at() -> None:
    assert not stands(())
    assert stands((Finding("a", "ok", "b"), Finding("a", "note", "b")))
    assert not stands((Finding("a", "ok", "b"), Finding("a", "error", "b")))


def test_a_child_without_a_jail_is_seen_through_by_layers() -> None:
    findings = probed("no jail")
    found = errors(findings)
    layers = {check.removeprefix("container: ") for check in found}
    assert {"descriptors", "environment", "files", "Landlock", "limits", "seccomp", "privileges"} <= layers
    assert "read a file outside: nothing stopped it" in found["container: files"]
    assert found["container: child"].startswith("the child ended or hung after"), "it ran a program"
    assert all(finding.fix for finding in findings if finding.level == "error")


@pytest.mark.parametrize("tier", ["full", "container"])
def test_a_child_that_dies_before_its_first_canary_is_no_tier(tier: str) -> None:
    assert errors(probed("dies", tier)) == {f"{tier}: child": "the jail could not be made; no canary ran"}


@pytest.mark.parametrize(
    ("scenario", "found"),
    [
        ("dies in between", "the child ended or hung after `read`"),
        ("hangs", "the jail could not be made; no canary ran"),
        ("hangs with a child", "the jail could not be made; no canary ran"),
        ("no process", "no process could be made (error 11)"),
    ],
)
def test_a_child_that_says_less_than_all_is_no_tier(scenario: str, found: str) -> None:
    assert errors(probed(scenario))["container: child"] == found


def test_the_container_tier_says_what_it_does_not_hide() -> None:
    assert [finding.level for finding in probed("dies") if "paths" in finding.check] == ["note"]


def test_each_canary_has_a_name_of_its_own() -> None:
    names = [(canary.layer, canary.name) for canary in canaries.CANARIES]
    assert len(set(names)) == len(names)
    assert names[-1] == ("seccomp", "run a program"), "where it works, nothing is heard of those behind it"
