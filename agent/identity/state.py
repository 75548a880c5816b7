"""state_dir -> the agent's own keys, made on first use."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from agent.core.errors import ConfigError
from agent.identity import keystore
from agent.wire.keys import OpeningKey, SigningKey

_FOLDER_MODE = 0o700

Key = TypeVar("Key", SigningKey, OpeningKey)


@dataclass(frozen=True, slots=True)
class Identity:
    """`result` signs manifests; `operator` signs the tasks of `agent exec`, and `operator_open` opens their results."""

    result: SigningKey
    operator: SigningKey
    operator_open: OpeningKey


def folder(state_dir: Path) -> Path:
    """Where the keys lie."""
    return state_dir / "identity"


def ensure(state_dir: Path) -> Identity:
    """The keys under `state_dir`/identity; missing ones are made. Raises ConfigError for an unusable or open file.

    Safe to run in two processes at once: both end with the same keys.
    """
    place = folder(state_dir)
    try:
        place.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(str(place), f"cannot be made ({error.strerror}).", "Check the folder's mode.") from None
    return Identity(
        result=_ensure(place / "result.jwk", keystore.load_signing, SigningKey.generate),
        operator=_ensure(place / "operator.jwk", keystore.load_signing, SigningKey.generate),
        operator_open=_ensure(place / "operator-open.jwk", keystore.load_opening, OpeningKey.generate),
    )


def load(state_dir: Path) -> Identity:
    """The keys under `state_dir`/identity; nothing is made. Raises ConfigError when one is missing."""
    place = folder(state_dir)
    return Identity(
        result=keystore.load_signing(place / "result.jwk"),
        operator=keystore.load_signing(place / "operator.jwk"),
        operator_open=keystore.load_opening(place / "operator-open.jwk"),
    )


def _ensure(path: Path, load_key: Callable[[Path], Key], generate: Callable[[], Key]) -> Key:
    if not path.exists():
        try:
            keystore.save_private(path, generate())
        except ConfigError:
            if not path.exists():
                raise
            # Another process was faster: its key counts.
    return load_key(path)
