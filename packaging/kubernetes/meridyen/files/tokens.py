"""A fresh enrolment token for each pool -> the Secret that its agents read. Run in the Router's image by a CronJob.

The arguments name the pools as JSON: `[{"tenant": …, "pool": …, "secret": …, "key": …}, …]`. Tokens are never printed.
Standard library only.
"""

import base64
import json
import os
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ACCOUNT = Path(os.environ.get("ACCOUNT", "/run/account"))
API = os.environ.get("API", "https://kubernetes.default.svc")
SECONDS = 30


def made(pool: dict[str, str], hours: str, uses: str) -> str:
    """A token of the Router's. Raises RuntimeError, in the Router's own words."""
    chosen = ["--tenant", pool["tenant"], "--pool", pool["pool"], "--hours", hours, "--uses", uses]
    command = ["router", "token", "create", *chosen, "--note", f"for the Secret {pool['secret']}", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return str(json.loads(done.stdout)["token"])


def put(secret: str, key: str, token: str) -> None:
    """Write one key of a Secret that exists; its others stay. Raises OSError."""
    namespace = (ACCOUNT / "namespace").read_text().strip()
    change: dict[str, Any] = {"data": {key: base64.b64encode(token.encode()).decode()}}
    asked = urllib.request.Request(  # noqa: S310 - the address is the chart's
        f"{API}/api/v1/namespaces/{namespace}/secrets/{secret}",
        data=json.dumps(change).encode(),
        method="PATCH",
        headers={
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text().strip()}",
            "Content-Type": "application/merge-patch+json",
        },
    )
    trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(asked, timeout=SECONDS, context=trusted):  # noqa: S310
        pass


def main(pools: str, hours: str, uses: str) -> int:
    """Every pool is tried; exit 1 when one of them has no fresh token."""
    failed = 0
    for pool in json.loads(pools):
        try:
            put(pool["secret"], pool["key"], made(pool, hours, uses))
        except urllib.error.HTTPError as error:
            failed = 1
            fix = "create it once, empty" if error.code == 404 else "look at the Role of this CronJob"  # noqa: PLR2004
            told = f"Secret {pool['secret']}: the API answers {error.code}. Fix: {fix}.\n"
            sys.stderr.write(told)
        except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
            failed = 1
            sys.stderr.write(f"Secret {pool['secret']}: no fresh token. {error}\n")
        else:
            sys.stdout.write(f"Secret {pool['secret']}: a token for {pool['tenant']}/{pool['pool']}\n")
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
