"""The generated documentation and the shipped examples are current, complete and true."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.masking.policy import Policy
from agent.settings import Settings, check, load, load_policy, reference, schema, shape, yamltree
from agent.settings.reference import files, rows
from agent.sources import Config as SourceConfig

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("path", sorted(files(ROOT)), ids=lambda path: path.name)
def test_generated_files_are_current(path: Path) -> None:
    assert path.read_text("utf-8") == files(ROOT)[path], "run `python -m agent.settings`"


def test_every_key_is_documented() -> None:
    kinds = shape.alternatives(SourceConfig)
    assert kinds
    found = [*rows(Settings), *rows(Policy), *(row for kind in kinds for row in rows(kind, "sources.NAME."))]
    keys = [row.key for row in found if not row.key.endswith(".type")]
    assert [row.key for row in found if row.key in keys and not row.meaning] == []
    page = (ROOT / "docs/configure.md").read_text() + (ROOT / "docs/policy.md").read_text()
    assert [key for key in keys if f"| `{key}` |" not in page and key != "sources"] == []


def test_every_rule_is_documented() -> None:
    page = (ROOT / "docs/policy.md").read_text()
    for rule in (
        "redact",
        "keep",
        "null",
        "token",
        "last4",
        "partial",
        "email",
        "year",
        "month",
        "bucket",
        "round",
        "constant",
    ):
        [line] = re.findall(rf"^\| `{rule}` \|(.*)\|$", page, re.MULTILINE)
        assert all(cell.strip() for cell in line.split("|")), rule


def test_the_schema_knows_the_examples_keys_and_no_others() -> None:
    def allowed(node: Any, value: Any, where: str) -> Iterator[str]:
        node = _resolved(plain, node)
        if isinstance(value, dict):
            for key, inner in value.items():
                below = node.get("properties", {}).get(key, node.get("additionalProperties"))
                pattern = next(iter(node.get("patternProperties", {}).values()), None)
                if not (below or pattern):
                    yield f"{where}.{key}"
                else:
                    yield from allowed(below or pattern, inner, f"{where}.{key}")

    plain = schema()
    example = yamltree.read(ROOT / "config/sandbox.example.yaml").data
    assert list(allowed(plain, example, "")) == []
    assert list(allowed(plain, {"limits": {"row": 1}}, "")) == [".limits.row"]
    assert plain["additionalProperties"] is False
    assert json.loads(json.dumps(plain)) == plain


def _resolved(plain: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """A node with references followed and the forms of a union laid over each other."""
    if "$ref" in node:
        return _resolved(plain, plain["$defs"][node["$ref"].rpartition("/")[2]])
    merged: dict[str, Any] = {**node, "properties": dict(node.get("properties", {}))}
    for form in [*node.get("anyOf", ()), *node.get("oneOf", ())]:
        merged["properties"] |= _resolved(plain, form).get("properties", {})
    return merged


@pytest.fixture
def example() -> Settings:
    return load(ROOT / "config/sandbox.example.yaml", {})


def test_the_example_is_valid_word_for_word(example: Settings) -> None:
    assert example.policy == ROOT / "config/policy.example.yaml"
    assert {name: source.path for name, source in example.sources.items()} == {"shop": ROOT / "config/demo/shop"}
    assert load_policy(example).policy.default == "redact"
    assert [finding for finding in check(example) if finding.level == "error"] == []


def test_the_example_is_valid_under_the_variables_of_a_container() -> None:
    environ = {
        "MERIDYEN_MODE": "airgapped",
        "MERIDYEN_STATE_DIR": "/var/lib/meridyen",
        "MERIDYEN_TRANSPORT__FILEDROP__PATH": "/var/spool/meridyen",
    }
    settings = load(ROOT / "config/sandbox.example.yaml", environ)
    assert settings.trust == Path("/var/lib/meridyen/trust.json")
    assert settings.audit.path == Path("/var/lib/meridyen/audit")
    assert settings.carrier.path == Path("/var/spool/meridyen")


def test_what_the_example_says_of_defaults_is_true(example: Settings) -> None:
    """Commented keys, uncommented, change nothing."""
    lines = (ROOT / "config/sandbox.example.yaml").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("version:"))
    shown = re.compile(r"# (mode|state_dir|trust|audit|transport): |# transport:|#   filedrop:")
    text = "\n".join(line[2:] if shown.match(line) else line for line in lines[start:])
    assert {"mode:", "state_dir:", "transport:", "trust:", "audit:"} <= set(re.findall(r"^\w+:", text, re.MULTILINE))
    data = yamltree.parse(text.encode(), "example").data
    for key in ("mode", "state_dir", "trust", "audit", "transport"):
        assert getattr(Settings(**{"tenant": "a", key: data[key]}), key) == getattr(Settings(tenant="a"), key), key


def test_the_examples_hold_no_secret_and_protect_the_demo(example: Settings) -> None:
    policy = load_policy(example).policy
    protected = {"email", "phone", "dob", "given_name", "family_name", "tax_number"}
    rules = {name: policy.rule_for(("shop", "main", "customers", name), ()) for name in (*protected, "city")}
    assert {name for name, rule in rules.items() if rule is None or rule.rule != "keep"} == protected
    header = (ROOT / "config/demo/shop/customers.csv").read_text().splitlines()[0].split(",")
    assert protected < set(header)
    assert policy.keys.token is None


def test_the_default_configuration_paths_of_the_page_are_those_of_the_code() -> None:
    from agent.settings.locate import PLACES

    page = (ROOT / "docs/configure.md").read_text()
    assert all(f"{'./' if not place.is_absolute() else ''}{place}`" in page for place in PLACES)


def test_markers_are_all_filled() -> None:
    for name, parts in zip(reference.PAGES, (2, 3), strict=True):
        page = (ROOT / name).read_text()
        assert page.count("<!-- generated: ") == page.count("<!-- end -->") == parts
