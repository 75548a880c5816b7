"""Forty canaries, secrets and data values, are planted wherever the agent meets one, and searched in all that it leaves.

Logs, status, audit, support bundle, `agent doctor`, what `agent jobs` shows, the command lines and environments of all
its processes, core dumps. A result, which only its submitter can open, is the one place that may hold data.
"""

import base64
import contextlib
import json
import re
import secrets
import signal
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.service.statusclient import ask
from tests.acceptance.conftest import Site, environment, make_site, wait_until
from tests.acceptance.test_planted_causes import hand_in, known

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]
SECRETS = ("literal", "file", "env", "exec", "token_key", "proxy", "wrong", "dsn")
RULES = {
    "redacted": "redact",
    "fixed": "{constant: {value: x}}",
    "tokened": "{token: {domain: birds}}",
    "shortened": "{partial: {keep_last: 2}}",
    "nulled": '"null"',
}
COLUMNS = (*("kept", *RULES), *("casted", "grouped", "ordered", "passed", "repeated", "nested", "counted"))
WRITTEN = (
    *("literal_where", "literal_in", "literal_cast", "literal_refused", "literal_broken", "literal_like"),
    *("literal_having", "comment", "literal_case", "parameter", "parameter_text"),
    *("program_text", "printed", "raised", "assigned", "program_comment", "import_comment", "key", "variable"),
)


@dataclass
class Planted:
    """A site with canaries, and everything it was seen to say."""

    site: Site
    canaries: dict[str, str]
    seen: dict[str, bytes] = field(default_factory=dict)
    processes: dict[str, bytes] = field(default_factory=dict)
    jobs: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> str:
        return self.canaries[name]

    def found(self, where: dict[str, bytes]) -> list[tuple[str, str]]:
        """(which canary, where), in any of the forms in which a value travels."""
        return [
            (name, place)
            for place, data in where.items()
            for name, value in self.canaries.items()
            if any(form in data for form in forms(value))
        ]


def forms(value: str) -> Iterator[bytes]:
    raw = value.encode()
    yield raw
    yield raw.hex().encode()
    yield base64.b64encode(raw).rstrip(b"=")[:-1]
    yield base64.urlsafe_b64encode(raw).rstrip(b"=")[:-1]
    yield raw.lower()


def canaries() -> dict[str, str]:
    return {name: f"Kanari{secrets.token_hex(9)}" for name in (*SECRETS, *COLUMNS, *WRITTEN)}


def config_of(planted: Planted, text: str) -> str:
    """sandbox.yaml with four sources whose passwords come four ways; none of the servers exists."""
    folder = planted.site.folder
    (folder / "word").write_text(planted["file"])
    (folder / "word").chmod(0o600)
    (folder / "tell").write_text(f"#!/bin/sh\necho {planted['exec']}\n")
    (folder / "tell").chmod(0o700)
    base = {"type": "postgres", "host": "127.0.0.1", "port": 9, "database": "d", "user": "u"}
    words = {
        "by_file": "file:word",
        "by_env": "env:CANARY_WORD",
        "by_exec": f"exec:{folder / 'tell'}",
        "by_hand": planted["literal"],
    }
    sources: dict[str, Any] = {name: {**base, "password": word} for name, word in words.items()}
    sources |= {"birds": {"type": "sqlite", "path": "birds.sqlite"}}
    proxy = f"http://u:{planted['proxy']}@127.0.0.1:9"
    https = f'transport:\n  https: {{urls: ["https://router.invalid"], proxy: "{proxy}"}}\n'
    text = re.sub(r"sources:(\n .*)*", lambda _: f"sources: {json.dumps(sources)}", text)
    assert "transport:\n" in text
    return text.replace("transport:\n", https)


def make(folder: Path) -> Planted:
    planted = Planted(make_site(folder / "site"), canaries())
    config, policy = planted.site.folder / "sandbox.yaml", planted.site.folder / "policy.yaml"
    config.write_text(config_of(planted, config.read_text()) + "python: {preload: []}\n")
    listed = "".join(f'  - {{match: "*.*.*.{name}", rule: {rule}}}\n' for name, rule in RULES.items())
    (planted.site.folder / "pads").write_text(planted["token_key"] * 2)
    (planted.site.folder / "pads").chmod(0o600)
    policy.write_text(f"version: 1\ndefault: keep\nkeys: {{token: file:pads}}\nrules:\n{listed}")
    with contextlib.closing(sqlite3.connect(planted.site.folder / "birds.sqlite")) as con, con:
        con.execute(f"CREATE TABLE birds ({', '.join(f'{name} TEXT' for name in COLUMNS)})")
        row = [planted[name] * (500 if name == "repeated" else 1) for name in COLUMNS]
        con.execute(f"INSERT INTO birds VALUES ({', '.join('?' * len(COLUMNS))})", row)
    return planted


def statements(planted: Planted) -> Iterator[tuple[str, str, dict[str, str]]]:
    """(source, statement, parameters): what completes, what is refused, what fails, what does not parse."""
    yield "birds", "SELECT * FROM birds", {}
    yield "birds", f"SELECT kept FROM birds WHERE kept = '{planted['literal_where']}'", {}
    yield "birds", f"SELECT kept FROM birds WHERE kept IN ('{planted['literal_in']}', 'x')", {}
    yield "shop", f"SELECT CAST('{planted['literal_cast']}' AS INTEGER) AS n", {}
    yield "birds", f"DELETE FROM birds WHERE kept = '{planted['literal_refused']}'", {}
    yield "birds", f"SELECT '{planted['literal_broken']}' FROM WHERE (", {}
    yield "birds", f"SELECT CASE kept WHEN '{planted['literal_case']}' THEN 1 ELSE 0 END AS n FROM birds", {}
    yield "birds", f"SELECT kept FROM birds WHERE kept LIKE '%{planted['literal_like']}%' -- {planted['comment']}", {}
    yield (
        "birds",
        f"SELECT count(*) AS n FROM birds GROUP BY counted HAVING counted > '{planted['literal_having']}'",
        {},
    )
    yield "birds", "SELECT kept FROM birds WHERE kept = :p", {"p": planted["parameter"]}
    yield "shop", "SELECT CAST(:p AS INTEGER) AS n", {"p": planted["parameter_text"]}
    yield "birds", "SELECT grouped, count(*) AS n FROM birds GROUP BY grouped", {}
    yield "birds", "SELECT ordered FROM birds ORDER BY ordered", {}
    for name in ("by_file", "by_env", "by_exec", "by_hand"):
        yield name, "SELECT 1 AS one", {}


def programs(planted: Planted) -> Iterator[str]:
    text = planted["program_text"]
    yield f"note = '{text}'\nprint('{planted['printed']}', birds, word)\nresult = '{planted['assigned']}'"
    yield f"raise ValueError('{planted['raised']}' + str(birds))"
    yield f"result = birds['casted'].astype(int)  # {planted['program_comment']}"
    yield f"result = {{}}['{planted['key']}']"
    yield f"import os  # {planted['import_comment']}"


@contextlib.contextmanager
def watched(planted: Planted, pid: int) -> Iterator[None]:
    """Command line and environment of every process below the service, as long as this lasts.

    Between fork and exec a child shows the service's own; one that goes on doing so counts.
    """
    over, early = threading.Event(), Counter[int]()
    service = Path(f"/proc/{pid}/cmdline").read_bytes()

    def look() -> None:
        while not over.wait(0.02):
            for child in below(pid):
                with contextlib.suppress(OSError):
                    command = Path(f"/proc/{child}/cmdline").read_bytes()
                    environ = Path(f"/proc/{child}/environ").read_bytes()
                    early[child] += command == service
                    if command != service or early[child] > 25:
                        planted.processes |= {f"{child}/environ": environ, f"{child}/cmdline": command}

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def below(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from below(int(child))


def core_limits(pid: int) -> str:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return " ".join(next(line for line in lines if line.startswith("Max core")).split()[4:6])


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """The site when all has happened: jobs of every end, a reload that was refused, every command that tells of it."""
    made = make(tmp_path_factory.mktemp("canaries"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANARY_WORD", made["env"])
        service = made.site.start()
        try:
            with watched(made, service.pid):
                work(made)
                wait_until(lambda: not ask(made.site.folder / "state")["jobs"]["running"])
                made.seen["limits"] = json.dumps(
                    [core_limits(one) for one in (service.pid, *below(service.pid))]
                ).encode()
                made.seen["service cmdline"] = Path(f"/proc/{service.pid}/cmdline").read_bytes()
            spoil(made, service)
            tell(made)
            service.send_signal(signal.SIGABRT)
            assert service.wait(60) == -signal.SIGABRT
        finally:
            service.kill()
            service.wait()
    collect(made)
    return made


def work(planted: Planted) -> None:
    site = planted.site
    jobs = planted.jobs
    who = known(site)
    for source, statement, parameters in statements(planted):
        task = {"kind": "sql", "source": source, "statement": statement, "parameters": parameters}
        jobs.append(hand_in(site, who, task=task))
    for number, text in enumerate(programs(planted)):
        program = site.query(text, f"p{number}.py")
        options = (
            "--kind",
            "python",
            "--input",
            "birds@birds=SELECT * FROM birds",
            "--var",
            f"word={planted['variable']}",
        )
        found = site.cli("submit", program, *options, "--json")
        assert found.returncode == 0, found.stderr
        jobs.append(json.loads(found.stdout)["id"])
    for job in jobs:
        site.wait_for(site.result(job))
    planted.seen["jobs show"] = "".join(site.cli("jobs", "show", job).stdout for job in jobs[::4]).encode()


def spoil(planted: Planted, service: "subprocess.Popen[bytes]") -> None:
    """A configuration with a secret in the wrong place, and a reload of it."""
    config = planted.site.folder / "sandbox.yaml"
    text = config.read_text()
    config.write_text(text + f"limits: {{rows: '{planted['wrong']}'}}\nstate_dirr: {planted['dsn']}\n")
    service.send_signal(signal.SIGHUP)
    wait_until(lambda: ask(planted.site.folder / "state")["config"]["rejected"])
    done = planted.site.cli("config", "check")
    planted.seen["config check"] = (done.stdout + done.stderr).encode()
    planted.seen["status of a refused reload"] = planted.site.cli("status").stdout.encode()
    config.write_text(text)


def tell(planted: Planted) -> None:
    bundle = planted.site.folder / "bundle.tar.gz"
    for words in (
        *(("status",), ("status", "--json"), ("jobs", "list"), ("logs", "-n", "10000")),
        *(("config", "show", "--origin"), ("doctor", "--json")),
        ("support-bundle", "--yes", "--output", str(bundle)),
    ):
        done = planted.site.cli(*words)
        planted.seen[" ".join(words[:2])] = (done.stdout + done.stderr).encode()
    assert bundle.stat().st_mode & 0o777 == 0o600
    with tarfile.open(bundle) as tar:
        for one in tar.getmembers():
            member = tar.extractfile(one)
            assert member is not None
            planted.seen[f"bundle {one.name}"] = member.read()


def collect(planted: Planted) -> None:
    folder = planted.site.folder
    for place in ("state/audit", "state/log", "state/status.json", "agent.log", "state/ledger.sqlite", "state/spool"):
        path = folder / place
        for file in [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]:
            planted.seen[str(file.relative_to(folder))] = file.read_bytes()


def test_there_are_forty(planted: Planted) -> None:
    assert len(planted.canaries) == len(set(planted.canaries.values())) == 40


def test_the_search_finds_what_is_there(planted: Planted) -> None:
    """The sources, the configuration and an opened result do hold some of them."""
    folder = planted.site.folder
    held = {"birds": (folder / "birds.sqlite").read_bytes(), "config": (folder / "sandbox.yaml").read_bytes()}
    assert {"kept", "redacted", "literal", "proxy"} <= {name for name, _ in planted.found(held)}
    results = sorted((planted.site.drop / "outbox/new").glob("*.mres"))
    telling = [planted.site.result(planted.jobs[number]) for number in (0, 10, -5)]
    opened = {path.name: planted.site.cli("open", str(path), "--format", "json").stdout.encode() for path in telling}
    shown = {name for name, _ in planted.found(opened)}
    assert {"kept", "grouped", "assigned", "printed"} <= shown, "jobs met them"
    assert not shown & {*RULES, *SECRETS}
    assert planted.found({path.name: path.read_bytes() for path in results}) == [], "they leave sealed"


def test_no_canary_is_in_anything_that_was_said_or_kept(planted: Planted) -> None:
    assert {"jobs show", "status --json", "bundle support/log.jsonl", "bundle support/doctor.json"} <= set(planted.seen)
    assert any("audit-" in name for name in planted.seen)
    assert planted.found(planted.seen) == []


def test_no_canary_is_in_a_command_line_or_an_environment_below_the_service(planted: Planted) -> None:
    assert len({name.partition("/")[0] for name in planted.processes}) >= 4, "servers and workers were seen"
    assert planted.found(planted.processes) == []


def test_no_process_leaves_a_core_dump(planted: Planted) -> None:
    assert set(json.loads(planted.seen["limits"])) == {"0 0"}
    assert [path for path in planted.site.folder.rglob("core*") if path.is_file()] == []


def test_the_service_process_cannot_be_dumped(tmp_path: Path) -> None:
    """Where cores go down a pipe, the limit alone does not count."""
    program = (
        "import ctypes, json, resource, sys\nfrom types import SimpleNamespace\nfrom pathlib import Path\nimport anyio\n"
        "from agent import app\nanyio.run = lambda *_: 0\n"
        "app.serve(SimpleNamespace(state_dir=Path(sys.argv[1]), mode='airgapped'))\n"
        "print(json.dumps([ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, env=environment()
    )
    assert json.loads(done.stdout) == [0, 0, 0]
