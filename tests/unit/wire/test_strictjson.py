import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire import strictjson
from agent.wire.errors import EncodingError, JsonError, SizeError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_values_survive(value: Any) -> None:
    assert strictjson.loads(strictjson.dumps(value), 1 << 20) == value
    assert strictjson.loads(strictjson.canonical(value), 1 << 20) == value


@given(st.dictionaries(st.text(), VALUES, max_size=6))
def test_the_canonical_form_does_not_depend_on_the_order(value: dict[str, Any]) -> None:
    turned = dict(reversed(value.items()))
    assert strictjson.canonical(value) == strictjson.canonical(turned)
    assert strictjson.digest(value) == strictjson.digest(turned)


@given(st.binary())
def test_any_bytes_give_a_value_or_a_json_error(data: bytes) -> None:
    try:
        value = strictjson.loads(data, 1 << 20)
    except JsonError:
        return
    assert json.loads(data) == value


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"a":1,"a":1}', JsonError),
        (b'[{"a":{"b":1,"b":2}}]', JsonError),
        (b'{"a":1,"\\u0061":2}', JsonError),
        (b"NaN", JsonError),
        (b"-Infinity", JsonError),
        (b"1e400", JsonError),
        (b"-1e400", JsonError),
        (b"9" * 5000, JsonError),
        (b"[1,]", JsonError),
        (b"{'a':1}", JsonError),
        (b"01", JsonError),
        (b"1 2", JsonError),
        (b"", JsonError),
        (b"\xef\xbb\xbf1", JsonError),
        ("[1]".encode("utf-16"), JsonError),
        (b'"\xff"', EncodingError),
        (b'"\xed\xa0\x80"', EncodingError),
        (b'"\\ud800"', EncodingError),
        (b'{"\\udfff":1}', EncodingError),
        (b"[" * 100_000, JsonError),
        (b"[" * 5000 + b"]" * 5000, JsonError),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, JsonError),
    ],
)
def test_what_has_no_single_meaning_is_refused(data: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        strictjson.loads(data, 1 << 20)


def test_depth_ends_at_its_limit() -> None:
    deepest = "[" * strictjson.MAX_DEPTH + "]" * strictjson.MAX_DEPTH
    assert strictjson.loads(deepest, 1000) is not None
    with pytest.raises(JsonError):
        strictjson.loads("[" + deepest + "]", 1000)


def test_size_ends_at_its_limit() -> None:
    assert strictjson.loads(b"[1]", 3) == [1]
    with pytest.raises(SizeError):
        strictjson.loads(b"[1] ", 3)
    with pytest.raises(SizeError):
        strictjson.loads('"ä"', 3)


def test_an_error_never_shows_the_content() -> None:
    for data in (b'{"secret": }', b'{"secret":1,"secret":2}', b'"secret\xff"', b"[secret]"):
        with pytest.raises(JsonError) as caught:
            strictjson.loads(data, 100)
        assert "secret" not in str(caught.value)
        assert caught.value.__context__ is None or caught.value.__suppress_context__
