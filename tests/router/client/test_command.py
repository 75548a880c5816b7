"""`router submit` and `router result`, as people type them."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.router.client.conftest import World

ROUTER = str(Path(sys.executable).with_name("router"))
Router = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def router(profile: Path, tmp_path: Path) -> Router:
    def run(*arguments: str, folder: Path | None = profile, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        command = [ROUTER, *arguments]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MERIDYEN_")}
        environ |= {} if folder is None else {"MERIDYEN_PROFILE": str(folder)}
        return subprocess.run(
            command, cwd=tmp_path, env=environ, input=stdin, capture_output=True, check=False, text=True, timeout=100
        )

    return run


def written(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return name


def test_rows_as_a_table_as_json_and_into_a_file(router: Router, tmp_path: Path):
    file = written(tmp_path, "q.sql", "select * from customers where id = :n\n")
    table = router("submit", file, "--source", "shop", "--param", "n=1")
    assert (table.returncode, table.stderr) == (0, "")
    assert "***0" in table.stdout
    assert "3 rows" in table.stdout
    assert "masked: shop.customers.phone (last4)" in table.stdout
    plain = router("submit", "-", "--source", "shop", "--json", "--truncate", "--role", "analyst", stdin="select cut")
    said = json.loads(plain.stdout)
    assert (said["outcome"], said["truncated"], said["rows"][0][1]) == ("completed", True, "***0")
    made = router("submit", file, "--source", "shop", "--format", "csv", "--output", "rows.csv")
    assert made.returncode == 0, made.stderr
    assert "'=cmd" in (tmp_path / "rows.csv").read_text(), "what a spreadsheet executes is quoted"


def test_a_program_with_charts(router: Router, tmp_path: Path):
    file = written(tmp_path, "p.py", "result = len(df)\n")
    arguments = ["--source", "shop", "--input", "df=select 1", "--var", "year=2024"]
    done = router("submit", file, *arguments, "--chart-format", "png", "--charts", "drawn")
    assert done.returncode == 0, done.stderr
    assert "hello" in done.stdout
    assert '"year": 2024' in done.stdout
    assert (tmp_path / "drawn" / "chart-1").read_bytes() == b"\x89PNG\r\n"


def test_catalog_without_a_task(router: Router):
    done = router("submit", "--kind", "catalog", "--source", "shop", "--json")
    assert json.loads(done.stdout)["result"]["value"]["source"] == "shop"


def test_refused_and_failed_exit_1_with_the_hint(router: Router, tmp_path: Path):
    refused = router("submit", written(tmp_path, "q.sql", "select refuse()"), "--source", "shop")
    assert refused.returncode == 1
    assert "refused: sql.function" in refused.stderr
    assert "Use sum." in refused.stderr
    assert "line 1, column 8: evil" in refused.stderr
    failed = router("submit", written(tmp_path, "f.sql", "select fail"), "--source", "shop", "--json")
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["code"] == "source.error"


def test_sent_now_and_opened_later(router: Router, tmp_path: Path):
    file = written(tmp_path, "q.sql", "select number 8")
    sent = router("submit", file, "--source", "shop", "--no-wait")
    assert sent.returncode == 0
    job = sent.stdout.split()[0]
    assert f"router result {job}" in sent.stdout
    for _ in range(2):
        found = router("result", job, "--json", "--keep")
        assert json.loads(found.stdout)["rows"] == [["8"]] or json.loads(found.stdout)["rows"] == [[8]]
    assert router("result", job).returncode == 0
    gone = router("result", job)
    assert gone.returncode == 1
    assert "result.missing" in gone.stderr


def test_a_job_that_nobody_takes(router: Router, tmp_path: Path):
    file = written(tmp_path, "q.sql", "select 1")
    done = router("submit", file, "--source", "shop", "--to", "pool:nobody", "--timeout", "0.5")
    assert done.returncode == 124
    assert "Later: router result" in done.stderr


@pytest.mark.full
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 78, "TASK"),
        (["none.sql", "--source", "shop"], 78, "cannot be read"),
        (["q.sql"], 78, "--source"),
        (["q.sql", "--source", "shop", "--to", "no:body"], 78, "job.field"),
        (["q.sql", "--source", "shop", "--priority", "1000000"], 78, "job.field"),
        (["q.sql", "--format", "odd"], 2, "odd"),
    ],
)
def test_mistakes_are_one_sentence(router: Router, tmp_path: Path, arguments: list[str], code: int, said: str):
    written(tmp_path, "q.sql", "select 1")
    done = router("submit", *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_no_profile_and_no_router(router: Router, profile: Path, tmp_path: Path):
    written(tmp_path, "q.sql", "select 1")
    none = router("submit", "q.sql", "--source", "shop", folder=None)
    assert none.returncode == 78
    assert "profile.unreadable" in none.stderr
    away = tmp_path / "away"
    away.mkdir()
    for file in profile.iterdir():
        (away / file.name).write_bytes(file.read_bytes())
    model = json.loads((away / "profile.json").read_text())
    (away / "profile.json").write_text(json.dumps({**model, "router": "https://localhost:1"}))
    gone = router("submit", "q.sql", "--source", "shop", folder=away)
    assert gone.returncode == 69
    assert "router.unreachable" in gone.stderr


def test_on_a_terminal_progress_is_shown_and_ctrl_c_cancels(world: World, profile: Path, tmp_path: Path):
    written(tmp_path, "q.sql", "select hang")
    command = [ROUTER, "submit", "q.sql", "--source", "shop", "--profile", str(profile)]
    ours, theirs = pty.openpty()
    waiting = subprocess.Popen(command, cwd=tmp_path, stderr=theirs, stdout=subprocess.PIPE)
    os.close(theirs)
    try:
        shown = _read_until(ours, b"plant-7")
        assert b"\x1b[K" in shown
        waiting.send_signal(signal.SIGINT)
        shown += _read_until(ours, b"was asked to end")
        assert waiting.wait(60) == 130
    finally:
        waiting.kill()
        waiting.communicate()
        os.close(ours)
    job = shown.split(b"job ")[1].split()[0].decode()
    with world.client() as client:
        assert [step.state for step in client.job(job).stream()][-1] == "cancelled"


def _read_until(terminal: int, word: bytes) -> bytes:
    shown, deadline = b"", time.monotonic() + 60
    while word not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 4096)
    return shown
