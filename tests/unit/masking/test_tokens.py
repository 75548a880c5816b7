"""The pads of a token: HMAC under a key of tenant and domain, one key for each, two keys at a time."""

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agent.core.errors import Fault
from agent.masking.tokens import pads

KEY, OLD = b"k" * 32, b"o" * 32


def by_pads(both, text):
    inner, outer = both[:64], both[64:]
    return hashlib.sha256(outer + hashlib.sha256(inner + text).digest()).digest()


def test_the_key_is_derived_from_tenant_and_domain_as_documented():
    info = b"meridyen token v1\0acme\0email"
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(KEY)
    wanted = hmac.digest(derived, b"ann@example.org", "sha256")
    found = pads(KEY, "acme", ["email"])
    assert list(found) == ["meridyen_email"]
    assert by_pads(found["meridyen_email"], b"ann@example.org") == wanted
    assert len(found["meridyen_email"]) == 128


def test_a_domain_of_the_previous_key_is_the_same_domain_under_that_key():
    both = pads(KEY, "acme", ["email", "0email"], previous=OLD)
    assert list(both) == ["meridyen_0email", "meridyen_email"]
    assert both["meridyen_0email"] == pads(OLD, "acme", ["email"])["meridyen_email"]
    assert both["meridyen_email"] == pads(KEY, "acme", ["email"])["meridyen_email"]


def test_without_tokens_no_key_is_needed():
    assert pads(None, "acme", []) == {}


@pytest.mark.parametrize("key", [None, b"", b"k" * 31])
def test_a_missing_or_short_key_is_a_fault(key):
    with pytest.raises(Fault, match="key is missing or shorter") as fault:
        pads(key, "acme", ["email"], previous=KEY)
    assert fault.value.code == "source.unavailable"
    with pytest.raises(Fault):
        pads(KEY, "acme", ["0email"], previous=key)


def test_a_key_is_asked_for_only_by_its_own_domains():
    assert pads(KEY, "acme", ["email"], previous=None)
    assert pads(None, "acme", ["0email"], previous=OLD)
