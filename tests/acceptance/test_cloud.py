"""docs/operate/cloud.md, typed as it stands: one real Router, two tenants, two pools, three agents.

The agents run under a rule of the kernel by which nothing may listen.
"""

import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from agent.audit.verify import verify as verify_audit
from agent.identity import state
from agent.settings import load
from router.client import Client, ResultError, RouterError
from router.service.files import Files

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operate/cloud.md").read_text()
RUNNER = ROOT / "tests/acceptance/support/run_linked.py"
DEADLINE_SECONDS = 120.0
POLICY = "version: 1\ndefault: keep\n"
SLOTS = {"MERIDYEN_AGENT__SLOTS__SQL": "1", "MERIDYEN_PYTHON__ENABLED": "false"}
"""One job at a time: what an agent has, another one cannot wait behind."""
WHO = "select whose from owner"
SLOW = (
    "select count(*) as n from owner a cross join numbers b cross join numbers c cross join numbers d"
    " where b.n + c.n + d.n = 100"
)
pytestmark = [pytest.mark.full, pytest.mark.timeout(400)]

Process = subprocess.Popen[bytes]


def until(condition: Callable[[], object], about: Callable[[], object] = str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"nothing happened: {about()}"
        time.sleep(0.05)


@dataclass
class Cloud:
    """The page's folder, and what runs by it. Agents are known by their names."""

    folder: Path
    port: int
    router: Process | None = None
    agents: dict[str, Process] = field(default_factory=dict)
    environs: dict[str, tuple[Path, dict[str, str]]] = field(default_factory=dict)

    def typed(self) -> None:
        """Every command of the page in order; those that end in `&` go on in the background."""
        commands = "".join(re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
        for line in commands.replace("8443", str(self.port)).splitlines():
            if line.startswith("router serve"):
                self._serve(shlex.split(line.removesuffix("&")))
            elif line.endswith("&"):
                *variables, _, _, _, config = shlex.split(line.removesuffix("&"))
                environ = dict(one.split("=", 1) for one in variables) | SLOTS
                self.environs[environ["MERIDYEN_AGENT__NAME"]] = self.folder / config / "sandbox.yaml", environ
            else:
                self.type(line)

    def type(self, line: str) -> str:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MERIDYEN_")}
        environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
        done = subprocess.run(
            ["bash", "-ec", line],
            cwd=self.folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, line + done.stdout + done.stderr
        return done.stdout

    def _serve(self, command: list[str]) -> None:
        command[0] = str(Path(sys.executable).parent / command[0])
        with (self.folder / "router.log").open("ab") as log:
            self.router = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)

        def answers() -> bool:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return True
            return False

        until(answers, (self.folder / "router.log").read_text)

    def start(self, name: str) -> None:
        """An agent of the page, in the background."""
        config, environ = self.environs[name]
        command = [sys.executable, str(RUNNER), str(config), json.dumps({"environ": environ})]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.agents[name] = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def stop(self, name: str) -> int:
        """SIGTERM; its exit code."""
        process = self.agents.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(DEADLINE_SECONDS)

    def state_of(self, name: str) -> Path:
        config, environ = self.environs[name]
        return load(config, environ).state_dir

    def online(self) -> set[str]:
        listed = json.loads(self.type("router agents list --data router-data --json"))
        return {one["name"] for one in listed if one["session"] is not None and not one["draining"]}

    def rows(self, sql: str, *values: object) -> list[Any]:
        store = Files(self.folder / "router-data").store
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=30)) as database:
            return database.execute(sql, values).fetchall()

    def started(self, name: str) -> list[str]:
        """Jobs that an agent's own log says it began; the log is whole, and under the agent's own key."""
        folder = self.state_of(name)
        verdict = verify_audit(folder / "audit", state.load(folder).result.public())
        assert verdict.ok, verdict.problems
        files = sorted((folder / "audit").glob("audit-*.jsonl"))
        records = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return [record["job"] for record in records if record["event"] == "job.started"]

    def client(self, tenant: str, **more: Any) -> Client:
        return Client.from_profile(self.folder / tenant / "submitter", **more)

    def everywhere(self, tenant: str) -> str:
        """A token for every pool of a tenant."""
        return self.type(f"router token create --data router-data --tenant {tenant} --submit").strip()


def data(folder: Path) -> None:
    """What the page takes for granted: the officer's policy, and a database for each tenant."""
    (folder / "officer").mkdir()
    (folder / "officer/policy.yaml").write_text(POLICY)
    (folder / "data").mkdir()
    for tenant in ("acme", "globex"):
        with closing(sqlite3.connect(folder / f"data/{tenant}.sqlite")) as database, database:
            database.execute("create table owner (whose text)")
            database.execute("insert into owner values (?)", (tenant,))
            database.execute("create table numbers (n integer)")
            database.executemany("insert into numbers values (?)", [(n,) for n in range(80)])


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    data(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        made = Cloud(folder, int(free.getsockname()[1]))
    try:
        made.typed()
        for name in made.environs:
            made.start(name)
        until(lambda: made.online() == {"east-1", "east-2", "west-1"}, lambda: logs(folder))
        yield made
    finally:
        for process in (*made.agents.values(), made.router):
            if process is not None:
                process.kill()
                process.wait()


def logs(folder: Path) -> str:
    return "\n".join(file.read_text()[-2000:] for file in sorted(folder.glob("*.log")))


def test_the_agents_of_a_pool_share_one_key_and_nothing_else(cloud: Cloud):
    first, second, other = (state.load(cloud.state_of(name)) for name in ("east-1", "east-2", "west-1"))
    assert len({one.result.kid for one in (first, second, other)}) == 3
    pins = {tenant: cloud.client(tenant).keys.fingerprints() for tenant in ("acme", "globex")}
    assert pins["acme"] != pins["globex"]
    for tenant, (pin,) in pins.items():
        assert cloud.type(f"agent keys fingerprint --config {tenant}").strip() == pin


def test_no_agent_leases_what_is_another_tenants_or_pools(cloud: Cloud):
    """Pools of one name in two tenants are two pools. What nobody may take is handed in first, and stays."""
    acme, globex = cloud.client("acme"), cloud.client("globex")
    with acme, globex:
        for client, elsewhere in ((acme, "pool:west"), (globex, "pool:east")):
            with pytest.raises(RouterError) as refused:
                client.sql(WHO, source="shop", to=elsewhere)
            assert refused.value.code == "auth.scope"
    with (
        cloud.client("acme", token=cloud.everywhere("acme")) as acme,
        cloud.client("globex", token=cloud.everywhere("globex")) as globex,
    ):
        strays = [
            client.sql(WHO, source="shop", to=to)
            for client, to in (
                (acme, "pool:west"),
                (acme, "agent:west-1"),
                (globex, "pool:east"),
                (globex, "agent:east-1"),
                (globex, "agent:east-2"),
            )
        ]
        east = [acme.sql(SLOW if number % 2 else WHO, source="shop") for number in range(8)]
        west = [globex.sql(WHO, source="shop") for _ in range(3)]
        mine, theirs = ([job.wait(DEADLINE_SECONDS).rows() for job in jobs] for jobs in (east, west))
        assert [rows for number, rows in enumerate(mine) if not number % 2] == [[{"whose": "acme"}]] * 4
        assert theirs == [[{"whose": "globex"}]] * 3
        assert {job.status().agent for job in east} == {"east-1", "east-2"}
        assert {job.status().agent for job in west} == {"west-1"}
        for stray in strays:
            step = stray.status()
            assert (step.state, step.agent, step.attempt) == ("queued", None, 0)
            stray.cancel()
    ran = {name: set(cloud.started(name)) for name in cloud.environs}
    assert ran["east-1"] | ran["east-2"] == {job.id for job in east}
    assert not ran["east-1"] & ran["east-2"]
    assert ran["west-1"] == {job.id for job in west}


def test_both_replicas_results_open_with_the_pools_pin_and_no_other(cloud: Cloud):
    with cloud.client("acme", token=cloud.everywhere("acme")) as client:
        assert len(client.keys.fingerprints()) == 1
        jobs = {name: client.sql(WHO, source="shop", to=f"agent:{name}") for name in ("east-1", "east-2")}
        for name, job in jobs.items():
            assert job.wait(DEADLINE_SECONDS).rows() == [{"whose": "acme"}]
            assert job.status().agent == name


def test_another_pools_pin_opens_none_of_them(cloud: Cloud):
    submitter = cloud.folder / "acme/submitter"
    keys = replace(cloud.client("acme").keys, agents=cloud.client("globex").keys.agents)
    token, url = (submitter / "router.token").read_text().strip(), f"https://localhost:{cloud.port}"
    with Client(url, token=token, keys=keys, ca_file=submitter / "router-ca.pem") as client:
        job = client.sql(WHO, source="shop")
        with pytest.raises(ResultError, match="pin it"):
            job.wait(DEADLINE_SECONDS)


def test_an_agent_is_taken_away_in_the_middle_of_it_and_nothing_is_lost(cloud: Cloud):
    with cloud.client("acme") as client:
        jobs = [client.sql(SLOW, source="shop") for _ in range(10)]
        agents = {"east-1", "east-2"}
        until(lambda: agents <= {name for (name,) in cloud.rows("SELECT agent FROM jobs WHERE state = 'running'")})
        assert cloud.stop("east-1") == 0
        assert {job.wait(DEADLINE_SECONDS).rows()[0]["n"] for job in jobs} == {4458}
        by = [job.status().agent for job in jobs]
    assert set(by) == agents
    ids = {job.id for job in jobs}
    began = [job for name in agents for job in cloud.started(name) if job in ids]
    assert sorted(began) == sorted(ids), "each once"
    assert not [*(cloud.state_of("east-1") / "spool").glob("*")]
    assert "east-1" not in cloud.online()
    cloud.start("east-1")  # and comes back
    until(lambda: "east-1" in cloud.online(), lambda: logs(cloud.folder))
