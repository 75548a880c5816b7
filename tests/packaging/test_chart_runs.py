"""What the chart starts, started here as it stands there: the Router over PostgreSQL, tokens, an agent, its probes."""

import base64
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from typing_extensions import override

from router.cli.site import settings as router_settings
from tests.support import postgres
from tests.support.charts import CHART, Object, rendered
from tests.support.routers import free_port

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]
PROGRAMS = Path(sys.executable).parent
DEADLINE_SECONDS = 120.0
POOL = "m-meridyen-acme-east"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("MERIDYEN_")}
CLEAN |= {"PATH": f"{PROGRAMS}:{os.environ['PATH']}"}


def until(condition: Callable[[], object], about: Callable[[], object] = str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"nothing happened: {about()}"
        time.sleep(0.1)


def container(pod: Object, name: str) -> Object:
    (found,) = [one for one in [*pod["spec"]["initContainers"], *pod["spec"]["containers"]] if one["name"] == name]
    return found


@dataclass
class Router:
    """The pod of the Router: its containers, one after the other, over folders that stand for its volumes."""

    folder: Path
    address: str
    port: int = field(default_factory=free_port)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def pod(self) -> Object:
        return rendered("cloud").one("Deployment", "m-meridyen-router")["spec"]["template"]

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        environ = CLEAN | {"MERIDYEN_ROUTER_DATA": str(self.data)}
        done = subprocess.run(
            ["router", *arguments],
            env=environ,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done

    def given(self) -> None:
        """What stands in its ConfigMap and its Secrets. The CA is made as the page says, far from the cluster."""
        made = self.folder / "made"
        self.command("init", "--data", str(made))
        text = rendered("cloud").one("ConfigMap", "m-meridyen-router")["data"]["router.json"]
        secret = {name: (made / name).read_text() for name in ("ca.pem", "ca.key", "ca-bundle.pem")}
        volumes = {"settings": {"router.json": text}, "database": {"address": self.address}, "ca": secret}
        for name, files in volumes.items():
            (self.folder / "given" / name).mkdir(parents=True)
            for file, content in files.items():
                (self.folder / "given" / name / file).write_text(content)
                (self.folder / "given" / name / file).chmod(0o440)

    def prepared(self) -> None:
        self.data.mkdir(mode=0o777)
        prepare = container(self.pod, "prepare")
        places = {one["name"] for one in prepare["env"]}
        environ = {"PATH": "/usr/bin:/bin", "DATA": str(self.data), "GIVEN": str(self.folder / "given")}
        assert places <= set(environ)
        subprocess.run(
            [*prepare["command"], *prepare["args"]], env=environ, check=True, capture_output=True, timeout=20
        )
        self.command(*container(self.pod, "certificate")["args"])

    @contextmanager
    def serving(self) -> Iterator["subprocess.Popen[bytes]"]:
        arguments = [*container(self.pod, "router")["args"], "--listen", f"127.0.0.1:{self.port}"]
        environ = CLEAN | {"MERIDYEN_ROUTER_DATA": str(self.data)}
        with (self.folder / "router.log").open("ab") as log:
            process = subprocess.Popen([PROGRAMS / "router", *arguments], env=environ, stdout=log, stderr=log)
        try:
            until(lambda: self.get("/v1/health") is not None, (self.folder / "router.log").read_text)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)

    def get(self, path: str, certificate: Path | None = None) -> Any:
        """The answer to who knows the CA, and calls it by the name that it has in the cluster; None for none."""
        trusted = ssl.create_default_context(cafile=self.folder / "given/ca/ca-bundle.pem")
        if certificate is not None:
            trusted.load_cert_chain(certificate)
        named = {"sni_hostname": "m-meridyen-router.work.svc"}
        with httpx.Client(verify=trusted, trust_env=False) as client:
            try:
                answer = client.get(f"https://127.0.0.1:{self.port}{path}", extensions=named)
            except httpx.ConnectError as error:
                if "certificate" in str(error):
                    raise
                return None
        return answer.json() if answer.status_code == 200 else None


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    with postgres.running() as server:
        server.database("router")
        address = f"postgresql://postgres@/router?host={server.folder}&port={server.port}"
        made = Router(tmp_path_factory.mktemp("router"), address)
        made.given()
        made.prepared()
        job = rendered("cloud").one("Job", "m-meridyen-router-upgrade")["spec"]["template"]
        made.command(*container(job, "upgrade")["args"])
        yield made


class Api:
    """The part of the API of Kubernetes that the tokens' CronJob talks to."""

    def __init__(self, folder: Path, status: int = 200) -> None:
        authority, self.calls = trustme.CA(), list[tuple[str, str, dict[str, str], Any]]()
        folder.mkdir()
        authority.cert_pem.write_to_path(folder / "ca.crt")
        (folder / "token").write_text("account-token\n")
        (folder / "namespace").write_text("work")
        calls = self.calls

        class Answer(BaseHTTPRequestHandler):
            def do_PATCH(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                calls.append((self.command, self.path, dict(self.headers), body))
                self.send_response(status)
                self.end_headers()

            @override
            def log_message(self, *_: Any) -> None:
                """Nothing is said."""

        self._server = HTTPServer(("127.0.0.1", 0), Answer)
        trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(trusted)
        self._server.socket = trusted.wrap_socket(self._server.socket, server_side=True)
        self.address = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def tokens(router: Router, folder: Path, status: int = 200) -> "tuple[Api, subprocess.CompletedProcess[str]]":
    """The CronJob's program, once."""
    cron = rendered("keda").one("CronJob", "m-meridyen-tokens")["spec"]["jobTemplate"]["spec"]["template"]
    api = Api(folder, status)
    environ = CLEAN | {"MERIDYEN_ROUTER_DATA": str(router.data), "ACCOUNT": str(folder), "API": api.address}
    command = [sys.executable, CHART / "files/tokens.py", *container(cron, "tokens")["args"]]
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)
    finally:
        api.close()
    return api, done


def test_the_routers_folder_is_one_that_it_takes(router: Router) -> None:
    found = router_settings(router.data)
    assert found.address(router.data) == router.address
    assert found.tenants == {"acme": {"open_jobs": 20000}}
    assert {"m-meridyen-router.work.svc", "router.example", "localhost"} <= set(found.hosts)
    for file in router.data.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file.name
    assert (router.data / "ca.key").read_bytes() == (router.folder / "made/ca.key").read_bytes()
    assert (router.data / "router.key").read_bytes() != (router.folder / "made/router.key").read_bytes()


def test_a_missing_secret_ends_before_anything_runs(router: Router, tmp_path: Path) -> None:
    """Not a CA of its own, which no agent would know."""
    shutil.copytree(router.folder / "given", tmp_path / "given")
    (tmp_path / "given/ca/ca.key").unlink()
    with pytest.raises(subprocess.CalledProcessError) as refused:
        Router(tmp_path, router.address).prepared()
    assert refused.value.returncode == 78
    assert b"ca.key is missing. Fix: put it into the Secret" in refused.value.stderr
    assert not (tmp_path / "data/router.key").exists()


def test_who_may_not_write_the_secret_says_so(router: Router, tmp_path: Path) -> None:
    for status, sentence in {404: "Fix: create it once, empty.", 403: "Fix: look at the Role of this CronJob."}.items():
        api, done = tokens(router, tmp_path / str(status), status)
        assert done.returncode == 1
        assert sentence in done.stderr
        assert "mre_" not in done.stdout + done.stderr
        assert len(api.calls) == 1


@dataclass
class Agent:
    """The pod of an agent, as its StatefulSet has it, over folders that stand for its volumes."""

    folder: Path
    environ: dict[str, str]

    @property
    def pod(self) -> Object:
        return rendered("cloud").one("StatefulSet", POOL)["spec"]["template"]

    def enrolled(self, token: Path) -> "subprocess.CompletedProcess[str]":
        arguments = [
            str(token) if one == "/run/enrolment/token" else one for one in container(self.pod, "enrol")["args"]
        ]
        assert str(token) in arguments
        return self.exec(["agent", *arguments])

    def exec(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command, env=self.environ, cwd=self.folder, capture_output=True, text=True, check=False, timeout=60
        )

    def probe(self, name: str) -> int:
        return self.exec(container(self.pod, "agent")[name]["exec"]["command"]).returncode


@pytest.fixture
def agent(router: Router, tmp_path: Path) -> Agent:
    made, folder = tmp_path / "made", tmp_path / "meridyen"
    origin = ["agent", "init", str(made), "--tenant", "acme", "--pool", "east", "--replicas", "--router", "https://r:1"]
    subprocess.run(origin, env=CLEAN, check=True, capture_output=True, timeout=60)
    folder.mkdir()
    for name in ("policy.yaml", "trust.json", "result.jwk", "token.key"):
        shutil.copy(made / name, folder / name)
    (folder / "sandbox.yaml").write_text(rendered("cloud").one("ConfigMap", POOL)["data"]["sandbox.yaml"])
    (folder / "erp.password").write_text("not used")
    for name in ("router-ca.pem", "erp-ca.pem"):
        shutil.copy(router.folder / "given/ca/ca-bundle.pem", folder / name)
    for file in folder.iterdir():
        file.chmod(0o440)
    environ = {
        one["name"]: one["value"]
        for one in container(rendered("cloud").one("StatefulSet", POOL)["spec"]["template"], "agent")["env"]
    }
    environ["MERIDYEN_STATE_DIR"] = environ["MERIDYEN_STATE_DIR"].replace("/var/lib/meridyen", str(tmp_path / "volume"))
    (tmp_path / "volume").mkdir()
    here = {"MERIDYEN_TRANSPORT__HTTPS__URLS": f'["https://localhost:{router.port}"]', "MERIDYEN_PYTHON__ENABLED": "false",
            "MERIDYEN_AGENT__NAME": f"{POOL}-0"}  # fmt: skip
    return Agent(folder, CLEAN | environ | here)


def test_a_pool_comes_up_is_counted_and_drains(router: Router, agent: Agent, tmp_path: Path) -> None:
    checked = agent.exec(["agent", "config", "check"])
    assert checked.returncode == 0, checked.stdout + checked.stderr
    token = tmp_path / "token"
    with router.serving() as serving:
        missing = agent.enrolled(token)
        assert missing.returncode == 78
        assert "--token-file" in missing.stderr
        api, done = tokens(router, tmp_path / "account")
        assert (done.returncode, done.stderr) == (0, "")
        ((_, path, headers, body),) = api.calls
        assert path == "/api/v1/namespaces/work/secrets/acme-east-token"
        assert headers["Authorization"] == "Bearer account-token"
        token.write_bytes(base64.b64decode(body["data"]["token"]))
        assert token.read_text() not in done.stdout
        first = agent.enrolled(token)
        assert first.returncode == 0, first.stderr
        assert f"{POOL}-0 is enrolled: tenant acme, pool east." in first.stdout
        token.unlink()
        again = agent.enrolled(token)
        assert again.returncode == 0, "a restart needs no token"
        assert "nothing was done" in again.stdout

        assert agent.probe("livenessProbe") != 0
        run = ["agent", *container(agent.pod, "agent")["args"]]
        with (tmp_path / "agent.log").open("wb") as log:
            process = subprocess.Popen(run, env=agent.environ, cwd=agent.folder, stdout=log, stderr=log)
        try:
            until(lambda: agent.probe("readinessProbe") == 0, (tmp_path / "agent.log").read_text)
            assert agent.probe("startupProbe") == agent.probe("livenessProbe") == 0
            counted(router, tmp_path / "keda.pem")
            process.send_signal(signal.SIGSTOP)
            assert agent.probe("livenessProbe") != 0, "a process that hangs"
            process.send_signal(signal.SIGCONT)
            serving.send_signal(signal.SIGTERM)
            serving.wait(60)
            until(lambda: agent.probe("readinessProbe") != 0)
            until(lambda: agent.probe("livenessProbe") == 0)  # without its Router it is alive
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
        assert code == 0, (tmp_path / "agent.log").read_text()


def counted(router: Router, certificate: Path) -> None:
    """KEDA's question: with a certificate for this one pool, the figures that its triggers name."""
    router.command(
        "token", "certificate", "--tenant", "acme", "--pool", "east", "--name", "keda", "--output", str(certificate)
    )
    assert router.get("/v1/pools") is None, "nobody else is told"
    until(lambda: router.get("/v1/pools", certificate) != [])  # an agent that is starting has no session yet
    answer = router.get("/v1/pools", certificate)
    for trigger in rendered("keda").of("ScaledObject")[0]["spec"]["triggers"]:
        found = re.fullmatch(r'#\(audience=="(.+)"\)\.(\w+)', trigger["metadata"]["valueLocation"])
        assert found is not None
        assert [one[found[2]] for one in answer if one["audience"] == found[1]] == [0], "a number, also of an idle pool"
