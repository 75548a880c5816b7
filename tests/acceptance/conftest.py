"""A real site: the real CLI, the real processes, real databases with findable canaries."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from agent.core.errors import AgentError
from agent.service.statusclient import ask
from tests.support.links import LinkSite, link_site
from tests.support.silent import SILENT_AGENT

SCHEMA = (Path(__file__).parents[1] / "attacks" / "sql" / "schema.sql").read_text()
PROTECTED = [f"customers.{c}" for c in ("ssn", "email", "phone", "dob", "card_number")]
PROTECTED += [f"employees.{c}" for c in ("ssn", "email", "salary", "dob")]
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Site:
    """One agent's folder."""

    folder: Path

    @property
    def drop(self) -> Path:
        return self.folder / "drop"

    @property
    def inbox(self) -> Path:
        return self.drop / "inbox" / "new"

    def cli(self, *arguments: str, stdin: str | bytes = b"") -> "subprocess.CompletedProcess[str]":
        data = stdin.encode() if isinstance(stdin, str) else stdin
        command = [*SILENT_AGENT, *arguments, "--config", str(self.folder)]
        done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=120, env=environment())
        return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())

    def json(self, *arguments: str, stdin: str = "") -> Any:
        done = self.cli(*arguments, "--json", stdin=stdin)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def query(self, sql: str, name: str = "query.sql") -> str:
        path = self.folder / name
        path.write_text(sql)
        return str(path)

    def result(self, job_id: str) -> Path:
        return self.drop / "outbox" / "new" / f"{job_id}.mres"

    def reason(self, stem: str) -> Path:
        return self.drop / "failed" / f"{stem}.reason.json"

    def wait_for(self, path: Path) -> None:
        wait_until(path.exists)

    def state(self) -> str | None:
        """The state that the service reports; None while nobody answers."""
        try:
            return str(ask(self.folder / "state")["state"])
        except AgentError:
            return None

    @contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        service = self.start()
        try:
            yield service
        finally:
            service.send_signal(signal.SIGTERM)
            try:
                assert service.wait(PATIENCE_SECONDS) == 0
            finally:
                service.kill()
                service.wait()

    def start(self, prefix: tuple[str, ...] = ()) -> "subprocess.Popen[bytes]":
        command = [*prefix, *SILENT_AGENT, "run", "--config", str(self.folder)]
        with (self.folder / "agent.log").open("ab") as log:
            service = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment())
        try:
            wait_until(lambda: service.poll() is not None or self.state() in {"online", "degraded"})
            assert service.poll() is None
        except AssertionError:
            service.kill()
            service.wait()
            raise AssertionError((self.folder / "agent.log").read_text()) from None
        return service


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.upper().startswith("MERIDYEN_")}


def wait_until(condition: Any, seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.02)


def make_site(folder: Path, *, default: str = "keep") -> Site:
    site = Site(folder)
    command = [*SILENT_AGENT, "init", str(folder), "--tenant", "acme", "--name", "plant-7"]
    subprocess.run(command, check=True, capture_output=True, env=environment())
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        con.execute(SCHEMA)
    ledger = sqlite3.connect(folder / "ledger.sqlite")
    ledger.executescript(re.sub("DATE '", "'", SCHEMA))
    ledger.close()
    config = folder / "sandbox.yaml"
    sources = "sources:\n  shop: {type: duckdb, path: ./shop.duckdb}\n  ledger: {type: sqlite, path: ./ledger.sqlite}"
    text = config.read_text().replace("sources: {}", sources)
    config.write_text(text.replace("{path: ./drop}", "{path: ./drop, poll_seconds: 0.05, settle_seconds: 0.2}"))
    rules = "".join(f'  - {{match: "*.*.{path}", rule: redact}}\n' for path in PROTECTED)
    (folder / "policy.yaml").write_text(f"version: 1\ndefault: {default}\nrules:\n{rules}")
    return site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make_site(tmp_path_factory.mktemp("acceptance") / "site")


@pytest.fixture(scope="session")
def link_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An agent's folder for the tests of the link, made once."""
    made = LinkSite(tmp_path_factory.mktemp("template") / "site")
    made.prepare(1)
    return made.root


@pytest.fixture
def link(link_template: Path, tmp_path: Path) -> Iterator[LinkSite]:
    """A fresh site behind a relay: its Router runs, its agent is enrolled and does not run yet."""
    with link_site(link_template, tmp_path / "site") as made:
        yield made


@pytest.fixture
def until() -> Any:
    return wait_until
