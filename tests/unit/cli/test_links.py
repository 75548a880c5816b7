"""A hybrid site and its submitter, set up without editing JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli import links
from agent.core.errors import ConfigError
from agent.settings import load
from agent.wire.profile import parse

PEM = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"


def agent(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "agent", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


def test_a_hybrid_site(tmp_path: Path):
    (tmp_path / "ca.pem").write_text(PEM)
    url, site = "https://router.example:8443", tmp_path / "site"
    done = agent("init", str(site), "--router", url, "--ca-file", str(tmp_path / "ca.pem"), "--pool", "plant")
    assert done.returncode == 0, done.stderr
    assert f"agent enroll --config {site}/sandbox.yaml" in done.stdout
    assert f"router submit QUERY.sql --source NAME --profile {site}/submitter" in done.stdout
    settings = load(site, {})
    assert settings.mode == "hybrid"
    assert settings.agent.pool == "plant"
    assert settings.transport.https is not None
    assert settings.transport.https.urls == (url,)
    assert settings.transport.https.ca_file == site / "router-ca.pem"
    assert not (site / "drop").exists()
    profile = parse((site / "submitter" / "profile.json").read_bytes())
    assert (profile.router, profile.token_file, profile.ca_file) == (url, "router.token", "router-ca.pem")
    assert (profile.audience, profile.drop) == ("pool:plant", None)
    assert (site / "submitter" / "router-ca.pem").read_text() == PEM
    (tmp_path / "q.sql").write_text("select 1")
    sent = agent("submit", str(tmp_path / "q.sql"), "--source", "shop", "--config", str(site))
    assert sent.returncode == 78
    assert "router submit" in sent.stderr


def test_several_agents_of_one_pool(tmp_path: Path):
    site, url = tmp_path / "site", "https://router.example:8443"
    done = agent("init", str(site), "--router", url, "--pool", "plant", "--replicas")
    assert done.returncode == 0, done.stderr
    assert "MERIDYEN_STATE_DIR" in done.stdout
    settings = load(site, {"MERIDYEN_AGENT__NAME": "one", "MERIDYEN_STATE_DIR": "other"})
    shared = settings.shared_result_key()
    assert (settings.mode, settings.agent.name, settings.agent.pool) == ("cloud", "one", "plant")
    assert shared is not None
    assert settings.state_dir == site / "other"
    assert (site / "result.jwk").stat().st_mode & 0o777 == 0o600
    profile = parse((site / "submitter" / "profile.json").read_bytes())
    assert (profile.audience, [*profile.agents]) == ("pool:plant", [shared.kid])
    told = agent("keys", "fingerprint", "--config", str(site), "--export", str(tmp_path / "pub.jwk"))
    assert (told.returncode, told.stdout.strip()) == (0, f"SHA256:{shared.kid}")
    assert "d" not in json.loads((tmp_path / "pub.jwk").read_text())


@pytest.mark.parametrize("more", [("--name", "one", "--router", "https://r"), ()])
def test_several_agents_need_a_router_and_no_name(more: tuple[str, ...], tmp_path: Path):
    done = agent("init", str(tmp_path / "site"), "--replicas", *more)
    assert done.returncode == 78
    assert "Fix: " in done.stderr
    assert not (tmp_path / "site").exists()


def test_a_submitter_elsewhere(tmp_path: Path):
    (tmp_path / "ca.pem").write_text(PEM)
    folder = tmp_path / "ann"
    named = ("--user", "ann", "--tenant", "acme", "--audience", "pool:plant")
    done = agent("keys", "new", str(folder), *named, "--router", "https://r", "--ca-file", str(tmp_path / "ca.pem"))
    assert done.returncode == 0, done.stderr
    assert "router.token" in done.stdout
    model = json.loads((folder / "profile.json").read_text())
    assert (model["router"], model["ca_file"], model["drop"]) == ("https://r", "router-ca.pem", None)
    assert (folder / "router-ca.pem").read_text() == PEM


@pytest.mark.parametrize("router", ["http://router", "router:8443", "https://", "https://a b", 'https://a"\nmode: x'])
def test_what_is_no_router(router: str, tmp_path: Path):
    with pytest.raises(ConfigError):
        links.checked(router, None)


@pytest.mark.parametrize(
    "text", ["", "no certificate", PEM + "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_ca(text: str, tmp_path: Path):
    path = tmp_path / "ca.pem"
    path.write_text(text)
    with pytest.raises(ConfigError):
        links.checked("https://router", path)


def test_a_ca_without_a_router(tmp_path: Path):
    with pytest.raises(ConfigError):
        links.checked(None, tmp_path / "ca.pem")
