"""The strict reader of YAML."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.settings import SettingsError, yamltree

CANARY = "c4n4ry"


def tree(text: str) -> object:
    return yamltree.parse(text.encode(), "f.yaml").data


def refused(text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(SettingsError) as caught:
        yamltree.parse(data, "f.yaml")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert CANARY not in f"{caught.value!r} {caught.value} {vars(caught.value)}"
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("", None),
        ("~", None),
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("012", "012"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-01-01", "2026-01-01"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_scalars_are_what_they_look_like(text: str, value: object) -> None:
    read = tree(f"a: {text}")
    assert read == {"a": value}
    assert type(read["a"]) is type(value)


def test_words_that_yaml_1_1_takes_for_booleans_are_keys_like_any_other() -> None:
    assert tree("no: 1\non: 2\ny: 3\n12: 4\ntrue: 5\n") == {"no": 1, "on": 2, "y": 3, "12": 4, "true": 5}


def test_every_key_and_item_has_its_line() -> None:
    document = yamltree.parse(b"a: 1\nb:\n  c: 2\n  d:\n    - x\n    - {e: 1}\n", "f.yaml")
    assert document.line(("a",)) == 1
    assert document.line(("b", "c")) == 3
    assert document.line(("b", "d", 0)) == 5
    assert document.line(("b", "d", 1, "e")) == 6
    assert document.line(("b", "missing")) == 2
    assert document.line(("missing",)) is None


def test_an_empty_file_is_an_empty_configuration() -> None:
    assert tree("") == {}
    assert tree("# only a comment\n") == {}


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert tree("\ufeffa: 1") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2\n", "f.yaml:2: a: the key stands twice, first on line 1"),
        ("x: {b: 1, b: 2}\n", "x.b: the key stands twice"),
        (f"a: &x {CANARY}\nb: *x\n", "f.yaml:1: a: anchors and aliases"),
        ("a: [*x]\n", "anchors and aliases"),
        ("a: {<<: {b: 1}}\n", "merge keys"),
        (f"a: !!python/object/apply:os.system [{CANARY}]\n", "f.yaml:1: a: a YAML tag"),
        (f"a: !{CANARY} 1\n", "a YAML tag"),
        ("a: !e!x 1\n", "a YAML tag"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2: the file holds more than one document"),
        ("? [a, b]\n: 1\n", "a key must be a plain text"),
        ("? {a: b}\n: 1\n", "a key must be a plain text"),
        (f"- {CANARY}\n", "f.yaml:1: the file is not a list of `key: value` lines"),
        (CANARY, "the file is not a list of `key: value` lines"),
        (f"a:\n\tb: {CANARY}\n", "f.yaml:2: a tab stands in the indentation"),
        (f"a: '{CANARY}\nb: 1\n", "a quote is never closed"),
        (f'a: "{CANARY}\\q"\n', "f.yaml:1: a `\\` escape"),
        (f"a: {CANARY}: b\n", "f.yaml:1: a `:` stands where no key can stand"),
        (f"a: {{b: {CANARY}\n", "this is not valid YAML"),
        (f"a: 1\n{CANARY}\nb: 1\n", "f.yaml:3: a key has no `:` after it"),
        (f"a: {CANARY}\x07\n", "control character"),
        ("a: " + "[" * 40 + "]" * 40, "nested more than 32 levels deep"),
        ("- " * 60 + "a", "nested more than 32 levels deep"),
        ("[" * 100_000, "nested more than 32 levels deep"),
        ("{" * 100_000, "a key must be a plain text"),
    ],
)
def test_what_would_surprise_a_reader_is_refused(text: str, said: str) -> None:
    assert said in refused(text)


def test_every_duplicate_key_is_named_at_once() -> None:
    said = refused("a: 1\na: 2\nb: {c: 1, c: 2}\nd: 1\nd: 2\n")
    assert [line.split(": ")[1] for line in said.splitlines()] == ["a", "b.c", "d"]


@pytest.mark.parametrize("data", [b"a: \xff\n", f"a: {CANARY}".encode("utf-16"), b"a: b\nc: \xed\xa0\x80"])
def test_only_utf_8_is_read(data: bytes) -> None:
    assert "not valid UTF-8" in refused(data)


def test_the_line_of_a_wrong_byte_is_named() -> None:
    assert refused(b"a: 1\nb: \xff\n").startswith("f.yaml:2: ")


@settings(database=None, deadline=None, max_examples=60)
@given(st.text(max_size=200) | st.text(alphabet="ab:-[]{}&*!#'\"\n\t |>?%@,0", max_size=60))
def test_any_text_is_read_or_refused_in_our_own_words(text: str) -> None:
    with suppress(SettingsError):
        assert isinstance(yamltree.parse(text.encode("utf-8", "replace"), "f.yaml").data, dict)


@settings(database=None, deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.text("abcdefgh", min_size=1),
        st.recursive(
            st.booleans() | st.integers(-(10**9), 10**9) | st.text("xyz \n'\"#:-", max_size=9),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("klm", min_size=1), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_what_a_dumper_writes_is_read_back(value: object) -> None:
    assert tree(yaml.safe_dump(value, allow_unicode=True)) == value


def test_a_file_that_is_too_large_is_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"#" * (yamltree.LIMIT_BYTES + 1))
    with pytest.raises(SettingsError, match="larger than 1 MiB"):
        yamltree.read(tmp_path / "f.yaml")


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f.yaml")
    with pytest.raises(SettingsError, match="not a regular file"):
        yamltree.read(tmp_path / "f.yaml")


@pytest.mark.parametrize(
    ("name", "said"), [("missing", "does not exist"), (".", "not a regular file"), ("a\0b", "cannot be opened")]
)
def test_what_cannot_be_opened_is_named(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        yamltree.read(tmp_path / name)
    assert caught.value.__context__ is None
