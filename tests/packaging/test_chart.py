"""The Helm chart: what it renders is valid and hardened, its configuration is real, and bad values are refused."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.service import drain, supervisor
from agent.settings import load
from router.server.schemas import Pool
from tests.support import charts
from tests.support.charts import CHART, EXAMPLES, ROOT, Object, refused, rendered

CASES = [None, *sorted(path.stem for path in EXAMPLES.glob("*.yaml"))]
OURS = [case for case in CASES if case is not None]
IMAGE = dict(
    re.findall(
        r"(MERIDYEN_\w+)=(\S+)",
        (ROOT / "packaging/docker/Dockerfile").read_text().split("AS hybrid")[1].split("FROM")[0],
    )
)
"""What the agent's image sets in the environment of its container."""


def containers(pod: Object) -> list[Object]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def agents(case: str | None) -> list[Object]:
    return rendered(case).of("StatefulSet")


def the(pod: Object) -> Object:
    (found,) = pod["spec"]["containers"]
    return found


def folder_of(case: str, stateful: Object, folder: Path) -> Path:
    """/etc/meridyen as the kubelet would lay it out, with files that do not matter here as placeholders."""
    folder.mkdir(parents=True)
    (volume,) = [one for one in stateful["spec"]["template"]["spec"]["volumes"] if one["name"] == "folder"]
    for source in volume["projected"]["sources"]:
        ((kind, said),) = source.items()
        for item in said["items"]:
            own = kind == "configMap" and rendered(case).of("ConfigMap", said["name"])
            target = folder / item["path"]
            assert not target.exists(), f"{item['path']}: twice"
            target.write_text(own[0]["data"][item["key"]] if own else "placeholder")
            target.chmod(volume["projected"]["defaultMode"])
    return folder


def environment(container: Object) -> dict[str, str]:
    return IMAGE | {one["name"]: one["value"] for one in container["env"]}


@pytest.mark.parametrize("case", ["cloud", "keda"])
def test_every_object_is_valid(case: str | None) -> None:
    objects = rendered(case).objects
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(names) == len(set(names))
    for one in objects:
        assert len(one["metadata"]["name"]) <= 52, "StatefulSet and CronJob append to it"
        charts.validate(one, "1.37")


@pytest.mark.full
@pytest.mark.parametrize("version", ["1.30", "1.33", "1.37"])
def test_every_object_of_every_case_is_valid(version: str) -> None:
    for case in CASES:
        for one in rendered(case).objects:
            charts.validate(one, version)


@pytest.mark.full
@pytest.mark.parametrize("case", CASES)
def test_lint_has_nothing_to_say(case: str | None) -> None:
    files = () if case is None else ("-f", EXAMPLES / f"{case}.yaml")
    done = charts.run("lint", "--strict", CHART, *files)
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


def test_the_version_is_the_products() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    (version,) = re.findall(
        r'^name = "meridyen-agent"\nversion = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_the_schema_of_the_values_follows_the_agents() -> None:
    spec = importlib.util.spec_from_file_location("chart_schema", CHART.parent / "schema.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    fix = "python packaging/kubernetes/schema.py"
    assert (CHART / "values.schema.json").read_text() == module.text(), f"Fix: {fix}"


def test_every_value_is_described() -> None:
    page = (CHART / "README.md").read_text()
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    keys = [f"{block}.{key}" for block in ("images", "router", "agents", "tokens", "dns") for key in values[block]]
    pool = json.loads((CHART / "values.schema.json").read_text())["properties"]["pools"]["patternProperties"]
    ((_, schema),) = pool.items()
    keys += [f"pools.NAME.{key}" for key in schema["properties"] if key not in values["agents"]]
    assert [key for key in keys if f"`{key}`" not in page] == []


# What holds for every pod.


@pytest.mark.parametrize("case", CASES)
def test_every_pod_is_hardened(case: str | None) -> None:
    pods = rendered(case).pods()
    assert len(pods) >= 1
    for pod in pods.values():
        spec, secure = pod["spec"], pod["spec"]["securityContext"]
        assert [spec[key] for key in ("hostNetwork", "hostPID", "hostIPC")] == [False] * 3
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False, "MERIDYEN_ROUTER_PORT would stop the agent"
        assert secure["runAsNonRoot"] is True
        assert (secure["runAsUser"], secure["runAsGroup"], secure["fsGroup"]) == (10001, 10001, 10001)
        assert secure["fsGroupChangePolicy"] == "OnRootMismatch", "else keys become readable for the group"
        assert secure["seccompProfile"]["type"] in {"RuntimeDefault", "Localhost"}
        assert not any("hostPath" in volume for volume in spec.get("volumes", ()))
        for container in containers(pod):
            own = container["securityContext"]
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert own["readOnlyRootFilesystem"] is True
            assert own["runAsNonRoot"] is True
            assert own["allowPrivilegeEscalation"] is False
            assert own["privileged"] is False
            assert "memory" in container["resources"]["limits"]
            assert "envFrom" not in container
            assert not any("valueFrom" in one for one in container.get("env", ())), "secrets come as files"
        for volume in spec["volumes"]:
            if "emptyDir" in volume:
                assert volume["emptyDir"]["medium"] == "Memory"
                assert "sizeLimit" in volume["emptyDir"]


@pytest.mark.parametrize("case", CASES)
def test_every_pod_has_a_network_policy_of_its_own(case: str | None) -> None:
    policies = {}
    for policy in rendered(case).of("NetworkPolicy"):
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        policies[json.dumps(policy["spec"]["podSelector"]["matchLabels"], sort_keys=True)] = policy["spec"]
    for pod in rendered(case).pods().values():
        labels = pod["metadata"]["labels"].items()
        (spec,) = [spec for chosen, spec in policies.items() if json.loads(chosen).items() <= labels]
        if labels >= {("app.kubernetes.io/component", "router")}:
            assert [rule["ports"] for rule in spec["ingress"]] == [[{"port": 8443, "protocol": "TCP"}]]
        else:
            assert spec["ingress"] == []
        assert all(rule.get("ports") for rule in spec["egress"]), "a rule without ports is for all of them"


# Agents.


@pytest.mark.parametrize("case", OURS)
def test_agents_have_no_port_and_only_named_ways_out(case: str) -> None:
    release = rendered(case)
    values = yaml.safe_load((EXAMPLES / f"{case}.yaml").read_text())
    services = [one["spec"]["selector"].items() for one in release.of("Service")]
    assert agents(case)
    for one in agents(case):
        pod = one["spec"]["template"]
        assert not any("ports" in container for container in containers(pod))
        assert not any(chosen <= pod["metadata"]["labels"].items() for chosen in services)
        policy = release.one("NetworkPolicy", one["metadata"]["name"])["spec"]
        assert policy["podSelector"]["matchLabels"] == one["spec"]["selector"]["matchLabels"]
        assert all(rule["to"] for rule in policy["egress"]), "a rule without peers is for everybody"
        assert {peer.get("ipBlock", {}).get("cidr") for rule in policy["egress"] for peer in rule["to"]} <= {
            None, "10.20.1.9/32", "192.0.2.7/32",
        }  # fmt: skip
        pool = values["pools"][pod["metadata"]["labels"]["meridyen.ai/pool"]]
        ways = [rule["ports"][0]["port"] for rule in policy["egress"]]
        router = [8443] if release.of("Deployment") else [3128]
        assert ways == [53, *router, *(way["port"] for way in pool.get("egress", {}).values())]


@pytest.mark.parametrize("case", OURS)
def test_the_configuration_is_one_that_the_agent_takes(case: str, tmp_path: Path) -> None:
    values = yaml.safe_load((EXAMPLES / f"{case}.yaml").read_text())
    for one in agents(case):
        pod = one["spec"]["template"]
        folder = folder_of(case, one, tmp_path / one["metadata"]["name"])
        settings = load(folder / "sandbox.yaml", environment(the(pod)))
        key = pod["metadata"]["labels"]["meridyen.ai/pool"]
        pool = values["pools"][key]
        assert (settings.mode, settings.tenant) == ("cloud", pool["tenant"])
        assert settings.agent.pool == pool.get("pool", key)
        assert settings.state_dir == Path("/var/lib/meridyen/state")
        assert settings.agent.result_key is not None
        assert settings.agent.result_key.get_secret_value() == "file:result.jwk"
        assert set(settings.sources) == set(pool.get("config", {}).get("sources", {}))
        assert settings.transport.https is not None
        assert settings.transport.https.ca_file == folder / "router-ca.pem"
        for name, limit in pool.get("config", {}).get("limits", {}).items():
            assert getattr(settings.limits, name) == limit
        mounts = {mount["mountPath"]: mount for mount in the(pod)["volumeMounts"]}
        assert mounts["/etc/meridyen"]["readOnly"] is True
        assert "readOnly" not in mounts["/var/lib/meridyen"]


@pytest.mark.parametrize("case", OURS)
def test_scaling_down_drains(case: str, tmp_path: Path) -> None:
    """SIGTERM drains by itself: its command gets the signal, and time for all that a drain may take."""
    for one in agents(case):
        spec = one["spec"]["template"]["spec"]
        settings = load(
            folder_of(case, one, tmp_path / one["metadata"]["name"]) / "sandbox.yaml",
            environment(spec["containers"][0]),
        )
        needs = settings.limits.drain_seconds + drain.KILL_SECONDS + drain.DELIVER_SECONDS + supervisor.CLOSE_SECONDS
        assert spec["terminationGracePeriodSeconds"] >= needs
        assert spec["containers"][0]["args"] == ["run"]
        assert "command" not in spec["containers"][0]
        assert "lifecycle" not in spec["containers"][0]
        assert one["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenScaled": "Retain", "whenDeleted": "Retain"}
        (claim,) = one["spec"]["volumeClaimTemplates"]
        assert claim["metadata"]["name"] == "state"
        budget = rendered(case).one("PodDisruptionBudget", one["metadata"]["name"])["spec"]
        assert budget["maxUnavailable"] == 1
        assert budget["selector"]["matchLabels"] == one["spec"]["selector"]["matchLabels"]


def test_only_the_enrolment_sees_the_token() -> None:
    for case in OURS:
        for one in agents(case):
            pod = one["spec"]["template"]
            (enrol,) = pod["spec"]["initContainers"]
            assert [mount["name"] for mount in enrol["volumeMounts"]] == ["folder", "state", "token", "tmp"]
            assert "token" not in [mount["name"] for mount in the(pod)["volumeMounts"]]
            assert enrol["args"][:2] == ["enroll", "--if-needed"]


def test_two_tenants_share_nothing_but_the_router() -> None:
    """No Secret, no ConfigMap of the one is in a pod of the other."""
    named = []
    for one in agents("cloud"):
        (tenant,) = {
            yaml.safe_load(rendered("cloud").one("ConfigMap", one["metadata"]["name"])["data"]["sandbox.yaml"])[
                "tenant"
            ]
        }
        named.append((tenant, json.dumps(one["spec"]["template"]["spec"]["volumes"])))
    assert [tenant for tenant, _ in named] == ["acme", "globex"]
    assert "globex" not in named[0][1]
    assert "acme" not in named[1][1]


def test_memory_covers_all_slots() -> None:
    cloud = {
        one["metadata"]["name"]: the(one["spec"]["template"])["resources"]["limits"]["memory"]
        for one in agents("cloud")
    }
    assert cloud == {
        "m-meridyen-acme-east": f"{1024 + 8 * 512 + 2 * (512 + 64)}Mi",
        "m-meridyen-globex-west": f"{1024 + 4 * 1024}Mi",
    }


def test_outer_sandboxes_and_the_full_tier() -> None:
    found = {
        one["metadata"]["name"].removeprefix("m-meridyen-acme-"): one["spec"]["template"]["spec"]
        for one in agents("outer")
    }
    assert {name: spec.get("runtimeClassName") for name, spec in found.items()} == {
        "kata": "kata",
        "gvisor": "gvisor",
        "full": None,
    }
    profile = {"type": "Localhost", "localhostProfile": "profiles/meridyen-full-tier.json"}
    for name, spec in found.items():
        full = name == "full"
        assert spec["securityContext"]["seccompProfile"] == (profile if full else {"type": "RuntimeDefault"})
        assert spec.get("hostUsers", True) is not full, "an unmasked /proc needs users of its own"
        assert (spec["containers"][0]["securityContext"].get("procMount") == "Unmasked") is full


def test_the_number_of_agents_follows_the_queue() -> None:
    release = rendered("keda")
    (scaled,), (asks,), (one,) = release.of("ScaledObject"), release.of("TriggerAuthentication"), agents("keda")
    assert "replicas" not in one["spec"], "an upgrade must not undo what was scaled"
    assert scaled["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "name": one["metadata"]["name"],
    }
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == (2, 20)
    modifiers, triggers = scaled["spec"]["advanced"]["scalingModifiers"], scaled["spec"]["triggers"]
    assert modifiers["formula"].split(" + ") == [trigger["name"] for trigger in triggers] == ["queued", "held"]
    for trigger in triggers:
        assert set(Pool.model_fields) >= {"audience", trigger["name"]}, "what the Router's answer has"
        assert trigger["metadata"]["valueLocation"] == f'#(audience=="pool:east").{trigger["name"]}'
        assert trigger["metadata"]["url"] == "https://m-meridyen-router.work.svc:8443/v1/pools"
        assert trigger["metadata"]["authMode"] == "tls"
        assert trigger["authenticationRef"] == {"name": asks["metadata"]["name"]}
    assert [ref["parameter"] for ref in asks["spec"]["secretTargetRef"]] == ["ca", "cert", "key"]
    peers = release.one("NetworkPolicy", "m-meridyen-router")["spec"]["ingress"][0]["from"]
    assert {"kubernetes.io/metadata.name": "keda"} in [
        peer.get("namespaceSelector", {}).get("matchLabels") for peer in peers
    ]


def test_fresh_tokens_are_written_by_who_may_do_nothing_else() -> None:
    release = rendered("keda")
    (role,) = release.of("Role")
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["acme-east-token"], "verbs": ["patch"]}
    ]
    (cron,) = release.of("CronJob")
    spec = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert [container["name"] for container in spec["initContainers"] + spec["containers"]
            if any(mount["name"] == "account" for mount in container["volumeMounts"])] == ["tokens"]  # fmt: skip
    pools = json.loads(spec["containers"][0]["args"][0])
    assert pools == [{"tenant": "acme", "pool": "east", "secret": "acme-east-token", "key": "token"}]
    assert release.one("ConfigMap", "m-meridyen-tokens")["data"]["tokens.py"] == (CHART / "files/tokens.py").read_text()
    assert all(
        not rendered(case).of("Role") and not rendered(case).of("ServiceAccount") for case in CASES if case != "keda"
    )


# The Router.


def test_the_upgrade_of_the_database_comes_first() -> None:
    for case in CASES:
        if case == "external":
            assert {one["kind"] for one in rendered(case).objects} == {
                "ConfigMap",
                "StatefulSet",
                "PodDisruptionBudget",
                "NetworkPolicy",
            }
            continue
        hooks = [one for one in rendered(case).objects if "helm.sh/hook" in one["metadata"].get("annotations", {})]
        weight = {one["kind"]: int(one["metadata"]["annotations"]["helm.sh/hook-weight"]) for one in hooks}
        assert set(weight) == {"NetworkPolicy", "ConfigMap", "Job"}
        assert max(weight, key=lambda kind: weight[kind]) == "Job", "what it needs is there before it"
        assert {one["metadata"]["annotations"]["helm.sh/hook"] for one in hooks} == {"pre-install,pre-upgrade"}
        (job,) = [one for one in hooks if one["kind"] == "Job"]
        pod = job["spec"]["template"]["spec"]
        assert pod["containers"][0]["args"] == ["db", "upgrade"]
        assert "ca" not in [volume["name"] for volume in pod["volumes"]], "it needs no CA"


def test_secrets_go_by_the_names_that_they_are_given() -> None:
    release = rendered("secrets")
    (one,), deployment = agents("secrets"), release.one("Deployment", "sandboxes-router")
    router = deployment["spec"]["template"]["spec"]
    named = {volume["name"]: volume["secret"] for volume in router["volumes"] if "secret" in volume}
    assert {name: secret["secretName"] for name, secret in named.items()} == {
        "database": "our-postgres-app", "ca": "our-router-ca", "tls": "our-router-tls",
    }  # fmt: skip
    assert named["database"]["items"] == [{"key": "uri", "path": "address"}]
    assert {container["image"] for container in containers(deployment["spec"]["template"])} == {
        f"registry.example/meridyen/router@sha256:{'2' * 64}"
    }
    text = json.dumps(one)
    assert "our-router-ca" not in text, "agents get the bundle alone, of another name"
    assert all(name in text for name in ("our-router-bundle", "our-policy", "our-keys", "our-token"))
    assert router["imagePullSecrets"] == [{"name": "registry"}]
    assert not release.of("Secret"), "the chart makes none: values are no place for secrets"


# What is refused, and in which words.

SOURCE = {"type": "postgres", "host": "db", "database": "d", "user": "u"}
BAD: dict[str, tuple[Any, str]] = {
    "unknown key": ({"replica": 3}, "additional properties 'replica' not allowed"),
    "unknown key of a pool": ({"pools": {"acme-east": {"ports": [80]}}}, "additional properties 'ports' not allowed"),
    "no tenant": ({"pools": {"new": {}}}, "missing properties 'enrolment', 'files', 'tenant'"),
    "name of a pool": ({"pools": {"Acme_East": {}}}, "additional properties 'Acme_East' not allowed"),
    "replicas": ({"agents": {"replicas": "two"}}, "'/agents/replicas': got string, want integer"),
    "a limit of the agent": ({"pools": {"acme-east": {"config": {"limits": {"memory_mb": 1}}}}}, "minimum: got 1, want 32"),
    "what the chart decides": ({"pools": {"acme-east": {"config": {"mode": "hybrid"}}}}, "additional properties 'mode' not allowed"),
    "what the chart decides of the Router": (
        {"router": {"settings": {"listen": "0.0.0.0:80"}}},
        "additional properties 'listen' not allowed",
    ),
    "type of a source": ({"pools": {"acme-east": {"config": {"sources": {"x": {"type": "oracle"}}}}}}, "value must be one of 'duckdb'"),
    "a way to everybody": ({"pools": {"acme-east": {"egress": {"erp": {"to": [{"cidr": "0.0.0.0/0"}], "port": 1}}}}}, "does not match pattern"),
    "a way to nobody": ({"pools": {"acme-east": {"egress": {"erp": {"to": []}}}}}, "minItems: got 0, want 1"),
    "a folder of the host": (
        {"pools": {"globex-west": {"data": [{"hostPath": "/etc", "path": "/data/x"}]}}},
        "additional properties 'hostPath' not allowed",
    ),
    "a security context of one's own": ({"agents": {"securityContext": {}}}, "additional properties 'securityContext' not allowed"),
    "data over the keys": ({"pools": {"globex-west": {"data": [{"claim": "a", "path": "/etc/meridyen"}]}}}, "does not match pattern"),
    "no agent at all with KEDA": ({"agents": {"keda": {"minReplicas": 0}}}, "minimum: got 0, want 1"),
    "a server without a way": (
        {"pools": {"acme-east": {"config": {"sources": {"crm": SOURCE}}}}},
        "pools.acme-east: the source crm is a server that no rule lets the agents reach. Fix: add egress.crm",
    ),
    "a way without a source": (
        {"pools": {"acme-east": {"egress": {"old": {"to": [{"cidr": "10.0.0.1/32"}], "port": 1}}}}},
        "egress.old opens a way that no source uses. Fix: name it like the source, or remove it.",
    ),
    "files that are not there": (
        {"pools": {"globex-west": {"data": []}}}, "the source lake lies below none of the folders in `data`. Fix: add",
    ),
    "no result key": ({"pools": {"globex-west": {"files": {"keys": ["token.key"]}}}}, "files.keys lacks result.jwk"),
    "an outer sandbox that is none": (
        {"pools": {"globex-west": {"config": {"python": {"outer": "gvisor"}}}}},
        "config.python.outer says gvisor, but no runtimeClassName puts the agents into it. Fix: set it.",
    ),
    "KEDA without a certificate": ({"pools": {"acme-east": {"keda": {"enabled": True}}}}, "Fix: set keda.secret"),
    "KEDA upside down": (
        {"pools": {"acme-east": {"keda": {"enabled": True, "secret": "s", "minReplicas": 30}}}}, "keda.minReplicas is above",
    ),
    "the CA's key for agents": ({"agents": {"ca": {"key": "ca.key"}}}, "'ca.key' does not match pattern"),
    "a Secret of the Router": (
        {"pools": {"globex-west": {"files": {"secret": "meridyen-router-ca", "keys": ["result.jwk", "ca.key"]}}}},
        "files.secret names a Secret of the Router, meridyen-router-ca. Fix: use one of the pool's own.",
    ),
    "keys of another tenant": (
        {"pools": {"globex-west": {"files": {"secret": "acme-east"}}}},
        "which pools.globex-west of another tenant uses too. Fix: give each tenant its own.",
    ),
    "tokens among keys": (
        {"pools": {"globex-west": {"enrolment": {"secret": "globex-west"}}}},
        "enrolment.secret holds other keys too. Fix: use a Secret of its own",
    ),
    "an agent's own volume as data": (
        {"pools": {"globex-west": {"data": [{"claim": "state-m-meridyen-acme-east-0", "path": "/data/lake"}]}}},
        "which holds an agent's keys. Fix: keep data in a volume of its own.",
    ),
    "two CAs": ({"agents": {"ca": {"configMap": "a", "secret": "b"}}}, "ca has both a configMap and a secret. Fix: keep one."),
    "a Router nowhere": ({"router": {"enabled": False}}, "'/router/external/urls': minItems: got 0, want 1"),
    "no CA of a Router elsewhere": (
        {"router": {"enabled": False, "external": {"urls": ["https://r:1"], "egress": [{"to": [{"cidr": "10.0.0.1/32"}], "port": 1}]}}},
        "the Router is elsewhere, and its CA is not named. Fix: set agents.ca.configMap.",
    ),
    "a Router without TLS": (
        {"router": {"enabled": False, "external": {"urls": ["http://r"], "egress": []}}}, "'http://r' does not match pattern '^https",
    ),
}  # fmt: skip


@pytest.mark.full
@pytest.mark.parametrize("name", BAD)
def test_bad_values_are_refused(name: str) -> None:
    values, sentence = BAD[name]
    assert sentence in refused(values)


def test_tokens_of_a_router_elsewhere_are_made_there() -> None:
    assert "Fix: set tokens.enabled to false" in refused({"tokens": {"enabled": True}}, "external")


@pytest.mark.parametrize("written", [
    {"sources": {"erp": SOURCE | {"password": "hunter2-canary"}}},
    {"sources": {"erp": SOURCE | {"password": "file:hunter2-canary"}}},
    {"transport": {"https": {"proxy": "http://me:hunter2-canary@proxy:3128"}}},
], ids=["password", "file that is not mounted", "proxy"])  # fmt: skip
def test_a_secret_among_the_values_is_refused_and_not_shown(written: Object) -> None:
    said = refused({"pools": {"acme-east": {"config": written}}})
    assert "Fix: " in said
    assert "canary" not in said
