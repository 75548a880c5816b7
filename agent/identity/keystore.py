"""Key files: JWK on disk <-> keys. Private ones are mode 0600 and never overwritten."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from agent.core.errors import ConfigError
from agent.identity import files
from agent.wire import strictjson
from agent.wire.errors import JsonError
from agent.wire.keys import OpeningKey, RecipientKey, SigningKey, VerifyKey

MAX_BYTES = 16 * 1024
_PRIVATE_MODE = 0o600
_PUBLIC_MODE = 0o644

Key = TypeVar("Key")


def load_signing(path: Path) -> SigningKey:
    """An Ed25519 private key. Raises ConfigError when the file is readable by others or not such a key."""
    return _load(path, SigningKey.from_jwk, private=True)


def load_opening(path: Path) -> OpeningKey:
    """An X25519 private key. Raises ConfigError when the file is readable by others or not such a key."""
    return _load(path, OpeningKey.from_jwk, private=True)


def load_verify(path: Path) -> VerifyKey:
    """An Ed25519 public key. Raises ConfigError, also when the file holds a private key."""
    return _load(path, VerifyKey.from_jwk, private=False)


def load_recipient(path: Path) -> RecipientKey:
    """An X25519 public key. Raises ConfigError, also when the file holds a private key."""
    return _load(path, RecipientKey.from_jwk, private=False)


def save_private(path: Path, key: SigningKey | OpeningKey) -> None:
    """Write a private key, mode 0600. Raises ConfigError when the file exists: it is never overwritten."""
    files.create(path, strictjson.dumps(key.to_jwk()) + b"\n", _PRIVATE_MODE)


def save_public(path: Path, key: VerifyKey | RecipientKey) -> None:
    """Write a public key, mode 0644. Raises ConfigError when the file exists."""
    files.create(path, strictjson.dumps(key.to_jwk()) + b"\n", _PUBLIC_MODE)


def _load(path: Path, make: Callable[[Mapping[str, object]], Key], *, private: bool) -> Key:
    data = files.read(path, MAX_BYTES, private=private)
    try:
        value = strictjson.loads(data, MAX_BYTES)
        return make(value if isinstance(value, dict) else {})
    except JsonError:
        raise ConfigError(str(path), "is not a JWK file.", "Make keys with `agent keys new`.") from None
    except ValueError as error:
        raise ConfigError(str(path), f"is not the key that is needed here: {error}.", "Name the right file.") from None
