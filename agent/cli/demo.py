"""`agent demo`: the whole line on real data, in one screen, in a folder of its own that is removed afterwards."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

QUESTION: Final = "Which teams paid whom best in 2016, and from which decade were those players?"
STATEMENT: Final = """\
SELECT s.teamID AS team, p.nameFirst AS first, p.nameLast AS name, p.birthYear AS born, s.salary, p.birthCity AS city
FROM salaries s JOIN people p USING (playerID)
WHERE s.yearID = :year ORDER BY s.salary DESC, name LIMIT 5"""
HOSTILE: Final = "SELECT content FROM read_text('/etc/passwd')"
START_SECONDS: Final = 20.0
WIDTH: Final = 110


def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the folder and say where it is.")] = False,
) -> int:
    """A signed job over 20,093 real people goes in; a masked, sealed result comes out; a hostile one is refused."""
    folder = Path(tempfile.mkdtemp(prefix="meridyen-demo-"))
    try:
        return _run(folder)
    finally:
        if keep:
            _say(f"\nKept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path) -> int:
    begun = time.monotonic()
    site = folder / "site"
    _prepare(site)
    _head("1", f"The question: {QUESTION}")
    _say(textwrap.indent(STATEMENT, "   "))
    job = _json(
        "submit", _file(folder, "question.sql", STATEMENT), "--source", "lahman", "--param", "year=2016", site=site
    )
    _head("2", f"The signed job in the inbox: drop/inbox/new/{job['id']}.mjob")
    _say(f"   {_size(Path(job['job']))}; compact JWS by Ed25519; asks for sql on lahman, sealed to the submitter")
    _would_run(folder, site)
    with _service(site):
        _result(site, job)
        refused = _cli("submit", _file(folder, "hostile.sql", HOSTILE), "--source", "lahman", "--wait", site=site)
        _head("6", f"A hostile job: {HOSTILE}")
        _say(textwrap.indent(refused.stderr.strip().removeprefix("agent: "), "   "))
    _proof(site, job)
    _say(f"\nDone in {time.monotonic() - begun:.1f} s; its folder is removed again (agent demo --keep leaves it).")
    _say("Try next:  agent init site && agent exec QUERY.sql --source NAME --config site    docs/index.md")
    return 0


def _prepare(site: Path) -> None:
    """An initialised agent over the real data, under the demo's policy."""
    from agent.cli.demo_data import build_lahman

    _cli("init", str(site), "--name", "demo", "--tenant", "acme", check=True)
    build_lahman(site / "lahman.duckdb")
    config = site / "sandbox.yaml"
    source = "sources:\n  lahman: {type: duckdb, path: ./lahman.duckdb}"
    config.write_text(config.read_text().replace("sources: {}", source))
    policy = Path(__file__).parents[2] / "config" / "demo" / "lahman.policy.yaml"
    shutil.copyfile(policy, site / "policy.yaml")


def _would_run(folder: Path, site: Path) -> None:
    found = _json(
        "policy", "test", str(folder / "question.sql"), "--source", "lahman", "--param", "year=2016", site=site
    )
    _head("3", "What runs: every table behind its masks, never the submitted text")
    _say(textwrap.indent("\n".join(_shortened(found["disclosure"]["statement"])), "   "))


def _shortened(statement: str) -> list[str]:
    lines = textwrap.wrap(statement, WIDTH)
    return [*lines[:5], f"… ({len(statement)} characters)"] if len(lines) > 5 else lines  # noqa: PLR2004


def _result(site: Path, job: dict[str, Any]) -> None:
    _wait_for(Path(job["result"]))
    _head("4", "The masked result, opened by the submitter")
    table = _cli("open", job["result"], site=site, check=True).stdout
    rows = [line for line in table.splitlines() if not line.startswith("masked:")]
    _say(textwrap.indent("\n".join(rows), "   "))
    outcome = _json("open", job["result"], "--format", "json", site=site)
    disclosure = outcome["disclosure"]
    _head("5", "Its disclosure record")
    named = ", ".join(f"{name.removeprefix('main.')} {rule}" for name, rule in disclosure["columns"].items())
    _say(textwrap.indent(textwrap.fill(named, WIDTH), "   "))
    _say(f"   policy version {disclosure['policy_version']}, sha256 {disclosure['policy_sha256'][:16]}…")


def _proof(site: Path, job: dict[str, Any]) -> None:
    sealed = Path(job["result"])
    verified = _json("audit", "verify", site=site)
    records = sum(log["records"] for log in verified["logs"])
    _head("7", f"The sealed file: drop/outbox/new/{sealed.name}, {_size(sealed)}, starts {sealed.read_bytes()[:8]!r}")
    _say(f"   the queue's owner can neither read nor forge it; audit: {records} records, verified {verified['ok']}")


@contextmanager
def _service(site: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "agent", "run", "--config", str(site)]
    with (site / "agent.log").open("wb") as log:
        service = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=_environment())
        try:
            yield
        finally:
            service.send_signal(signal.SIGTERM)
            try:
                service.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                service.kill()
                service.wait()


def _wait_for(path: Path) -> None:
    from agent.core.errors import AgentError

    deadline = time.monotonic() + START_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise AgentError(
                "the demo's agent did not answer in time; run `agent demo --keep` and read site/agent.log."
            )
        time.sleep(0.05)


def _cli(*arguments: str, site: Path | None = None, check: bool = False) -> "subprocess.CompletedProcess[str]":
    from agent.core.errors import AgentError

    command = [sys.executable, "-m", "agent", *arguments, *(["--config", str(site)] if site else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    if check and done.returncode:
        raise AgentError(f"`agent {' '.join(arguments[:2])}` failed: {done.stderr.strip()}")
    return done


def _json(*arguments: str, site: Path) -> dict[str, Any]:
    flags = () if "--format" in arguments else ("--json",)
    found: dict[str, Any] = json.loads(_cli(*arguments, *flags, site=site, check=True).stdout)
    return found


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.upper().startswith("MERIDYEN_")}


def _file(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text + "\n")
    return str(folder / name)


def _size(path: Path) -> str:
    return f"{path.stat().st_size:,} bytes"


def _head(number: str, text: str) -> None:
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    _say(f"{bold}{number}. {text}{plain}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
