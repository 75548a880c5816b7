"""policy.yaml -> LoadedPolicy."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.errors import ConfigError
from agent.settings import LoadedPolicy, Settings, SettingsError, load_policy, read_policy

CANARY = "c4n4ry"
HEAD = "version: 1\ndefault: redact\n"

Load = Callable[..., Settings]


def read(folder: Path, text: str, **environ: str) -> LoadedPolicy:
    (folder / "policy.yaml").write_text(text)
    return read_policy(folder / "policy.yaml", environ)


def refused(folder: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(folder, text)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert CANARY not in f"{error} {error!r} {vars(error)}"
    return str(error).replace(f"{folder}/", "").splitlines()


def test_the_digest_is_over_the_bytes_of_the_file(tmp_path: Path) -> None:
    loaded = read(tmp_path, HEAD + "# a comment\n")
    assert loaded.sha256 == hashlib.sha256((tmp_path / "policy.yaml").read_bytes()).hexdigest()
    assert loaded.policy.default == "redact"
    assert loaded.token_key() is None


def test_the_settings_name_it(loaded: Load, folder: Path) -> None:
    (folder / "other.yaml").write_text(HEAD)
    assert load_policy(loaded("tenant: a\npolicy: other.yaml\n")).path == folder / "other.yaml"


def test_rules_have_short_forms(tmp_path: Path) -> None:
    text = (
        HEAD
        + "rules:\n  - {match: '*.*.*.a', rule: null}\n  - {match: '*.*.*.b', rule: {bucket: 10}}\n  - {match: '*.*.*.c', rule: keep}\n"
    )
    assert [line.rule.rule for line in read(tmp_path, text).policy.rules] == ["null", "bucket", "keep"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\n", "policy.yaml: default: is missing. Fix: Add it."),
        ("version: 1\ndefault: mask\n", "policy.yaml:2: default: must be `redact`, `keep` or `refuse`."),
        (HEAD + "rulez: []\n", "policy.yaml:3: rulez: this key does not exist. Fix: Did you mean `rules`?"),
        (HEAD + "rules: [{match: '*.*.*.a', rule: redcat}]", "policy.yaml:3: rules[0].rule: "),
        (
            HEAD + "rules:\n- {match: '*.*.*.a', rule: {bucket: 0}}",
            "policy.yaml:4: rules[0].rule.bucket: must be more than 0.",
        ),
        (
            HEAD + "rules:\n- {match: '*.*.*.a', rule: {token: {domin: x}}}",
            "policy.yaml:4: rules[0].rule.token.domin: this key does not exist. Fix: Did you mean `domain`?",
        ),
        (HEAD + f"rules: [{{match: {CANARY}, rule: keep}}]", "policy.yaml:3: rules[0].match: "),
        (HEAD + "rules: [{match: {regex: '(a+)+'}, rule: keep}]", "policy.yaml:3: rules[0].match: "),
        (HEAD + "rules: [{match: {rejex: a}, rule: keep}]", "policy.yaml:3: rules[0].match: must be a glob"),
        (HEAD + "rules: [{rule: keep}]", "policy.yaml:3: rules[0]: give match, type or tag"),
        (HEAD + "rules: [{tag: pii, rule: redact}]", "policy.yaml:3: rules: rules name a tag that is not in tags"),
        (HEAD + "tags: {pii: ['*.ssn']}", "policy.yaml:3: tags.pii[0]: a pattern has 4 parts"),
        (HEAD + "subjects: {customers: id}", "policy.yaml:3: subjects: a pattern has 3 parts"),
        (HEAD + "subjects: {'shop.*.customers': ''}", "policy.yaml:3: subjects: each pattern needs"),
        (HEAD + "min_group_size: 5", "policy.yaml:3: min_group_size: min_group_size counts nobody"),
        (HEAD + "rules: [keep]", "policy.yaml:3: rules[0]: must be a block of keys."),
        (HEAD + "rules: [{match: '*.*.*.a'}]", "policy.yaml:3: rules[0].rule: is missing."),
        (HEAD + f"tables: {{allow: {CANARY}}}", "policy.yaml:3: tables.allow: must be a list."),
        (
            HEAD + f"rules: [{{match: '*.*.*.a', rule: redact, unless_roles: {CANARY}}}]",
            "rules[0].unless_roles: must be a list.",
        ),
    ],
)
def test_mistakes_are_named_by_line_and_key(tmp_path: Path, text: str, said: str) -> None:
    assert any(said in line for line in refused(tmp_path, text)), refused(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "min_group_size: 1",
        "python_inputs: {max_rows: 5, max_bytes: 4096}",
        "release: {charts: with_data}",
        "release: {charts: spec_only, chart_formats: [vega-lite]}",
        "release: {charts: 'off', chart_points: 7}",
        "release: {pii_net: 'off'}",
        "release: {pii_net: off}",
        "release: {pii_net: mask}",
        "release: {pii_net: {action: mask, actions: {secret: refuse, ip: report}, exempt: ['a.b.c.d']}}",
        "release: {require_aggregate: false}",
    ],
)
def test_saying_that_they_are_off_is_allowed(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, f"{HEAD}{text}\n").policy.min_group_size == 1


TOKEN = HEAD + 'keys: {token: "file:token.key"}\nrules: [{match: "*.*.*.a", rule: {token: {domain: d}}}]\n'


def test_the_token_key_is_read_on_demand_beside_the_policy(tmp_path: Path) -> None:
    loaded = read(tmp_path, TOKEN)
    with pytest.raises(ConfigError, match=r"keys.token: the secret's file does not exist"):
        loaded.token_key()
    (tmp_path / "token.key").write_text("k" * 32 + "\n")
    (tmp_path / "token.key").chmod(0o600)
    assert loaded.token_key() == b"k" * 32


def test_a_short_token_key_is_refused(tmp_path: Path) -> None:
    loaded = read(tmp_path, TOKEN.replace("file:token.key", "env:TOKEN"), TOKEN=CANARY)
    with pytest.raises(ConfigError, match=r"keys.token: .*fewer than 32 bytes") as caught:
        loaded.token_key()
    assert CANARY not in str(caught.value)


def test_a_token_key_that_every_account_can_read_stops_the_agent(tmp_path: Path) -> None:
    (tmp_path / "token.key").write_text(CANARY)
    (tmp_path / "token.key").chmod(0o644)
    assert refused(tmp_path, TOKEN)[0].startswith(
        "policy.yaml:3: keys.token: every account can read the secret's file."
    )


def test_a_missing_policy_is_named(loaded: Load) -> None:
    settings = loaded("tenant: a\npolicy: nowhere.yaml\n")
    with pytest.raises(SettingsError, match=r"nowhere.yaml: the file does not exist"):
        load_policy(settings)


def test_nothing_of_the_key_or_the_environment_is_in_its_repr(tmp_path: Path) -> None:
    assert CANARY not in repr(read(tmp_path, HEAD, SECRET=CANARY))
