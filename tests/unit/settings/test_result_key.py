"""A key for results that the replicas of a pool share."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.errors import ConfigError
from agent.settings import Settings, check
from agent.wire.keys import OpeningKey, SigningKey

Load = Callable[..., Settings]
KEY = SigningKey.generate()
SHARED = 'tenant: a\nagent: {result_key: "file:result.jwk"}\n'


def put(folder: Path, text: str, mode: int = 0o600) -> None:
    (folder / "result.jwk").write_text(text)
    (folder / "result.jwk").chmod(mode)


def test_none_is_the_agents_own(loaded: Load) -> None:
    assert loaded("tenant: a\n").shared_result_key() is None


def test_it_is_read_where_the_reference_points(loaded: Load, folder: Path) -> None:
    put(folder, json.dumps(KEY.to_jwk()), 0o640)
    found = loaded(SHARED).shared_result_key()
    assert found is not None
    assert found.kid == KEY.kid
    again = loaded("tenant: a\n", MERIDYEN_AGENT__RESULT_KEY="file:result.jwk").shared_result_key()
    assert again is not None
    assert again.kid == KEY.kid


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("no key", id="no JSON"),
        pytest.param("[]", id="no object"),
        pytest.param(json.dumps(KEY.public().to_jwk()), id="a public key"),
        pytest.param(json.dumps(OpeningKey.generate().to_jwk()), id="a key that opens"),
    ],
)
def test_what_is_no_such_key_is_an_error_without_its_text(loaded: Load, folder: Path, text: str) -> None:
    put(folder, text)
    settings = loaded(SHARED)
    with pytest.raises(ConfigError, match=r"agent.result_key: this is not an Ed25519 private key") as raised:
        settings.shared_result_key()
    assert text not in str(raised.value)
    [found] = [one for one in check(settings) if one.key == "agent.result_key"]
    assert (found.level, found.problem) == ("error", "this is not an Ed25519 private key as JWK.")


def test_a_key_that_is_missing(loaded: Load) -> None:
    settings = loaded(SHARED)
    with pytest.raises(ConfigError, match=r"the secret's file does not exist"):
        settings.shared_result_key()
    assert [one.key for one in check(settings) if one.level == "error"] == ["agent.result_key"]


def test_a_key_that_every_account_can_read_is_refused_at_once(wrong: Callable[..., list[str]], folder: Path) -> None:
    put(folder, json.dumps(KEY.to_jwk()), 0o644)
    [said] = wrong(SHARED)
    assert "agent.result_key: every account can read the secret's file." in said


def test_it_is_never_shown(loaded: Load) -> None:
    written = json.dumps(json.dumps(KEY.to_jwk()))
    settings = loaded(f"tenant: a\nagent: {{result_key: {written}}}\n")
    shown = json.dumps(settings.redacted()) + repr(settings)
    assert KEY.to_jwk()["d"] not in shown
    assert settings.shared_result_key() is not None
