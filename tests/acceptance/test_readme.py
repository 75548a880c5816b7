"""What the README tells people to type works as it stands there."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import silent

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The output of the README's shell commands, typed in a checkout."""
    (script,) = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "config", folder / "config")
    ran = silent.environment(folder / ".venv")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MERIDYEN_")}
    done = subprocess.run(
        ["bash", "-ec", script], cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nrun " in ran.read_text(), "under the rule that it must not listen"
    return done.stdout


def test_the_commands_lead_to_masked_rows(typed: str) -> None:
    assert typed.count("***0") >= 6  # the last digits of phones, from exec and from submit
    assert "online" in typed
    assert len(re.findall(r"^ok: .*audit", typed, re.MULTILINE)) == 2


def test_no_protected_value_is_shown(typed: str) -> None:
    customers = (ROOT / "config/demo/shop/customers.csv").read_text().splitlines()[1:]
    protected = {value for line in customers for value in line.split(",")[1:7]}
    assert {value for value in protected if value in typed} == set()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)", README))))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
