"""docs/operate/install-docker.md, hybrid: typed as it stands, in this order, under a real engine."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packaging.docker import page
from tests.packaging.docker.conftest import Site
from tests.support import hostile_world
from tests.support.engine import ROOT

pytestmark = [pytest.mark.full, pytest.mark.docker, pytest.mark.timeout(900)]
C = "docker-compose -f docker-compose.hybrid.yaml --profile local-router"
LISTEN = "0A"
RESOLVER = "0B00007F"
"""127.0.0.11 as /proc/net/tcp has it: the engine's own resolver, which no process of the container has open."""
PROGRAM = 'result = orders.groupby("product_id", as_index=False).amount.sum().head(3)\n'
SAMPLE = 12
"""Every so many hostile programs."""


def status(site: Site, number: int = 1) -> dict[str, object]:
    return dict(json.loads(site.says(f"{C} exec -T --index {number} agent agent status --json")))


def until(site: Site, condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}: {site.says(f'{C} logs agent')}"
        time.sleep(0.5)


def tier(site: Site) -> object:
    """Of Python jobs, once the layers have been tried."""
    found: dict[str, object] = {}

    def tried() -> bool:
        isolation = status(site)["isolation"]
        assert isinstance(isolation, dict)
        found.update(isolation["python"])
        return found["state"] in {"ready", "failed"}

    until(site, tried, "the sandbox server is up")
    return found["tier"]


def listening(site: Site, container: str) -> list[str]:
    """Sockets of the container's network that wait to be called."""
    pid = site.says(f"docker inspect -f '{{{{.State.Pid}}}}' {container}")
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
    ]
    assert Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    return [row[1] for row in rows if row[3] == LISTEN and not row[1].startswith(RESOLVER)]


def test_prod_says_what_is_missing(fresh: Site) -> None:
    done = fresh.run("packaging/docker/prod.sh", check=False)
    assert done.returncode == 78
    assert (
        "config/sandbox.yaml is missing.\n      fix: cp config/sandbox.example.yaml config/sandbox.yaml" in done.stderr
    )
    assert "no Router is named.\n      fix: echo 'MERIDYEN_ROUTER_URL=https://" in done.stderr
    assert "nothing was started" in done.stderr
    bare = fresh.run("packaging/docker/prod.sh", check=False, DOCKER_HOST="unix:///nowhere", MERIDYEN_TAG="none")
    assert "no Docker engine answers.\n      fix: start it" in bare.stderr
    untagged = fresh.run("packaging/docker/prod.sh", check=False, MERIDYEN_TAG="none")
    assert "the image meridyen/sandbox:none is not here.\n      fix: make images" in untagged.stderr


def test_the_two_commands_bring_it_up(fresh: Site) -> None:
    fresh.run(page.block("config/sandbox.yaml && docker-compose -f docker-compose.hybrid.yaml up -d"))
    state = "docker inspect -f '{{.State.Health.Status}}' meridyen-hybrid-agent-1"
    until(fresh, lambda: fresh.says(state) == "healthy", "it is healthy")  # `up -d` does not wait for it
    found = status(fresh)
    assert found["state"] == "enrolling"
    assert "not enrolled at its Router yet" in json.dumps(found["health"])
    assert "agent enroll" in fresh.says(f"{C} logs agent")
    assert tier(fresh) == "container"


def test_it_is_hardened(fresh: Site) -> None:
    (found,) = json.loads(fresh.says("docker inspect meridyen-hybrid-agent-1"))
    host = found["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["PortBindings"]) == (True, ["ALL"], {})
    assert (host["PidsLimit"], host["Memory"]) == (512, 8 * 2**30)
    lines = Path(f"/proc/{found['State']['Pid']}/status").read_text()
    assert re.search(r"^CapBnd:\t0+$", lines, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\t1$", lines, re.MULTILINE)
    assert re.search(r"^Uid:\t10001\t", lines, re.MULTILINE)
    assert fresh.run("docker exec meridyen-hybrid-agent-1 touch /etc/meridyen/x /x", check=False).returncode != 0
    assert listening(fresh, "meridyen-hybrid-agent-1") == []
    assert fresh.says("docker port meridyen-hybrid-agent-1") == ""


def test_a_signed_job_goes_through(fresh: Site) -> None:
    fresh.run(page.block("exec -T router cat ca-bundle.pem"))
    said = fresh.says(page.block("router submit question.sql"))
    assert re.search(r"Lisbon +│ 8", said), said
    (fresh.folder / "program.py").write_text(PROGRAM)
    inputs = "--input orders='SELECT product_id, amount FROM orders'"
    ran = fresh.says(f"router submit program.py --kind python --source shop --profile submitter {inputs} --format json")
    assert "488.6" in ran
    assert listening(fresh, "meridyen-hybrid-agent-1") == []
    assert listening(fresh, "meridyen-hybrid-router-1") != [], "what is looked for would be seen"


def test_hostile_programs_hold_inside(fresh: Site) -> None:
    quick = [case for case in hostile_world.cases() if case.category not in {"resource", "threads", "signals"}]
    chosen = quick[2::SAMPLE]
    names = " ".join(f"hostile/{case.path.name}" for case in chosen)
    fresh.run(
        f"tar -c -C {ROOT}/tests/support hostile_world.py hostile_driver.py -C {hostile_world.HOSTILE.parent} {names}"
        " | docker exec -i meridyen-hybrid-agent-1 tar -x -C /tmp --no-same-owner"
    )
    limits = "-e MERIDYEN_STATE_DIR=/tmp/state -e MERIDYEN_LIMITS__WALL_SECONDS=8 -e MERIDYEN_LIMITS__MEMORY_MB=512"
    driver = "/opt/meridyen/bin/python /tmp/hostile_driver.py"
    done = fresh.run(f"docker exec {limits} meridyen-hybrid-agent-1 {driver}")
    found = json.loads(done.stdout)
    assert found["programs"] == len(chosen)
    assert found["breaches"] == {}
    assert any(found["control"].values()), "a breach would be seen"
    fresh.run("docker exec meridyen-hybrid-agent-1 sh -c 'rm -rf /tmp/hostile* /tmp/state'")


def test_two_agents_and_one_pin(fresh: Site) -> None:
    fresh.run(page.block("--scale agent=2"))
    first, second = status(fresh, 1), status(fresh, 2)
    assert (first["agent"], second["agent"]) == ("plant-7", "agent-2")
    assert first["agent_id"] == second["agent_id"]
    pinned = json.loads((fresh.folder / "submitter/profile.json").read_text())["agents"]
    assert len(pinned) == 1
    for stopped in (1, 2):
        fresh.run(f"docker stop meridyen-hybrid-agent-{stopped}")
        assert "Lisbon" in fresh.says("timeout 60 router submit question.sql --source shop --profile submitter")
        fresh.run(f"docker start meridyen-hybrid-agent-{stopped}")
    known = fresh.says(f"{C} exec -T router router agents list")
    assert "plant-7" in known
    assert "agent-2" in known


def test_the_full_tier(fresh: Site) -> None:
    fresh.run(page.block("packaging/docker/full-tier.yaml"))
    assert tier(fresh) == "full"
    inputs = "--input orders='SELECT product_id, amount FROM orders'"
    assert "488.6" in fresh.says(f"router submit program.py --kind python --source shop --profile submitter {inputs}")
    listen = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()"
    refused = fresh.run(f'docker exec meridyen-hybrid-agent-1 /opt/meridyen/bin/python -c "{listen}"', check=False)
    assert "PermissionError" in refused.stderr


def test_a_secret_that_cannot_be_read_is_named(fresh: Site) -> None:
    secret = fresh.folder / "secrets/erp"
    secret.write_text("not to be read\n")
    secret.chmod(0o600)
    fresh.run(f"{C} up -d --wait --force-recreate agent")
    said = fresh.says(f"{C} logs agent")
    assert "/run/secrets/erp cannot be read by uid 10001" in said
    assert "(0:0 0600). Fix: on the host, chown 10001 it and chmod 0400 it." in said
    done = fresh.run("PROFILE=local-router packaging/docker/prod.sh", check=False)
    assert (done.returncode, done.stdout) == (78, "")
    assert "secrets/erp cannot be read by uid 10001, the agent's" in done.stderr
    assert "fix: chown 10001 secrets/erp && chmod 0400 secrets/erp" in done.stderr
    secret.unlink()
    done = fresh.run("PROFILE=local-router packaging/docker/prod.sh")
    assert "plant-7: online" in done.stdout


def test_down_leaves_nothing(fresh: Site) -> None:
    fresh.run(page.block("down --volumes"))
    assert fresh.says("docker ps -aq") == ""
    assert fresh.says("docker volume ls -q") == ""
    assert set(fresh.says("docker network ls --format '{{.Name}}'").split()) == {"bridge", "host", "none"}
