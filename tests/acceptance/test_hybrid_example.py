"""examples/hybrid does what its README says: a real Router, a real agent, a client, typed as it stands there."""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support import silent

ROOT = Path(__file__).parents[2]
README = (ROOT / "examples/hybrid/README.md").read_text()


@pytest.mark.full
@pytest.mark.timeout(200)
def test_the_readme_as_it_stands(tmp_path: Path):
    (script,) = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    for name in ("config", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name)
    ran = silent.environment(tmp_path / ".venv")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MERIDYEN_")}
    guarded = 'trap "kill $(jobs -p) 2>/dev/null || :" EXIT\n'
    done = subprocess.run(
        ["bash", "-ec", guarded + script.replace("8443", str(_port()))],
        cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    log = tmp_path / "build/hybrid/agent.log"
    assert done.returncode == 0, done.stdout + done.stderr + (log.read_text() if log.exists() else "")
    assert "run --config site" in ran.read_text(), "under the rule that it must not listen"
    said = done.stdout
    assert "relations: customers, orders, products" in said
    assert "would run: True" in said
    assert "***0" in said
    assert re.search(r"^… succeeded", said, re.MULTILINE)
    assert "chart: orders.json" in said
    assert "refused: sql." in said
    assert re.search(r"^hint: .+", said, re.MULTILINE)
    assert "corrected: [{'n': " in said
    customers = (ROOT / "config/demo/shop/customers.csv").read_text().splitlines()[1:]
    assert not [value for line in customers for value in line.split(",")[1:7] if value in said]


def test_it_is_short():
    assert len(README.splitlines()) <= 45


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
