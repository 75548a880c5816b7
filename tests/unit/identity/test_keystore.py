import json
import stat
from pathlib import Path
from typing import Any

import pytest

from agent.core.errors import ConfigError
from agent.identity import keystore
from agent.wire.keys import OpeningKey, SigningKey

KINDS: list[Any] = [
    (SigningKey, keystore.load_signing, keystore.load_verify),
    (OpeningKey, keystore.load_opening, keystore.load_recipient),
]


@pytest.mark.parametrize(("kind", "load", "load_public"), KINDS)
def test_keys_survive_their_files(tmp_path: Path, kind: Any, load: Any, load_public: Any) -> None:
    key = kind.generate()
    keystore.save_private(tmp_path / "a.jwk", key)
    keystore.save_public(tmp_path / "a.pub.jwk", key.public())
    assert load(tmp_path / "a.jwk").to_jwk() == key.to_jwk()
    assert load_public(tmp_path / "a.pub.jwk") == key.public()
    assert stat.S_IMODE((tmp_path / "a.jwk").stat().st_mode) == 0o600
    assert set(json.loads((tmp_path / "a.jwk").read_text())) == {"kty", "crv", "x", "d", "kid"}
    assert "d" not in json.loads((tmp_path / "a.pub.jwk").read_text())


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.jwk"
    first = SigningKey.generate()
    keystore.save_private(path, first)
    with pytest.raises(ConfigError, match="never overwritten"):
        keystore.save_private(path, SigningKey.generate())
    with pytest.raises(ConfigError, match="never overwritten"):
        keystore.save_public(path, first.public())
    assert keystore.load_signing(path) == first


@pytest.mark.parametrize("open_to", [0o640, 0o604, 0o644])
def test_a_private_key_that_others_may_read_is_refused(tmp_path: Path, open_to: int) -> None:
    path = tmp_path / "a.jwk"
    key = SigningKey.generate()
    keystore.save_private(path, key)
    path.chmod(open_to)
    with pytest.raises(ConfigError) as caught:
        keystore.load_signing(path)
    assert caught.value.key == str(path)
    assert caught.value.fix == f"chmod 600 {path}"
    assert key.to_jwk()["d"] not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"not json", b"\xff", b'{"kty":"OKP","kty":"OKP"}', b"-----BEGIN PRIVATE KEY-----"],
)
def test_a_file_that_is_no_key_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jwk"
    path.write_bytes(content)
    path.chmod(0o600)
    for load in (keystore.load_signing, keystore.load_opening, keystore.load_verify, keystore.load_recipient):
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert caught.value.key == str(path)
        assert caught.value.fix


def test_the_wrong_key_is_refused_and_never_shown(tmp_path: Path) -> None:
    signing, opening = SigningKey.generate(), OpeningKey.generate()
    keystore.save_private(tmp_path / "s.jwk", signing)
    keystore.save_private(tmp_path / "o.jwk", opening)
    keystore.save_public(tmp_path / "s.pub.jwk", signing.public())
    wrong: list[Any] = [
        (keystore.load_signing, "o.jwk", "crv is not Ed25519"),
        (keystore.load_opening, "s.jwk", "crv is not X25519"),
        (keystore.load_signing, "s.pub.jwk", "d is missing"),
        (keystore.load_verify, "s.jwk", "private member d"),
        (keystore.load_recipient, "s.pub.jwk", "crv is not X25519"),
    ]
    (tmp_path / "s.pub.jwk").chmod(0o600)
    for load, name, says in wrong:
        with pytest.raises(ConfigError, match=says) as caught:
            load(tmp_path / name)
        for key in (signing, opening):
            assert key.to_jwk()["d"] not in str(caught.value)
