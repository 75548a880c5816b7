"""The whole configuration, read once: `Settings`."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, PrivateAttr, SecretStr
from pydantic_core import to_jsonable_python
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from agent.core.errors import ConfigError
from agent.core.job import Me
from agent.settings import models
from agent.settings.environ import DELIMITER, PREFIX, insert
from agent.settings.findings import Path as Position
from agent.settings.findings import dotted
from agent.settings.locate import DEFAULT_STATE_DIR
from agent.settings.models import (
    AgentSettings,
    AuditSettings,
    LimitSettings,
    LocalPath,
    Mode,
    PythonSettings,
    Sources,
    TransportSettings,
)
from agent.settings.secrets import LIMIT_BYTES, Secrets, reference
from agent.transport import Config as TransportConfig
from agent.wire import strictjson
from agent.wire.fields import Name
from agent.wire.keys import SigningKey

RESULT_KEY = "agent.result_key"

_HIDDEN = "********"
_LOGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/@\s]+@")
_INTERNAL: frozenset[Position] = frozenset({("transport", "filedrop", "kind")})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where settings came from: the file, the digest of its bytes, and per path `FILE:LINE` or a variable's name.

    Takes no part in comparisons: settings are equal when their values are.
    """

    file: Path = field(compare=False)
    sha256: str = field(compare=False)
    keys: Mapping[Position, str] = field(compare=False)
    secrets: Secrets = field(compare=False)


class Settings(BaseSettings):
    """sandbox.yaml with the environment's overrides. Made by `agent.settings.load`; paths are absolute then."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        allow_inf_nan=False,
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
    )

    version: Literal[1] = Field(default=1, description="Version of this file's format.")
    mode: Mode = Field(
        default="airgapped",
        description="Picks the transport: `airgapped` uses folders, `hybrid` and `cloud` a Task Router.",
    )
    tenant: Name = Field(description="Whose jobs this agent runs. Jobs for other tenants are refused.")
    agent: AgentSettings = Field(default_factory=AgentSettings, description="Who this agent is.")
    state_dir: LocalPath = Field(
        default=Path(DEFAULT_STATE_DIR),
        description="Folder of identity, ledger, spool, audit and status; only the agent's.",
    )
    transport: TransportSettings = Field(default=TransportSettings(), description="Where jobs come from.")
    trust: LocalPath = Field(
        default=Path(models.STATE_DIR, "trust.json"),
        description="Which keys may ask for what; managed by `agent trust`.",
    )
    policy: LocalPath = Field(default=Path("policy.yaml"), description="What may leave, in which form; see policy.md.")
    limits: LimitSettings = Field(default=LimitSettings(), description="What one job may use.")
    python: PythonSettings = Field(default=PythonSettings(), description="How Python jobs are isolated.")
    sources: Sources = Field(default_factory=dict, description="The databases that jobs may read, by name.")
    catalog_ttl_seconds: float = Field(
        default=300,
        ge=0,
        le=86_400,
        description="How long what was read of a server's structure serves later jobs, in memory; 0: not at all.",
    )
    audit: AuditSettings = Field(default=AuditSettings(), description="The tamper-evident log.")

    _origin: Origin | None = PrivateAttr(default=None)

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing is read behind the back of `load`, which merges the file and `Environment`."""
        return (init_settings,)

    def with_origin(self, origin: Origin) -> "Settings":
        """A copy with absolute paths that knows where its values came from."""
        base = origin.secrets.base
        state = models.anchored(self.state_dir, base, base)
        copy: Settings = models.anchored(self, base, state)
        copy._origin = origin
        return copy

    @property
    def origin(self) -> Origin:
        """Where the values came from."""
        assert self._origin is not None, "settings are made by load()"
        return self._origin

    @property
    def carrier(self) -> TransportConfig:
        """The transport that `mode` picks."""
        if self.mode == "airgapped":
            return self.transport.filedrop
        assert self.transport.https is not None, "checked when it was loaded"
        return self.transport.https

    @property
    def me(self) -> Me:
        """Whom a job must be addressed to."""
        return Me(tenant=self.tenant, agent=self.agent.name, pool=self.agent.pool)

    def resolve(self, text: str, key: str) -> bytes:
        """The secret behind a value of this file. May run a program for up to 10 s. Raises ConfigError."""
        return self.origin.secrets.resolve(text, key)

    def shared_result_key(self) -> SigningKey | None:
        """The key that signs results in place of the agent's own; None when there is none. Raises ConfigError."""
        written = self.agent.result_key
        if written is None:
            return None
        data = self.resolve(written.get_secret_value(), RESULT_KEY)
        try:
            value = strictjson.loads(data, LIMIT_BYTES)
            return SigningKey.from_jwk(value if isinstance(value, dict) else {})
        except ValueError:
            fix = "Make one with `agent init --replicas`, or name the right file."
            raise ConfigError(RESULT_KEY, "this is not an Ed25519 private key as JWK.", fix) from None

    def source_json(self, name: str) -> str | None:
        """The source's Config as JSON with its secrets resolved, for an Order; None when no source has this name."""
        config = self.sources.get(name)
        return None if config is None else json.dumps(self._revealed(config, f"sources.{name}"))

    def secrets(self) -> Iterator[tuple[Position, str]]:
        """Every secret as written, with its path."""
        for path, value in leaves(self, ()):
            if isinstance(value, SecretStr):
                yield path, value.get_secret_value()

    def redacted(self, *, origin: bool = False) -> dict[str, Any]:
        """All values as plain data, secrets as their reference or as `********`.

        With `origin`: dotted key -> {"value", "origin"}, where origin is `FILE:LINE`, a variable's name or `default`.
        """
        shown = {path: _shown(value, dotted(path)) for path, value in leaves(self, ()) if path not in _INTERNAL}
        if origin:
            keys = self.origin.keys
            return {
                dotted(path): {"value": value, "origin": keys.get(path, "default")} for path, value in shown.items()
            }
        tree: dict[str, Any] = {}
        for path, value in shown.items():
            insert(tree, path, value)
        return tree

    def came_from(self, path: Position) -> str:
        """What set the key or the nearest block around it: `FILE:LINE`, a variable, or the file's name."""
        keys = self.origin.keys
        known = (keys[path[:end]] for end in range(len(path), 0, -1) if path[:end] in keys)
        return next(known, str(self.origin.file))

    def _revealed(self, value: Any, key: str) -> Any:
        if isinstance(value, SecretStr):
            return self.resolve(value.get_secret_value(), key).decode("utf-8", "surrogateescape")
        if isinstance(value, BaseModel):
            return {name: self._revealed(getattr(value, name), f"{key}.{name}") for name in type(value).model_fields}
        if isinstance(value, Mapping):
            return {name: self._revealed(inner, f"{key}.{name}") for name, inner in value.items()}
        return to_jsonable_python(value)


def leaves(value: Any, path: Position = ()) -> Iterator[tuple[Position, Any]]:
    """Every value that is not a block of its own."""
    inner: Iterable[tuple[str, Any]] = ()
    if isinstance(value, BaseModel):
        inner = ((name, getattr(value, name)) for name in type(value).model_fields)
    elif isinstance(value, Mapping) and value:
        inner = value.items()
    else:
        yield path, value
    for name, below in inner:
        yield from leaves(below, (*path, name))


def _shown(value: Any, key: str) -> Any:
    if isinstance(value, SecretStr):
        return reference(value.get_secret_value(), key).shown
    if isinstance(value, tuple):
        return [_shown(inner, key) for inner in value]
    return _without_login(value) if isinstance(value, str) else to_jsonable_python(value)


def _without_login(text: str) -> str:
    """An address without the user and password that may stand in it."""
    return _LOGIN.sub(rf"\g<1>{_HIDDEN}@", text)
