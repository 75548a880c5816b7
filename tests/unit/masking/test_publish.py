"""A description as it leaves: one way to write it, and never more than there is room for."""

import pytest

from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.table import Disclosure
from agent.masking.policy import Policy
from agent.masking.publish import MAX_BYTES, publish, room, text

DISCLOSURE = Disclosure("shop", (), {}, 1, "0" * 64)


def policy(size=1 << 30):
    return Policy.model_validate({"version": 1, "default": "keep", "release": {"max_bytes": size}})


def published(value, size, **more):
    return publish("catalog", value, disclosure=DISCLOSURE, policy=policy(), limits=Limits(bytes=size), **more)


def test_the_least_of_three_limits_counts():
    assert room(policy(3_000), Limits(bytes=2_000)) == 2_000
    assert room(policy(3_000), Limits(bytes=4_000)) == 3_000
    assert room(policy(), Limits(bytes=1 << 30)) == MAX_BYTES == 16 * 1024 * 1024


def test_the_text_is_compact_ascii_in_the_order_given():
    assert text({"b": [1, "ä"], "a": None}) == '{"b":[1,"\\u00e4"],"a":null}'
    with pytest.raises(ValueError, match="JSON"):
        text(float("nan"))


def test_a_document_of_exactly_the_room_leaves():
    made = published({"a": 1}, 7)
    assert (made.name, made.data, made.disclosure, made.truncated) == ("catalog", b'{"a":1}', DISCLOSURE, False)
    assert published({"a": 1}, 7, truncated=True).truncated


def test_one_byte_more_does_not():
    with pytest.raises(Fault, match="larger than may leave") as fault:
        published({"a": 1}, 6)
    assert fault.value.code == "limit.bytes"
    assert fault.value.hint == "Ask for less of it."
