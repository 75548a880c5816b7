"""The compose files, the seccomp profile and the scripts of the images, read as data: what they promise stands in them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.docker_profile import DENIED

ROOT = Path(__file__).parents[2]
FILES = ("docker-compose.hybrid.yaml", "docker-compose.airgapped.yaml")
NAMESPACES = {"mount", "mount_setattr", "pivot_root", "sethostname", "setns", "umount2", "unshare"}
"""What Docker's default keeps from a process without capabilities, and a job's own namespaces need."""
INBOUND = {"listen", "accept", "accept4"}


def services(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / name).read_text())["services"])


@pytest.mark.parametrize("name", FILES)
def test_every_service_is_hardened(name: str) -> None:
    for service in services(name).values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["ulimits"] == {"core": 0}
        assert service["pids_limit"] <= 512
        assert service["mem_limit"]
        assert all("size=" in place and "noexec" in place for place in service["tmpfs"])
        assert not {"privileged", "cap_add", "devices", "pid", "ipc", "userns_mode"} & service.keys()


@pytest.mark.parametrize("name", FILES)
def test_the_agent_publishes_no_port_and_sees_its_configuration_read_only(name: str) -> None:
    agent = services(name)["agent"]
    assert not {"ports", "expose", "profiles", "build"} & agent.keys()
    assert agent.get("network_mode") is None
    assert "./config:/etc/meridyen:ro" in agent["volumes"]
    assert "./secrets:/run/secrets:ro" in agent["volumes"]


def test_only_the_trial_router_publishes_one_on_loopback() -> None:
    published = {name: one["ports"] for name, one in services(FILES[0]).items() if "ports" in one}
    assert published == {"router": ["127.0.0.1:${MERIDYEN_ROUTER_PORT:-8443}:8443"]}
    assert services(FILES[0])["router"]["profiles"] == ["local-router"]
    assert not [one for one in services(FILES[1]).values() if "ports" in one]
    assert yaml.safe_load((ROOT / FILES[1]).read_text())["networks"] == {"data": {"internal": True}}


def profile() -> list[dict[str, Any]]:
    found = json.loads((ROOT / "packaging/docker/seccomp.json").read_text())
    assert (found["defaultAction"], found["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 1)
    assert all(one["subArchitectures"] == [] for one in found["archMap"])
    return list(found["syscalls"])


def test_the_profile_adds_namespaces_to_dockers_and_nothing_else() -> None:
    allowed = {name for rule in profile() if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    assert allowed & set(DENIED) == NAMESPACES
    assert allowed & INBOUND == set()
    assert (
        allowed & {"ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "personality", "shmget", "msgget"}
        == set()
    )
    (clone3,) = [rule for rule in profile() if "clone3" in rule["names"]]
    assert (clone3["action"], clone3["errnoRet"]) == ("SCMP_ACT_ERRNO", 38)
    families = [rule["args"][0]["value"] for rule in profile() if rule["names"] == ["socket"]]
    assert families == [1, 2, 10, 16]


def test_the_dockerfile_fetches_nothing() -> None:
    text = (ROOT / "packaging/docker/Dockerfile").read_text()
    assert "syntax=" not in text
    assert not {
        word for word in ("apt-get", "curl", "wget", "ADD ", "://") if word in text.replace("https://meridyen.ai", "")
    }
    installs = text.count("pip --python")
    assert installs == text.count("--no-index") == text.count("--require-hashes") == 2
    assert '"--network", "none"' in (ROOT / "packaging/build/images.py").read_text()


@pytest.mark.parametrize("script", ["docker/agent.sh", "docker/router.sh", "docker/prod.sh", "ci/install-docker.sh"])
def test_scripts_are_scripts(script: str) -> None:
    assert subprocess.run(["sh", "-n", str(ROOT / "packaging" / script)], check=False).returncode == 0


def replica(tmp_path: Path, *words: str, **more: str) -> str:
    """What packaging/docker/agent.sh hands to the program, its folders put under `tmp_path`."""
    text = (ROOT / "packaging/docker/agent.sh").read_text()
    for folder in ("/var/lib/meridyen", "/etc/meridyen", "/run/meridyen"):
        (tmp_path / folder[1:]).mkdir(parents=True, exist_ok=True)
        text = text.replace(f"={folder}", f"={tmp_path}{folder}").replace(f" {folder} ]", f" {tmp_path}{folder} ]")
    shown = "env | grep '^MERIDYEN_' | sort; [ \"${1:-}\" != run ] || { echo up; read -r _; }"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{shown}\n")
    program.chmod(0o755)
    script = tmp_path / "agent.sh"
    script.write_text(text.replace("/opt/meridyen/bin/agent", str(program)))
    held = subprocess.Popen(
        ["sh", str(script), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={"PATH": "/usr/bin:/bin", **more},
    )  # fmt: skip
    return held.communicate("\n", timeout=20)[0]


def test_replicas_take_folders_of_their_own_and_take_them_up_again(tmp_path: Path) -> None:
    (tmp_path / "etc/meridyen").mkdir(parents=True)
    (tmp_path / "etc/meridyen/sandbox.yaml").write_text("version: 1\n")
    state = f"{tmp_path}/var/lib/meridyen"
    assert replica(tmp_path, "run").splitlines() == [
        f"MERIDYEN_STATE_DIR={state}/1", f"MERIDYEN_TRUST={state}/trust.json", "up",
    ]  # fmt: skip
    with subprocess.Popen(["flock", "-o", f"{state}/1/.taken", "sleep", "60"]) as other:
        while subprocess.run(["flock", "-n", f"{state}/1/.taken", "true"], check=False).returncode == 0:
            pass
        second = replica(tmp_path, "run", MERIDYEN_AGENT__NAME="east").splitlines()
        assert f"MERIDYEN_STATE_DIR={state}/2" in second
        assert "MERIDYEN_AGENT__NAME=east-2" in second
        assert "MERIDYEN_AGENT__NAME=agent-2" in replica(tmp_path, "status").splitlines(), (
            "as the service of its container"
        )
        other.kill()
    assert f"MERIDYEN_STATE_DIR={state}/1" in replica(tmp_path, "run").splitlines()
    (tmp_path / "etc/meridyen/sandbox.yaml").write_text("version: 1\ntrust: trust.json\n")
    assert "TRUST" not in replica(tmp_path, "run")
    own = replica(tmp_path, "run", MERIDYEN_STATE_DIR="/data/7").splitlines()
    assert own == ["MERIDYEN_STATE_DIR=/data/7", "up"], "whoever says where its state lies is not helped"
