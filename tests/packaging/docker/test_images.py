"""What is in the images, and what is not: measured in the images themselves."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from tests.support.engine import BASE, ROOT, Engine

pytestmark = [pytest.mark.full, pytest.mark.docker, pytest.mark.timeout(900)]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
AGENTS = ("meridyen/sandbox:latest", "meridyen/sandbox-airgapped:latest")
ALL = (*AGENTS, "meridyen/router:latest", "meridyen/sandbox:analytics")
MOST_BYTES = 900e6
ANALYTICS = ("polars", "scipy", "sklearn", "statsmodels", "altair", "plotly", "matplotlib")
INSTALLED = (
    "import importlib.metadata as m, json; print(json.dumps(sorted([d.name, d.version] for d in m.distributions())))"
)


def inspected(engine: Engine, image: str) -> dict[str, object]:
    (found,) = json.loads(engine.says(f"docker image inspect {image}"))
    return dict(found)


def inside(engine: Engine, image: str, script: str) -> str:
    locked = "docker run --rm -i --network none --read-only --cap-drop ALL --entrypoint sh"
    return engine.says(f"{locked} {image} -s", stdin=script)


@pytest.mark.parametrize("image", AGENTS)
def test_the_agent_is_small_and_unprivileged(engine: Engine, images: Path, image: str) -> None:
    found = inspected(engine, image)
    assert found["Size"] <= MOST_BYTES, found["Size"]
    config = found["Config"]
    assert isinstance(config, dict)
    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"] == ["CMD", "agent", "status", "--healthcheck"]
    assert "ExposedPorts" not in config
    labels = config["Labels"]
    assert labels["org.opencontainers.image.version"] == VERSION
    assert labels["org.opencontainers.image.title"] == image.split(":", maxsplit=1)[0]
    assert re.fullmatch(r"[0-9a-f]{40}", labels["org.opencontainers.image.revision"])
    assert VERSION in inside(engine, image, "agent version").splitlines()[0]


def test_analytics_only_where_they_belong(engine: Engine, images: Path) -> None:
    script = f"/opt/meridyen/bin/python -c 'import importlib.util as u; print([n for n in {json.dumps(ANALYTICS)} if u.find_spec(n)])'"
    assert inside(engine, AGENTS[0], script) == "[]"
    assert inside(engine, "meridyen/sandbox:analytics", script) == str(list(ANALYTICS))


@pytest.mark.parametrize("image", ALL)
def test_nothing_to_install_with_or_to_rise_by(engine: Engine, images: Path, image: str) -> None:
    tools = "for tool in pip pip3 apt apt-get dpkg gcc curl wget; do command -v $tool || :; done"
    assert inside(engine, image, tools) == ""
    assert inside(engine, image, "find / -xdev -perm /6000 -type f 2>/dev/null || :") == ""
    assert inside(engine, image, "find /opt /usr /etc -xdev -writable -not -type l 2>/dev/null | head -3") == ""
    assert inside(engine, image, "/opt/meridyen/bin/python -m pip 2>&1 | tail -1").endswith("No module named pip")


@pytest.mark.parametrize(
    ("image", "bill"),
    [(AGENTS[0], "sandbox"), ("meridyen/router:latest", "router"), ("meridyen/sandbox:analytics", "sandbox-analytics")],
)
def test_the_bill_says_what_is_installed(engine: Engine, images: Path, image: str, bill: str) -> None:
    name, _, suffix = bill.partition("-")
    file = images / f"meridyen-{name}-{VERSION}{'-' + suffix if suffix else ''}.cdx.json"
    found = json.loads(file.read_text())
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    python = {(c["name"], c["version"]) for c in found["components"] if c["purl"].startswith("pkg:pypi/")}
    listed = json.loads(inside(engine, image, f"/opt/meridyen/bin/python -c '{INSTALLED}'"))
    assert python == {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in listed}
    debian = {c["name"] for c in found["components"] if c["purl"].startswith("pkg:deb/debian/")}
    assert {"libc6", "python3", "ca-certificates"} <= debian


def test_a_wheel_that_was_changed_is_not_installed(engine: Engine, images: Path, tmp_path: Path) -> None:
    context = shutil.copytree(images / "context", tmp_path / "context")
    (wheel,) = (context / "wheels").glob("pymysql-*.whl")
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    build = f"DOCKER_BUILDKIT=1 docker build --network none --build-arg BASE_IMAGE={BASE} --target router-installed"
    done = engine.run(f"{build} --progress plain {context}", check=False)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr


def test_it_runs_by_hand_and_says_what_it_lacks(engine: Engine, images: Path, tmp_path: Path) -> None:
    run = "docker run --rm --network none --read-only --cap-drop ALL"
    place = "--tmpfs /run/meridyen:size=1m,uid=10001,gid=10001,mode=0700"
    for options, words in {
        place: "/etc/meridyen/sandbox.yaml is missing. Fix: on the host, cp config/sandbox.example.yaml",
        f"-v {tmp_path}:/etc/meridyen:ro {place}": "sandbox.yaml cannot be read by uid 10001",
        f"-v {ROOT}/config/sandbox.example.yaml:/etc/meridyen/sandbox.yaml:ro": "/run/meridyen cannot be written",
    }.items():
        (tmp_path / "sandbox.yaml").write_text("version: 1\ntenant: acme\n")
        (tmp_path / "sandbox.yaml").chmod(0o600)
        tmp_path.chmod(0o755)
        done = engine.run(f"{run} {options} {AGENTS[0]}", check=False)
        assert done.returncode == 78, done.stderr
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
    place = "--tmpfs /var/lib/meridyen-router:uid=10001,gid=10001,mode=0700"
    for options, words in {"": "cannot be written by uid 10001", place: "holds no Router yet"}.items():
        done = engine.run(f"{run} {options} meridyen/router:latest", check=False)
        assert done.returncode == 78
        assert words in done.stderr
