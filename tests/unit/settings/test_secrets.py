"""Secret references: followed late, refused when open to all, never shown."""

import os
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.errors import ConfigError
from agent.settings import secrets
from agent.settings.secrets import Secrets, reference

CANARY = "c4n4ry"
KEY = "sources.x.password"

Script = Callable[[str], str]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """A program of the given lines, as an `exec:` reference."""

    def write(lines: str) -> str:
        path = tmp_path / "program"
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)
        return f"exec:{path}"

    return write


def private(path: Path, data: bytes = CANARY.encode()) -> Path:
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def refused(known: Secrets, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        known.resolve(text, KEY)
    error = caught.value
    assert error.key == KEY
    assert error.__cause__ is None
    assert error.__context__ is None
    assert CANARY not in f"{error} {error!r} {error.args} {vars(error)}"
    return str(error)


def test_env(tmp_path: Path) -> None:
    known = Secrets(tmp_path, {"A": "x", "EMPTY": "", "LINE": "x\n"})
    assert known.resolve("env:A", KEY) == b"x"
    assert known.resolve("env:LINE", KEY) == b"x"
    assert "the environment variable B is not set" in refused(known, "env:B")
    assert "the secret is empty" in refused(known, "env:EMPTY")


@pytest.mark.parametrize(
    ("data", "secret"),
    [(b"x\n", b"x"), (b"x\r\n", b"x"), (b"x\n\n", b"x\n"), (b" x ", b" x "), (b"\xff\x00\n", b"\xff\x00\n")],
)
def test_file(tmp_path: Path, data: bytes, secret: bytes) -> None:
    private(tmp_path / "s", data)
    assert Secrets(tmp_path, {}).resolve("file:s", KEY) == secret
    assert Secrets(Path("/"), {}).resolve(f"file:{tmp_path}/s", KEY) == secret


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o444, 0o602])
def test_a_file_open_to_every_account_is_refused(tmp_path: Path, mode: int) -> None:
    private(tmp_path / "s").chmod(mode)
    known = Secrets(tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    for text in ("file:s", "cred:s"):
        said = refused(known, text)
        assert "every account can" in said
        assert "chmod 0640" in said
        with pytest.raises(ConfigError, match="every account can"):
            known.readable_by_all(text, KEY)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o440])
def test_a_file_for_owner_and_group_is_read(tmp_path: Path, mode: int) -> None:
    private(tmp_path / "s").chmod(mode)
    known = Secrets(tmp_path, {})
    known.readable_by_all("file:s", KEY)
    assert known.resolve("file:s", KEY) == CANARY.encode()


def test_the_mode_counts_of_what_a_link_points_to(tmp_path: Path) -> None:
    private(tmp_path / "s")
    (tmp_path / "link").symlink_to("s")
    assert Secrets(tmp_path, {}).resolve("file:link", KEY) == CANARY.encode()
    (tmp_path / "s").chmod(0o644)
    assert "every account" in refused(Secrets(tmp_path, {}), "file:link")


def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    known = Secrets(tmp_path, {})
    assert "not a regular file" in refused(known, "file:fifo")
    assert "not a regular file" in refused(known, "file:.")
    assert "does not exist" in refused(known, "file:missing")
    private(tmp_path / "big", b"x" * (secrets.LIMIT_BYTES + 1))
    assert "larger than 64 KiB" in refused(known, "file:big")


def test_cred(tmp_path: Path) -> None:
    private(tmp_path / "token")
    assert Secrets(Path("/"), {"CREDENTIALS_DIRECTORY": str(tmp_path)}).resolve("cred:token", KEY) == CANARY.encode()
    assert "only in a systemd unit" in refused(Secrets(tmp_path, {}), "cred:token")


@pytest.mark.parametrize(
    "text", ["cred:../token", "cred:a/b", "cred:", "cred:..", "cred:.hidden", "env:", "env:A B", "env:1A", "env:A=B"]
)
def test_names_cannot_lead_elsewhere(tmp_path: Path, text: str) -> None:
    assert "needs the name" in refused(Secrets(tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)}), text)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can put on another account")
def test_a_file_that_the_account_cannot_read_is_described() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to other accounts
        Path(folder).chmod(0o755)
        private(Path(folder, "s"))
        os.seteuid(10_001)
        try:
            said = refused(Secrets(Path(folder), {}), "file:s")
        finally:
            os.seteuid(0)
    assert "this account (uid 10001) cannot read the secret's file (owner 0:0, mode 0600)." in said
    assert "chown 10001 it" in said
    assert "mounted into a container keeps the host's owner and mode" in said


def test_exec_prints_the_secret(tmp_path: Path, script: Script) -> None:
    text = script('printf "%s|" "$@"; echo "noise" >&2')
    assert Secrets(tmp_path, {}).resolve(f"{text} a 'b c' \"d\"", KEY) == b"a|b c|d|"


def test_exec_runs_without_a_shell(tmp_path: Path, script: Script) -> None:
    text = script('echo "$@"') + " $HOME ; touch x | `id` > y"
    said = Secrets(tmp_path, {}).resolve(text, KEY)
    assert said == b"$HOME ; touch x | `id` > y"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["program"]


def test_exec_gets_a_fixed_environment_and_no_input(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", CANARY)
    text = script("env; cat; pwd")
    outer, given = os.dup(0), os.open(private(tmp_path / "input"), os.O_RDONLY)
    try:
        os.dup2(given, 0)
        said = Secrets(tmp_path, {"SECRET": CANARY}).resolve(text, KEY).decode().splitlines()
    finally:
        os.dup2(outer, 0)
        os.close(outer)
        os.close(given)
    assert said[-1] == "/"
    assert {line.split("=")[0] for line in said[:-1]} <= {"PATH", "LANG", "HOME", "PWD", "SHLVL", "_", "OLDPWD"}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (f"echo {CANARY}; echo {CANARY} >&2; exit 3", "ended with status 3"),
        (f"echo {CANARY}; kill -9 $$", "was killed by signal 9"),
        ("exit 0", "the secret is empty"),
        (f"yes {CANARY}", "printed more than 64 KiB"),
    ],
)
def test_a_failing_program_says_nothing_of_its_output(tmp_path: Path, script: Script, lines: str, said: str) -> None:
    assert said in refused(Secrets(tmp_path, {}), script(lines))


@pytest.mark.parametrize(
    "lines", ["sleep 60", "sleep 60 & exit 0", "exec >&-; sleep 60", "trap '' TERM; sleep 60 & wait"]
)
def test_a_program_that_hangs_is_killed_with_its_children(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch, lines: str
) -> None:
    monkeypatch.setattr(secrets, "EXEC_SECONDS", 0.5)
    text = script(f"echo $$ > {tmp_path}/pid; {lines}")
    assert "took over 0.5 s" in refused(Secrets(tmp_path, {}), text)
    group = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while _alive(group) and time.monotonic() < deadline:
        os.sched_yield()
    assert not _alive(group)


def _alive(group: int) -> bool:
    """Whether a process of the group still runs; orphans that wait to be reaped do not."""
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if fields and int(fields[2]) == group and fields[0] != "Z":
            return True
    return False


def test_a_program_that_every_account_can_change_is_not_run(tmp_path: Path, script: Script) -> None:
    text = script(f"touch {tmp_path}/ran; echo x")
    (tmp_path / "program").chmod(0o757)
    assert "every account can change the program" in refused(Secrets(tmp_path, {}), text)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "text", ["exec:", "exec:program", "exec:./program", "exec:../a b", 'exec:/bin/echo "open', "exec:/bin/echo a\0b"]
)
def test_exec_needs_an_absolute_path_and_whole_quotes(tmp_path: Path, text: str) -> None:
    assert "needs the absolute path" in refused(Secrets(tmp_path, {}), text)


def test_a_program_that_cannot_be_started_is_named_by_its_key(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    assert "cannot be started" in refused(Secrets(tmp_path, {}), "exec:/nowhere/program")
    assert "cannot be started" in refused(Secrets(tmp_path, {}), f"exec:{tmp_path}/text")


@pytest.mark.parametrize(
    "text", [CANARY, "pass:word", "https://x/y", "a env:X", "file", ":x", "exec", "x\n", "envy:X", ""]
)
def test_anything_else_is_a_literal(tmp_path: Path, text: str) -> None:
    assert reference(text, KEY).scheme == "literal"
    assert reference(text, KEY).shown == "********"
    if text:
        assert Secrets(tmp_path, {}).resolve(text, KEY) == text.encode()


@pytest.mark.parametrize("text", ["ENV:X", "Env:X", " env:X", "env :X", "FILE:/x", "Exec:/bin/x"])
def test_a_misspelt_reference_is_no_literal(tmp_path: Path, text: str) -> None:
    assert "misspelt" in refused(Secrets(tmp_path, {}), text)


@pytest.mark.parametrize("text", ["vault:secret/x", "awssm:x"])
def test_references_of_a_later_version_are_no_literals(tmp_path: Path, text: str) -> None:
    assert "not supported by this version" in refused(Secrets(tmp_path, {}), text)


def test_what_is_shown_of_a_reference() -> None:
    assert reference("env:A", KEY).shown == "env:A"
    assert reference(f"exec:/bin/x {CANARY}", KEY).shown == "exec:/bin/x …"
    assert CANARY not in repr(reference(CANARY, KEY))
    assert CANARY not in repr(Secrets(Path("/"), {"A": CANARY}))


def test_a_program_of_mode_0750_is_run(tmp_path: Path, script: Script) -> None:
    text = script("echo x")
    (tmp_path / "program").chmod(0o750)
    assert stat.S_IMODE((tmp_path / "program").stat().st_mode) == 0o750
    assert Secrets(tmp_path, {}).resolve(text, KEY) == b"x"
