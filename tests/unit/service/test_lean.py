"""The service process loads no driver, no parser and no frame library, and stays small."""

import json
import subprocess
import sys

SCRIPT = """
import json, sys
from agent.audit.log import AuditLog
from agent.identity import state
from agent.service import launcher, livetrust, supervisor
from agent.spool import ledger, store
from agent.transport import filedrop
with open("/proc/self/status") as file:
    rss = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
print(json.dumps({"modules": sorted(sys.modules), "rss_kb": rss}))
"""
HEAVY = {"sqlglot", "duckdb", "pyarrow", "pandas", "numpy", "RestrictedPython", "rich", "typer", "httpx"}


def test_nothing_heavy_is_loaded_and_the_process_is_small() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert HEAVY & {name.partition(".")[0] for name in found["modules"]} == set()
    assert found["rss_kb"] < 80 * 1024
