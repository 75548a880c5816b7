"""`check`: what is wrong or doubtful around a valid configuration."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from agent.settings import Settings, check
from agent.settings.checking import Probe

CANARY = "c4n4ry"
HEAD = "version: 1\ndefault: redact\n"
SHOP = "tenant: a\nsources: {shop: {type: sqlite, path: shop.db}}\n"

Load = Callable[..., Settings]


@pytest.fixture
def sound(loaded: Load, folder: Path) -> Settings:
    """Settings with nothing to complain about."""
    con = sqlite3.connect(folder / "shop.db")
    con.execute("create table t (a text)")
    con.close()
    for name in ("state", "drop"):
        (folder / name).mkdir(mode=0o700)
    (folder / "state/trust.json").write_text("{}")
    return loaded(SHOP)


def answers(_: str) -> None:
    """A probe of a source that opens."""


def said(settings: Settings, folder: Path, *, connect: Probe | None = None) -> list[str]:
    found = [f"{finding.level}: {finding}" for finding in check(settings, connect=connect)]
    assert CANARY not in str(found)
    return [line.replace(f"{folder}/", "") for line in found]


def test_nothing_to_say(sound: Settings, folder: Path) -> None:
    assert said(sound, folder) == []
    assert said(sound, folder, connect=answers) == []


@pytest.mark.parametrize(
    ("name", "key"), [("sandbox.yaml", ""), ("policy.yaml", "policy: "), ("state/trust.json", "trust: ")]
)
def test_files_that_every_account_can_change(sound: Settings, folder: Path, name: str, key: str) -> None:
    (folder / name).chmod(0o666)
    [line] = said(sound, folder)
    assert line.startswith("error: sandbox.yaml")
    assert f"{key}every account can change {name}." in line


def test_a_missing_trust_file(sound: Settings, folder: Path) -> None:
    (folder / "state/trust.json").unlink()
    [line] = said(sound, folder)
    assert line.startswith("warning: ")
    assert "agent trust add" in line


def test_a_state_folder_that_others_can_look_into(sound: Settings, folder: Path) -> None:
    (folder / "state").chmod(0o755)
    [line] = said(sound, folder)
    assert line.startswith("warning: ")
    assert "state_dir: other accounts can look into" in line
    (folder / "state").chmod(0o750)
    assert said(sound, folder) == []


def test_a_file_where_a_folder_should_be(sound: Settings, folder: Path) -> None:
    (folder / "drop").rmdir()
    (folder / "drop").write_text("")
    assert "transport.filedrop.path: this is not a folder." in said(sound, folder)[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_folder_that_cannot_be_written(sound: Settings, folder: Path) -> None:
    (folder / "drop").chmod(0o500)
    assert "transport.filedrop.path: this account cannot write there." in said(sound, folder)[0]


def test_a_source_that_is_not_there(sound: Settings, folder: Path) -> None:
    (folder / "shop.db").unlink()
    [line] = said(sound, folder, connect=answers)
    assert line.startswith("error: sandbox.yaml:2: sources.shop.path: there is no such file or folder.")


def test_no_source_at_all(loaded: Load, sound: Settings, folder: Path) -> None:
    assert "warning: sandbox.yaml: sources: no source is configured." in said(loaded("tenant: a\n"), folder)[0]


def test_a_broken_policy_is_explained(sound: Settings, folder: Path) -> None:
    (folder / "policy.yaml").write_text(f"version: 1\ndefault: {CANARY}\nrulez: []\n")
    assert [line.split(": ")[1:3] for line in said(sound, folder)] == [
        ["policy.yaml:2", "default"],
        ["policy.yaml:3", "rulez"],
    ]


def test_a_pattern_that_matches_no_source(sound: Settings, folder: Path) -> None:
    rules = "rules:\n- {match: 'shpo.*.*.a', rule: redact}\n- {match: 'SHOP.*.*.b', rule: keep}\n- {match: 's*.*.*.c', rule: keep}\n"
    (folder / "policy.yaml").write_text(f"{HEAD}{rules}tables: {{deny: ['other.*.*']}}\n")
    assert said(sound, folder) == [
        "warning: policy.yaml:7: tables.deny[0]: this pattern matches no configured source. Fix: Correct the pattern, or remove it.",
        "warning: policy.yaml:4: rules[0].match: this pattern matches no configured source. Fix: Did you mean `shop`?",
    ]


@pytest.mark.parametrize(
    ("reference", "said_of_it"),
    [
        ("env:NOT_SET", "error: policy.yaml:3: keys.token: the environment variable NOT_SET is not set."),
        ("file:gone", "error: policy.yaml:3: keys.token: the secret's file does not exist."),
        (CANARY * 6, "warning: policy.yaml:3: keys.token: the secret itself stands in the file."),
        (CANARY, "warning: policy.yaml:3: keys.token: the secret itself stands in the file."),
        ("env:SHORT", "error: policy.yaml:3: keys.token: the key has fewer than 32 bytes."),
    ],
    ids=["variable", "file", "literal", "short literal", "short"],
)
def test_the_token_key(loaded: Load, sound: Settings, folder: Path, reference: str, said_of_it: str) -> None:
    (folder / "policy.yaml").write_text(f"{HEAD}keys: {{token: '{reference}'}}\n")
    [line] = said(loaded(SHOP, SHORT=CANARY), folder)
    assert line.startswith(said_of_it)


def test_a_program_is_run_only_on_request(loaded: Load, sound: Settings, folder: Path) -> None:
    (folder / "program").write_text(f"#!/bin/sh\ntouch {folder}/ran; echo {CANARY}\n")
    (folder / "program").chmod(0o755)
    (folder / "policy.yaml").write_text(f"{HEAD}keys: {{token: 'exec:{folder}/program'}}\n")
    assert said(sound, folder) == []
    assert not (folder / "ran").exists()
    assert "keys.token: the key has fewer than 32 bytes." in said(sound, folder, connect=answers)[0]
    assert (folder / "ran").exists()


class _Warehouse(BaseModel):
    model_config = ConfigDict(frozen=True)
    type: Literal["warehouse"] = "warehouse"
    password: SecretStr


@pytest.mark.parametrize(("password", "level"), [(CANARY, "warning"), ("env:NOT_SET", "error")], ids=["literal", "env"])
def test_secrets_of_sources(sound: Settings, folder: Path, password: str, level: str) -> None:
    source = _Warehouse(password=SecretStr(password))
    [line] = said(sound.model_copy(update={"sources": {"shop": source}}), folder)
    assert line.startswith(f"{level}: sandbox.yaml:2: sources.shop.password: ")


def test_connecting_asks_about_every_source(sound: Settings, folder: Path) -> None:
    [line] = said(sound, folder, connect=lambda name: (f"{name} does not open.", "Look at it."))
    assert line == "error: sandbox.yaml:2: sources.shop: shop does not open. Fix: Look at it."


def test_errors_come_before_warnings(sound: Settings, folder: Path) -> None:
    (folder / "state/trust.json").unlink()
    (folder / "policy.yaml").chmod(0o666)
    assert [line.split(":")[0] for line in said(sound, folder)] == ["error", "warning"]
