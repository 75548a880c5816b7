"""docs/operate/install-kubernetes.md: its commands typed with the real helm, kubectl, router and agent; no cluster is there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support import charts
from tests.support.charts import ROOT, Object, Rendered

pytestmark = pytest.mark.full
PAGE = (ROOT / "docs/operate/install-kubernetes.md").read_text()
SHIPPED = {"agent", "router"}
LATER = {"acme-east-keda", "first-tokens"}
"""What the page has made on the cluster by itself."""


def typed(mark: str) -> str:
    return "".join(re.findall(rf"^```{mark}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """After all commands of the page that need no cluster."""
    made = tmp_path_factory.mktemp("kubernetes")
    (made / "packaging").symlink_to(ROOT / "packaging")
    (made / "officer").mkdir()
    shutil.copy(ROOT / "config/policy.example.yaml", made / "officer/policy.yaml")
    (made / "database.address").write_text("postgresql://router@db/router")
    (made / "erp.password").write_text("not used")
    (made / "erp-ca.pem").write_text("not used")
    tools = [Path(sys.executable).parent, charts.program("helm").parent, charts.program("kubectl").parent]
    environ = {"HOME": str(made), "PATH": ":".join([*map(str, tools), os.environ["PATH"]])}
    script = f"set -eu\n{typed('sh')}"
    done = subprocess.run(
        ["sh", "-c", script], cwd=made, env=environ, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return made


@pytest.fixture(scope="module")
def release(folder: Path) -> Rendered:
    objects = yaml.load_all((folder / "rendered.yaml").read_text(), Loader=yaml.CSafeLoader)
    return Rendered(tuple(one for one in objects if one))


def made_by_hand(folder: Path) -> dict[tuple[str, str], Object]:
    names = re.findall(r"-f (\S+\.yaml)", typed("console"))
    objects = [yaml.safe_load((folder / name).read_text()) for name in names]
    return {(one["kind"], one["metadata"]["name"]): one for one in objects}


def test_what_the_chart_asks_for_is_what_the_page_makes(folder: Path, release: Rendered) -> None:
    there = made_by_hand(folder)
    for one in there.values():
        charts.validate({**one, "metadata": {"name": one["metadata"]["name"]}}, "1.37")
        assert one["metadata"]["namespace"] == "meridyen"
    own = {one["metadata"]["name"] for one in release.of("ConfigMap")} | {"kube-root-ca.crt"}
    asked = set()
    for pod in release.pods().values():
        for volume in pod["spec"]["volumes"]:
            for source in volume.get("projected", {}).get("sources", [volume]):
                for kind, key in (("configMap", "name"), ("secret", "secretName" if source is volume else "name")):
                    if kind in source and source[kind][key] not in own:
                        asked |= {(kind, source[kind][key], item["key"]) for item in source[kind].get("items", ())}
    assert asked
    kinds = {"configMap": "ConfigMap", "secret": "Secret"}
    assert [one for one in sorted(asked) if one[2] not in there[kinds[one[0]], one[1]]["data"]] == []


def test_commands_for_a_cluster_name_what_is_there(folder: Path, release: Rendered) -> None:
    names = {one["metadata"]["name"] for one in release.objects} | {name for _, name in made_by_hand(folder)} | LATER
    inside = 0
    for line in typed("console").splitlines():
        command, _, program = line.partition(" -- ")
        words = shlex.split(command)
        assert words[0] in {"kubectl", "helm"}, line
        for word in re.findall(r"\b(?:deploy|statefulset|cronjob|job)/([a-z0-9-]+)", line):
            assert word in names, line
        if words[0] == "helm":
            assert words[1:4] == ["install", "meridyen", "packaging/kubernetes/meridyen"]
            continue
        run = [word for word in words[1:] if not word.startswith("-")]
        known = subprocess.run(
            [charts.program("kubectl"), *[word for word in run if word != "meridyen"][:1], "--help"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert known.returncode == 0, line
        called = shlex.split(program)
        if called[:2] == ["sh", "-c"]:
            called = shlex.split(called[2].partition(" >&2")[0])
        if called and called[0] in SHIPPED:
            inside += 1
            answered(called)
    assert inside == 5


def answered(command: list[str]) -> None:
    """The program knows the command and each of its options."""
    group = [word for word in command[1:] if re.fullmatch(r"[a-z]+", word)][: 1 if command[1] == "status" else 2]
    path = Path(sys.executable).parent / command[0]
    done = subprocess.run([path, *group, "--help"], capture_output=True, text=True, check=False, timeout=60,
                          env=os.environ | {"COLUMNS": "200"})  # fmt: skip
    assert done.returncode == 0, command
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert [word for word in command if word.startswith("--") and word not in plain] == [], command


def test_every_value_that_the_page_names_is_one() -> None:
    schema = yaml.safe_load((charts.CHART / "values.schema.json").read_text())["properties"]
    for block, key in re.findall(r"`(router|agents|tokens|images)\.(\w+)[\w.]*`", PAGE):
        assert key in schema[block]["properties"], f"{block}.{key}"
