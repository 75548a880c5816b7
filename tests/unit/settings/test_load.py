"""sandbox.yaml -> Settings, or all that is wrong with it at once."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.errors import ConfigError
from agent.core.job import Me
from agent.core.limits import Limits
from agent.settings import Settings, SettingsError, find_config, load
from agent.transport import filedrop

CANARY = "c4n4ry"

Load = Callable[..., Settings]
Wrong = Callable[..., list[str]]


def test_a_tenant_is_enough(loaded: Load, folder: Path) -> None:
    settings = loaded("tenant: acme\n")
    assert settings.mode == "airgapped"
    assert settings.state_dir == folder / "state"
    assert settings.trust == folder / "state" / "trust.json"
    assert settings.audit.path == folder / "state" / "audit"
    assert settings.policy == folder / "policy.yaml"
    assert settings.carrier == filedrop.Config(path=folder / "drop")
    assert settings.limits.of_job() == Limits()
    assert settings.sources == {}
    assert settings.origin.sha256 == hashlib.sha256(b"tenant: acme\n").hexdigest()


FULL = """
version: 1
mode: airgapped
tenant: acme
agent:
  name: plant-7
  pool: default
  labels: {region: eu}
  slots: {sql: 4, python: 2}
state_dir: ./state
transport:
  filedrop: {path: ./drop, poll_seconds: 1}
  https: {urls: ["https://router.example:8443"], ca_file: ca.pem, proxy: null, wait_seconds: 25}
trust: trust.json
policy: policy.yaml
limits: {wall_seconds: 300, cpu_seconds: 300, memory_mb: 1024, rows: 100000, bytes: 67108864, stdout_kb: 256, drain_seconds: 60}
python: {min_tier: container, imports: default, preload: [pandas, numpy, pyarrow, duckdb]}
sources:
  shop:      {type: duckdb, path: ./data/shop.duckdb}
  ledger:    {type: sqlite, path: ./data/ledger.sqlite}
audit: {path: ./state/audit, fail_closed: true}
"""


def test_every_key_can_be_written_out(loaded: Load, folder: Path) -> None:
    settings = loaded(FULL)
    assert settings.me == Me(tenant="acme", agent="plant-7", pool="default")
    assert settings.trust == folder / "trust.json"
    assert settings.sources["shop"].path == folder / "data/shop.duckdb"
    assert settings.transport.https.ca_file == folder / "ca.pem"
    assert settings.agent.labels == {"region": "eu"}
    assert settings.limits.drain_seconds == 60


def test_a_block_written_in_part_keeps_its_other_defaults(loaded: Load, folder: Path) -> None:
    settings = loaded(
        "tenant: a\nlimits: {rows: 5}\ntransport: {filedrop: {poll_seconds: 9}}\nagent: {slots: {sql: 1}}\n"
    )
    assert settings.limits.of_job() == Limits(rows=5)
    assert settings.transport.filedrop == filedrop.Config(path=folder / "drop", poll_seconds=9)
    assert (settings.agent.slots.sql, settings.agent.slots.python) == (1, 2)


def test_empty_blocks_are_blocks_of_defaults(loaded: Load) -> None:
    empty = "".join(f"{key}:\n" for key in ("agent", "transport", "limits", "python", "sources", "audit"))
    assert loaded(f"tenant: a\n{empty}") == loaded("tenant: a\n")
    assert loaded("tenant: a\ntransport: {filedrop: }\nagent: {labels: , slots: }\n") == loaded("tenant: a\n")


def test_absolute_paths_stay_and_state_dir_stands_for_itself(loaded: Load) -> None:
    settings = loaded(
        "tenant: a\nstate_dir: /var/s\npolicy: /etc/p.yaml\ntransport: {filedrop: {path: STATE_DIR/drop}}\n"
    )
    assert settings.policy == Path("/etc/p.yaml")
    assert settings.trust == Path("/var/s/trust.json")
    assert settings.carrier.path == Path("/var/s/drop")


def test_paths_do_not_depend_on_the_working_folder(loaded: Load, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded("tenant: a\n")
    monkeypatch.chdir(folder)
    assert load(Path("sandbox.yaml"), {}).state_dir == folder / "state"


def test_settings_cannot_be_changed(loaded: Load) -> None:
    settings = loaded("tenant: a\n")
    with pytest.raises(ValueError, match="frozen"):
        settings.tenant = "b"
    with pytest.raises(ValueError, match="frozen"):
        settings.limits.rows = 1


def test_everything_wrong_is_said_at_once_in_the_order_of_the_file(wrong: Wrong) -> None:
    said = wrong(
        f"""tennant: {CANARY}
mode: airgaped
limits: {{rows: {CANARY}, memory_mb: 1, wall_second: 3}}
agent: {{name: "a {CANARY}", slots: [{CANARY}]}}
filedrop: {{}}
sources:
  a: {{type: duckbd, path: {CANARY}}}
  b: {{path: {CANARY}}}
  c: {CANARY}
  d: {{type: sqlite, pth: {CANARY}}}
  e.f: {{type: sqlite, path: x}}
python: {{imports: 3}}
audit: {{fail_closed: false}}
version: 2
"""
    )
    name = "must be letters, digits, `.`, `_` or `-`, starting with a letter or digit, at most 127."
    block = "must be a block of keys. Fix: Write `key: value` lines under it, indented."
    assert said == [
        "sandbox.yaml: tenant: is missing. Fix: Add it.",
        "sandbox.yaml:1: tennant: this key does not exist. Fix: Did you mean `tenant`?",
        "sandbox.yaml:2: mode: must be `airgapped`, `hybrid` or `cloud`. Fix: Did you mean `airgapped`?",
        "sandbox.yaml:3: limits.memory_mb: must be at least 32.",
        "sandbox.yaml:3: limits.rows: must be a whole number.",
        "sandbox.yaml:3: limits.wall_second: this key does not exist. Fix: Did you mean `wall_seconds`?",
        f"sandbox.yaml:4: agent.name: {name}",
        f"sandbox.yaml:4: agent.slots: {block}",
        "sandbox.yaml:5: filedrop: this key does not exist. Fix: Did you mean `transport.filedrop`?",
        "sandbox.yaml:7: sources.a.type: must be one of `duckdb`, `mysql`, `postgres`, `sqlite`. Fix: Did you mean `duckdb`?",
        "sandbox.yaml:8: sources.b: `type` is missing. Fix: Write one of `duckdb`, `mysql`, `postgres`, `sqlite`.",
        f"sandbox.yaml:9: sources.c: {block}",
        "sandbox.yaml:10: sources.d.path: is missing. Fix: Add it.",
        "sandbox.yaml:10: sources.d.pth: this key does not exist. Fix: Did you mean `path`?",
        "sandbox.yaml:11: sources.e.f: this name must be letters, digits, `_` or `-`, at most 63. Fix: Rename it.",
        "sandbox.yaml:12: python.imports: must be `default`, or must be a list. Fix: Write `[a, b]`, or one `- item` a line.",
        "sandbox.yaml:13: audit.fail_closed: must be `true`.",
        "sandbox.yaml:14: version: must be 1.",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tenant: 12", "tenant: must be a text. Fix: Put the value in quotes."),
        ("tenant:", "tenant: is empty."),
        ("tenant: a\nlimits: {rows: 1.5}", "limits.rows: must be a whole number."),
        ("tenant: a\nlimits: {wall_seconds: .inf}", "limits.wall_seconds: must be a"),
        ("tenant: a\nlimits: {wall_seconds: 1e999}", "limits.wall_seconds: must be a"),
        ("tenant: a\nlimits: 5", "limits: must be a block of keys."),
        ("tenant: a\nsources: [a]", "sources: must be a block of keys."),
        ("tenant: a\npolicy: ''", "policy: this is not a path."),
        ('tenant: a\npolicy: "a\\0b"', "policy: this is not a path."),
        ("tenant: a\npolicy: ~/p.yaml", "policy: `~` is not expanded; write the full path."),
        ("tenant: a\nsources: {s: {type: sqlite, path: ~/x}}", "sources.s.path: `~` is not expanded"),
        ("tenant: a\npolicy: [a]", "policy: must be a path."),
        ("tenant: a\nstate_dir: 3", "state_dir: must be a path."),
        ("tenant: a\nkwargs: 1\nself: 2", "kwargs: this key does not exist."),
        ("tenant: a\ntransport: {https: {urls: []}}", "transport.https.urls: must have at least 1 entries."),
        ("tenant: a\npython: {min_tier: none}", "python.min_tier: must be `container` or `full`."),
    ],
)
def test_each_kind_of_mistake_has_its_words(wrong: Wrong, text: str, said: str) -> None:
    assert said in wrong(text)[0].split(": ", 1)[1] or any(said in line for line in wrong(text))


@pytest.mark.parametrize("key", ["_env_file", "_secrets_dir", "_cli_parse_args", "_case_sensitive", "model_config"])
def test_no_key_reaches_the_settings_library_itself(wrong: Wrong, key: str) -> None:
    assert f"{key}: this key does not exist." in wrong(f"tenant: a\n{key}: /etc/passwd\n")[0]


@pytest.mark.parametrize("text", ["llm: {base_url: x}"])
def test_keys_of_a_later_version_are_refused_by_name(wrong: Wrong, text: str) -> None:
    assert "this version does not support this key." in wrong(f"tenant: a\n{text}\n")[0]


@pytest.mark.parametrize("mode", ["hybrid", "cloud"])
def test_modes_without_their_transport_are_refused(wrong: Wrong, mode: str) -> None:
    [said] = wrong(f"tenant: a\nmode: {mode}\n")
    assert said.startswith(f"sandbox.yaml:2: mode: the mode `{mode}` needs the Router's address")


def test_names_from_the_file_are_printed_harmlessly(wrong: Wrong) -> None:
    [said] = wrong('tenant: a\n"a\\e[31m\\n": 1\n')
    assert said.startswith("sandbox.yaml:2: a\\x1b[31m\\n: this key does not exist.")
    assert len(wrong(f"tenant: a\n{'k' * 5000}: 1\n")[0]) < 500


def test_the_error_is_a_config_error_about_its_first_finding(loaded: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded("tenant: a\nlimits: {rows: 0}\nagent: {pol: a}\n")
    assert caught.value.key == "limits.rows"
    assert caught.value.problem == "must be at least 1."
    assert [finding.line for finding in caught.value.findings] == [2, 3]


def test_a_named_file_wins_and_a_named_folder_means_the_file_in_it(folder: Path) -> None:
    assert find_config(folder / "x.yaml") == folder / "x.yaml"
    assert find_config(folder) == folder / "sandbox.yaml"


def test_the_usual_places_are_searched_in_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("agent.settings.locate.PLACES", (Path("sandbox.yaml"), Path("config/sandbox.yaml")))
    with pytest.raises(SettingsError, match=r"looked for sandbox.yaml, config/sandbox.yaml.*agent init"):
        find_config(None)
    (folder / "config").mkdir()
    (folder / "config/sandbox.yaml").write_text("tenant: inner\n")
    assert load(None, {}).tenant == "inner"
    (folder / "sandbox.yaml").write_text("tenant: outer\n")
    assert load(None, {}).tenant == "outer"


def test_made_by_hand_settings_read_nothing(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("MERIDYEN_TENANT", "other")
    monkeypatch.chdir(folder)
    (folder / ".env").write_text("MERIDYEN_TENANT=other\n")
    assert Settings(tenant="mine").tenant == "mine"
