"""What importing the format costs: the service and the clients load it."""

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import agent.identity
import agent.wire

ROOT = Path(__file__).parents[3]
HEAVY = ("pyarrow", "numpy", "pandas", "duckdb", "sqlglot", "RestrictedPython", "httpx", "apscheduler", "sqlite3")
WITH_ROWS = {"frames", "cells", "inline"}


def loaded(statement: str) -> set[str]:
    script = f"import sys\n{statement}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def modules() -> list[str]:
    wire = [f"agent.wire.{m.name}" for m in pkgutil.iter_modules(agent.wire.__path__) if m.name not in WITH_ROWS]
    return wire + [f"agent.identity.{m.name}" for m in pkgutil.iter_modules(agent.identity.__path__)]


def test_nothing_heavy_is_loaded_without_rows() -> None:
    assert loaded("\n".join(f"import {name}" for name in modules())) & set(HEAVY) == set()


def test_sealing_and_opening_without_rows_load_nothing_heavy() -> None:
    """The service seals `Failed` itself."""
    script = """
import io
from agent.core.outcome import Failed
from agent.wire import sealing
from agent.wire.keys import OpeningKey
key = OpeningKey.generate()
context = sealing.SealContext(job_id="0" * 26, job_digest="0" * 64, result_id="0" * 26, attempt=1, policy_version=1,
                              policy_sha256="", isolation="none", recipient=key.public())
sink = io.BytesIO()
parcel = sealing.seal(Failed("limit.wall", "x"), context=context, sink=sink)
sink.seek(0)
sealing.open_result(sealing.manifest(parcel, audit_seq=0, audit_hash="0" * 64), sink, key)
"""
    assert loaded(script) & set(HEAVY) == set()


@pytest.mark.parametrize("name", sorted(WITH_ROWS))
def test_rows_do_load_arrow(name: str) -> None:
    assert "pyarrow" in loaded(f"import agent.wire.{name}")
