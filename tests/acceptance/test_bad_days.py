"""A full disk and a read-only outbox: said in status, nothing lost, and all well again when the cause is gone."""

import json
import signal
import subprocess
import sys

import pytest

from agent.service.statusclient import read_file

MOUNTS = (
    subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "true"], capture_output=True, check=False
    ).returncode
    == 0
    if sys.platform == "linux"
    else False
)
needs_mounts = pytest.mark.skipif(not MOUNTS, reason="this kernel does not let this account mount in a user namespace")


def start(site, script):
    """The service in a mount namespace of its own, after `script` has prepared it."""
    prefix = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", f'{script} && exec "$@"', "sh")
    return site.start(prefix)


def stop(service):
    service.send_signal(signal.SIGTERM)
    assert service.wait(90) == 0


def health(site):
    return json.dumps(read_file(site.folder / "state", now=0).status["health"])


@pytest.mark.full
@needs_mounts
def test_a_read_only_outbox(site, until):
    outbox = site.drop / "outbox"
    service = start(site, f"mount --bind {outbox} {outbox} && mount -o remount,bind,ro {outbox}")
    try:
        job = site.json("submit", site.query("SELECT 7 AS n"), "--source", "shop")
        until(lambda: list((site.folder / "state" / "spool").glob("*.json")) or "outbox" in health(site))
        until(lambda: "outbox" in health(site))
        assert not site.result(job["id"]).exists()
    finally:
        stop(service)
    with site.running():
        site.wait_for(site.result(job["id"]))
    assert json.loads(site.cli("open", job["result"], "--format", "json").stdout)["rows"] == [[7]]


@needs_mounts
def test_a_full_disk(site, until):
    spool = site.folder / "state" / "spool"
    spool.mkdir(mode=0o700, exist_ok=True)
    service = start(site, f"mount -t tmpfs -o size=64k,mode=700 none {spool}")
    try:
        job = site.json("submit", site.query("SELECT 8 AS n"), "--source", "shop")
        until(lambda: "isk" in health(site) or "pool" in health(site))
        assert (site.inbox / f"{job['id']}.mjob").exists()
    finally:
        stop(service)
    with site.running():
        site.wait_for(site.result(job["id"]))
    assert json.loads(site.cli("open", job["result"], "--format", "json").stdout)["rows"] == [[8]]
