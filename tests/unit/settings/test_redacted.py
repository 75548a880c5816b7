"""What may be shown of settings, and what a worker gets of a source."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from agent.core.errors import ConfigError
from agent.settings import Settings
from agent.settings.secrets import Secrets
from agent.settings.settings import Origin
from agent.sources import Config as SourceConfig

CANARY = "c4n4ry"

Load = Callable[..., Settings]


def test_every_value_is_shown_as_plain_data(loaded: Load, folder: Path) -> None:
    shown = loaded("tenant: a\nsources: {s: {type: sqlite, path: x.db}}\n").redacted()
    assert shown["tenant"] == "a"
    assert shown["trust"] == str(folder / "state/trust.json")
    assert shown["sources"]["s"] == {"type": "sqlite", "path": str(folder / "x.db")}
    assert shown["python"]["preload"] == ["pandas", "numpy", "pyarrow", "duckdb"]
    assert shown["agent"]["labels"] == {}
    assert json.loads(json.dumps(shown)) == shown


def test_every_value_names_its_origin(loaded: Load, folder: Path) -> None:
    settings = loaded("tenant: a\npython:\n  preload: [pandas]\n", MERIDYEN_LIMITS__ROWS="5")
    shown = settings.redacted(origin=True)
    assert shown["tenant"] == {"value": "a", "origin": f"{folder}/sandbox.yaml:1"}
    assert shown["python.preload"] == {"value": ["pandas"], "origin": f"{folder}/sandbox.yaml:3"}
    assert shown["python.imports"] == {"value": "default", "origin": "default"}
    assert shown["limits.rows"] == {"value": 5, "origin": "MERIDYEN_LIMITS__ROWS"}
    assert set(shown) >= {"mode", "state_dir", "transport.filedrop.path", "audit.path"}


def test_logins_in_addresses_are_hidden(loaded: Load) -> None:
    text = f"tenant: a\ntransport: {{https: {{urls: ['https://u:{CANARY}@h/x'], proxy: 'http://{CANARY}@p:1'}}}}\n"
    shown = loaded(text).redacted()
    assert shown["transport"]["https"]["urls"] == ["https://********@h/x"]
    assert shown["transport"]["https"]["proxy"] == "http://********@p:1"


class _Tls(BaseModel):
    model_config = ConfigDict(frozen=True)
    key: SecretStr = SecretStr("env:TLS")
    ca_file: Path = Path("ca.pem")


class _Warehouse(BaseModel):
    """A source with secrets, as servers have them."""

    model_config = ConfigDict(frozen=True)
    type: Literal["warehouse"] = "warehouse"
    password: SecretStr
    tls: _Tls = _Tls()


@pytest.fixture
def with_secret(loaded: Load, folder: Path) -> Callable[..., Settings]:
    def make(password: str, **environ: str) -> Settings:
        plain = loaded("tenant: a\n")
        source = _Warehouse(password=SecretStr(password))
        return plain.model_copy(update={"sources": {"wh": source}}).with_origin(
            Origin(plain.origin.file, plain.origin.sha256, {}, Secrets(folder, environ))
        )

    return make


@pytest.mark.parametrize(
    ("written", "shown"),
    [(CANARY, "********"), ("env:PW", "env:PW"), (f"exec:/bin/x {CANARY}", "exec:/bin/x …")],
)
def test_secrets_are_never_shown(with_secret: Callable[..., Settings], written: str, shown: str) -> None:
    settings = with_secret(written, PW=CANARY)
    plain, traced = settings.redacted(), settings.redacted(origin=True)
    assert plain["sources"]["wh"]["password"] == shown
    assert traced["sources.wh.password"]["value"] == shown
    assert CANARY not in f"{plain} {traced} {settings!r} {settings} {settings.origin!r}"


def test_a_worker_gets_the_source_with_its_secrets_and_absolute_paths(
    with_secret: Callable[..., Settings], folder: Path
) -> None:
    settings = with_secret("env:PW", PW=CANARY, TLS="t")
    assert json.loads(settings.source_json("wh") or "") == {
        "type": "warehouse",
        "password": CANARY,
        "tls": {"key": "t", "ca_file": str(folder / "ca.pem")},
    }
    assert settings.source_json("other") is None


def test_an_unset_secret_is_named_by_its_key(with_secret: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigError, match=r"^sources\.wh\.tls\.key: the environment variable TLS is not set"):
        with_secret("env:PW", PW=CANARY).source_json("wh")


def test_a_source_survives_the_way_to_the_worker(loaded: Load) -> None:
    made = loaded("tenant: a\nsources: {s: {type: sqlite, path: x.db}, d: {type: duckdb, path: y, threads: 2}}\n")
    from pydantic import TypeAdapter

    for name, source in made.sources.items():
        assert TypeAdapter(SourceConfig).validate_json(made.source_json(name) or "") == source
