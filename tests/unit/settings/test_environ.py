"""MERIDYEN_* variables over the file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.settings import Settings

CANARY = "c4n4ry"

Load = Callable[..., Settings]
Wrong = Callable[..., list[str]]
BASE = "tenant: acme\nsources: {my-db: {type: sqlite, path: a}, Shop: {type: duckdb, path: b}}\n"


def test_nested_keys_are_overridden_and_read_as_their_type(loaded: Load) -> None:
    settings = loaded(BASE, MERIDYEN_LIMITS__ROWS="7", MERIDYEN_AGENT__SLOTS__SQL="3", MERIDYEN_TENANT="other")
    assert (settings.limits.rows, settings.agent.slots.sql, settings.tenant) == (7, 3, "other")
    assert settings.limits.memory_mb == 1024


def test_a_text_stays_a_text(loaded: Load) -> None:
    assert loaded(BASE, MERIDYEN_AGENT__LABELS__ZIP="00123").agent.labels == {"zip": "00123"}
    assert loaded(BASE, MERIDYEN_TENANT="true").tenant == "true"


def test_names_of_the_file_are_met_without_regard_to_case_and_dashes(loaded: Load, folder: Path) -> None:
    settings = loaded(BASE, MERIDYEN_SOURCES__MY_DB__PATH="c", MERIDYEN_SOURCES__SHOP__PATH="/d")
    assert {name: source.path for name, source in settings.sources.items()} == {
        "my-db": folder / "c",
        "Shop": Path("/d"),
    }


def test_a_source_can_come_from_the_environment_alone(loaded: Load) -> None:
    settings = loaded("tenant: a\n", MERIDYEN_SOURCES__X__TYPE="sqlite", MERIDYEN_SOURCES__X__PATH="/x")
    assert settings.sources["x"].path == Path("/x")


def test_lists_are_json(loaded: Load, wrong: Wrong) -> None:
    assert loaded(BASE, MERIDYEN_PYTHON__PRELOAD='["pandas"]').python.preload == ("pandas",)
    assert loaded(BASE, MERIDYEN_PYTHON__IMPORTS='["os"]').python.imports == ("os",)
    assert loaded(BASE, MERIDYEN_PYTHON__IMPORTS="default").python.imports == "default"
    assert wrong(BASE, MERIDYEN_PYTHON__PRELOAD=f"[{CANARY}")[0].startswith(
        "MERIDYEN_PYTHON__PRELOAD: python.preload: this is not a JSON list."
    )
    assert wrong(BASE, MERIDYEN_PYTHON__PRELOAD=CANARY) == [
        "MERIDYEN_PYTHON__PRELOAD: python.preload: must be a list. Fix: Write `[a, b]`, or one `- item` a line."
    ]
    assert "JSON list" in wrong(BASE, MERIDYEN_PYTHON__PRELOAD="[" * 100_000)[0]


def test_empty_and_foreign_variables_are_nothing(loaded: Load) -> None:
    assert loaded(BASE, MERIDYEN_TENANT="", MERIDYEN_NONSENSE="", PATH="/bin", HOME=CANARY, meridian="x") == loaded(
        BASE
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("MERIDYEN_LIMIT__ROWS", "no setting has this name. Fix: Did you mean MERIDYEN_LIMITS__ROWS?"),
        ("MERIDYEN_LIMITS__ROW", "no setting has this name. Fix: Did you mean MERIDYEN_LIMITS__ROWS?"),
        ("MERIDYEN_LIMITS_ROWS", "no setting has this name."),
        ("MERIDYEN_SOURCES__SHOP__PASSWORT", "no setting has this name."),
        ("MERIDYEN_", "no setting has this name."),
        ("MERIDYEN_TENANT__X", "no setting has this name."),
        ("MERIDYEN_XYZ", "Fix: Unset it, or give it a name without the prefix MERIDYEN_."),
        ("MERIDYEN_AGENT", "agent: this names a whole block. Fix: Set single keys, for example MERIDYEN_AGENT__NAME."),
        ("MERIDYEN_SOURCES", "sources: this names a whole block."),
        ("MERIDYEN_SOURCES__SHOP", "sources.Shop: this names a whole block."),
        ("meridyen_xyz", "no setting has this name."),
    ],
)
def test_variables_that_fit_nothing_are_named(wrong: Wrong, name: str, said: str) -> None:
    [line] = wrong(BASE, **{name: CANARY})
    assert line.startswith(f"{name}: ")
    assert said in line


def test_a_value_that_does_not_fit_names_the_variable(wrong: Wrong) -> None:
    assert wrong(BASE, MERIDYEN_LIMITS__ROWS=CANARY) == ["MERIDYEN_LIMITS__ROWS: limits.rows: must be a whole number."]
    assert wrong("{}", MERIDYEN_TENANT=f"{CANARY} x")[0].startswith("MERIDYEN_TENANT: tenant: must be letters")


def test_two_spellings_of_one_variable_are_refused(wrong: Wrong) -> None:
    [line] = wrong(BASE, MERIDYEN_TENANT="a", meridyen_tenant="b")
    assert "sets the same key" in line


PROTECTED = """tenant: a
mode: airgapped
policy: policy.yaml
trust: t.json
audit: {path: ./log}
python: {min_tier: full}
"""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MERIDYEN_MODE", "hybrid"),
        ("MERIDYEN_POLICY", "/tmp/other.yaml"),
        ("MERIDYEN_TRUST", "/tmp/other.json"),
        ("MERIDYEN_AUDIT__PATH", "/dev/null"),
        ("MERIDYEN_AUDIT__FAIL_CLOSED", "true"),
        ("MERIDYEN_PYTHON__MIN_TIER", "container"),
        ("meridyen_mode", "cloud"),
    ],
)
def test_what_the_file_says_about_safety_cannot_be_overridden(wrong: Wrong, name: str, value: str) -> None:
    [line] = wrong(PROTECTED, **{name: value})
    assert line.startswith(f"{name}: ")
    assert "this contradicts the file, which has the last word." in line


def test_saying_the_same_again_is_no_contradiction(loaded: Load, folder: Path) -> None:
    same = {
        "MERIDYEN_MODE": "airgapped",
        "MERIDYEN_POLICY": "./policy.yaml",
        "MERIDYEN_TRUST": str(folder / "t.json"),
        "MERIDYEN_AUDIT__PATH": "log",
        "MERIDYEN_PYTHON__MIN_TIER": "full",
    }
    assert loaded(PROTECTED, **same) == loaded(PROTECTED)


def test_what_the_file_leaves_open_can_be_set(loaded: Load, folder: Path) -> None:
    settings = loaded(
        "tenant: a\npython: {imports: default}\n",
        MERIDYEN_PYTHON__MIN_TIER="full",
        MERIDYEN_POLICY="p.yaml",
        MERIDYEN_MODE="airgapped",
    )
    assert settings.python.min_tier == "full"
    assert settings.policy == folder / "p.yaml"


def test_secrets_may_stand_in_variables_with_our_prefix(loaded: Load, folder: Path, wrong: Wrong) -> None:
    (folder / "policy.yaml").write_text('version: 1\ndefault: redact\nkeys: {token: "env:MERIDYEN_TOKEN_KEY"}\n')
    assert loaded("tenant: a\n", MERIDYEN_TOKEN_KEY=CANARY).tenant == "a"
    assert "MERIDYEN_OTHER" in wrong("tenant: a\n", MERIDYEN_OTHER=CANARY)[0]


def test_a_value_that_is_not_unicode_is_refused_without_a_crash(wrong: Wrong) -> None:
    assert wrong(BASE, MERIDYEN_TENANT=f"{CANARY}\udcff")[0].startswith("MERIDYEN_TENANT: tenant: ")
